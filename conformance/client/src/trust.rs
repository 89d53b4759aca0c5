//! Whom a dialler believes: certificate authorities, or nobody's signature at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};

use crate::identity::Identity;
use crate::tuning::Tuning;

/// Whose certificates a dialler accepts.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// Those signed by an authority that the operating system trusts.
    #[default]
    System,
    /// Those signed by one of these, or these themselves.
    Authorities(Vec<CertificateDer<'static>>),
    /// Any certificate at all. The handshake's signature is still checked, so the peer owns the
    /// certificate it shows; who the peer is stays unknown.
    Anyone,
}

/// Why a certificate file or a trust setting is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read or holds no PEM certificate.
    #[error("failed to read certificates from '{}': {reason}", file.display())]
    File {
        /// The file as given.
        file: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The operating system offers no authorities.
    #[error(
        "the system has no trusted certificate authorities ({0}): give a CA file, or trust anyone"
    )]
    NoSystemAuthorities(String),
    /// TLS refused the settings.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// Reads the PEM certificates of `file`.
    ///
    /// # Errors
    /// [`TrustError::File`] if it cannot be read, is malformed, or has no certificate.
    pub fn from_pem_file(file: &Path) -> Result<Self, TrustError> {
        read_certificates(file)
            .map(Self::Authorities)
            .map_err(|reason| TrustError::File {
                file: file.to_owned(),
                reason,
            })
    }

    /// A configuration of these TLS versions that offers `alpn`, and shows `identity` where it is
    /// asked for.
    pub(crate) fn client_config(
        &self,
        tuning: &Tuning,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[u8],
    ) -> Result<ClientConfig, TrustError> {
        let provider = tuning.provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?;
        let builder = match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                let (added, _) = roots.add_parsable_certificates(found.certs);
                if added == 0 {
                    let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
                    return Err(TrustError::NoSystemAuthorities(reasons.join("; ")));
                }
                builder.with_root_certificates(roots)
            }
            Self::Authorities(certificates) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates {
                    roots.add(certificate.clone())?;
                }
                builder.with_root_certificates(roots)
            }
            Self::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAnyone { provider })),
        };
        let mut config = match identity {
            Some(Identity { chain, key }) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key())?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(config)
    }
}

/// The certificates of a PEM file, or why there are none.
pub(crate) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("no PEM certificate in it".to_owned());
    }
    Ok(certificates)
}

/// A verifier that checks that the peer owns its certificate, and nothing about who signed it.
#[derive(Debug)]
struct AcceptAnyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
