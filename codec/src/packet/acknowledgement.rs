//! PUBACK, PUBREC, PUBREL and PUBCOMP, sections 3.4 to 3.7 of both specifications: one form for four packets.

use bytes::BufMut;

use super::reason;
use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::{PacketId, PacketType, Properties, ReasonCode, Version};

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Acknowledgement<'a> {
    /// Packet Identifier.
    pub packet_id: PacketId,
    /// Reason Code; versions before 5.0 have only Success.
    pub reason_code: ReasonCode,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
}

impl<'a> Acknowledgement<'a> {
    /// Success without properties: all that there is before 5.0.
    #[must_use]
    pub const fn success(packet_id: PacketId) -> Self {
        Self {
            packet_id,
            reason_code: ReasonCode::SUCCESS,
            properties: Properties::EMPTY,
        }
    }

    #[inline]
    pub(super) fn decode(
        packet_type: PacketType,
        reader: &mut Reader<'a>,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let (reason_code, properties) = reason::decode(packet_type, reader, version)?;
        Ok(Self {
            packet_id,
            reason_code,
            properties,
        })
    }

    #[inline]
    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        Ok(2 + reason::encoded_len(self.reason_code, &self.properties, version)?)
    }

    #[inline]
    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        buffer.put_u16(self.packet_id.value());
        reason::write(self.reason_code, &self.properties, version, buffer);
    }
}
