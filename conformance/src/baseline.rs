//! The baseline: known deviations of a broker, each with a reason. `docs/baseline.md` describes the file.
//!
//! Lists only shrink: an entry that matches something that passes is reported and makes the run fail.

use std::path::{Path, PathBuf};

use quince_codec::Version;

use crate::{
    report::{Report, Target, TargetOutcome},
    verdict::Verdict,
};

/// The transports that an entry may name.
const TRANSPORTS: [&str; 6] = ["tcp", "tls", "ws", "wss", "quic", "core"];

/// A file of known deviations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    file: PathBuf,
    entries: Vec<Entry>,
}

/// One known deviation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line in the file, from 1.
    pub line: usize,
    /// The scenario's id, with its case.
    pub scenario: String,
    /// Only in this version.
    pub version: Option<Version>,
    /// Only over this transport.
    pub transport: Option<String>,
    /// Why it is accepted.
    pub reason: String,
}

/// Why a file is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It cannot be read.
    #[error("failed to read the baseline {}: {source}", file.display())]
    Unreadable {
        /// The file as given.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{}:{line}: {problem}", file.display())]
    Line {
        /// The file as given.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found and what was expected.
        problem: String,
    },
}

/// An entry and something it matches that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Where the entry stands: "file:line".
    pub place: String,
    /// The scenario.
    pub scenario: String,
    /// Where it passed: "5.0 over quic".
    pub passed: Vec<String>,
}

impl Baseline {
    /// Reads a baseline; `is_scenario` says which ids exist.
    ///
    /// # Errors
    /// [`BaselineError`] if the file cannot be read, or names the line that is wrong.
    pub fn read(file: &Path, is_scenario: impl Fn(&str) -> bool) -> Result<Self, BaselineError> {
        let text = std::fs::read_to_string(file).map_err(|source| BaselineError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        let mut baseline = Self {
            file: file.to_owned(),
            entries: Vec::new(),
        };
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let fail = |problem| BaselineError::Line {
                file: file.to_owned(),
                line,
                problem,
            };
            let Some(entry) = parse_line(line, text).map_err(fail)? else {
                continue;
            };
            if !is_scenario(&entry.scenario) {
                return Err(fail(format!("there is no scenario `{}`", entry.scenario)));
            }
            let same = |other: &&Entry| {
                (&other.scenario, other.version, &other.transport)
                    == (&entry.scenario, entry.version, &entry.transport)
            };
            if let Some(earlier) = baseline.entries.iter().find(same) {
                return Err(fail(format!("the same as line {}", earlier.line)));
            }
            baseline.entries.push(entry);
        }
        Ok(baseline)
    }

    /// The entry that excuses this result, if there is one.
    pub fn excuse(&self, target: &Target, result: &TargetOutcome) -> Option<&Entry> {
        matches!(
            result.outcome.verdict,
            Verdict::Fail | Verdict::Inconclusive
        )
        .then(|| {
            self.entries
                .iter()
                .find(|entry| entry.matches(target, result))
        })
        .flatten()
    }

    /// The entries that match something that passed.
    pub fn stale(&self, report: &Report) -> Vec<Stale> {
        let stale = |entry: &Entry| {
            let passed: Vec<String> = report
                .results
                .iter()
                .filter(|result| result.outcome.verdict == Verdict::Pass)
                .filter(|result| entry.matches(report.target(result), result))
                .map(|result| {
                    format!(
                        "{} over {}",
                        result.outcome.version,
                        report.target(result).transport
                    )
                })
                .collect();
            (!passed.is_empty()).then(|| Stale {
                place: format!("{}:{}", self.file.display(), entry.line),
                scenario: entry.scenario.clone(),
                passed,
            })
        };
        self.entries.iter().filter_map(stale).collect()
    }
}

impl Entry {
    fn matches(&self, target: &Target, result: &TargetOutcome) -> bool {
        self.scenario == result.outcome.scenario
            && self
                .version
                .is_none_or(|version| version == result.outcome.version)
            && self
                .transport
                .as_ref()
                .is_none_or(|transport| *transport == target.transport)
    }
}

/// One line; `None` for a blank one and for a comment.
fn parse_line(line: usize, text: &str) -> Result<Option<Entry>, String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let expected = "expected `SCENARIO [VERSION] [TRANSPORT] : REASON`";
    let (what, reason) = text
        .split_once(':')
        .ok_or_else(|| format!("no `:` found, {expected}"))?;
    let mut words = what.split_whitespace();
    let scenario = words
        .next()
        .ok_or_else(|| format!("no scenario before the `:`, {expected}"))?;
    let mut entry = Entry {
        line,
        scenario: scenario.to_owned(),
        version: None,
        transport: None,
        reason: reason.trim().to_owned(),
    };
    if entry.reason.is_empty() {
        return Err(format!("no reason after the `:`, {expected}"));
    }
    for word in words {
        if let (Ok(version), None) = (word.parse(), entry.version) {
            entry.version = Some(version);
        } else if TRANSPORTS.contains(&word) && entry.transport.is_none() {
            entry.transport = Some(word.to_owned());
        } else {
            return Err(format!(
                "`{word}` is neither a version nor a transport, {expected}"
            ));
        }
    }
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_entries_comments_or_errors() {
        let entry = parse_line(3, "a/b 5.0 quic : it is so: known")
            .expect("fine")
            .expect("an entry");
        assert_eq!(entry.scenario, "a/b");
        assert_eq!(entry.version, Some(Version::V5_0));
        assert_eq!(entry.transport.as_deref(), Some("quic"));
        assert_eq!(entry.reason, "it is so: known");
        assert_eq!(parse_line(1, "  # nothing"), Ok(None));
        assert_eq!(parse_line(1, " "), Ok(None));
        for (text, expected) in [
            ("a", "no `:` found"),
            (": why", "no scenario"),
            ("a :", "no reason"),
            ("a 6.0 : why", "`6.0` is neither"),
            ("a tcp quic : why", "`quic` is neither"),
        ] {
            let problem = parse_line(1, text).expect_err(text);
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
