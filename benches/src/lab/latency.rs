//! The command `run`, from its options to its report.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::args::RunArgs;
use super::conditions::Conditions;
use super::records::Records;
use super::report::json::{self, Setting};
use super::report::{table, words};
use super::run::{self, Cell, Done, Effort};
use super::trial::Trial;
use super::{Failure, Trust, preflight};

/// Measures, prints, and writes what was asked for.
pub(super) fn run(args: &RunArgs) -> Result<Trust, Failure> {
    let conditions = args.conditions().map_err(Failure::Usage)?;
    let (contenders, seeds) = (args.contenders(), args.seeds());
    let like = Trial {
        contender: contenders[0].clone(),
        conditions: conditions[0].clone(),
        load: args.load(),
        leg: args.leg,
        seed: seeds[0],
        patience: args.patience(),
        interruption: None,
    };
    let mut setting = Setting::new(like.load, like.leg);
    setting.conditions.clone_from(&conditions);
    setting.contenders.clone_from(&contenders);
    setting.seeds.clone_from(&seeds);
    setting.parallel = args.parallel();
    setting.patience = like.patience.as_secs_f64();
    // Found out before minutes of measuring are lost.
    let json = args.json.as_deref().map(create).transpose()?;
    let html = args.html.as_deref().map(create).transpose()?;

    preflight::check(&contenders)?;
    let trials = run::order(&conditions, &contenders, &seeds, &like);
    let effort = Effort {
        parallel: args.parallel(),
        repeats: args.repeats(),
        repeat_until: args.repeat_until(),
        quiet: args.quiet,
    };
    let (records, known) = match &args.records {
        Some(file) => {
            let (records, known) =
                Records::open(file, &setting, &trials).map_err(Failure::Usage)?;
            (Some(records), known)
        }
        None => (None, Vec::new()),
    };
    let note = |done: &Done| match &records {
        Some(records) => records.note(done),
        None => Ok(()),
    };
    let done = run::all(trials, known, effort, &note)?;
    let cells = run::cells(&done, &conditions, &contenders);

    print(&setting, &done, &cells)?;
    if let (Some(mut out), Some(file)) = (json, &args.json) {
        json::write(&mut out, &setting, &done, &cells)
            .map_err(|source| unwritable(file, source))?;
    }
    if let (Some(mut out), Some(file)) = (html, &args.html) {
        let page = super::report::html::page(&setting, &cells);
        let written = out.write_all(page.as_bytes()).and_then(|()| out.flush());
        written.map_err(|source| unwritable(file, source))?;
    }
    let trusted = done.iter().all(|one| one.clean().is_some());
    Ok(if trusted { Trust::Yes } else { Trust::No })
}

pub(super) fn create(file: &Path) -> Result<BufWriter<File>, Failure> {
    File::create(file)
        .map(BufWriter::new)
        .map_err(|source| unwritable(file, source))
}

pub(super) fn unwritable(file: &Path, source: std::io::Error) -> Failure {
    Failure::Write {
        file: file.display().to_string(),
        source,
    }
}

fn print(setting: &Setting, done: &[Done], cells: &[Cell<'_>]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    for line in introduction(setting) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{}", table::latencies(cells))?;
    writeln!(
        out,
        "One-way latency in ms, from the instant of the schedule to the subscriber."
    )?;
    if cells.iter().any(|cell| cell.provisional) {
        writeln!(
            out,
            "* of tainted trials only: nothing may be concluded from it. Stop what else runs here, and try --parallel 1."
        )?;
    }
    for sentence in words::sentences(cells) {
        writeln!(out, "- {sentence}")?;
    }
    const SHOWN: usize = 6;
    let mut doubtful = 0;
    for one in done.iter().filter(|one| one.clean().is_none()) {
        doubtful += 1;
        if doubtful > SHOWN {
            continue;
        }
        let name = format!(
            "{} at {}, seed {}",
            one.trial.contender, one.trial.conditions, one.trial.seed
        );
        match &one.result {
            Err(fault) => writeln!(out, "FAILED: {name}: {fault}")?,
            Ok(outcome) if !outcome.taint.is_empty() => {
                writeln!(out, "TAINTED: {name}: {}", outcome.taint.join("; "))?;
            }
            Ok(_) => {}
        }
    }
    if doubtful > SHOWN {
        writeln!(out, "and {} more: see --json", doubtful - SHOWN)?;
    }
    Ok(())
}

/// What the reader has to know before the figures.
pub(super) fn introduction(setting: &Setting) -> Vec<String> {
    let load = setting.load;
    let machine = &setting.machine;
    let average = machine
        .load_average
        .map_or_else(|| "unknown".to_owned(), |average| average.to_string());
    let mut lines = links(&setting.conditions);
    lines.extend([
        format!(
            "{} topics x {} messages/s x {} B, QoS {}, for {} s; seeds: {}; {} links at a time",
            load.topics,
            load.rate,
            load.payload,
            load.qos,
            load.seconds,
            setting.seeds.len(),
            setting.parallel,
        ),
        format!("Which leg crosses the link: {}.", setting.leg.describe()),
        format!(
            "Key exchange pinned to {} for all. {}, {} processors, load average {average} at the start, priority {}.",
            setting.key_exchange, machine.kernel, machine.processors, machine.priority,
        ),
    ]);
    for contender in &setting.contenders {
        lines.push(format!("{contender}: {}", contender.describe()));
    }
    lines
}

/// Which links they are.
fn links(conditions: &[Conditions]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut round_trips = Vec::new();
    for link in conditions {
        match link {
            Conditions::Even(even) => round_trips.push(even.rtt.to_string()),
            Conditions::Profile(profile) => {
                lines.push(format!(
                    "{}: {}",
                    profile.name,
                    profile.describe().join("; ")
                ));
            }
        }
    }
    round_trips.dedup();
    if !round_trips.is_empty() {
        lines.push(format!(
            "Round trip {} ms; loss, jitter: in each direction, as said in the table.",
            round_trips.join(", ")
        ));
    }
    lines
}
