//! Looks for bytes in texts that are mostly short, eight at a time.

/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Whether one of the `wanted` bytes occurs in `bytes`.
#[inline]
pub(crate) fn contains_any<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> bool {
    let occurs = |word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        wanted.into_iter().fold(0, |found, byte| {
            found | zero_bytes(word ^ (ONES * u64::from(byte)))
        })
    };
    let Some(&last) = bytes.last_chunk() else {
        return bytes.iter().any(|byte| wanted.contains(byte));
    };
    let (words, _) = bytes.as_chunks();
    let found = |found, &word| found | occurs(word);
    words.iter().fold(occurs(last), found) != 0
}

/// Not 0 exactly if a byte of `word` is 0: only such a byte, or one above it, borrows into its highest bit.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::contains_any;

    #[test]
    #[expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
    fn every_byte_is_found_at_every_place_of_every_length() {
        for length in 0..40 {
            for other in [1, b'a', 0x7f, 0x80, 0x81, 0xff] {
                let text = vec![other; length];
                assert!(!contains_any(&text, [0, b'#', b'+']), "{text:?}");
                for at in 0..length {
                    for wanted in [0, b'#', b'+'] {
                        let mut text = text.clone();
                        text[at] = wanted;
                        assert!(contains_any(&text, [0, b'#', b'+']), "{text:?}");
                        assert!(contains_any(&text, [wanted]), "{text:?}");
                        assert!(!contains_any(&text, [b'b']), "{text:?}");
                    }
                }
            }
        }
    }
}
