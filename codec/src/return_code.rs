//! Connect Return codes of MQTT 3.1 and 3.1.1.

use core::fmt;

use crate::ReasonCode;

/// A Connect Return code of MQTT 3.1.1 (section 3.2.2.3) and 3.1, which have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectReturnCode(pub u8);

impl ConnectReturnCode {
    /// Connection accepted.
    pub const ACCEPTED: Self = Self(0);
    /// The server does not support the Protocol Level that was asked for.
    pub const UNACCEPTABLE_PROTOCOL_VERSION: Self = Self(1);
    /// The Client Identifier is correct UTF-8 but not allowed.
    pub const IDENTIFIER_REJECTED: Self = Self(2);
    /// The MQTT service is unavailable.
    pub const SERVER_UNAVAILABLE: Self = Self(3);
    /// The data in user name or password is malformed or wrong.
    pub const BAD_USER_NAME_OR_PASSWORD: Self = Self(4);
    /// The client may not connect.
    pub const NOT_AUTHORIZED: Self = Self(5);

    /// The specification's name, or "Reserved".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "Connection Accepted",
            1 => "Unacceptable protocol version",
            2 => "Identifier rejected",
            3 => "Server unavailable",
            4 => "Bad user name or password",
            5 => "Not authorized",
            _ => "Reserved",
        }
    }

    /// Whether the specification defines it.
    #[must_use]
    pub const fn is_defined(self) -> bool {
        self.0 <= 5
    }

    /// The closest code of MQTT 3.1.1 and 3.1 for a Reason Code of MQTT 5.0; `None` where there is none and the server closes
    /// the connection without a CONNACK [MQTT3-3.2.2-6].
    #[must_use]
    pub const fn from_reason_code(code: ReasonCode) -> Option<Self> {
        match code {
            ReasonCode::SUCCESS => Some(Self::ACCEPTED),
            ReasonCode::UNSUPPORTED_PROTOCOL_VERSION => Some(Self::UNACCEPTABLE_PROTOCOL_VERSION),
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID => Some(Self::IDENTIFIER_REJECTED),
            ReasonCode::BAD_USER_NAME_OR_PASSWORD => Some(Self::BAD_USER_NAME_OR_PASSWORD),
            ReasonCode::NOT_AUTHORIZED
            | ReasonCode::BANNED
            | ReasonCode::BAD_AUTHENTICATION_METHOD => Some(Self::NOT_AUTHORIZED),
            ReasonCode::UNSPECIFIED_ERROR
            | ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR
            | ReasonCode::SERVER_UNAVAILABLE
            | ReasonCode::SERVER_BUSY
            | ReasonCode::QUOTA_EXCEEDED
            | ReasonCode::USE_ANOTHER_SERVER
            | ReasonCode::SERVER_MOVED
            | ReasonCode::CONNECTION_RATE_EXCEEDED => Some(Self::SERVER_UNAVAILABLE),
            _ => None,
        }
    }

    /// The Reason Code of MQTT 5.0 that says the same.
    #[must_use]
    pub const fn to_reason_code(self) -> ReasonCode {
        match self.0 {
            0 => ReasonCode::SUCCESS,
            1 => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            2 => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            3 => ReasonCode::SERVER_UNAVAILABLE,
            4 => ReasonCode::BAD_USER_NAME_OR_PASSWORD,
            5 => ReasonCode::NOT_AUTHORIZED,
            _ => ReasonCode::UNSPECIFIED_ERROR,
        }
    }
}

impl fmt::Display for ConnectReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02x})", self.name(), self.0)
    }
}
