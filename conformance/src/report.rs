//! What a run found: one value that every form of report is made from.

mod human;
mod json;
mod junit;
mod markdown;
mod page;
mod score;
mod tap;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use quince_codec::Version;

use crate::{
    baseline::{Baseline, Stale},
    catalogue::Catalogue,
    exit_code::{ExitCode, Findings},
    target::PLAIN,
    verdict::{Level, Outcome, Verdict},
};
pub use human::{Human, write_outcome};
pub use markdown::cell;
pub use score::{SHARES, Score, Share};

/// Where scenarios were played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its URL.
    pub url: String,
    /// "tcp", "quic", ...
    pub transport: String,
    /// How its target file calls it; empty if there is none.
    pub name: String,
    /// The configuration it was in; `plain` unless a target file says otherwise.
    pub configuration: String,
    /// What the broker says of itself; empty if it says nothing.
    pub broker: String,
    /// Why nothing was played there: what happened instead of an answer to CONNECT.
    pub silent: Option<String>,
}

/// An outcome, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetOutcome {
    /// Index into [`Report::targets`].
    pub target: usize,
    /// What came out.
    pub outcome: Outcome,
}

/// Everything that one run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The version of the suite.
    pub suite: String,
    /// When the run began.
    pub started: DateTime<Utc>,
    /// Where was played.
    pub targets: Vec<Target>,
    /// What came out, in the order of targets, scenarios and versions.
    pub results: Vec<TargetOutcome>,
    /// The versions that were played.
    pub versions: Vec<Version>,
    /// Whether it was ended before everything was played.
    pub interrupted: bool,
}

impl Target {
    /// How reports call it: its URL, and the configuration if it is not the plain one.
    pub fn label(&self) -> String {
        match self.configuration.as_str() {
            PLAIN => self.url.clone(),
            configuration => format!("{} [{configuration}]", self.url),
        }
    }
}

impl Report {
    /// The target of a result.
    ///
    /// # Panics
    /// If the result is not of this report.
    pub fn target(&self, result: &TargetOutcome) -> &Target {
        &self.targets[result.target]
    }

    /// How many results have that verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results
            .iter()
            .filter(|result| result.outcome.verdict == verdict)
            .count()
    }

    /// How many statements were cited by a scenario that passed.
    pub fn statements_covered(&self) -> usize {
        self.results
            .iter()
            .filter(|result| result.outcome.verdict == Verdict::Pass)
            .flat_map(|result| &result.outcome.statements)
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// How many statements the versions played have.
    pub fn statements_total(&self) -> usize {
        let all = Catalogue::embedded().statements();
        all.iter()
            .filter(|statement| self.versions.contains(&statement.version))
            .count()
    }

    /// The entries of the baseline that match something that passed.
    pub fn stale(&self, baseline: &Baseline) -> Vec<Stale> {
        baseline.stale(self)
    }

    /// Whether this result counts against the target: a MUST-level failure or inconclusive outside the baseline.
    pub fn is_deviation(&self, baseline: &Baseline, result: &TargetOutcome) -> bool {
        result.outcome.level == Level::Must
            && matches!(
                result.outcome.verdict,
                Verdict::Fail | Verdict::Inconclusive
            )
            && baseline.excuse(self.target(result), result).is_none()
    }

    /// The targets on which MUST-level scenarios were to be played and not one passed.
    pub fn barren_targets(&self) -> Vec<&Target> {
        let must = |index: usize| {
            let of_target = move |result: &&TargetOutcome| result.target == index;
            self.results
                .iter()
                .filter(of_target)
                .filter(|result| result.outcome.level == Level::Must)
        };
        self.targets
            .iter()
            .enumerate()
            .filter(|(_, target)| target.silent.is_none())
            .filter(|(index, _)| {
                must(*index).next().is_some()
                    && must(*index).all(|result| result.outcome.verdict != Verdict::Pass)
            })
            .map(|(_, target)| target)
            .collect()
    }

    /// What came out, in words: of a run whose failures the baseline excuses, how many those are.
    pub fn conclusion(&self, baseline: &Baseline) -> String {
        let code = self.findings(baseline).exit_code();
        let known = self.results.iter().filter(|result| {
            result.outcome.level == Level::Must
                && baseline.excuse(self.target(result), result).is_some()
        });
        match (code, known.count()) {
            (ExitCode::Clean, known @ 1..) => {
                format!("{}, but for {known} known deviations", code.words())
            }
            _ => code.words().to_owned(),
        }
    }

    /// What the exit code counts apart from single results, as what should be so and what is so instead: targets that are
    /// silent or barren, and entries of the baseline that are out of date.
    pub fn flaws(&self, baseline: &Baseline) -> Vec<(String, String)> {
        let silent = self.targets.iter().filter_map(|target| {
            let reason = target.silent.clone()?;
            Some((format!("{} answers CONNECT", target.label()), reason))
        });
        let barren = self.barren_targets().into_iter().map(|target| {
            let expected = format!("{} passes something", target.label());
            (expected, "no MUST-level scenario passed".to_owned())
        });
        let stale = self.stale(baseline).into_iter().map(|entry| {
            let expected = format!("{} {} still fails", entry.place, entry.scenario);
            (
                expected,
                format!("it passes in {}", entry.passed.join(", ")),
            )
        });
        silent.chain(barren).chain(stale).collect()
    }

    /// What decides the exit code.
    pub fn findings(&self, baseline: &Baseline) -> Findings {
        let deviates = |result: &&TargetOutcome| self.is_deviation(baseline, result);
        Findings {
            deviations: self.results.iter().filter(deviates).count(),
            stale_entries: self.stale(baseline).len(),
            barren_targets: self.barren_targets().len(),
            silent_targets: self
                .targets
                .iter()
                .filter(|target| target.silent.is_some())
                .count(),
            errors: self.count(Verdict::Error),
            interrupted: self.interrupted,
        }
    }
}
