//! A run as JSON lines: the configuration and the machine first, then every trial, then every cell.

use std::io::{self, Write};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::lab::conditions::Conditions;
use crate::lab::contender::Contender;
use crate::lab::load::Load;
use crate::lab::machine::Machine;
use crate::lab::network::KEY_EXCHANGE;
use crate::lab::run::{Cell, Done};
use crate::lab::statistics::{Figure, Figures, distribution};
use crate::lab::trial::Leg;

/// The version of the lines' form.
const SCHEMA: u32 = 1;

/// What a reader must know to repeat a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Setting {
    pub(crate) schema: u32,
    /// Version of the lab.
    pub(crate) lab: &'static str,
    /// When it began, RFC 3339.
    pub(crate) started: String,
    /// The command as it was given.
    pub(crate) command: Vec<String>,
    pub(crate) machine: Machine,
    pub(crate) key_exchange: String,
    pub(crate) conditions: Vec<Conditions>,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) seeds: Vec<u64>,
    pub(crate) load: Load,
    pub(crate) leg: Leg,
    /// Links at the same time.
    pub(crate) parallel: usize,
    /// Seconds that stragglers are waited for.
    pub(crate) patience: f64,
}

impl Setting {
    /// The setting of a run that begins now.
    pub(crate) fn new(load: Load, leg: Leg) -> Self {
        let mut command: Vec<_> = std::env::args().collect();
        if let Some(program) = command.first_mut() {
            // Where the program lies is nobody's business.
            "quince-lab".clone_into(program);
        }
        Self {
            schema: SCHEMA,
            lab: env!("CARGO_PKG_VERSION"),
            started: DateTime::<Utc>::from(SystemTime::now())
                .to_rfc3339_opts(SecondsFormat::Secs, true),
            command,
            machine: Machine::this(),
            key_exchange: format!("{KEY_EXCHANGE:?}"),
            conditions: Vec::new(),
            contenders: Vec::new(),
            seeds: Vec::new(),
            load,
            leg,
            parallel: 1,
            patience: 0.0,
        }
    }
}

/// Writes a line that begins with its kind.
fn line(out: &mut impl Write, kind: &str, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &json!({ kind: value }))?;
    out.write_all(b"\n")
}

/// Writes the whole run.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(
    out: &mut impl Write,
    setting: &Setting,
    trials: &[Done],
    cells: &[Cell<'_>],
) -> io::Result<()> {
    line(out, "run", setting)?;
    for one in trials {
        line(out, "trial", &trial(one))?;
    }
    for one in cells {
        line(out, "cell", &cell(one))?;
    }
    out.flush()
}

/// One trial as a value: its configuration, then its outcome or why there is none.
pub(crate) fn trial(one: &Done) -> Value {
    let trial = &one.trial;
    json!({
        "contender": trial.contender,
        "conditions": trial.conditions,
        "seed": trial.seed,
        "load": trial.load,
        "leg": trial.leg,
        "outcome": one.result.as_ref().ok(),
        "distribution": one.result.as_ref().ok().map(|outcome| distribution(&outcome.latencies, outcome.scheduled)),
        "failed": one.result.as_ref().err().map(ToString::to_string),
        "discarded": one.discarded,
    })
}

fn cell(one: &Cell<'_>) -> Value {
    let spread: Value = Figure::ALL
        .iter()
        .map(|figure| (figure.name().to_owned(), json!(one.sample.spread(*figure))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "contender": one.contender,
        "conditions": one.conditions,
        "counts": one.counts,
        "provisional": one.provisional,
        "latency": Figures::of(&one.sample.pooled),
        "by_seed": one.sample.by_seed,
        "spread": spread,
        "distribution": distribution(&one.sample.pooled, one.counts.scheduled),
    })
}
