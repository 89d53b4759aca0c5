//! Why and how a connection ends.

use quince_codec::ReasonCode;

/// Who ended a network connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The client sent DISCONNECT.
    Client,
    /// The broker refused, found an error, handed the Session over or shuts down.
    Server,
    /// The network connection went away.
    Network,
}

/// What the broker says last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastWord {
    /// CONNACK with this return code or reason code byte.
    ConnAck(u8),
    /// DISCONNECT; nothing in version 3.1.1, which has no DISCONNECT from the server.
    Disconnect(ReasonCode),
    /// Nothing.
    Nothing,
}

/// The end of a connection, on its way up from where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) code: ReasonCode,
    pub(crate) by: ClosedBy,
    pub(crate) last_word: LastWord,
}

impl Ending {
    /// An error after CONNACK, or a reason of the broker's own to end the connection.
    pub(crate) const fn error(code: ReasonCode) -> Self {
        Self {
            code,
            by: ClosedBy::Server,
            last_word: LastWord::Disconnect(code),
        }
    }

    /// The broker closes without a word.
    pub(crate) const fn silent(code: ReasonCode) -> Self {
        Self {
            code,
            by: ClosedBy::Server,
            last_word: LastWord::Nothing,
        }
    }

    /// The client said goodbye.
    pub(crate) const fn by_client(code: ReasonCode) -> Self {
        Self {
            code,
            by: ClosedBy::Client,
            last_word: LastWord::Nothing,
        }
    }

    /// The network connection is gone.
    pub(crate) const fn network() -> Self {
        Self {
            code: ReasonCode::UNSPECIFIED_ERROR,
            by: ClosedBy::Network,
            last_word: LastWord::Nothing,
        }
    }
}
