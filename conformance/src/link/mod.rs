//! What lies between the player and a broker: opening, writing, reading, ending, and time.
//!
//! Three links exist: the core in virtual time ([`core`], with the feature `embedded`), sockets ([`socket`]), and scripted
//! peers ([`scripted`]) for tests of the suite itself.

#[cfg(feature = "embedded")]
pub mod core;
pub mod scripted;
#[cfg(feature = "embedded")]
pub mod set_up;
pub mod socket;

use std::{
    fmt,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

/// Names one network connection of a link, or one data stream of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What a link runs over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Medium {
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket over TCP.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// QUIC.
    Quic,
    /// No network: a peer in this process, in virtual time.
    #[default]
    Memory,
}

impl Medium {
    /// Whether a connection can carry several streams.
    pub const fn has_streams(self) -> bool {
        matches!(self, Self::Quic | Self::Memory)
    }

    fn has_no_text(self) -> LinkError {
        LinkError(format!("{self} has no text messages"))
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Quic => "quic",
            Self::Memory => "memory",
        })
    }
}

/// What came from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The next bytes.
    Bytes(Bytes),
    /// The peer's orderly end of its sending side.
    Finished,
    /// The peer's abrupt end of its sending side, with the code where the medium has one.
    Reset(u64),
    /// The end of the whole connection, in words.
    Closed(String),
}

/// Why a connection could not be opened, or bytes could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(pub String);

/// Connections to one broker, and its clock.
///
/// The player does no input or output but through this trait, and knows no other time.
#[expect(
    async_fn_in_trait,
    reason = "the player is generic over the link, and whether its future can be sent is for the link to say"
)]
pub trait Link {
    /// What the connections run over.
    fn medium(&self) -> Medium;

    /// Milliseconds since the link was made; virtual where the link says so.
    fn now(&self) -> u64;

    /// Opens a network connection for the client of that name.
    ///
    /// # Errors
    /// When there is nobody to connect to.
    async fn open(&mut self, client: &str) -> Result<LinkId, LinkError>;

    /// Opens a further stream on the connection `of`; from here on it is named like a connection.
    ///
    /// # Errors
    /// When the connection has ended, the medium has one stream only, or the peer gives no credit for one more.
    async fn open_stream(&mut self, _of: LinkId, _client: &str) -> Result<LinkId, LinkError> {
        Err(LinkError(format!("{} has one stream only", self.medium())))
    }

    /// Sends bytes, on the control stream where a connection is named.
    ///
    /// # Errors
    /// When the connection or the sending side has ended.
    async fn write(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError>;

    /// Sends bytes in one WebSocket text message.
    ///
    /// # Errors
    /// When the connection or the sending side has ended, or the medium is not WebSocket.
    async fn write_text(&mut self, _id: LinkId, _bytes: &[u8]) -> Result<(), LinkError> {
        Err(self.medium().has_no_text())
    }

    /// Ends the sending side in order.
    async fn finish(&mut self, id: LinkId);

    /// Ends the sending side abruptly (QUIC: RESET_STREAM with that code).
    async fn reset(&mut self, id: LinkId, code: u32);

    /// Ends the connection at once, as a vanishing process would, or aborts the data stream. No event of it follows.
    async fn close(&mut self, id: LinkId);

    /// The next event of any connection; `None` when the clock reaches `deadline` first.
    async fn next(&mut self, deadline: u64) -> Option<(LinkId, Event)>;
}

/// Runs a future that never waits for anything outside: playing on a link in virtual time.
///
/// # Panics
/// If the future waits; that is a defect of the link.
pub fn run_without_waiting<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a link in virtual time has nothing to wait for"),
    }
}
