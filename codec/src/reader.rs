//! Reads the data types of the specification (section 1.5) from a packet, without copying.

use crate::PacketId;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::scan::contains_any;

/// What is left to read of a packet, or of a block in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Where `rest` ends, in bytes from the start of the packet.
    end: usize,
}

/// Out of the way of what is usual. Takes no reader, so that readers can stay in registers.
#[cold]
#[inline(never)]
fn error_at(kind: DecodeErrorKind, offset: usize) -> DecodeError {
    kind.at(offset)
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, the first of which is byte number `offset` of the packet.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            rest: bytes,
            end: offset + bytes.len(),
        }
    }

    /// Bytes from the start of the packet to what is read next.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// An error at what is read next.
    #[inline]
    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        error_at(kind, self.offset())
    }

    /// Everything that is left.
    #[inline]
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// Refuses bytes after the last field.
    #[inline]
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(DecodeErrorKind::TrailingBytes))
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(length) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    /// Byte.
    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    /// Two Byte Integer.
    #[inline]
    pub(crate) fn two_byte_integer(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four Byte Integer.
    #[inline]
    pub(crate) fn four_byte_integer(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Variable Byte Integer in its shortest form.
    #[inline]
    pub(crate) fn variable_byte_integer(&mut self) -> Result<u32, DecodeError> {
        if let Some((&first @ 0..0x80, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(u32::from(first));
        }
        self.long_variable_byte_integer()
    }

    fn long_variable_byte_integer(&mut self) -> Result<u32, DecodeError> {
        let start = *self;
        match variable_byte_integer(self.rest) {
            Scan::Complete { value, length } => {
                self.rest = self.rest.get(length..).unwrap_or_default();
                if length == variable_byte_integer_len(value) {
                    Ok(value)
                } else {
                    Err(start.error(DecodeErrorKind::VariableByteIntegerNotMinimal))
                }
            }
            Scan::Incomplete => Err(start.error(DecodeErrorKind::Truncated)),
            Scan::TooLong => Err(start.error(DecodeErrorKind::VariableByteIntegerTooLong)),
        }
    }

    /// UTF-8 Encoded String.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        self.string_without([0])
    }

    /// UTF-8 Encoded String that is a Topic Name, or empty.
    #[inline(always)]
    pub(crate) fn topic_name(&mut self) -> Result<&'a str, DecodeError> {
        self.string_without([0, b'+', b'#'])
    }

    #[inline(always)]
    fn string_without<const N: usize>(
        &mut self,
        unwanted: [u8; N],
    ) -> Result<&'a str, DecodeError> {
        let start = *self;
        let bytes = self.binary_data()?;
        text_without(unwanted, bytes).ok_or_else(|| start.error(fault_of_text(bytes)))
    }

    /// Binary Data.
    #[inline(always)]
    pub(crate) fn binary_data(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = *self;
        let length = self.two_byte_integer()?;
        self.bytes(usize::from(length))
            .map_err(|_| start.error(DecodeErrorKind::Truncated))
    }

    /// Packet Identifier.
    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let start = *self;
        let number = self.two_byte_integer()?;
        PacketId::new(number).ok_or_else(|| start.error(DecodeErrorKind::PacketIdentifierZero))
    }

    /// A reader of the next `length` bytes alone.
    #[inline]
    pub(crate) fn part(&mut self, length: usize) -> Result<Self, DecodeError> {
        let offset = self.offset();
        self.bytes(length).map(|bytes| Self::new(bytes, offset))
    }
}

/// The bytes as text, if they are UTF-8 and none of them is unwanted. Not inlined, so that what reads strings is.
#[inline(never)]
fn text_without<const N: usize>(unwanted: [u8; N], bytes: &[u8]) -> Option<&str> {
    if contains_any(bytes, unwanted) {
        return None;
    }
    core::str::from_utf8(bytes).ok()
}

/// Why [`text_without`] gives none.
#[cold]
fn fault_of_text(bytes: &[u8]) -> DecodeErrorKind {
    match core::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => DecodeErrorKind::NullCharacter,
        Ok(_) => DecodeErrorKind::TopicNameWildcard,
        Err(_) => DecodeErrorKind::InvalidUtf8,
    }
}

/// What the first bytes say of a Variable Byte Integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// It is there, in `length` bytes, not necessarily the fewest.
    Complete { value: u32, length: usize },
    /// More bytes are needed.
    Incomplete,
    /// The fourth byte says that there is a fifth.
    TooLong,
}

/// Scans a Variable Byte Integer at the front of `bytes`.
#[inline]
pub(crate) fn variable_byte_integer(bytes: &[u8]) -> Scan {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Scan::Complete {
                value,
                length: index + 1,
            };
        }
    }
    if bytes.len() < 4 {
        Scan::Incomplete
    } else {
        Scan::TooLong
    }
}

/// Bytes of the shortest form, 1 to 4, of a value up to 268,435,455.
#[inline]
pub(crate) const fn variable_byte_integer_len(value: u32) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}
