//! The report for people: failures that explain themselves, skips with their reasons, a table of counts.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{Report, SHARES, Score, Target, TargetOutcome};
use crate::{
    baseline::Baseline,
    catalogue::Catalogue,
    exit_code::ExitCode,
    verdict::{Level, Outcome, TranscriptEntry, Verdict},
};

/// How many characters of hex one line of a transcript shows; JSON has all.
const HEX_SHOWN: usize = 96;

/// What the report for people shows.
#[derive(Clone, Copy, Debug)]
pub struct Human<'a> {
    /// What was found.
    pub report: &'a Report,
    /// What is excused.
    pub baseline: &'a Baseline,
    /// Columns to fill; `None` for those of the terminal, or 100 where there is none.
    pub width: Option<u16>,
}

fn colour(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Pass => AnsiColor::Green,
        Verdict::Fail | Verdict::Error => AnsiColor::Red,
        Verdict::Inconclusive => AnsiColor::Yellow,
        Verdict::Skipped => AnsiColor::Cyan,
    };
    colour.on_default()
}

impl Human<'_> {
    /// Writes all of it.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_deviations(out)?;
        self.write_skips(out)?;
        self.write_table(out)?;
        let (covered, total) = (
            self.report.statements_covered(),
            self.report.statements_total(),
        );
        writeln!(
            out,
            "{covered} of {total} statements covered by a scenario that passed"
        )?;
        self.write_scores(out)?;
        self.write_conclusion(out)
    }

    /// How far the broker goes, by what results are about.
    fn write_scores(&self, out: &mut dyn Write) -> io::Result<()> {
        let score = Score::of(self.report.results.iter());
        let played = SHARES
            .into_iter()
            .zip(score.shares())
            .filter(|(_, share)| share.played > 0);
        let words: Vec<String> = played
            .map(|(words, share)| format!("{words} {share}"))
            .collect();
        if words.is_empty() {
            return Ok(());
        }
        writeln!(out, "passed: {}", words.join(", "))
    }

    /// Writes only what went wrong; nothing if nothing did.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_problems(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.report.findings(self.baseline).exit_code() == ExitCode::Clean {
            return Ok(());
        }
        self.write_deviations(out)?;
        self.write_conclusion(out)
    }

    fn write_deviations(&self, out: &mut dyn Write) -> io::Result<()> {
        for verdict in [Verdict::Error, Verdict::Fail, Verdict::Inconclusive] {
            let results = self.report.results.iter();
            for result in results.filter(|result| result.outcome.verdict == verdict) {
                self.write_deviation(result, out)?;
            }
        }
        Ok(())
    }

    fn write_deviation(&self, result: &TargetOutcome, out: &mut dyn Write) -> io::Result<()> {
        let target = self.report.target(result);
        match self.baseline.excuse(target, result) {
            None => write_outcome(&target.label(), &result.outcome, out),
            Some(entry) => {
                let Outcome {
                    scenario, version, ..
                } = &result.outcome;
                writeln!(
                    out,
                    "known deviation  {scenario}  MQTT {version}  {}",
                    target.label()
                )?;
                writeln!(out, "    {}\n", entry.reason)
            }
        }
    }

    /// Reasons of skips with their number, per transport.
    fn write_skips(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for result in &self.report.results {
            if result.outcome.verdict == Verdict::Skipped {
                let transport = self.report.target(result).transport.as_str();
                *reasons
                    .entry((transport, &result.outcome.detail))
                    .or_default() += 1;
            }
        }
        for ((transport, reason), count) in &reasons {
            writeln!(out, "skipped over {transport}: {count}, {reason}")?;
        }
        if reasons.is_empty() {
            Ok(())
        } else {
            writeln!(out)
        }
    }

    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        // Without a terminal the table knows no width of its own.
        if let Some(width) = self
            .width
            .or_else(|| table.width().is_none().then_some(100))
        {
            table.set_width(width);
        }
        let mut header = vec!["target".to_owned(), "MQTT".to_owned()];
        header.extend(Verdict::ALL.iter().map(|verdict| verdict.name().to_owned()));
        let columns = header.len();
        table.set_header(header);
        for (index, target) in self.report.targets.iter().enumerate() {
            for version in &self.report.versions {
                let of_row = |result: &&TargetOutcome| {
                    result.target == index && result.outcome.version == *version
                };
                let count = |verdict: Verdict| {
                    let rows = self.report.results.iter().filter(of_row);
                    rows.filter(|result| result.outcome.verdict == verdict)
                        .count()
                };
                let mut rows = self.report.results.iter();
                let played = rows.any(|result| of_row(&result));
                if !played && target.silent.is_none() {
                    // That version is not spoken there, or nothing is played in it in that configuration.
                    continue;
                }
                let mut row = vec![describe(target), version.to_string()];
                row.extend(
                    Verdict::ALL
                        .iter()
                        .map(|verdict| count(*verdict).to_string()),
                );
                table.add_row(row);
            }
        }
        for column in 2..columns {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(out, "{table}")
    }

    fn write_conclusion(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = self.report;
        for stale in report.stale(self.baseline) {
            let passed = stale.passed.join(", ");
            writeln!(
                out,
                "{}: `{}` passes in {passed}: narrow the entry, or take it out",
                stale.place, stale.scenario
            )?;
        }
        for target in report.barren_targets() {
            writeln!(
                out,
                "{}: not one MUST-level scenario passed",
                target.label()
            )?;
        }
        for target in &report.targets {
            if let Some(reason) = &target.silent {
                writeln!(out, "{reason}")?;
            }
        }
        if report.interrupted {
            let count = report.results.len();
            writeln!(out, "interrupted: {count} plays were over by then")?;
        }
        let findings = report.findings(self.baseline);
        let (verdict, words) = match findings.exit_code() {
            ExitCode::Clean => (
                Verdict::Pass,
                "conforms: no MUST-level failure outside the baseline".to_owned(),
            ),
            ExitCode::NoVerdict | ExitCode::Usage => (Verdict::Error, "no verdict".to_owned()),
            ExitCode::Deviation => {
                let count = findings.deviations;
                let words =
                    format!("does not conform: {count} MUST-level deviations outside the baseline");
                (Verdict::Fail, words)
            }
        };
        let style = colour(verdict);
        writeln!(out, "{style}{words}{style:#}")
    }
}

