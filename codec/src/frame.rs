//! One complete packet as bytes.

use bytes::Bytes;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::{Reader, Scan, variable_byte_integer};
use crate::{OwnedPacket, Packet, PacketType, Version, packet};

/// The bytes of one packet, of which nothing but the length is known to be right. Cheap to clone; a clone keeps alive
/// whatever buffer the bytes were received in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
    /// Bytes of the fixed header: 2 to 5.
    header_len: u8,
}

/// Lengths that a fixed header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FixedHeader {
    /// Bytes of the header itself: 2 to 5.
    pub(crate) header_len: u8,
    /// Bytes of header and body: 2 to 268,435,460.
    pub(crate) packet_len: u32,
}

impl FixedHeader {
    /// Reads the header at the front of `bytes`; `None` while it is not complete.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        match variable_byte_integer(rest) {
            Scan::Complete { value, length } => {
                #[expect(clippy::cast_possible_truncation, reason = "1 to 4")]
                let header_len = 1 + length as u8;
                Ok(Some(Self {
                    header_len,
                    packet_len: u32::from(header_len) + value,
                }))
            }
            Scan::Incomplete => Ok(None),
            Scan::TooLong => Err(in_packet(
                DecodeErrorKind::RemainingLengthTooLong.at(1),
                first,
            )),
        }
    }

    /// Reads the header of bytes that must be exactly one packet.
    #[inline]
    pub(crate) fn of_packet(bytes: &[u8]) -> Result<Self, DecodeError> {
        let kind = match Self::read(bytes)? {
            Some(header) if header.packet_len as usize == bytes.len() => return Ok(header),
            Some(header) if (header.packet_len as usize) < bytes.len() => {
                DecodeErrorKind::TrailingBytes.at(header.packet_len as usize)
            }
            _ => DecodeErrorKind::Truncated.at(bytes.len()),
        };
        Err(in_packet(kind, bytes.first().copied().unwrap_or(0)))
    }
}

/// The error, with the packet type that the first byte tells.
pub(crate) fn in_packet(error: DecodeError, first: u8) -> DecodeError {
    DecodeError {
        packet_type: PacketType::from_number(first >> 4),
        ..error
    }
}

impl Frame {
    /// Takes bytes that must be exactly one packet.
    ///
    /// # Errors
    /// If they are fewer or more, or the Remaining Length has more than four bytes.
    pub fn parse(bytes: Bytes) -> Result<Self, DecodeError> {
        let header = FixedHeader::of_packet(&bytes)?;
        Ok(Self::new(bytes, header))
    }

    /// The frame of bytes that are known to be as long as their header tells.
    pub(crate) fn new(bytes: Bytes, header: FixedHeader) -> Self {
        Self {
            bytes,
            header_len: header.header_len,
        }
    }

    /// The packet type; `None` for type 0, which is reserved.
    #[must_use]
    pub fn packet_type(&self) -> Option<PacketType> {
        PacketType::from_number(self.first() >> 4)
    }

    /// The four flags of the fixed header.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.first() & 0x0f
    }

    /// What follows the fixed header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes
            .get(usize::from(self.header_len)..)
            .unwrap_or_default()
    }

    /// The whole packet.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The version that a CONNECT names, even if the rest of it is wrong: what
    /// [`error_response`](crate::error_response) needs to know. `None` for other packets and other protocols.
    #[must_use]
    pub fn connect_version(&self) -> Option<Version> {
        if self.packet_type() != Some(PacketType::Connect) {
            return None;
        }
        packet::decode_version(&mut Reader::new(self.body(), 0)).ok()
    }

    /// Decodes the packet, which borrows from this frame, without an allocation. CONNECT goes by the version that it
    /// names, whatever `version` is.
    ///
    /// # Errors
    /// If anything is wrong that can be told from this packet and the version alone.
    #[inline]
    pub fn decode(&self, version: Version) -> Result<Packet<'_>, DecodeError> {
        packet::decode(&self.bytes, self.header_len, version)
    }

    /// Decodes the packet and keeps its bytes with it, to be sent to where a borrowed packet cannot go.
    ///
    /// # Errors
    /// As [`Frame::decode`].
    #[inline]
    pub fn into_owned(self, version: Version) -> Result<OwnedPacket, DecodeError> {
        OwnedPacket::decode(self, version)
    }

    /// The same packet in a buffer of its own size, so that it does not keep alive what came beside it.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(&self.bytes),
            header_len: self.header_len,
        }
    }

    /// The bytes of a part of this frame, sharing its buffer; a copy if `part` lies elsewhere.
    #[must_use]
    pub fn slice_of(&self, part: &[u8]) -> Bytes {
        let start = (part.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize);
        match start.checked_add(part.len()) {
            Some(end) if end <= self.bytes.len() => self.bytes.slice(start..end),
            _ => Bytes::copy_from_slice(part),
        }
    }

    fn first(&self) -> u8 {
        self.bytes.first().copied().unwrap_or(0)
    }
}
