//! The score of a broker, in two parts: what it does by itself, and whether it turns away what no right client sends.
//!
//! The specification calls checks of what a client sends a compromise (5.0, 4.13.1), and many brokers are lenient on purpose. So
//! how strict one is says something else than whether right clients can rely on it.

use std::fmt;

use super::TargetOutcome;
use crate::verdict::{Level, Verdict};

/// Passed of played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many passed.
    pub passed: usize,
    /// How many passed, failed or were inconclusive.
    pub played: usize,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.passed, self.played)
    }
}

/// How far results hold, by what they are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// MUST, apart from rejections.
    pub must: Share,
    /// FACT, apart from rejections.
    pub fact: Share,
    /// SHOULD.
    pub should: Share,
    /// MAY.
    pub may: Share,
    /// Bad input is turned away (MUST or FACT).
    pub rejections: Share,
}

/// What the shares of a [`Score`] are called.
pub const SHARES: [&str; 5] = [
    "required (MUST)",
    "stated as fact (FACT)",
    "recommended (SHOULD)",
    "choices (MAY)",
    "rejects bad input",
];

impl Score {
    /// The shares, in the order of [`SHARES`].
    pub const fn shares(&self) -> [Share; 5] {
        [self.must, self.fact, self.should, self.may, self.rejections]
    }

    /// The score of these results.
    pub fn of<'a>(results: impl Iterator<Item = &'a TargetOutcome>) -> Self {
        let mut score = Self::default();
        for TargetOutcome { outcome, .. } in results {
            let share = match outcome.level {
                Level::Must | Level::Fact if outcome.judges_rejection => &mut score.rejections,
                Level::Must => &mut score.must,
                Level::Fact => &mut score.fact,
                Level::Should => &mut score.should,
                Level::May => &mut score.may,
            };
            match outcome.verdict {
                Verdict::Pass => {
                    share.passed += 1;
                    share.played += 1;
                }
                Verdict::Fail | Verdict::Inconclusive => share.played += 1,
                Verdict::Skipped | Verdict::Error => {}
            }
        }
        score
    }
}
