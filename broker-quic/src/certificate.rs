//! The certificate of the TLS and QUIC listeners, with its private key.

use std::io::Write;
use std::path::{Path, PathBuf};

use quince_store::sync_names;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate with its private key.
#[derive(Debug)]
pub struct Certificate {
    /// The server's own, then those that lead to an authority.
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why there is no certificate. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// None could be made.
    #[error("failed to make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// A file of certificates, keys or revocation lists is of no use.
    #[error("failed to read the {what} from '{}': {reason}", file.display())]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file as given.
        file: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Certificate and private key are not of one pair, or TLS cannot use them.
    #[error("the private key in '{}' is of no use with the certificate in '{}': {reason}", key.display(), chain.display())]
    Pair {
        /// The certificate's file as given.
        chain: PathBuf,
        /// The key's file as given.
        key: PathBuf,
        /// TLS's reason.
        reason: rustls::Error,
    },
}

impl Certificate {
    /// Makes a self-signed certificate for `localhost` and the loopback addresses; it lives in
    /// memory only, so each start of the broker has another.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn ephemeral() -> Result<Self, CertificateError> {
        let (certificate, key) = make("quince ephemeral")?;
        Ok(Self {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// The self-signed certificate of a data folder, which is made at the first start and stays.
    ///
    /// # Errors
    /// When it cannot be read, made or written.
    pub(crate) fn kept_in(directory: &Path) -> Result<Self, CertificateError> {
        let (chain, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
        if chain.exists() {
            return Self::from_pem_files(&chain, &key);
        }
        let (certificate, pair) = make("quince")?;
        // The certificate comes last: where it is, its key is.
        write(&key, "private key", &pair.serialize_pem())?;
        write(&chain, "certificate", &certificate.pem())?;
        Self::from_pem_files(&chain, &key)
    }
}

/// Writes a file of its owner's alone, whole or not at all.
fn write(file: &Path, what: &'static str, text: &str) -> Result<(), CertificateError> {
    let written = || {
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        sync_names(folder)
    };
    written().map_err(|error: std::io::Error| file_error(what, file, error.to_string()))
}

fn make(name: &str) -> Result<(rcgen::Certificate, KeyPair), CertificateError> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate, key))
}

impl Certificate {
    /// Reads a certificate, its chain behind it, and its private key (PKCS#8, PKCS#1 or SEC1, not
    /// encrypted) in PEM form.
    ///
    /// # Errors
    /// [`CertificateError::File`], naming the file that is missing or holds something else.
    pub fn from_pem_files(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let certificates = read_all(chain, "certificate")?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
            let reason = match error {
                pem::Error::NoItemsFound => {
                    "no PEM private key in it (one that is encrypted cannot be read)".to_owned()
                }
                other => describe(other),
            };
            file_error("private key", key, reason)
        })?;
        Ok(Self {
            chain: certificates,
            key,
        })
    }

    /// The server's own certificate in DER form; clients may take it as their authority.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        // Both ways to make one put the leaf first, and neither makes an empty chain.
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

/// Everything of one kind that a PEM file holds: at least one.
///
/// # Errors
/// [`CertificateError::File`], when it cannot be read or holds none.
pub(crate) fn read_all<T: PemObject>(
    file: &Path,
    what: &'static str,
) -> Result<Vec<T>, CertificateError> {
    let items = T::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<T>, _>>)
        .map_err(|error| file_error(what, file, describe(error)))?;
    if items.is_empty() {
        return Err(file_error(what, file, format!("no PEM {what} in it")));
    }
    Ok(items)
}

pub(crate) fn file_error(what: &'static str, file: &Path, reason: String) -> CertificateError {
    CertificateError::File {
        what,
        file: file.to_owned(),
        reason,
    }
}

fn describe(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        other => format!("this is not PEM: {other}"),
    }
}
