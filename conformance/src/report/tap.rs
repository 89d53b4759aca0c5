//! The TAP report (version 14): one test point per result, for tools that read TAP.

use std::io::{self, Write};

use super::{Report, TargetOutcome};
use crate::{
    baseline::Baseline,
    verdict::{Level, Verdict},
};

impl Report {
    /// Writes the TAP report. What the baseline excuses, and what is no MUST, is a TODO with its reason: there is a
    /// `not ok` without TODO exactly if the exit code is not 0.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_tap(&self, baseline: &Baseline, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "TAP version 14")?;
        let flaws = self.flaws(baseline);
        writeln!(out, "1..{}", self.results.len() + flaws.len())?;
        let mut number = 0;
        for result in &self.results {
            number += 1;
            self.write_point(number, baseline, result, out)?;
        }
        for (expected, reason) in flaws {
            number += 1;
            writeln!(out, "not ok {number} - {}", escaped(&expected))?;
            comment(&reason, out)?;
        }
        if self.interrupted {
            writeln!(out, "Bail out! interrupted")?;
        }
        Ok(())
    }

    fn write_point(
        &self,
        number: usize,
        baseline: &Baseline,
        result: &TargetOutcome,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (target, outcome) = (self.target(result), &result.outcome);
        let name = escaped(&format!(
            "{} MQTT {} {}",
            outcome.scenario,
            outcome.version,
            target.label()
        ));
        let detail = one_line(&outcome.detail);
        match outcome.verdict {
            Verdict::Pass => writeln!(out, "ok {number} - {name}"),
            Verdict::Skipped => writeln!(out, "ok {number} - {name} # SKIP {detail}"),
            Verdict::Error => {
                writeln!(out, "not ok {number} - {name}")?;
                comment(&outcome.detail, out)
            }
            Verdict::Fail | Verdict::Inconclusive => {
                let todo = match baseline.excuse(target, result) {
                    Some(entry) => format!(" # TODO {}", one_line(&entry.reason)),
                    None if outcome.level != Level::Must => format!(" # TODO {}", outcome.level),
                    None => String::new(),
                };
                writeln!(out, "not ok {number} - {name}{todo}")?;
                comment(&format!("{}: {}", outcome.verdict, outcome.detail), out)
            }
        }
    }
}

/// A number sign would begin a directive.
fn escaped(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('#', "\\#")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn comment(text: &str, out: &mut dyn Write) -> io::Result<()> {
    for line in text.lines() {
        writeln!(out, "# {line}")?;
    }
    Ok(())
}
