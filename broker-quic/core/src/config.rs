//! Every limit and capability of the core, in one place.

use core::time::Duration;
use std::sync::Arc;

use quince_codec::{QoS, ReasonCode};

use crate::position::Durability;

/// Where clients are sent instead (section 4.11 of version 5.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Server Reference: what the client is told, usually `host:port`, at most 65,535 bytes.
    pub server_reference: Arc<str>,
    /// For how long.
    pub validity: Validity,
}

/// How long a [`Redirect`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// The client should come back some time: Use another server (0x9C).
    ForNow,
    /// The client should not come back: Server moved (0x9D).
    ForGood,
}

impl Validity {
    pub(crate) const fn reason_code(self) -> ReasonCode {
        match self {
            Self::ForNow => ReasonCode::USE_ANOTHER_SERVER,
            Self::ForGood => ReasonCode::SERVER_MOVED,
        }
    }
}

/// What a broker is set to. Every value is a hard bound; [`Config::default`] is the documented default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Random bits from which assigned Client Identifiers are made. The daemon must draw them anew at each start.
    pub seed: [u64; 2],
    /// Who says that a record is durable.
    pub durability: Durability,
    /// From accept to a complete CONNECT; bytes do not extend it.
    pub connect_timeout: Duration,
    /// From CONNECT to the last answer to [`Output::Authenticate`](crate::Output::Authenticate); the same again for each
    /// re-authentication.
    pub authentication_timeout: Duration,
    /// Methods of enhanced authentication that the authenticator knows; any other is refused with 0x8C.
    pub authentication_methods: Vec<Box<str>>,
    /// How long a connection waits for the older owner of its Session to yield it.
    pub yield_timeout: Duration,
    /// How long the last bytes may take to leave before a connection is closed regardless.
    pub flush_timeout: Duration,
    /// How long a publisher without reason codes may be paused because a queue is full, before it is closed.
    pub pause_limit: Duration,
    /// Largest packet before CONNACK, in bytes.
    pub packet_before_connack: u32,
    /// Largest packet after CONNACK, in bytes; announced as Maximum Packet Size.
    pub packet_after_connack: u32,
    /// Bytes held while a CONNECT is authenticated or waits for its Session.
    pub held_input: usize,
    /// Levels of a Topic Name or Topic Filter.
    pub topic_levels: usize,
    /// Bytes of a Client Identifier.
    pub client_id_length: usize,
    /// User Properties of one packet.
    pub user_properties: usize,
    /// QoS 1 and 2 messages in flight per direction, at least 1; announced as Receive Maximum.
    pub receive_maximum: u16,
    /// The highest QoS of a PUBLISH or a Will Message; announced as Maximum QoS where it is below 2.
    pub maximum_qos: QoS,
    /// Whether messages are retained; announced as Retain Available.
    pub retain_available: bool,
    /// Topic Aliases per direction; announced as Topic Alias Maximum.
    pub topic_alias_maximum: u16,
    /// Messages that wait for one Session or are in flight to it.
    pub queue_messages: usize,
    /// Allocated bytes that wait for one Session or are in flight to it.
    pub queue_bytes: usize,
    /// Subscriptions of one Session.
    pub subscriptions_per_session: usize,
    /// Sessions that outlive their network connection.
    pub stored_sessions: usize,
    /// Retained messages.
    pub retained_messages: usize,
    /// Allocated bytes of all retained messages.
    pub retained_bytes: usize,
    /// Messages that wait below `$delayed/` for their time.
    pub delayed_messages: usize,
    /// Records that the store has not taken yet. While there are as many, clients are refused whatever would make more of them
    /// without end: messages that must be stored, subscriptions, stored Sessions.
    pub pending_records: usize,
    /// Sends every client elsewhere instead of serving it.
    pub redirect: Option<Redirect>,
    /// How often the broker publishes its figures below `$SYS/broker/`; `None` is never.
    pub figures_interval: Option<Duration>,
    /// Allocated bytes of all messages, Will Messages included, that the process holds.
    pub buffered_bytes: usize,
    /// Bytes in one connection's outbox above which it takes no further packet.
    pub outbox_bytes: usize,
    /// Data flows of one connection, besides the control flow; one more is aborted.
    pub data_flows: usize,
    /// Longest Session Expiry Interval in seconds; `u32::MAX` means that sessions may live for ever.
    pub session_expiry_maximum: u32,
    /// Longest Keep Alive in seconds; `None` accepts every value, also 0 (no Keep Alive).
    pub keep_alive_maximum: Option<u16>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: [0x7175_696e_6365_0001, 0x0bad_5eed_0bad_5eed],
            durability: Durability::Memory,
            connect_timeout: Duration::from_secs(10),
            authentication_timeout: Duration::from_secs(10),
            authentication_methods: Vec::new(),
            yield_timeout: Duration::from_secs(1),
            flush_timeout: Duration::from_secs(5),
            pause_limit: Duration::from_secs(30),
            packet_before_connack: 64 * 1024,
            packet_after_connack: 1024 * 1024,
            held_input: 128 * 1024,
            topic_levels: 128,
            client_id_length: 1024,
            user_properties: 1000,
            receive_maximum: 256,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            topic_alias_maximum: 32,
            queue_messages: 1000,
            queue_bytes: 4 * 1024 * 1024,
            subscriptions_per_session: 1000,
            stored_sessions: 100_000,
            retained_messages: 100_000,
            retained_bytes: 256 * 1024 * 1024,
            delayed_messages: 10_000,
            pending_records: 100_000,
            redirect: None,
            figures_interval: None,
            buffered_bytes: 512 * 1024 * 1024,
            outbox_bytes: 64 * 1024,
            data_flows: 15,
            session_expiry_maximum: u32::MAX,
            keep_alive_maximum: None,
        }
    }
}

impl Config {
    /// Why a message that a client publishes, by a Will too, is beyond what was announced.
    pub(crate) fn check_message(&self, qos: QoS, retain: bool) -> Result<(), ReasonCode> {
        if qos > self.maximum_qos {
            // [MQTT5-3.2.2-11] [MQTT5-3.2.2-12]
            return Err(ReasonCode::QOS_NOT_SUPPORTED);
        }
        if retain && !self.retain_available {
            // [MQTT5-3.2.2-13] [MQTT5-3.2.2-14]
            return Err(ReasonCode::RETAIN_NOT_SUPPORTED);
        }
        Ok(())
    }

    pub(crate) fn offers(&self, method: &str) -> bool {
        self.authentication_methods
            .iter()
            .any(|offered| **offered == *method)
    }
}
