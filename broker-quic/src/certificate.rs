//! The certificate of the TLS and QUIC listeners.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate with its private key.
#[derive(Debug)]
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to make a certificate: {0}")]
pub struct CertificateError(#[from] rcgen::Error);

impl Certificate {
    /// Makes a self-signed certificate for `localhost` and the loopback addresses; it lives in
    /// memory only, so each start of the broker has another.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn ephemeral() -> Result<Self, CertificateError> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "quince ephemeral");
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// The server's own certificate in DER form; clients may take it as their authority.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        // Both ways to make one put exactly the leaf first.
        &self.chain[0]
    }

    /// SHA-256 over the DER form, in lower-case hex, as people compare it by eye.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256(self.der())
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256(der: &CertificateDer<'_>) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
