//! The Control Packets: one model for all versions, the version being an argument of decoding and encoding.

mod acknowledgement;
mod auth;
mod conn_ack;
mod connect;
mod disconnect;
mod publish;
mod reason;
mod sub_ack;
mod subscribe;
mod unsub_ack;
mod unsubscribe;

pub use acknowledgement::Acknowledgement;
pub use auth::Auth;
pub use conn_ack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use publish::Publish;
pub use sub_ack::SubAck;
pub use subscribe::{
    InvalidRetainHandling, RetainHandling, Subscribe, Subscription, SubscriptionIter,
    SubscriptionList, SubscriptionOptions, Subscriptions,
};
pub use unsub_ack::UnsubAck;
pub use unsubscribe::{FilterIter, FilterList, Filters, Unsubscribe};

pub(crate) use connect::decode_version;
pub(crate) use publish::Layout;

use alloc::vec::Vec;
use bytes::{BufMut, Bytes};

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::frame::{FixedHeader, in_packet};
use crate::reader::{Reader, variable_byte_integer_len};
use crate::writer::{MAX_REMAINING_LENGTH, put_variable_byte_integer};
use crate::{PacketType, Version};

/// A Control Packet, borrowed from the bytes it was decoded from, or from whatever it was put together from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the specification's names say it")]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    ConnAck(ConnAck<'a>),
    Publish(Publish<'a>),
    PubAck(Acknowledgement<'a>),
    PubRec(Acknowledgement<'a>),
    PubRel(Acknowledgement<'a>),
    PubComp(Acknowledgement<'a>),
    Subscribe(Subscribe<'a>),
    SubAck(SubAck<'a>),
    Unsubscribe(Unsubscribe<'a>),
    UnsubAck(UnsubAck<'a>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<'a>),
    Auth(Auth<'a>),
}

/// Decodes a packet that is as long as its fixed header tells; `header_len` bytes of it are the header.
pub(crate) fn decode(
    bytes: &[u8],
    header_len: u8,
    version: Version,
) -> Result<Packet<'_>, DecodeError> {
    let (first, body) = match (bytes.first(), bytes.get(usize::from(header_len)..)) {
        (Some(&first), Some(body)) => (first, body),
        _ => (0, &[][..]),
    };
    let mut decoded = decode_body(first, header_len, body, version);
    // In place: packets are large to move.
    if let Err(error) = &mut decoded {
        *error = in_packet(*error, first);
    }
    decoded
}

#[inline]
fn decode_body(
    first: u8,
    header_len: u8,
    body: &[u8],
    version: Version,
) -> Result<Packet<'_>, DecodeError> {
    let packet_type = PacketType::from_number(first >> 4)
        .ok_or_else(|| DecodeErrorKind::ReservedPacketType.at(0))?;
    let reader = &mut Reader::new(body, usize::from(header_len));
    let version = match packet_type {
        PacketType::Connect => decode_version(reader)?,
        _ => version,
    };
    let flags = first & 0x0f;
    if packet_type != PacketType::Publish && !packet_type.allows_flags(flags, version) {
        return Err(DecodeErrorKind::ReservedFlags.at(0));
    }
    if version == Version::V5_0 && !is_minimal_header(header_len, body) {
        return Err(DecodeErrorKind::RemainingLengthNotMinimal.at(1));
    }
    let decoded = Packet::decode_fields(packet_type, flags, reader, version);
    if decoded.is_ok() {
        reader.finish()?;
    }
    decoded
}

#[inline]
fn is_minimal_header(header_len: u8, body: &[u8]) -> bool {
    header_len == 2
        || u32::try_from(body.len())
            .is_ok_and(|length| usize::from(header_len) == 1 + variable_byte_integer_len(length))
}

impl<'a> Packet<'a> {
    /// Decodes bytes that must be exactly one packet, without an allocation. CONNECT goes by the version that it names,
    /// whatever `version` is.
    ///
    /// # Errors
    /// If they are fewer bytes or more, or anything is wrong that can be told from this packet and the version alone.
    #[inline]
    pub fn decode(bytes: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let header = FixedHeader::of_packet(bytes)?;
        decode(bytes, header.header_len, version)
    }

    /// Decodes what follows the fixed header, in CONNECT what follows the version.
    #[inline]
    fn decode_fields(
        packet_type: PacketType,
        flags: u8,
        reader: &mut Reader<'a>,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let acknowledgement = Acknowledgement::decode;
        match packet_type {
            PacketType::Connect => Connect::decode(reader, version).map(Self::Connect),
            PacketType::ConnAck => ConnAck::decode(reader, version).map(Self::ConnAck),
            PacketType::Publish => Publish::decode(flags, reader, version).map(Self::Publish),
            PacketType::PubAck => acknowledgement(packet_type, reader, version).map(Self::PubAck),
            PacketType::PubRec => acknowledgement(packet_type, reader, version).map(Self::PubRec),
            PacketType::PubRel => acknowledgement(packet_type, reader, version).map(Self::PubRel),
            PacketType::PubComp => acknowledgement(packet_type, reader, version).map(Self::PubComp),
            PacketType::Subscribe => Subscribe::decode(reader, version).map(Self::Subscribe),
            PacketType::SubAck => SubAck::decode(reader, version).map(Self::SubAck),
            PacketType::Unsubscribe => Unsubscribe::decode(reader, version).map(Self::Unsubscribe),
            PacketType::UnsubAck => UnsubAck::decode(reader, version).map(Self::UnsubAck),
            PacketType::PingReq => Ok(Self::PingReq),
            PacketType::PingResp => Ok(Self::PingResp),
            PacketType::Disconnect => Disconnect::decode(reader, version).map(Self::Disconnect),
            PacketType::Auth if version.has_properties() => {
                Auth::decode(reader, version).map(Self::Auth)
            }
            PacketType::Auth => Err(DecodeErrorKind::ReservedPacketType.at(0)),
        }
    }

    /// Its type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// Bytes of the whole packet, exactly as many as [`Packet::encode`] writes.
    ///
    /// # Errors
    /// If the packet cannot be encoded in that version. CONNECT goes by its own version.
    #[inline]
    pub fn encoded_len(&self, version: Version) -> Result<usize, EncodeError> {
        let body = self.body_len(version)?;
        Ok(1 + variable_byte_integer_len(body) + body as usize)
    }

    /// Writes the packet, in its shortest form.
    ///
    /// What has a place in the packet is written even where no peer would accept it, like a wildcard in a Topic Name: only
    /// decoding judges that. CONNECT goes by its own version.
    ///
    /// # Errors
    /// If the packet cannot be encoded in that version, or the buffer cannot hold it. Nothing has been written then.
    #[inline]
    pub fn encode(&self, version: Version, buffer: &mut impl BufMut) -> Result<(), EncodeError> {
        let body = self.body_len(version)?;
        let length = 1 + variable_byte_integer_len(body) + body as usize;
        if buffer.remaining_mut() < length {
            return Err(EncodeError::BufferTooSmall);
        }
        let packet_type = self.packet_type();
        let flags = match self {
            Self::Publish(publish) => publish.flags(),
            _ => packet_type.fixed_flags().unwrap_or(0),
        };
        buffer.put_u8((packet_type as u8) << 4 | flags);
        put_variable_byte_integer(body, buffer);
        self.write_body(version, buffer);
        Ok(())
    }

    /// The packet in a buffer of its own size.
    ///
    /// # Errors
    /// If the packet cannot be encoded in that version.
    pub fn to_bytes(&self, version: Version) -> Result<Bytes, EncodeError> {
        let mut buffer = Vec::with_capacity(self.encoded_len(version)?);
        self.encode(version, &mut buffer)?;
        Ok(buffer.into())
    }

    /// The Remaining Length.
    #[inline]
    fn body_len(&self, version: Version) -> Result<u32, EncodeError> {
        let length = match self {
            Self::Connect(connect) => connect.body_len()?,
            Self::ConnAck(conn_ack) => conn_ack.body_len(version)?,
            Self::Publish(publish) => publish.body_len(version)?,
            Self::PubAck(packet)
            | Self::PubRec(packet)
            | Self::PubRel(packet)
            | Self::PubComp(packet) => packet.body_len(version)?,
            Self::Subscribe(subscribe) => subscribe.body_len(version)?,
            Self::SubAck(sub_ack) => sub_ack.body_len(version)?,
            Self::Unsubscribe(unsubscribe) => unsubscribe.body_len(version)?,
            Self::UnsubAck(unsub_ack) => unsub_ack.body_len(version)?,
            Self::PingReq | Self::PingResp => 0,
            Self::Disconnect(disconnect) => disconnect.body_len(version)?,
            Self::Auth(auth) => auth.body_len(version)?,
        };
        match u32::try_from(length) {
            Ok(length @ 0..=MAX_REMAINING_LENGTH) => Ok(length),
            _ => Err(EncodeError::PacketTooLarge),
        }
    }

    #[inline]
    fn write_body(&self, version: Version, buffer: &mut impl BufMut) {
        match self {
            Self::Connect(connect) => connect.write(buffer),
            Self::ConnAck(conn_ack) => conn_ack.write(version, buffer),
            Self::Publish(publish) => publish.write(version, buffer),
            Self::PubAck(packet)
            | Self::PubRec(packet)
            | Self::PubRel(packet)
            | Self::PubComp(packet) => {
                packet.write(version, buffer);
            }
            Self::Subscribe(subscribe) => subscribe.write(version, buffer),
            Self::SubAck(sub_ack) => sub_ack.write(version, buffer),
            Self::Unsubscribe(unsubscribe) => unsubscribe.write(version, buffer),
            Self::UnsubAck(unsub_ack) => unsub_ack.write(version, buffer),
            Self::PingReq | Self::PingResp => {}
            Self::Disconnect(disconnect) => disconnect.write(version, buffer),
            Self::Auth(auth) => auth.write(version, buffer),
        }
    }
}
