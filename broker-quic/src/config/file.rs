//! The configuration file as it is written: sections and keys, each with its default.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::access::{AccessSettings, CertificateName, TokenAlgorithm};
use crate::settings::Settings;
use crate::tls::Demand;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FileFormat {
    /// `[[listeners]]`
    pub(crate) listeners: Vec<ListenerSection>,
    /// `[access]`
    pub(crate) access: AccessSection,
    /// `[server]`
    pub(crate) server: ServerSection,
    /// `[limits]`
    pub(crate) limits: LimitsSection,
    /// `[quic]`
    pub(crate) quic: QuicSection,
    /// `[websocket]`
    pub(crate) websocket: WebSocketSection,
    /// `[tls]`
    pub(crate) tls: TlsSection,
    /// `[tcp]`
    pub(crate) tcp: TcpSection,
}

impl Default for FileFormat {
    fn default() -> Self {
        let settings = Settings::default();
        let listener = |url: &str| ListenerSection {
            url: url.to_owned(),
            anonymous: None,
            certificate_name: None,
            connections: None,
        };
        Self {
            listeners: vec![
                listener("tcp://127.0.0.1:1883"),
                listener("ws://127.0.0.1:8083"),
                listener("quic://127.0.0.1:14567"),
            ],
            access: AccessSection::default(),
            server: ServerSection::default(),
            limits: LimitsSection::of(&settings.core, settings.connections),
            quic: QuicSection::of(&settings.quic),
            websocket: WebSocketSection::of(&settings.websocket),
            tls: TlsSection::default(),
            tcp: TcpSection::default(),
        }
    }
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerSection {
    /// Where it listens.
    pub(crate) url: String,
    /// Whether clients that name nobody are let in.
    pub(crate) anonymous: Option<bool>,
    /// How a client certificate becomes a name.
    pub(crate) certificate_name: Option<CertificateName>,
    /// How many connections there may be through it.
    pub(crate) connections: Option<usize>,
}

/// What the broker does of its own accord.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerSection {
    /// How often figures are published below `$SYS/broker/`; 0 is never.
    pub(crate) figures_interval_seconds: u64,
    /// Where clients are sent instead of being served.
    pub(crate) redirect: Option<String>,
    /// Whether they are told not to come back.
    pub(crate) redirect_for_good: Option<bool>,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            figures_interval_seconds: 10,
            redirect: None,
            redirect_for_good: None,
        }
    }
}

/// Who may connect and do what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessSection {
    /// The password file.
    pub(crate) password_file: Option<PathBuf>,
    /// The file of access rules.
    pub(crate) acl_file: Option<PathBuf>,
    /// Logins judged at the same time.
    pub(crate) concurrent_logins: usize,
    /// Logins that may wait.
    pub(crate) waiting_logins: usize,
    /// Tokens as passwords.
    pub(crate) jwt: Option<JwtSection>,
}

impl Default for AccessSection {
    fn default() -> Self {
        let AccessSettings {
            password_file,
            acl_file,
            tokens: _,
            concurrent_logins,
            waiting_logins,
        } = AccessSettings::default();
        Self {
            password_file,
            acl_file,
            concurrent_logins,
            waiting_logins,
            jwt: None,
        }
    }
}

/// Which tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtSection {
    /// How tokens are signed.
    pub(crate) algorithm: TokenAlgorithm,
    /// The key.
    pub(crate) key_file: PathBuf,
    /// What `aud` must contain.
    pub(crate) audience: String,
    /// What `iss` must be.
    pub(crate) issuer: Option<String>,
    /// The claim that holds the user's name.
    #[serde(default = "subject")]
    pub(crate) name_claim: String,
    /// How far clocks may differ.
    #[serde(default = "half_a_minute")]
    pub(crate) leeway_seconds: u64,
}

fn subject() -> String {
    "sub".to_owned()
}

const fn half_a_minute() -> u64 {
    30
}

