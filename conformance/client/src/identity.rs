//! Who a dialler is: a client certificate with its private key.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::trust::read_certificates;

/// A client certificate chain, the client's own first, and its private key.
#[derive(Debug)]
pub struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Why two files are no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate file cannot be read or holds no certificate.
    #[error("failed to read the client certificate from '{}': {reason}", file.display())]
    Certificate {
        /// The file as given.
        file: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The key file cannot be read or holds no private key.
    #[error("failed to read the private key from '{}': {reason}", file.display())]
    Key {
        /// The file as given.
        file: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl Identity {
    /// Reads a chain and a private key (PKCS#8, PKCS#1 or SEC1) in PEM form.
    ///
    /// # Errors
    /// [`IdentityError`], naming the file.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let chain =
            read_certificates(certificate).map_err(|reason| IdentityError::Certificate {
                file: certificate.to_owned(),
                reason,
            })?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| IdentityError::Key {
            file: key.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { chain, key })
    }
}
