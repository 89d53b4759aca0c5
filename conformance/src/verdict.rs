//! What came out of one played scenario: the verdict, the level of what it judges, and the transcript that shows it.

use std::{fmt, str::FromStr, time::Duration};

use quince_codec::Version;
use serde::{Serialize, Serializer};

/// The judgement on one scenario case in one version on one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The target did what the statements ask.
    Pass,
    /// The target was seen to break a statement.
    Fail,
    /// Neither can be said: a control step failed, or the target was gone.
    Inconclusive,
    /// Not played, with the reason in [`Outcome::detail`] ("needs quic").
    Skipped,
    /// The suite's own fault; says nothing about the target.
    Error,
}

impl Verdict {
    /// All verdicts, in the order in which reports count them.
    pub const ALL: [Self; 5] = [
        Self::Pass,
        Self::Fail,
        Self::Inconclusive,
        Self::Skipped,
        Self::Error,
    ];

    /// The word used in every report and in the JSON schema.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How strongly the specification asks for what a scenario judges.
///
/// Ordered from the weakest to the strongest, so that the level of several statements is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Allowed, worth knowing.
    May,
    /// Recommended (SHOULD, SHOULD NOT).
    Should,
    /// Stated outside the numbered statements, without a word of the specification's own that demands it.
    Fact,
    /// Required (MUST, MUST NOT, and whatever stands in a numbered statement as fact).
    Must,
}

impl Level {
    /// The word used in every report and in the JSON schema.
    pub const fn name(self) -> &'static str {
        match self {
            Self::May => "MAY",
            Self::Should => "SHOULD",
            Self::Fact => "FACT",
            Self::Must => "MUST",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no [`Level`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no level; expected MUST, FACT, SHOULD or MAY")]
pub struct ParseLevelError(String);

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "MUST" => Ok(Self::Must),
            "SHOULD" => Ok(Self::Should),
            "FACT" => Ok(Self::Fact),
            "MAY" => Ok(Self::May),
            other => Err(ParseLevelError(other.to_owned())),
        }
    }
}

/// Who sent the bytes of a [`TranscriptEntry`], or whose action it records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the suite to the target.
    Sent,
    /// From the target to the suite.
    Received,
}

impl Direction {
    /// The arrow used in scenario files and reports.
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::Sent => "->",
            Self::Received => "<-",
        }
    }
}

/// One line of a transcript: a packet, some bytes, or an event such as a close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TranscriptEntry {
    /// Milliseconds since the scenario began, on the link's clock (virtual on the core).
    pub time_ms: u64,
    /// The name that the scenario gives the client.
    pub client: String,
    /// The flow the bytes crossed; 0 is the control flow.
    pub flow: u64,
    /// Who sent them.
    pub direction: Direction,
    /// The bytes, as lower-case hex without spaces; empty for an event.
    pub hex: String,
    /// The packet in words, or the event ("closed by the server").
    pub decoded: String,
}

/// The result of playing one scenario case in one version on one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Stable id: the scenario's slug, or `slug/case`.
    pub scenario: String,
    /// The MQTT version that was spoken.
    pub version: Version,
    /// The judgement.
    pub verdict: Verdict,
    /// The strongest level among the statements judged.
    pub level: Level,
    /// Whether it judges how bad input is turned away ([`crate::weight`]).
    pub judges_rejection: bool,
    /// Catalogue ids that the scenario cites for this version.
    pub statements: Vec<String>,
    /// Expected and actual for a failure, the reason for anything else that is no pass; empty for a pass.
    pub detail: String,
    /// Name of the step at which it failed, where one did.
    pub failed_step: Option<String>,
    /// What crossed the wire, in order.
    pub transcript: Vec<TranscriptEntry>,
    /// How long it took on the wall clock.
    pub elapsed: Duration,
}

impl Outcome {
    /// The bytes that the suite sent last, as hex, with their decoding: what may have killed the target.
    pub fn last_sent(&self) -> Option<&TranscriptEntry> {
        self.transcript
            .iter()
            .rev()
            .find(|entry| entry.direction == Direction::Sent && !entry.hex.is_empty())
    }
}

/// Serializes a [`Version`] as the text people know it by ("3.1.1", "5.0").
pub fn serialize_version<S: Serializer>(
    version: &Version,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_several_statements_is_the_strongest() {
        assert_eq!(
            [Level::Should, Level::Must, Level::May].into_iter().max(),
            Some(Level::Must)
        );
    }

    #[test]
    fn words_are_the_same_in_text_and_json() {
        for verdict in Verdict::ALL {
            assert_eq!(
                serde_json::to_value(verdict).expect("serializes"),
                verdict.name()
            );
        }
        for level in [Level::May, Level::Should, Level::Fact, Level::Must] {
            assert_eq!(
                serde_json::to_value(level).expect("serializes"),
                level.name()
            );
            assert_eq!(level.name().parse(), Ok(level));
        }
    }
}
