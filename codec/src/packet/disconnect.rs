//! DISCONNECT, section 3.14 of both specifications.

use bytes::BufMut;

use super::reason;
use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::{PacketType, Properties, ReasonCode, Version};

/// DISCONNECT.
///
/// Which Reason Codes and properties the client and which the server may send is for the receiver to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Disconnect<'a> {
    /// Reason Code; versions before 5.0 have only Normal disconnection.
    pub reason_code: ReasonCode,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let (reason_code, properties) = reason::decode(PacketType::Disconnect, reader, version)?;
        Ok(Self {
            reason_code,
            properties,
        })
    }

    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        reason::encoded_len(self.reason_code, &self.properties, version)
    }

    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        reason::write(self.reason_code, &self.properties, version, buffer);
    }
}
