//! Several brokers beside each other: statements against brokers and transports, from the JSON reports of runs.

mod markdown;
mod page;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    catalogue::{Catalogue, Statement},
    verdict::Level,
};

/// The schema that is understood.
const SCHEMA: u32 = 1;

/// A JSON report, as far as a matrix and an issue text need it.
#[derive(Debug, Deserialize)]
pub struct JsonReport {
    /// The version of its form.
    pub schema: u32,
    /// The version of the suite that wrote it.
    pub suite: String,
    /// When the run began.
    pub started: String,
    /// Where was played.
    pub targets: Vec<JsonTarget>,
    /// What came out.
    pub results: Vec<JsonResult>,
}

/// One target of a JSON report.
#[derive(Debug, Deserialize)]
pub struct JsonTarget {
    /// Its URL.
    pub url: String,
    /// "tcp", "quic", ...
    pub transport: String,
    /// What the broker says of itself.
    #[serde(default)]
    pub broker: String,
    /// How its target file calls it.
    #[serde(default)]
    pub name: String,
    /// The configuration it was in.
    #[serde(default)]
    pub configuration: String,
}

impl JsonTarget {
    /// How a matrix calls the broker: by its target file, by itself, or by its host.
    pub fn called(&self) -> &str {
        [&self.name, &self.broker]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or(&self.url)
    }
}

/// One result of a JSON report.
#[derive(Debug, Deserialize)]
pub struct JsonResult {
    /// Index into the targets.
    pub target: usize,
    /// The scenario's id.
    pub scenario: String,
    /// The version spoken.
    pub mqtt: String,
    /// "pass", "fail", ...
    pub verdict: String,
    /// "MUST", "FACT", "SHOULD" or "MAY".
    pub level: String,
    /// Whether it judges how bad input is turned away.
    #[serde(default)]
    pub judges_rejection: bool,
    /// What it judges.
    pub statements: Vec<String>,
    /// Expected and actual.
    #[serde(default)]
    pub detail: String,
    /// What crossed the wire, where it did not pass.
    #[serde(default)]
    pub transcript: Vec<JsonLine>,
}

/// One line of a transcript.
#[derive(Debug, Deserialize)]
pub struct JsonLine {
    /// Milliseconds since the scenario began.
    pub time_ms: u64,
    /// The client.
    pub client: String,
    /// "sent" or "received".
    pub direction: String,
    /// The bytes.
    pub hex: String,
    /// In words.
    pub decoded: String,
}

impl JsonReport {
    /// Reads one.
    ///
    /// # Errors
    /// In words, with line and column of what is no report.
    pub fn parse(text: &str) -> Result<Self, String> {
        let report: Self = serde_json::from_str(text)
            .map_err(|error| format!("this is no JSON report of `run`: {error}"))?;
        if report.schema != SCHEMA {
            return Err(format!(
                "its schema is {}, expected {SCHEMA}",
                report.schema
            ));
        }
        if let Some(result) = report
            .results
            .iter()
            .find(|result| result.target >= report.targets.len())
        {
            return Err(format!(
                "a result of `{}` names target {}, and there is none",
                result.scenario, result.target
            ));
        }
        Ok(report)
    }
}

/// What is known of one statement on one broker over one transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// How many scenarios passed.
    pub passed: usize,
    /// How many were not played.
    pub skipped: usize,
    /// How many were inconclusive or the suite's own error.
    pub unclear: usize,
    /// What failed.
    pub failed: Vec<Failed>,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The scenario, and the version spoken.
    pub scenario: String,
    /// Expected and actual.
    pub detail: String,
    /// How strongly the scenario judges, whatever the statement says.
    pub level: Level,
}

/// What a cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Everything that was played passed.
    Holds,
    /// A MUST was broken.
    Broken,
    /// A FACT is not so.
    Otherwise,
    /// A SHOULD was not done.
    Missed,
    /// A MAY was not chosen.
    NotChosen,
    /// Nothing can be said.
    Unclear,
    /// Not played there.
    NotPlayed,
}

impl Cell {
    /// What it says of a statement of that level.
    pub fn sign(&self, level: Level) -> Sign {
        // A scenario may be milder than one of the statements that it cites, but not stricter.
        let judged = self.failed.iter().map(|failed| failed.level.min(level));
        if let Some(judged) = judged.max() {
            return match judged {
                Level::Must => Sign::Broken,
                Level::Fact => Sign::Otherwise,
                Level::Should => Sign::Missed,
                Level::May => Sign::NotChosen,
            };
        }
        if self.unclear > 0 {
            Sign::Unclear
        } else if self.passed > 0 {
            Sign::Holds
        } else {
            Sign::NotPlayed
        }
    }
}

