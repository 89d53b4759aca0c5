//! The one map from a decoding error to what a server sends before it closes the connection.

use crate::{
    ConnectReturnCode, DecodeError, DecodeErrorClass, DecodeErrorKind, ReasonCode, Version,
};

/// How far the connection is on which the error was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// No CONNECT has been accepted: the answer, if any, is a CONNACK.
    AwaitingConnect,
    /// CONNACK has been sent: the answer, if any, is a DISCONNECT.
    Connected,
}

/// What goes out before the connection is closed. It is closed in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorResponse {
    /// A CONNACK with this code: a Reason Code if the version is 5.0, else a Connect Return code, in the form of
    /// the versions before.
    ConnAck(u8),
    /// A DISCONNECT with this Reason Code.
    Disconnect(ReasonCode),
    /// Nothing.
    Close,
}

/// What a server answers to bytes that it could not decode, on a connection of `version` (`None` as long as no CONNECT
/// has told; see [`Frame::connect_version`](crate::Frame::connect_version)).
///
/// Versions before 5.0 close without a word [MQTT3-4.8.0-1], but for a Protocol Level that is not supported, which gets
/// CONNACK 0x01 [MQTT3-3.1.2-2], and a Client Identifier that 3.1 does not allow, which gets 0x02. Version 5.0 tells the Reason Code, by CONNACK before and by DISCONNECT after the
/// connection is made (section 4.13).
#[must_use]
pub const fn error_response(
    error: DecodeError,
    version: Option<Version>,
    state: ConnectionState,
) -> ErrorResponse {
    match (version, state) {
        (None | Some(Version::V3_1 | Version::V3_1_1), ConnectionState::AwaitingConnect) => {
            match error.kind {
                DecodeErrorKind::UnsupportedProtocolVersion => {
                    ErrorResponse::ConnAck(ConnectReturnCode::UNACCEPTABLE_PROTOCOL_VERSION.0)
                }
                DecodeErrorKind::ClientIdentifierLength => {
                    ErrorResponse::ConnAck(ConnectReturnCode::IDENTIFIER_REJECTED.0)
                }
                // Whoever does not speak MQTT is not told that this is a server of it.
                _ => ErrorResponse::Close,
            }
        }
        (Some(Version::V5_0), ConnectionState::AwaitingConnect) => {
            ErrorResponse::ConnAck(reason_code(error.kind).0)
        }
        (Some(Version::V5_0), ConnectionState::Connected) => {
            ErrorResponse::Disconnect(match error.kind.class() {
                // Only a second CONNECT can be wrong in this way [MQTT5-3.1.0-2].
                DecodeErrorClass::UnsupportedVersion => ReasonCode::PROTOCOL_ERROR,
                _ => reason_code(error.kind),
            })
        }
        (None | Some(Version::V3_1 | Version::V3_1_1), ConnectionState::Connected) => {
            ErrorResponse::Close
        }
    }
}

/// The Reason Code of an error in version 5.0.
const fn reason_code(kind: DecodeErrorKind) -> ReasonCode {
    match kind {
        DecodeErrorKind::TopicNameWildcard => ReasonCode::TOPIC_NAME_INVALID,
        DecodeErrorKind::TopicAliasZero => ReasonCode::TOPIC_ALIAS_INVALID,
        _ => match kind.class() {
            DecodeErrorClass::Malformed => ReasonCode::MALFORMED_PACKET,
            DecodeErrorClass::Protocol => ReasonCode::PROTOCOL_ERROR,
            DecodeErrorClass::TooLarge => ReasonCode::PACKET_TOO_LARGE,
            DecodeErrorClass::UnsupportedVersion => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        },
    }
}
