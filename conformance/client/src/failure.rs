//! What ends the command early, in words for the user, and with which exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use quince_client::{ClientError, DialError, IdentityError, TrustError};
use quince_codec::ReasonCode;

/// What ends the command early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Arguments or files that cannot be meant.
    Usage(String),
    /// Nothing answers there.
    Unreachable(String),
    /// The connection was lost, or the broker fell silent.
    Lost(String),
    /// The broker has refused, or has broken the protocol.
    Refused(String),
    /// Something on this side, such as a closed standard output.
    Local(String),
}

impl Failure {
    /// The broker's DISCONNECT. What says that the broker is going or has too much to do may pass;
    /// what says that this client is at fault, or was taken over, would come again.
    pub(crate) fn disconnected(code: ReasonCode) -> Self {
        let message = format!("the broker ended the connection: {code}");
        match code {
            ReasonCode::SERVER_SHUTTING_DOWN
            | ReasonCode::SERVER_BUSY
            | ReasonCode::SERVER_UNAVAILABLE
            | ReasonCode::KEEP_ALIVE_TIMEOUT
            | ReasonCode::UNSPECIFIED_ERROR => Self::Lost(message),
            _ => Self::Refused(message),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Lost(_) | Self::Refused(_) | Self::Local(_) => 1,
            // As the argument parser does.
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        })
    }

    /// Whether it makes sense to try the same once more.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Lost(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message)
            | Self::Unreachable(message)
            | Self::Lost(message)
            | Self::Refused(message)
            | Self::Local(message) => f.write_str(message),
        }
    }
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Self {
        let message = error.to_string();
        match error {
            DialError::Trust(_) => Self::Usage(message),
            // A certificate that is not believed will not be believed the next time either.
            DialError::Handshake { .. } if message.contains("certificate") => {
                Self::Refused(format!("{message}: see --cafile and --insecure"))
            }
            _ => Self::Unreachable(message),
        }
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Ended(_) | ClientError::Transport(_) => Self::Lost(message),
            ClientError::Encode(_) => Self::Usage(message),
            ClientError::Refused(_) | ClientError::NoConnAck(_) | ClientError::Malformed(_) => {
                Self::Refused(message)
            }
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Local(error.to_string())
    }
}
