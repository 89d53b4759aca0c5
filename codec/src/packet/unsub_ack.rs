//! UNSUBACK, section 3.11 of both specifications.

use bytes::BufMut;

use super::reason;
use crate::error::{DecodeError, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::{PacketId, PacketType, Properties, ReasonCode, Version};

/// UNSUBACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnsubAck<'a> {
    /// Packet Identifier of the UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
    /// For each Topic Filter the Reason Code; none before version 5.0.
    pub codes: &'a [u8],
}

impl<'a> UnsubAck<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = Properties::decode(reader, version, Place::Packet(PacketType::UnsubAck))?;
        let codes = match version {
            Version::V3_1 | Version::V3_1_1 => &[],
            Version::V5_0 => reason::decode_list(reader, |code| {
                ReasonCode(code).allowed_in(PacketType::UnsubAck)
            })?,
        };
        Ok(Self {
            packet_id,
            properties,
            codes,
        })
    }

    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if !version.has_properties() && !self.codes.is_empty() {
            return Err(EncodeError::NotInVersion);
        }
        Ok(2 + self.properties.encoded_len(version)? + self.codes.len())
    }

    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        buffer.put_u16(self.packet_id.value());
        self.properties.write(version, buffer);
        buffer.put_slice(self.codes);
    }
}
