//! The TLS of the listeners: one certificate, and what each transport needs around it.

use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::certificate::Certificate;
use crate::settings::Settings;
use crate::transport::quic;
use crate::tuning;

/// The ALPN of MQTT, over TLS and over QUIC on a single stream.
const MQTT: &[u8] = b"mqtt";
/// The ALPN of what WebSocket begins with.
const HTTP: &[u8] = b"http/1.1";

/// What a handshake needs; a reload replaces it as a whole.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) certificate: Certificate,
    /// For `tls://`: TLS 1.2 and 1.3.
    pub(crate) mqtt: Arc<ServerConfig>,
    /// For `wss://`.
    pub(crate) web: Arc<ServerConfig>,
    /// For `quic://`.
    pub(crate) quic: quinn::ServerConfig,
}

impl Tls {
    /// # Errors
    /// When TLS does not take the certificate, or a setting is out of range.
    pub(crate) fn new(
        certificate: Certificate,
        settings: &Settings,
    ) -> Result<Self, rustls::Error> {
        let provider = tuning::provider(settings.key_exchange)?;
        let config = |versions: &[&'static SupportedProtocolVersion], alpn: &[u8]| {
            let mut tls = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions)?
                .with_no_client_auth()
                .with_single_cert(certificate.chain(), certificate.key())?;
            tls.alpn_protocols = vec![alpn.to_vec()];
            Ok::<_, rustls::Error>(tls)
        };
        let mqtt = Arc::new(config(&[&TLS12, &TLS13], MQTT)?);
        let web = Arc::new(config(&[&TLS12, &TLS13], HTTP)?);
        let quic = QuicServerConfig::try_from(config(&[&TLS13], MQTT)?)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let quic = quic::server_config(&settings.quic, Arc::new(quic))?;
        Ok(Self {
            certificate,
            mqtt,
            web,
            quic,
        })
    }
}
