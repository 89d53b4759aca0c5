//! CONNACK, section 3.2 of both specifications.

use bytes::BufMut;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::{ConnectReturnCode, PacketType, Properties, ReasonCode, Version};

/// CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnAck<'a> {
    /// Whether the server goes on with a Session; version 3.1 does not tell.
    pub session_present: bool,
    /// Reason Code; before version 5.0 Connect Return code. 0 accepts the connection in all.
    pub code: u8,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    /// The code as version 5.0 reads it.
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        ReasonCode(self.code)
    }

    /// The code as versions before 5.0 read it.
    #[must_use]
    pub const fn return_code(&self) -> ConnectReturnCode {
        ConnectReturnCode(self.code)
    }

    pub(super) fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let start = *reader;
        let flags = match version {
            // The byte is not used there.
            Version::V3_1 => reader.byte().map(|_| 0)?,
            Version::V3_1_1 | Version::V5_0 => reader.byte()?,
        };
        if flags > 1 {
            return Err(start.error(DecodeErrorKind::ReservedConnAckFlags));
        }
        let session_present = flags == 1;
        let code_start = *reader;
        let code = reader.byte()?;
        let allowed = match version {
            Version::V3_1 | Version::V3_1_1 => ConnectReturnCode(code).is_defined(),
            Version::V5_0 => ReasonCode(code).allowed_in(PacketType::ConnAck),
        };
        if !allowed {
            return Err(code_start.error(DecodeErrorKind::ReasonCodeNotAllowed));
        }
        if session_present && code != 0 {
            return Err(start.error(DecodeErrorKind::SessionPresentWithError));
        }
        let properties = Properties::decode(reader, version, Place::Packet(PacketType::ConnAck))?;
        Ok(Self {
            session_present,
            code,
            properties,
        })
    }

    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if version == Version::V3_1 && self.session_present {
            return Err(EncodeError::NotInVersion);
        }
        Ok(2 + self.properties.encoded_len(version)?)
    }

    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        buffer.put_u8(u8::from(self.session_present));
        buffer.put_u8(self.code);
        self.properties.write(version, buffer);
    }
}
