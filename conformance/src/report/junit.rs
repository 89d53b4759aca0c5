//! The JUnit report: one test suite per target and version, one test case per result.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Report, TargetOutcome, human::transcript_text};
use crate::{
    baseline::Baseline,
    verdict::{Level, Verdict},
};

impl Report {
    /// Writes the JUnit report. What the baseline excuses, and what is no MUST, counts as skipped with its reason, so that
    /// this report is red exactly when the exit code is not 0.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_junit(&self, baseline: &Baseline, out: &mut dyn Write) -> io::Result<()> {
        let mut document = quick_junit::Report::new("quince-conformance");
        document.set_timestamp(self.started);
        for (index, target) in self.targets.iter().enumerate() {
            if let Some(reason) = &target.silent {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(reason.as_str());
                let mut suite = TestSuite::new(target.label());
                suite.add_test_case(TestCase::new("answers CONNECT", status));
                document.add_test_suite(suite);
            }
            if self.barren_targets().contains(&target) {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message("not one MUST-level scenario passed");
                let mut suite = TestSuite::new(target.label());
                suite.add_test_case(TestCase::new("passes something", status));
                document.add_test_suite(suite);
            }
            for version in &self.versions {
                let mut suite = TestSuite::new(format!("{} MQTT {version}", target.label()));
                self.results
                    .iter()
                    .filter(|result| result.target == index && result.outcome.version == *version)
                    .for_each(|result| {
                        suite.add_test_case(self.test_case(baseline, result));
                    });
                if suite.tests > 0 {
                    document.add_test_suite(suite);
                }
            }
        }
        if let Some(suite) = stale_suite(self, baseline) {
            document.add_test_suite(suite);
        }
        document.serialize(&mut *out).map_err(io::Error::other)?;
        writeln!(out)
    }

    fn test_case(&self, baseline: &Baseline, result: &TargetOutcome) -> TestCase {
        let outcome = &result.outcome;
        let status = match outcome.verdict {
            Verdict::Pass => TestCaseStatus::success(),
            Verdict::Skipped => skipped(&outcome.detail),
            Verdict::Error => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(outcome.detail.as_str());
                status
            }
            Verdict::Fail | Verdict::Inconclusive => {
                if let Some(entry) = baseline.excuse(self.target(result), result) {
                    skipped(&format!("known deviation: {}", entry.reason))
                } else if outcome.level == Level::Must {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_type(outcome.verdict.name());
                    status.set_message(outcome.detail.as_str());
                    status.set_description(transcript_text(&outcome.transcript));
                    status
                } else {
                    skipped(&format!(
                        "{} {}: {}",
                        outcome.level, outcome.verdict, outcome.detail
                    ))
                }
            }
        };
        let mut case = TestCase::new(outcome.scenario.as_str(), status);
        case.set_time(outcome.elapsed);
        case
    }
}

fn skipped(reason: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(reason);
    status
}

fn stale_suite(report: &Report, baseline: &Baseline) -> Option<TestSuite> {
    let stale = report.stale(baseline);
    let mut suite = TestSuite::new("baseline");
    for entry in &stale {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(format!("passes in {}", entry.passed.join(", ")));
        suite.add_test_case(TestCase::new(
            format!("{} {}", entry.place, entry.scenario),
            status,
        ));
    }
    (!stale.is_empty()).then_some(suite)
}
