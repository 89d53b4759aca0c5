//! PUBLISH, section 3.3 of both specifications.

use bytes::BufMut;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::topic;
use crate::writer::{prefixed_len, put_prefixed};
use crate::{PacketId, PacketType, Properties, QoS, Version};

const RETAIN: u8 = 1;
const DUP: u8 = 1 << 3;

/// PUBLISH.
///
/// Whether a Topic Alias is known, and whether the sender may send a Subscription Identifier [MQTT5-3.3.4-6], is for the
/// receiver to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Publish<'a> {
    /// Whether it may have been sent before.
    pub dup: bool,
    /// QoS.
    pub qos: QoS,
    /// Retain.
    pub retain: bool,
    /// Topic Name; empty if a Topic Alias stands for it.
    pub topic: &'a str,
    /// Packet Identifier; there is one exactly above QoS 0 [MQTT5-2.2.1-2] [MQTT3-2.3.1-5].
    pub packet_id: Option<PacketId>,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
    /// Application Message.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    #[inline]
    pub(super) fn decode(
        flags: u8,
        reader: &mut Reader<'a>,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let qos = QoS::from_bits(flags >> 1).ok_or_else(|| DecodeErrorKind::PublishQoS3.at(0))?;
        let dup = flags & DUP != 0;
        if dup && qos == QoS::AtMostOnce {
            return Err(DecodeErrorKind::DupWithQoS0.at(0));
        }
        let start = *reader;
        let topic = topic::decode_name(reader, version)?;
        let packet_id = if qos == QoS::AtMostOnce {
            None
        } else {
            Some(reader.packet_id()?)
        };
        let properties = Properties::decode(reader, version, Place::Packet(PacketType::Publish))?;
        if topic.is_empty() && properties.topic_alias().is_none() {
            return Err(start.error(DecodeErrorKind::TopicNameEmpty));
        }
        let payload = reader.take_rest();
        Ok(Self {
            dup,
            qos,
            retain: flags & RETAIN != 0,
            topic,
            packet_id,
            properties,
            payload,
        })
    }

    #[inline]
    pub(super) fn flags(&self) -> u8 {
        (if self.dup { DUP } else { 0 }) | u8::from(self.qos) << 1 | u8::from(self.retain)
    }

    #[inline]
    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        let packet_id = match (self.qos, self.packet_id) {
            (QoS::AtMostOnce, None) => 0,
            (QoS::AtMostOnce, Some(_)) => return Err(EncodeError::PacketIdentifierWithQoS0),
            (_, None) => return Err(EncodeError::PacketIdentifierMissing),
            (_, Some(_)) => 2,
        };
        let properties = self.properties.encoded_len(version)?;
        Ok(prefixed_len(self.topic.as_bytes())? + packet_id + properties + self.payload.len())
    }

    #[inline]
    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        put_prefixed(self.topic.as_bytes(), buffer);
        if let Some(packet_id) = self.packet_id {
            buffer.put_u16(packet_id.value());
        }
        self.properties.write(version, buffer);
        buffer.put_slice(self.payload);
    }
}

/// Where the parts of a decoded PUBLISH lie in what follows the fixed header. Topic Name, Packet Identifier, properties
/// and payload follow each other, so that lengths tell it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    present: u64,
    payload_len: u32,
    properties_len: u32,
    topic_len: u16,
    packet_id: Option<PacketId>,
}

impl Layout {
    /// That of a decoded `publish`.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a packet has at most 268,435,460 bytes, a Topic Name 65,535"
    )]
    pub(crate) fn of(publish: &Publish<'_>) -> Self {
        Self {
            present: publish.properties.present(),
            payload_len: publish.payload.len() as u32,
            properties_len: publish.properties.raw().len() as u32,
            topic_len: publish.topic.len() as u16,
            packet_id: publish.packet_id,
        }
    }

    /// The PUBLISH with that layout, which has been checked before. Text is checked for UTF-8 again: there is no other
    /// way to it in safe code.
    #[inline]
    pub(crate) fn publish<'a>(&self, flags: u8, body: &'a [u8]) -> Publish<'a> {
        let end = body.len().saturating_sub(self.payload_len as usize);
        let start = end.saturating_sub(self.properties_len as usize);
        let part = |from: usize, to: usize| body.get(from..to).unwrap_or_default();
        let topic = part(2, 2 + usize::from(self.topic_len));
        Publish {
            dup: flags & DUP != 0,
            qos: QoS::from_bits(flags >> 1).unwrap_or_default(),
            retain: flags & RETAIN != 0,
            topic: core::str::from_utf8(topic).unwrap_or_default(),
            packet_id: self.packet_id,
            properties: Properties::checked(part(start, end), self.present),
            payload: part(end, body.len()),
        }
    }
}
