//! The JSON report, schema 1: field names are fixed, fields may be added.

use std::io::{self, Write};

use quince_codec::Version;
use serde::Serialize;

use super::Report;
use crate::verdict::{Level, TranscriptEntry, Verdict, serialize_version};

/// Rises only when a field is removed or changes its meaning.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    suite: &'a str,
    started: String,
    targets: Vec<Target<'a>>,
    results: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
    summary: Summary,
}

#[derive(Serialize)]
struct Target<'a> {
    url: &'a str,
    transport: &'a str,
    broker: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    configuration: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent: Option<&'a str>,
}

#[derive(Serialize)]
struct Row<'a> {
    target: usize,
    scenario: &'a str,
    #[serde(serialize_with = "serialize_version")]
    mqtt: Version,
    verdict: Verdict,
    level: Level,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    judges_rejection: bool,
    statements: &'a [String],
    ms: f64,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_step: Option<&'a str>,
    transcript: &'a [TranscriptEntry],
}

#[derive(Serialize)]
struct Summary {
    pass: usize,
    fail: usize,
    inconclusive: usize,
    skipped: usize,
    error: usize,
    statements_covered: usize,
    statements_total: usize,
}

impl Report {
    /// Writes the JSON report. The transcript is there for what did not pass.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let rows = self.results.iter().map(|result| {
            let outcome = &result.outcome;
            Row {
                target: result.target,
                scenario: &outcome.scenario,
                mqtt: outcome.version,
                verdict: outcome.verdict,
                level: outcome.level,
                judges_rejection: outcome.judges_rejection,
                statements: &outcome.statements,
                // Tenths of a millisecond are as much as a wall clock tells.
                ms: (outcome.elapsed.as_secs_f64() * 10_000.0).round() / 10.0,
                detail: &outcome.detail,
                failed_step: outcome.failed_step.as_deref(),
                transcript: if outcome.verdict == Verdict::Pass {
                    &[]
                } else {
                    &outcome.transcript
                },
            }
        });
        let document = Document {
            schema: SCHEMA,
            suite: &self.suite,
            started: self
                .started
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            targets: self
                .targets
                .iter()
                .map(|target| Target {
                    url: &target.url,
                    transport: &target.transport,
                    broker: &target.broker,
                    name: &target.name,
                    configuration: &target.configuration,
                    silent: target.silent.as_deref(),
                })
                .collect(),
            results: rows.collect(),
            interrupted: self.interrupted,
            summary: Summary {
                pass: self.count(Verdict::Pass),
                fail: self.count(Verdict::Fail),
                inconclusive: self.count(Verdict::Inconclusive),
                skipped: self.count(Verdict::Skipped),
                error: self.count(Verdict::Error),
                statements_covered: self.statements_covered(),
                statements_total: self.statements_total(),
            },
        };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }
}
