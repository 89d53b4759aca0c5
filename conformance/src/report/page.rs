//! The HTML report: one page that needs nothing else, with every statement, result and transcript.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use quince_codec::Version;
use serde::Serialize;

use super::{Report, SHARES, Score};
use crate::{
    baseline::Baseline,
    catalogue::Catalogue,
    verdict::{Level, TranscriptEntry, Verdict, serialize_version},
};

/// The page around the data.
const TEMPLATE: &str = include_str!("page.html");
/// Where the data goes.
const PLACE: &str = "{{DATA}}";
/// How many hex digits of one packet are shown.
const HEX_SHOWN: usize = 512;

#[derive(Serialize)]
struct Data<'a> {
    suite: &'a str,
    started: String,
    conclusion: String,
    interrupted: bool,
    /// What should be so and is not.
    flaws: Vec<(String, String)>,
    scores: Vec<(&'static str, String)>,
    targets: Vec<Target<'a>>,
    statements: BTreeMap<&'a str, Statement<'a>>,
    results: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Target<'a> {
    label: String,
    name: &'a str,
    broker: &'a str,
}

#[derive(Serialize)]
struct Statement<'a> {
    level: &'static str,
    section: &'a str,
    words: &'a str,
}

#[derive(Serialize)]
struct Row<'a> {
    target: usize,
    scenario: &'a str,
    #[serde(serialize_with = "serialize_version")]
    mqtt: Version,
    verdict: Verdict,
    level: Level,
    statements: &'a [String],
    ms: f64,
    detail: &'a str,
    /// Why the baseline excuses it.
    excuse: Option<&'a str>,
    transcript: Vec<Line<'a>>,
}

/// Time, client, whether it was sent, flow, hex, words.
type Line<'a> = (u64, &'a str, bool, u64, &'a str, &'a str);

fn line(entry: &TranscriptEntry) -> Line<'_> {
    let hex = entry.hex.get(..HEX_SHOWN).unwrap_or(&entry.hex);
    let sent = entry.direction == crate::verdict::Direction::Sent;
    (
        entry.time_ms,
        &entry.client,
        sent,
        entry.flow,
        hex,
        &entry.decoded,
    )
}

impl Report {
    /// Writes the page.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_page(&self, baseline: &Baseline, out: &mut dyn Write) -> io::Result<()> {
        let catalogue = Catalogue::embedded();
        let mut statements = BTreeMap::new();
        for id in self.results.iter().flat_map(|one| &one.outcome.statements) {
            if let Some(statement) = catalogue.statement(id) {
                statements.insert(
                    statement.id,
                    Statement {
                        level: statement.keyword.name(),
                        section: statement.section,
                        words: statement.paraphrase,
                    },
                );
            }
        }
        let rows = self.results.iter().map(|result| {
            let outcome = &result.outcome;
            let excuse = baseline.excuse(self.target(result), result);
            Row {
                target: result.target,
                scenario: &outcome.scenario,
                mqtt: outcome.version,
                verdict: outcome.verdict,
                level: outcome.level,
                statements: &outcome.statements,
                ms: (outcome.elapsed.as_secs_f64() * 10_000.0).round() / 10.0,
                detail: &outcome.detail,
                excuse: excuse.map(|entry| entry.reason.as_str()),
                transcript: outcome.transcript.iter().map(line).collect(),
            }
        });
        let score = Score::of(self.results.iter());
        let data = Data {
            suite: &self.suite,
            started: self
                .started
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            conclusion: self.conclusion(baseline),
            interrupted: self.interrupted,
            flaws: self.flaws(baseline),
            scores: SHARES
                .into_iter()
                .zip(score.shares())
                .filter(|(_, share)| share.played > 0)
                .map(|(words, share)| (words, share.to_string()))
                .collect(),
            targets: self
                .targets
                .iter()
                .map(|target| Target {
                    label: target.label(),
                    name: &target.name,
                    broker: &target.broker,
                })
                .collect(),
            statements,
            results: rows.collect(),
        };
        // No text of a broker may end the element that the data is in.
        let json = serde_json::to_string(&data)?.replace('<', "\\u003c");
        let (before, after) = TEMPLATE.split_once(PLACE).unwrap_or((TEMPLATE, ""));
        write!(out, "{before}{json}{after}")
    }
}
