//! What flows, network connections and sessions are called inside the core.

use core::fmt;

/// An ordered byte stream of a network connection.
///
/// A TCP connection and the single-stream QUIC mode only ever use [`FlowId::CONTROL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(u64);

impl FlowId {
    /// The flow that carries CONNECT.
    pub const CONTROL: Self = Self(0);

    /// The flow numbered `number`; 0 is [`FlowId::CONTROL`].
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CONTROL => formatter.write_str("control"),
            Self(number) => write!(formatter, "flow {number}"),
        }
    }
}

/// One network connection, named by the driver; two connections alive at once never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The connection numbered `number`.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "connection {}", self.0)
    }
}

/// One Session, numbered in the order in which the registry made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(pub(crate) u64);
