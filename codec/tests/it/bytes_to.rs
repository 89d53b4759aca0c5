//! Bytes as the tests write them, and what becomes of them.

use bytes::Bytes;
use quince_codec::Frame;

/// Bytes of hexadecimal digits; white space and what stands in parentheses is for the reader.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let mut digits = String::new();
    let mut depth = 0;
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && !character.is_whitespace() => digits.push(character),
            _ => {}
        }
    }
    assert!(
        digits.len().is_multiple_of(2),
        "an odd number of digits: {text}"
    );
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The frame of bytes that are one packet.
pub(crate) fn frame(bytes: &[u8]) -> Frame {
    Frame::parse(Bytes::copy_from_slice(bytes)).unwrap()
}
