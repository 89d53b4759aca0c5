//! AUTH, section 3.15 of version 5.0.

use bytes::BufMut;

use super::reason;
use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::{PacketType, Properties, ReasonCode, Version};

/// AUTH, which versions before 5.0 do not have.
///
/// Without a body it means Success and has no properties (section 3.15.2.1), although an Authentication Method may not
/// be left out otherwise (section 3.15.2.2.2): whether that means anything is for the receiver to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Auth<'a> {
    /// Authenticate Reason Code.
    pub reason_code: ReasonCode,
    /// Properties.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Ok(Self {
                reason_code: ReasonCode::SUCCESS,
                properties: Properties::EMPTY,
            });
        }
        let reason_code = reason::decode_code(PacketType::Auth, reader)?;
        let start = *reader;
        let properties = Properties::decode(reader, version, Place::Packet(PacketType::Auth))?;
        if properties.authentication_method().is_none() {
            return Err(start.error(DecodeErrorKind::AuthenticationMethodMissing));
        }
        Ok(Self {
            reason_code,
            properties,
        })
    }

    /// Only Success without properties can do without a Property Length here.
    fn is_bare(&self) -> bool {
        self.reason_code == ReasonCode::SUCCESS && self.properties.is_empty()
    }

    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        match version {
            Version::V3_1 | Version::V3_1_1 => Err(EncodeError::NotInVersion),
            Version::V5_0 if self.is_bare() => Ok(0),
            Version::V5_0 => Ok(1 + self.properties.encoded_len(version)?),
        }
    }

    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        if !self.is_bare() {
            buffer.put_u8(self.reason_code.0);
            self.properties.write(version, buffer);
        }
    }
}
