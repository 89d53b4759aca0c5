//! SUBACK, section 3.9 of both specifications.

use bytes::BufMut;

use super::reason;
use crate::error::{DecodeError, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::{PacketId, PacketType, Properties, ReasonCode, Version};

/// SUBACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubAck<'a> {
    /// Packet Identifier of the SUBSCRIBE.
    pub packet_id: PacketId,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
    /// For each subscription the Reason Code; before version 5.0 the granted QoS, or 0x80 in
    /// version 3.1.1.
    pub codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = Properties::decode(reader, version, Place::Packet(PacketType::SubAck))?;
        let codes = reason::decode_list(reader, |code| match version {
            Version::V3_1 => matches!(code, 0..=2),
            // [MQTT3-3.9.3-2]
            Version::V3_1_1 => matches!(code, 0..=2 | 0x80),
            Version::V5_0 => ReasonCode(code).allowed_in(PacketType::SubAck),
        })?;
        Ok(Self {
            packet_id,
            properties,
            codes,
        })
    }

    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        Ok(2 + self.properties.encoded_len(version)? + self.codes.len())
    }

    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        buffer.put_u16(self.packet_id.value());
        self.properties.write(version, buffer);
        buffer.put_slice(self.codes);
    }
}
