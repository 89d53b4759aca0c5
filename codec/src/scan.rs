//! Looks for bytes in texts that are mostly short, eight at a time.

/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The highest bit of each byte.
const HIGHEST: u64 = ONES << 7;

/// Whether one of the `wanted` bytes, which are ASCII, occurs in `bytes`.
#[inline]
pub(crate) fn contains_any<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> bool {
    let (Some(&first), Some(&last)) = (bytes.first_chunk(), bytes.last_chunk()) else {
        return bytes.iter().any(|byte| wanted.contains(byte));
    };
    // Below 16 bytes these two are all there is.
    let ends = occurrences(first, wanted) | occurrences(last, wanted);
    let (words, _) = bytes.get(8..).unwrap_or_default().as_chunks();
    let found = |found, &word| found | occurrences(word, wanted);
    words.iter().fold(ends, found) != 0
}

/// Not 0 exactly if a `wanted` byte is among the eight. What is wanted becomes 0 by the exclusive or; taking 1 from each
/// byte sets the highest bit of those that were 0 and of nothing else below the first of them, but for bytes that are
/// not ASCII, which are masked out.
#[inline]
fn occurrences<const N: usize>(bytes: [u8; 8], wanted: [u8; N]) -> u64 {
    let word = u64::from_le_bytes(bytes);
    let borrowed = wanted.into_iter().fold(0, |borrowed, byte| {
        borrowed | (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES)
    });
    borrowed & !word & HIGHEST
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
