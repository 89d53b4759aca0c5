//! A file that a run writes each trial to as it ends, and goes on from when it is started again.
//!
//! Its first line says what all trials of the run have in common; each further line is one trial that gave figures. Which trials there
//! are to be may change from one start to the next: more seeds, other contenders.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::report::json::Setting;
use super::run::Done;
use super::tally;
use super::trial::{Outcome, Trial};

/// What must be the same for trials to stand in one table.
const COMMON: [&str; 5] = ["lab", "key_exchange", "load", "leg", "patience"];

/// The file of a run.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    file: Mutex<File>,
}

/// A trial in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// Which trial it is.
    trial: Value,
    outcome: Outcome,
    /// Latencies in microseconds with how often each occurred.
    latencies: Vec<(u64, u64)>,
    /// Why earlier tries are not in the figures.
    discarded: Vec<Vec<String>>,
}

/// What tells a trial from the others of its run.
fn which(trial: &Trial) -> Value {
    json!({
        "contender": trial.contender.to_string(),
        "conditions": trial.conditions,
        "seed": trial.seed,
    })
}

impl Records {
    /// Opens the file of a run, or makes it, and finds out which of the trials are in it. What a stopped run has half
    /// written is dropped.
    ///
    /// # Errors
    /// When the file cannot be read or written, is no such file, or is of a run that cannot be compared with this one.
    pub(crate) fn open(
        path: &Path,
        setting: &Setting,
        trials: &[Trial],
    ) -> Result<(Self, Vec<Option<Done>>), String> {
        let wrong = |what: String| format!("{}: {what}", path.display());
        let io = |error: io::Error| wrong(error.to_string());
        let setting = serde_json::to_value(setting).map_err(|error| wrong(error.to_string()))?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(io)?;
        let text = io::read_to_string(&mut file).map_err(io)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(io)?;
        let mut known: Vec<Option<Done>> = trials.iter().map(|_| None).collect();
        let mut lines = (1..).zip(text[..whole].lines());
        match lines.next() {
            Some((_, first)) => compare(first, &setting).map_err(wrong)?,
            None => {
                let first = json!({ "run": setting });
                writeln!(file, "{first}").map_err(io)?;
            }
        }
        for (number, line) in lines {
            let record: Record = serde_json::from_str(line)
                .map_err(|error| wrong(format!("line {number} is no trial: {error}")))?;
            let Some(place) = trials.iter().position(|it| which(it) == record.trial) else {
                continue;
            };
            known[place] = Some(record.done(&trials[place]));
        }
        let records = Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        };
        Ok((records, known))
    }

    /// Writes a trial down. One that failed is not: the next start tries it again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn note(&self, done: &Done) -> Result<(), String> {
        let Ok(outcome) = &done.result else {
            return Ok(());
        };
        let latencies = outcome.latencies.iter_recorded();
        let record = Record {
            trial: which(&done.trial),
            outcome: outcome.clone(),
            latencies: latencies
                .map(|value| (value.value_iterated_to(), value.count_at_value()))
                .collect(),
            discarded: done.discarded.clone(),
        };
        let line = serde_json::to_string(&record).map_err(|error| error.to_string());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        line.and_then(|line| writeln!(file, "{line}").map_err(|error| error.to_string()))
            .map_err(|what| format!("{}: {what}", self.path.display()))
    }
}

/// Whether the run that the first line is of can be compared with this one.
fn compare(first: &str, setting: &Value) -> Result<(), String> {
    let first: Value = serde_json::from_str(first)
        .map_err(|error| format!("line 1 is no beginning of a run: {error}"))?;
    let before = first
        .get("run")
        .ok_or("line 1 is no beginning of a run: it has no \"run\"")?;
    for key in COMMON {
        let (before, now) = (&before[key], &setting[key]);
        if before != now {
            return Err(format!(
                "its run had {key} {before}, this one has {now}: give the same options, or name another file"
            ));
        }
    }
    Ok(())
}

impl Record {
    fn done(self, trial: &Trial) -> Done {
        let mut latencies = tally::histogram();
        for (value, count) in self.latencies {
            // They were in bounds when they were written.
            latencies.saturating_record_n(value, count);
        }
        Done {
            trial: trial.clone(),
            result: Ok(Outcome {
                latencies,
                ..self.outcome
            }),
            discarded: self.discarded,
        }
    }
}
