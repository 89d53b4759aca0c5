//! The TLS of the listeners: one certificate, whom they believe, and what each transport needs
//! around it.

use std::path::PathBuf;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::certificate::{Certificate, CertificateError, file_error, read_all};
use crate::settings::Settings;
use crate::transport::quic;
use crate::tuning;

/// The ALPN of MQTT, over TLS and over QUIC on a single stream.
const MQTT: &[u8] = b"mqtt";
/// The ALPN of what WebSocket begins with.
const HTTP: &[u8] = b"http/1.1";

/// What encrypted listeners show and demand. The files are read at the start and at each reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate; without one, the broker makes its own for as long as it runs.
    pub certificate: Option<CertificateFiles>,
    /// Whose certificates clients may show; without it, they are not asked for one.
    pub clients: Option<ClientCertificates>,
}

/// A certificate in files, in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, its chain behind it.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What clients have to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM file of the authorities that sign clients' certificates.
    pub authorities: PathBuf,
    /// PEM files of the authorities' revocation lists. With any, each client's own certificate must
    /// be covered by one of them; a list that is out of date still counts.
    pub revocation_lists: Vec<PathBuf>,
    /// Whether a client may come without.
    pub demand: Demand,
}

/// Whether a client may come without a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Demand {
    /// No: its handshake fails.
    #[default]
    Required,
    /// Yes; one that it shows has to be good nevertheless.
    Optional,
}

/// What a handshake needs; a reload replaces it as a whole.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) certificate: Arc<Certificate>,
    /// Judges clients' certificates.
    pub(crate) clients: Arc<dyn ClientCertVerifier>,
    /// For `tls://`: TLS 1.2 and 1.3.
    pub(crate) mqtt: Arc<ServerConfig>,
    /// For `wss://`.
    pub(crate) web: Arc<ServerConfig>,
    /// For `quic://`.
    pub(crate) quic: quinn::ServerConfig,
}

impl Tls {
    /// Reads what `settings` name. Where they name no certificate, that of `before` stays, or one
    /// is made.
    ///
    /// # Errors
    /// When a file is of no use, TLS does not take what is in it, or a setting is out of range.
    pub(crate) fn load(settings: &Settings, before: Option<&Self>) -> Result<Self, TlsError> {
        let provider = tuning::provider(settings.key_exchange)?;
        let certificate = match (&settings.tls.certificate, before) {
            (Some(files), _) => Arc::new(Certificate::from_pem_files(&files.chain, &files.key)?),
            (None, Some(before)) => Arc::clone(&before.certificate),
            (None, None) => Arc::new(match &settings.data {
                Some(data) => Certificate::kept_in(&data.directory)?,
                None => Certificate::ephemeral()?,
            }),
        };
        let verifier = match &settings.tls.clients {
            Some(clients) => verifier(clients, &provider)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let config = |versions: &[&'static SupportedProtocolVersion], alpn: &[u8]| {
            let mut tls = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions)?
                .with_client_cert_verifier(Arc::clone(&verifier))
                .with_single_cert(certificate.chain(), certificate.key())
                .map_err(|reason| match &settings.tls.certificate {
                    Some(files) => TlsError::Certificate(CertificateError::Pair {
                        chain: files.chain.clone(),
                        key: files.key.clone(),
                        reason,
                    }),
                    None => reason.into(),
                })?;
            tls.alpn_protocols = vec![alpn.to_vec()];
            Ok::<_, TlsError>(tls)
        };
        let mqtt = Arc::new(config(&[&TLS12, &TLS13], MQTT)?);
        let web = Arc::new(config(&[&TLS12, &TLS13], HTTP)?);
        let quic = QuicServerConfig::try_from(config(&[&TLS13], MQTT)?)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let quic = quic::server_config(&settings.quic, Arc::new(quic))?;
        Ok(Self {
            certificate,
            clients: verifier,
            mqtt,
            web,
            quic,
        })
    }
}

/// Why listeners have no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is of no use.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// TLS refused its settings.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

fn verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    const WHAT: &str = "client authority";
    let unusable = |reason: String| file_error(WHAT, &clients.authorities, reason);
    let mut roots = RootCertStore::empty();
    for authority in read_all::<CertificateDer<'_>>(&clients.authorities, WHAT)? {
        roots
            .add(authority)
            .map_err(|error| unusable(error.to_string()))?;
    }
    let mut lists: Vec<CertificateRevocationListDer<'static>> = Vec::new();
    for file in &clients.revocation_lists {
        lists.extend(read_all(file, "revocation list")?);
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .with_crls(lists)
            // Authorities in between are the operator's, and have lists of their own at best.
            .only_check_end_entity_revocation();
    if clients.demand == Demand::Optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(verifier)
}
