//! Assigned Client Identifiers: unguessable without the seed, and the same for the same seed.

use std::sync::Arc;

/// A keyed counter (SipHash-2-4 of the count under the seed).
#[derive(Debug)]
pub(crate) struct Seed {
    key: [u64; 2],
    count: u64,
}

impl Seed {
    pub(crate) fn new(key: [u64; 2]) -> Self {
        Self { key, count: 0 }
    }

    /// The next identifier: 23 bytes of 0-9, a-z, which every server accepts [MQTT5-3.1.3-5] [MQTT3-3.1.3-5].
    pub(crate) fn next_client_id(&mut self) -> Arc<str> {
        let high = self.next();
        let low = self.next();
        let digits = format!("{high:016x}{low:016x}");
        Arc::from(format!("quince{}", &digits[..17]))
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        sip_hash(self.key, self.count)
    }
}

/// SipHash-2-4 of one eight-byte word.
fn sip_hash(key: [u64; 2], word: u64) -> u64 {
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    for block in [word, 8 << 56] {
        state[3] ^= block;
        (0..2).for_each(|_| round(&mut state));
        state[0] ^= block;
    }
    state[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut state));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn round(state: &mut [u64; 4]) {
    let [a, b, c, d] = state;
    *a = a.wrapping_add(*b);
    *c = c.wrapping_add(*d);
    *b = b.rotate_left(13) ^ *a;
    *d = d.rotate_left(16) ^ *c;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*b);
    *a = a.wrapping_add(*d);
    *b = b.rotate_left(17) ^ *c;
    *d = d.rotate_left(21) ^ *a;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_published_vector_does() {
        // Reference vector of SipHash-2-4: key 00..0f, message 00..07.
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(sip_hash(key, 0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn identifiers_differ_and_depend_on_the_seed() {
        let mut one = Seed::new([1, 2]);
        let mut same = Seed::new([1, 2]);
        let mut other = Seed::new([1, 3]);
        let first = one.next_client_id();
        assert_eq!(first.len(), 23);
        assert_eq!(first, same.next_client_id());
        assert_ne!(first, one.next_client_id());
        assert_ne!(first, other.next_client_id());
    }
}
