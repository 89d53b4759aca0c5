//! Everything that can be set about the transports, with its default in one place.

use std::time::Duration;

use quince_core::Config;
use rustls::NamedGroup;

use crate::access::Admission;
use crate::listener::ListenerUrl;
use crate::store::DataSettings;
use crate::tls::TlsSettings;

/// What a broker is set to: the core's limits and the transports'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The limits of MQTT itself.
    pub core: Config,
    /// Where what must outlive the process is kept; without it, in memory only.
    pub data: Option<DataSettings>,
    /// How many network connections there may be over all listeners, those that have not said
    /// CONNECT included; further ones are closed at once.
    pub connections: usize,
    /// What encrypted listeners show and demand.
    pub tls: TlsSettings,
    /// The limits of the QUIC listeners.
    pub quic: QuicSettings,
    /// The limits of the WebSocket listeners.
    pub websocket: WebSocketSettings,
    /// What is set on TCP connections.
    pub tcp: TcpSettings,
    /// The only key exchange group that TLS and QUIC agree to; without one, any that the library
    /// knows.
    pub key_exchange: Option<NamedGroup>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            core: Config::default(),
            data: None,
            connections: 100_000,
            tls: TlsSettings::default(),
            quic: QuicSettings::default(),
            websocket: WebSocketSettings::default(),
            tcp: TcpSettings::default(),
            key_exchange: None,
        }
    }
}

/// The limits of a WebSocket listener, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketSettings {
    /// Largest message, in one frame or in many. A client that puts each packet into a message of
    /// its own needs room for its largest packet; one that gathers packets needs more.
    pub message_bytes: usize,
    /// How much is read, handshake included, before the first answer to what the messages hold.
    pub bytes_before_first_answer: usize,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            message_bytes: 2 * 1024 * 1024,
            bytes_before_first_answer: 72 * 1024,
        }
    }
}

/// One listener: where it is, and whom it lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Where it listens.
    pub url: ListenerUrl,
    /// Whom it lets in.
    pub admission: Admission,
    /// How many connections there may be through it, beside the limit on all; further ones are closed at once.
    pub connections: Option<usize>,
}

/// What is set on the connections of TCP listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpSettings {
    /// Congestion control under the kernel's name for it, as `cubic` or `bbr` (Linux only);
    /// without one, the system's own choice.
    pub congestion: Option<String>,
}

/// Congestion control of QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuicCongestion {
    /// CUBIC, but some packets may always be under way on a path that is not full ([`quince_congestion`]).
    CubicWithFloor,
    /// CUBIC (RFC 9438), which takes each lost packet for a full path.
    Cubic,
}

/// The limits of a QUIC listener. Windows are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuicSettings {
    /// A connection on which nothing is heard for this long is gone.
    pub idle_timeout: Duration,
    /// How often a quiet connection is probed, so that paths stay open and losses are noticed.
    pub keep_alive: Duration,
    /// Bidirectional streams that a client may have open: the control stream, and one for each data flow. There are no others: a
    /// client gets no credit for unidirectional streams.
    pub bidirectional_streams: u32,
    /// How much one stream may have under way to us.
    pub stream_window: u32,
    /// How much one connection may have under way to us.
    pub connection_window: u32,
    /// How much we keep for one connection until it is acknowledged.
    pub send_window: u32,
    /// How much of the handshake may be held out of order.
    pub crypto_buffer: usize,
    /// How many later packets must be acknowledged before one counts as lost (RFC 9002 section 6.1.1). So many that time alone decides:
    /// packets overtake each other on real links.
    pub reordering_packets: u32,
    /// How long a packet is waited for once a later one was acknowledged, in percent of a round trip (RFC 9002 section 6.1.2).
    pub reordering_percent: u16,
    /// What decides how much may be under way to a client.
    pub congestion: QuicCongestion,
    /// Handshakes that wait to be accepted; further ones are ignored.
    pub waiting_handshakes: usize,
    /// Bytes that all waiting handshakes together may hold.
    pub waiting_handshake_bytes: u64,
    /// Handshakes under way above which a client must first prove its address (Retry).
    pub retry_above: usize,
}

impl Default for QuicSettings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(120),
            keep_alive: Duration::from_secs(15),
            bidirectional_streams: 16,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            send_window: 1024 * 1024,
            crypto_buffer: 16 * 1024,
            reordering_packets: 128,
            reordering_percent: 125,
            congestion: QuicCongestion::CubicWithFloor,
            waiting_handshakes: 1024,
            waiting_handshake_bytes: 8 * 1024 * 1024,
            retry_above: 256,
        }
    }
}