impl Sign {
    /// All of them, as a legend lists them.
    pub const ALL: [Self; 7] = [
        Self::Holds,
        Self::Broken,
        Self::Otherwise,
        Self::Missed,
        Self::NotChosen,
        Self::Unclear,
        Self::NotPlayed,
    ];

    /// One character.
    pub const fn character(self) -> &'static str {
        match self {
            Self::Holds => "✓",
            Self::Broken => "✗",
            Self::Otherwise => "≠",
            Self::Missed => "–",
            Self::NotChosen => "○",
            Self::Unclear => "?",
            Self::NotPlayed => "",
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Broken => "MUST broken",
            Self::Otherwise => "FACT not so",
            Self::Missed => "SHOULD missed",
            Self::NotChosen => "MAY not chosen",
            Self::Unclear => "unclear",
            Self::NotPlayed => "not played",
        }
    }
}

/// A broker over one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The broker.
    pub broker: String,
    /// The transport.
    pub transport: String,
    /// MUST-level scenarios that passed, and that were played, apart from rejections.
    pub must: (usize, usize),
    /// The same of FACT.
    pub fact: (usize, usize),
    /// The same of SHOULD.
    pub should: (usize, usize),
    /// The same of bad input that is turned away.
    pub rejections: (usize, usize),
}

/// Statements against columns.
#[derive(Debug)]
pub struct Matrix {
    /// The columns, in the order of the reports.
    pub columns: Vec<Column>,
    /// For each statement that was played anywhere, in the order of the catalogue, a cell for each column.
    pub rows: Vec<(&'static str, Vec<Cell>)>,
}

impl Matrix {
    /// Lays the reports beside each other. The configurations of one broker share its columns.
    pub fn of(reports: &[JsonReport]) -> Self {
        let mut columns: Vec<Column> = Vec::new();
        let mut cells: BTreeMap<(&str, usize), Cell> = BTreeMap::new();
        for report in reports {
            for result in &report.results {
                let target = &report.targets[result.target];
                let column = column_of(&mut columns, target);
                columns[column].count(result);
                for id in &result.statements {
                    let cell = cells.entry((id, column)).or_default();
                    match result.verdict.as_str() {
                        "pass" => cell.passed += 1,
                        "skipped" => cell.skipped += 1,
                        "fail" => {
                            cell.failed.push(Failed {
                                scenario: format!("{} MQTT {}", result.scenario, result.mqtt),
                                detail: result.detail.clone(),
                                level: result.level.parse().unwrap_or(Level::Must),
                            });
                        }
                        _ => cell.unclear += 1,
                    }
                }
            }
        }
        let rows = Catalogue::embedded()
            .statements()
            .iter()
            .filter_map(|statement| {
                let cell = |column| cells.get(&(statement.id, column)).cloned();
                let row: Vec<Option<Cell>> = (0..columns.len()).map(cell).collect();
                let known = row.iter().any(Option::is_some);
                let row = row.into_iter().map(Option::unwrap_or_default).collect();
                known.then_some((statement.id, row))
            })
            .collect();
        Self { columns, rows }
    }
}

/// The column of a target; a new one if there is none.
fn column_of(columns: &mut Vec<Column>, target: &JsonTarget) -> usize {
    let same =
        |column: &Column| column.broker == target.called() && column.transport == target.transport;
    if let Some(index) = columns.iter().position(same) {
        return index;
    }
    columns.push(Column {
        broker: target.called().to_owned(),
        transport: target.transport.clone(),
        must: (0, 0),
        fact: (0, 0),
        should: (0, 0),
        rejections: (0, 0),
    });
    columns.len() - 1
}

impl Column {
    fn count(&mut self, result: &JsonResult) {
        let played = matches!(result.verdict.as_str(), "pass" | "fail" | "inconclusive");
        let count = match result.level.as_str() {
            "MUST" | "FACT" if result.judges_rejection => &mut self.rejections,
            "MUST" => &mut self.must,
            "FACT" => &mut self.fact,
            "SHOULD" => &mut self.should,
            _ => return,
        };
        count.0 += usize::from(result.verdict == "pass");
        count.1 += usize::from(played);
    }
}

/// The level of a statement.
fn level(id: &str) -> Level {
    Catalogue::embedded()
        .statement(id)
        .map_or(Level::Must, Statement::level)
}

/// What a statement asks.
fn words(id: &str) -> &'static str {
    Catalogue::embedded()
        .statement(id)
        .map_or("", |statement| statement.paraphrase)
}
