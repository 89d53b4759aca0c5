//! What the transport knows of a client: how it came, from where, and whose certificate it showed.

use std::net::SocketAddr;

use rustls::pki_types::CertificateDer;

use crate::access::Admission;
use crate::certificate;
use crate::listener::Scheme;

/// The other end of a network connection, as far as the transport can tell.
#[derive(Clone, Debug)]
pub struct Peer {
    /// How it came.
    pub transport: Scheme,
    /// Its address when it came; over QUIC it may move later.
    pub address: SocketAddr,
    /// Whom the listener that it came to lets in.
    pub admission: Admission,
    /// The certificate that it proved to own, where the listener asked for one.
    pub certificate: Option<PeerCertificate>,
}

/// A client's own certificate, signed by an authority that the listener trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The last Common Name of the subject; `None` where there is none, or none that is text.
    pub common_name: Option<String>,
    /// SHA-256 over the certificate's DER form, in lower-case hex.
    pub sha256: String,
}

impl PeerCertificate {
    /// What the first certificate of a verified chain says; `None` for an empty chain.
    pub(crate) fn of_chain(chain: Option<&[CertificateDer<'_>]>) -> Option<Self> {
        let leaf = chain?.first()?;
        let common_name = x509_parser::parse_x509_certificate(leaf)
            .ok()
            .and_then(|(_, parsed)| {
                let last = parsed.subject().iter_common_name().last()?;
                last.as_str().ok().map(str::to_owned)
            });
        Some(Self {
            common_name,
            sha256: certificate::sha256(leaf),
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn named(names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("signed").der().clone()
    }

    #[test]
    fn the_first_certificate_names_the_client() {
        let chain = [named(&["sensor 7"]), named(&["authority"])];
        let found = PeerCertificate::of_chain(Some(&chain)).expect("a certificate");
        assert_eq!(found.common_name.as_deref(), Some("sensor 7"));
        assert_eq!(found.sha256, certificate::sha256(&chain[0]));
        let nameless = PeerCertificate::of_chain(Some(&[named(&[])])).expect("a certificate");
        assert_eq!(nameless.common_name, None);
        assert_eq!(PeerCertificate::of_chain(Some(&[])), None);
        assert_eq!(PeerCertificate::of_chain(None), None);
    }
}
