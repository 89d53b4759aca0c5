//! Prefixes of topics and client ids, unique for each play, so that scenarios do not meet on a shared broker.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The number of characters.
pub const PREFIX_LENGTH: usize = 8;

const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Eight letters and digits that no other play uses: four of the process, four that count.
pub fn unique_prefix() -> String {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    static PLAYS: AtomicU64 = AtomicU64::new(0);
    let process = *PROCESS.get_or_init(|| {
        let nanoseconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos());
        let mixed = nanoseconds ^ (u128::from(std::process::id()) << 20);
        u64::try_from(mixed % (36 * 36 * 36 * 36)).unwrap_or_default()
    });
    let play = PLAYS.fetch_add(1, Ordering::Relaxed);
    format!("{}{}", four(process), four(play))
}

fn four(mut number: u64) -> String {
    let mut text = [b'0'; 4];
    for letter in text.iter_mut().rev() {
        *letter = LETTERS[usize::try_from(number % 36).unwrap_or_default()];
        number /= 36;
    }
    text.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_differ_and_have_one_length() {
        let prefixes: std::collections::BTreeSet<String> =
            (0..1000).map(|_| unique_prefix()).collect();
        assert_eq!(prefixes.len(), 1000);
        assert!(prefixes.iter().all(|prefix| prefix.len() == PREFIX_LENGTH));
    }
}
