//! Cuts a stream of bytes into packets, without I/O.

use bytes::{Bytes, BytesMut};

use crate::Frame;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::frame::{FixedHeader, in_packet};

/// Takes bytes as they come and gives complete packets.
///
/// It holds what was pushed and not yet taken as frames, and allocates by what comes, never by a length that the peer
/// tells. A caller that takes all frames after each push holds less than one packet of the largest size.
#[derive(Debug)]
pub struct Framer {
    /// Complete packets, to be taken before those in `buffer`. They are split off together, because a part of a
    /// [`Bytes`] costs a quarter of a part of a [`BytesMut`].
    complete: Bytes,
    buffer: BytesMut,
    max_packet_size: u32,
}

impl Framer {
    /// A framer that refuses packets above `max_packet_size` bytes, fixed header included.
    #[must_use]
    pub fn new(max_packet_size: u32) -> Self {
        Self {
            complete: Bytes::new(),
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

    /// The buffer, to receive into: only append to it. It need not hold all that is [buffered](Self::buffered).
    pub const fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes the next packet; `Ok(None)` as long as it is not complete.
    ///
    /// # Errors
    /// As soon as the fixed header tells that the packet is too large, or has no end. The stream cannot be read on
    /// then: every further call fails in the same way.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        if self.complete.is_empty() {
            let length = complete_len(&self.buffer);
            if length > 0 {
                self.complete = self.buffer.split_to(length).freeze();
            }
        }
        let is_complete = !self.complete.is_empty();
        let bytes = if is_complete {
            &self.complete[..]
        } else {
            &self.buffer[..]
        };
        let Some(header) = FixedHeader::read(bytes)? else {
            return Ok(None);
        };
        if header.packet_len > self.max_packet_size {
            let first = bytes.first().copied().unwrap_or(0);
            return Err(in_packet(DecodeErrorKind::PacketTooLarge.at(1), first));
        }
        if !is_complete {
            return Ok(None);
        }
        let packet = self.complete.split_to(header.packet_len as usize);
        Ok(Some(Frame::new(packet, header)))
    }

    /// Bytes that have been pushed and not yet taken.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.complete.len() + self.buffer.len()
    }
}

/// Bytes of the packets at the front that are complete.
fn complete_len(bytes: &[u8]) -> usize {
    let mut length = 0;
    while let Some(Ok(Some(header))) = bytes.get(length..).map(FixedHeader::read) {
        let end = length + header.packet_len as usize;
        if end > bytes.len() {
            break;
        }
        length = end;
    }
    length
}
