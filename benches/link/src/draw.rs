//! Chance without a stream: each draw is a hash of what it is for, so that one kind of draw never shifts another.

use crate::Direction;

/// What a draw decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Salt {
    Loss = 1,
    State,
    Jitter,
    DuplicateJitter,
    Duplication,
    Corruption,
    CorruptedBit,
}

/// The draws of one direction of a link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    key: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64, direction: Direction) -> Self {
        let direction = match direction {
            Direction::AToB => 0x0041,
            Direction::BToA => 0x0042,
        };
        Self {
            key: mix(mix(seed) ^ direction),
        }
    }

    /// 64 even bits for the packet or step `index`.
    pub(crate) fn bits(self, salt: Salt, index: u64) -> u64 {
        mix(mix(self.key ^ (salt as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(index))
    }

    /// Even in 0 (included) to 1 (excluded).
    pub(crate) fn unit(self, salt: Salt, index: u64) -> f64 {
        // 53 bits are exact in an f64.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.bits(salt, index) >> 11) as f64;
        bits / (1_u64 << 53) as f64
    }

    /// True with `probability`.
    pub(crate) fn happens(self, salt: Salt, index: u64, probability: f64) -> bool {
        self.unit(salt, index) < probability
    }
}

/// The finaliser of SplitMix64: a bijection in which each input bit moves each output bit with probability one half.
fn mix(input: u64) -> u64 {
    let mut bits = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