/// The limits of MQTT itself; each key is explained in `default.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsSection {
    pub(crate) connections: usize,
    pub(crate) connect_timeout_seconds: u64,
    pub(crate) authentication_timeout_seconds: u64,
    pub(crate) yield_timeout_milliseconds: u64,
    pub(crate) flush_timeout_seconds: u64,
    pub(crate) pause_limit_seconds: u64,
    pub(crate) packet_before_connack_bytes: u32,
    pub(crate) packet_after_connack_bytes: u32,
    pub(crate) held_input_bytes: usize,
    pub(crate) topic_levels: usize,
    pub(crate) client_id_bytes: usize,
    pub(crate) user_properties: usize,
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_qos: u8,
    pub(crate) retain_available: bool,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) queue_messages: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) subscriptions_per_session: usize,
    pub(crate) stored_sessions: usize,
    pub(crate) retained_messages: usize,
    pub(crate) retained_bytes: usize,
    pub(crate) delayed_messages: usize,
    pub(crate) pending_records: usize,
    pub(crate) buffered_bytes: usize,
    pub(crate) outbox_bytes: usize,
    pub(crate) session_expiry_maximum_seconds: Option<u32>,
    pub(crate) keep_alive_maximum_seconds: Option<u16>,
}

/// The limits of QUIC; each key is explained in `default.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QuicSection {
    pub(crate) idle_timeout_seconds: u64,
    pub(crate) keep_alive_seconds: u64,
    pub(crate) bidirectional_streams: u32,
    pub(crate) stream_window_bytes: u32,
    pub(crate) connection_window_bytes: u32,
    pub(crate) send_window_bytes: u32,
    pub(crate) crypto_buffer_bytes: usize,
    pub(crate) reordering_packets: u32,
    pub(crate) reordering_percent: u16,
    pub(crate) congestion: CongestionWord,
    pub(crate) waiting_handshakes: usize,
    pub(crate) waiting_handshake_bytes: u64,
    pub(crate) retry_above: usize,
}

/// The limits of WebSocket; each key is explained in `default.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebSocketSection {
    pub(crate) message_bytes: usize,
    pub(crate) bytes_before_first_answer: usize,
}

/// TLS of all encrypted listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TlsSection {
    /// The certificate and its chain.
    pub(crate) certificate_file: Option<PathBuf>,
    /// Its private key.
    pub(crate) key_file: Option<PathBuf>,
    /// Authorities that sign clients' certificates.
    pub(crate) client_ca_file: Option<PathBuf>,
    /// Their revocation lists.
    pub(crate) client_revocation_files: Option<Vec<PathBuf>>,
    /// Whether a client may come without.
    pub(crate) client_certificates: Option<DemandWord>,
    /// The only key exchange group.
    pub(crate) key_exchange: Option<KeyExchangeWord>,
}

/// The words for [`QuicCongestion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CongestionWord {
    /// [`QuicCongestion::CubicWithFloor`].
    CubicWithFloor,
    /// [`QuicCongestion::Cubic`].
    Cubic,
}

/// The words for [`Demand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DemandWord {
    /// [`Demand::Required`].
    Required,
    /// [`Demand::Optional`].
    Optional,
}

impl From<DemandWord> for Demand {
    fn from(word: DemandWord) -> Self {
        match word {
            DemandWord::Required => Self::Required,
            DemandWord::Optional => Self::Optional,
        }
    }
}

/// The words for key exchange groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyExchangeWord {
    /// X25519.
    #[serde(rename = "X25519")]
    X25519,
    /// NIST P-256.
    #[serde(rename = "secp256r1")]
    P256,
    /// NIST P-384.
    #[serde(rename = "secp384r1")]
    P384,
    /// X25519 and ML-KEM-768 together.
    #[serde(rename = "X25519MLKEM768")]
    PostQuantum,
}

impl From<KeyExchangeWord> for rustls::NamedGroup {
    fn from(word: KeyExchangeWord) -> Self {
        match word {
            KeyExchangeWord::X25519 => Self::X25519,
            KeyExchangeWord::P256 => Self::secp256r1,
            KeyExchangeWord::P384 => Self::secp384r1,
            KeyExchangeWord::PostQuantum => Self::X25519MLKEM768,
        }
    }
}

/// What is set on TCP connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TcpSection {
    /// Congestion control.
    pub(crate) congestion: Option<String>,
}
