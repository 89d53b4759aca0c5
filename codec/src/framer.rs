//! Cuts a stream of bytes into packets, without I/O.

use bytes::BytesMut;

use crate::Frame;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::frame::{FixedHeader, in_packet};

/// Takes bytes as they come and gives complete packets.
///
/// It holds what was pushed and not yet taken as frames, and allocates by what comes, never by a length that the peer
/// tells. A caller that takes all frames after each push holds less than one packet of the largest size.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    max_packet_size: u32,
}

impl Framer {
    /// A framer that refuses packets above `max_packet_size` bytes, fixed header included.
    #[must_use]
    pub fn new(max_packet_size: u32) -> Self {
        Self {
            buffer: BytesMut::new(),
            max_packet_size,
        }
    }

    /// Changes the limit, for packets that have not been taken yet.
    pub const fn set_max_packet_size(&mut self, max_packet_size: u32) {
        self.max_packet_size = max_packet_size;
    }

    /// Appends received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer, to receive into: only append to it.
    pub const fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes the next packet; `Ok(None)` as long as it is not complete.
    ///
    /// # Errors
    /// As soon as the fixed header tells that the packet is too large, or has no end. The stream cannot be read on
    /// then: every further call fails in the same way.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        let Some(header) = FixedHeader::read(&self.buffer)? else {
            return Ok(None);
        };
        if header.packet_len > self.max_packet_size {
            let first = self.buffer.first().copied().unwrap_or(0);
            return Err(in_packet(DecodeErrorKind::PacketTooLarge.at(1), first));
        }
        let length = header.packet_len as usize;
        if self.buffer.len() < length {
            return Ok(None);
        }
        Ok(Some(Frame::new(
            self.buffer.split_to(length).freeze(),
            header,
        )))
    }

    /// Bytes that have been pushed and not yet taken.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }
}