fn describe(target: &Target) -> String {
    let says = if target.name.is_empty() {
        &target.broker
    } else {
        &target.name
    };
    if says.is_empty() {
        target.label()
    } else {
        format!("{} ({says})", target.label())
    }
}

/// Writes one outcome with all that explains it.
///
/// # Errors
/// What `out` answers.
pub fn write_outcome(url: &str, outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let style = colour(outcome.verdict);
    let verdict = outcome.verdict.name().to_uppercase();
    write!(
        out,
        "{style}{verdict}{style:#}  {}  MQTT {}  {url}",
        outcome.scenario, outcome.version
    )?;
    if outcome.level != Level::Must {
        write!(out, "  ({} only)", outcome.level)?;
    }
    writeln!(out)?;
    for id in &outcome.statements {
        let words = Catalogue::embedded()
            .statement(id)
            .map_or("", |statement| statement.paraphrase);
        writeln!(out, "    {id}: {words}")?;
    }
    for line in outcome.detail.lines() {
        writeln!(out, "    {line}")?;
    }
    for line in transcript_text(&outcome.transcript).lines() {
        writeln!(out, "      {line}")?;
    }
    writeln!(out)
}

/// A transcript as text, one line for each entry.
pub(super) fn transcript_text(transcript: &[TranscriptEntry]) -> String {
    let width = transcript
        .iter()
        .map(|entry| entry.client.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for entry in transcript {
        let flow = if entry.flow == 0 {
            String::new()
        } else {
            format!("[flow {}] ", entry.flow)
        };
        let shown: String = entry.hex.chars().take(HEX_SHOWN).collect();
        let rest = (entry.hex.len() - shown.len()) / 2;
        let rest = if rest == 0 {
            String::new()
        } else {
            format!("... {rest} bytes more")
        };
        let line = format!(
            "{:>7} ms  {:<width$} {} {flow}{}  {shown}{rest}",
            entry.time_ms,
            entry.client,
            entry.direction.arrow(),
            entry.decoded,
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
