//! The Markdown report: what a pull request's comment or a job's summary shows.

use std::io::{self, Write};

use super::{Report, TargetOutcome};
use crate::{
    baseline::Baseline,
    verdict::{Level, Verdict},
};

/// How many deviations are written out; a page of a forge has a limit.
const WRITTEN_OUT: usize = 200;

impl Report {
    /// Writes the Markdown report.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_markdown(&self, baseline: &Baseline, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# MQTT conformance: {}\n", self.conclusion(baseline))?;
        writeln!(
            out,
            "| target | MQTT | pass | fail | inconclusive | skipped | error | rejects bad input |"
        )?;
        writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|")?;
        for (index, target) in self.targets.iter().enumerate() {
            for version in &self.versions {
                let of_row = |result: &&TargetOutcome| {
                    result.target == index && result.outcome.version == *version
                };
                let rows: Vec<_> = self.results.iter().filter(of_row).collect();
                if rows.is_empty() {
                    continue;
                }
                write!(out, "| {} | {version} |", cell(&target.label()))?;
                for verdict in Verdict::ALL {
                    let of_verdict = rows.iter().filter(|row| row.outcome.verdict == verdict);
                    write!(out, " {} |", of_verdict.count())?;
                }
                let score = super::Score::of(rows.into_iter());
                writeln!(out, " {} |", score.rejections)?;
            }
        }
        for (expected, reason) in self.flaws(baseline) {
            writeln!(out, "\nNot so: {}. {}", cell(&expected), cell(&reason))?;
        }
        if self.interrupted {
            writeln!(out, "\nInterrupted: not everything was played.")?;
        }
        self.write_list(
            "MUST: does not conform",
            |result| self.is_deviation(baseline, result),
            out,
        )?;
        self.write_list(
            "FACT: stated by the specification, and otherwise here",
            |result| failed_at(result, Level::Fact),
            out,
        )?;
        self.write_list(
            "SHOULD: recommended and not done",
            |result| failed_at(result, Level::Should),
            out,
        )?;
        self.write_list(
            "MAY: what this broker chose not to do",
            |result| failed_at(result, Level::May),
            out,
        )?;
        self.write_list(
            "Errors of the suite",
            |result| result.outcome.verdict == Verdict::Error,
            out,
        )
    }

    fn write_list(
        &self,
        title: &str,
        belongs: impl Fn(&TargetOutcome) -> bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let results: Vec<_> = self.results.iter().filter(|one| belongs(one)).collect();
        if results.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n## {title}\n")?;
        writeln!(out, "| scenario | MQTT | target | statements | |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for result in results.iter().take(WRITTEN_OUT) {
            let outcome = &result.outcome;
            writeln!(
                out,
                "| `{}` | {} | {} | {} | {} |",
                outcome.scenario,
                outcome.version,
                cell(&self.target(result).label()),
                outcome.statements.join(", "),
                cell(&outcome.detail),
            )?;
        }
        match results.len().saturating_sub(WRITTEN_OUT) {
            0 => Ok(()),
            more => writeln!(out, "\nand {more} more"),
        }
    }
}

fn failed_at(result: &TargetOutcome, level: Level) -> bool {
    result.outcome.verdict == Verdict::Fail && result.outcome.level == level
}

/// Text for a cell of a table.
pub fn cell(text: &str) -> String {
    let safe = text
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('`', "\\`");
    safe.lines().map(str::trim).collect::<Vec<_>>().join("<br>")
}
