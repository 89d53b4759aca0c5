//! Runs seeds, or replays one.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use quince_simulation::{Chaos, Plan, run, shrink, sweep};

/// Simulates the broker's core in virtual time and judges it by the reference model.
#[derive(Debug, Parser)]
struct Arguments {
    /// Replays this seed; without it many are run.
    #[arg(long)]
    seed: Option<u64>,
    /// Seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Steps of a run, before everybody comes to rest.
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// Clients.
    #[arg(long, default_value_t = 5)]
    clients: usize,
    /// Threads that run seeds.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Stops after so many failing seeds.
    #[arg(long, default_value_t = 1)]
    findings: usize,
    /// What is left out: overtaking, cuts, takeovers, vanishing, time, hostility, pieces, overload.
    #[arg(long, value_parser = parse_chaos)]
    without: Vec<Chaos>,
    /// With --seed: prints everything that happens.
    #[arg(long)]
    trace: bool,
    /// Does not look for a smaller run that fails too.
    #[arg(long)]
    no_shrink: bool,
}

fn parse_chaos(name: &str) -> Result<Chaos, String> {
    Chaos::named(name).ok_or_else(|| format!("there is no '{name}' to leave out"))
}

fn main() -> std::io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut out = anstream::stdout();
    let plan = Plan {
        seed: arguments.seed.unwrap_or(arguments.first),
        steps: arguments.steps,
        clients: arguments.clients,
        without: arguments.without.clone(),
    };
    if arguments.seed.is_some() {
        let report = run(&plan, arguments.trace);
        for line in &report.trace {
            writeln!(out, "{line}")?;
        }
        let Some(failure) = report.failure else {
            writeln!(out, "clean, trace {:016x}", report.trace_hash)?;
            return Ok(ExitCode::SUCCESS);
        };
        writeln!(out, "{failure}\ntrace {:016x}", report.trace_hash)?;
        return Ok(ExitCode::FAILURE);
    }
    let begun = Instant::now();
    let (findings, seeds) = sweep(&plan, arguments.seeds, arguments.jobs, arguments.findings);
    let seconds = begun.elapsed().as_secs_f64();
    for finding in &findings {
        writeln!(out, "{}", finding.failure)?;
        writeln!(
            out,
            "replay: cargo run --release -p quince-simulation -- {} --trace",
            finding.plan
        )?;
        if !arguments.no_shrink {
            let small = shrink(&finding.plan, &finding.failure);
            writeln!(
                out,
                "smaller: cargo run --release -p quince-simulation -- {small} --trace"
            )?;
        }
    }
    writeln!(
        out,
        "{seeds} seeds of {} steps in {seconds:.1} s: {} failed",
        arguments.steps,
        findings.len()
    )?;
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
