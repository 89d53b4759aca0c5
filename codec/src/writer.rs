//! Writes the data types of the specification (section 1.5), and their lengths beforehand.

use bytes::BufMut;

use crate::error::EncodeError;
use crate::reader::variable_byte_integer_len;

/// The largest Remaining Length.
pub(crate) const MAX_REMAINING_LENGTH: u32 = 268_435_455;

/// Bytes of a string or binary value with its length before it.
#[inline]
pub(crate) fn prefixed_len(bytes: &[u8]) -> Result<usize, EncodeError> {
    match u16::try_from(bytes.len()) {
        Ok(_) => Ok(2 + bytes.len()),
        Err(_) => Err(EncodeError::StringTooLong),
    }
}

/// Bytes of a block with its length as a Variable Byte Integer before it.
#[inline]
pub(crate) fn block_len(length: usize) -> Result<usize, EncodeError> {
    match u32::try_from(length) {
        Ok(prefix @ 0..=MAX_REMAINING_LENGTH) => Ok(variable_byte_integer_len(prefix) + length),
        _ => Err(EncodeError::PacketTooLarge),
    }
}

/// A string or binary value whose length has been checked by [`prefixed_len`].
#[inline]
pub(crate) fn put_prefixed(bytes: &[u8], buffer: &mut impl BufMut) {
    #[expect(clippy::cast_possible_truncation, reason = "checked beforehand")]
    buffer.put_u16(bytes.len() as u16);
    buffer.put_slice(bytes);
}

/// A Variable Byte Integer of at most [`MAX_REMAINING_LENGTH`], checked beforehand.
#[inline]
pub(crate) fn put_variable_byte_integer(mut value: u32, buffer: &mut impl BufMut) {
    while value >= 0x80 {
        buffer.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
    buffer.put_u8(value as u8);
}

/// A block whose length has been checked by [`block_len`], with its length before it.
#[inline]
pub(crate) fn put_block(block: &[u8], buffer: &mut impl BufMut) {
    #[expect(clippy::cast_possible_truncation, reason = "checked beforehand")]
    put_variable_byte_integer(block.len() as u32, buffer);
    buffer.put_slice(block);
}
