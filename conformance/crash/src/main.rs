//! Kills a broker under load, again and again, and judges what it kept.
//!
//! Publishers, subscribers of several habits, a writer of retained values and clients that change their subscriptions run against a broker
//! that this program starts by a command. At a random moment it dies by SIGKILL and is started again; clients come back, complete what
//! was under way and fetch what waits. `quince_model::delivery` judges: acknowledged messages must be there, QoS 2 messages
//! once, in order, retained values and subscriptions as acknowledged. It knows nothing of any broker.

mod broker;
mod churn;
mod link;
mod publisher;
mod random;
mod round;
mod stage;
mod subscriber;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use quince_model::delivery::Fault;

use crate::broker::Recipe;
use crate::random::Random;
use crate::round::{Cast, Outcome, Plan};

/// Kills a broker under load, again and again, and judges what it kept.
///
/// Exit codes: 0 nothing is wrong; 1 something is; 2 wrong usage; 3 the broker ended by itself or does not answer.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// How to start the broker, for a shell; {port} is the port for TCP and QUIC, {dir} its folder, and it must end by SIGKILL to this process
    command: String,
    /// How many times it is killed
    #[arg(long, default_value_t = 6)]
    rounds: u64,
    /// Over what clients connect
    #[arg(long, default_value = "both")]
    over: Over,
    /// The longest time of load in a round, in milliseconds; the shortest is a tenth of it
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(10..))]
    load: u64,
    /// Where chance begins
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the broker's folder and its log go, to be looked at later; otherwise they are removed
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Stop at the first round in which something is wrong
    #[arg(long)]
    stop: bool,
    /// Print nothing but the table
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Over {
    Tcp,
    Quic,
    /// Every other round
    Both,
}

impl Over {
    fn scheme(self, round: u64) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
            Self::Both if round.is_multiple_of(2) => "quic",
            Self::Both => "tcp",
        }
    }
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
enum CrashError {
    /// The broker does what it should not, but for that there is no judge here.
    #[error("the broker: {0}")]
    Broker(String),
    /// A connection.
    #[error("a client: {0}")]
    Link(String),
    /// The system.
    #[error(transparent)]
    System(#[from] io::Error),
}

#[derive(Debug, Default)]
struct Totals {
    rounds: u64,
    wrong_rounds: u64,
    acknowledged: u64,
    refused: u64,
    delivered: usize,
    acknowledged_under_load: u64,
    load: Duration,
    restarts: Vec<Duration>,
    faults: BTreeMap<Fault, u64>,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.rounds += 1;
        self.wrong_rounds += u64::from(!outcome.findings.is_empty());
        self.acknowledged += outcome.acknowledged;
        self.refused += outcome.refused;
        self.delivered += outcome.delivered;
        self.acknowledged_under_load += outcome.acknowledged_under_load;
        self.load += outcome.load;
        self.restarts.push(outcome.restart);
        for finding in &outcome.findings {
            *self.faults.entry(finding.fault).or_default() += 1;
        }
    }

    fn print(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.restarts.sort_unstable();
        let middle = self.restarts.get(self.restarts.len() / 2);
        let [middle, longest] =
            [middle, self.restarts.last()].map(|time| time.map_or(0, Duration::as_millis));
        let rate = self.acknowledged_under_load as f64 / self.load.as_secs_f64().max(0.001);
        writeln!(out, "rounds                    {}", self.rounds)?;
        writeln!(out, "rounds with a fault       {}", self.wrong_rounds)?;
        writeln!(out, "messages acknowledged     {}", self.acknowledged)?;
        writeln!(out, "  per second of load      {rate:.0}")?;
        writeln!(out, "messages refused          {}", self.refused)?;
        writeln!(out, "messages delivered        {}", self.delivered)?;
        writeln!(
            out,
            "start to first CONNACK    {middle} ms in the middle, {longest} ms at most"
        )?;
        for fault in Fault::ALL {
            let count = self.faults.get(&fault).copied().unwrap_or_default();
            writeln!(out, "{:<25} {count}", format!("{fault:?}"))?;
        }
        out.flush()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut totals = Totals::default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let run = runtime.block_on(run(&args, &mut totals));
    if totals.print(&mut anstream::stdout().lock()).is_err() {
        return ExitCode::from(3);
    }
    match run {
        Ok(()) => ExitCode::from(u8::from(totals.wrong_rounds > 0)),
        Err(error) => failed(&error),
    }
}

fn failed(error: &CrashError) -> ExitCode {
    // Where standard error is gone, the exit code still tells.
    _ = writeln!(anstream::stderr(), "quince-crash: {error}");
    ExitCode::from(3)
}

async fn run(args: &Args, totals: &mut Totals) -> Result<(), CrashError> {
    let temporary = tempfile::tempdir()?;
    let folder = args
        .directory
        .as_deref()
        .unwrap_or_else(|| temporary.path());
    let recipe = Recipe::new(&args.command, folder)?;
    let mut random = Random(args.seed);
    let mut cast = Cast::new(&mut random);
    let mut broker = recipe.start()?;
    recipe.ready(&mut broker).await?;
    for number in 1..=args.rounds {
        let load = Duration::from_millis(args.load);
        let plan = Plan::new(number, args.over.scheme(number), load, &mut random);
        let (next, outcome) = cast.play(&recipe, broker, &plan).await?;
        broker = next;
        totals.add(&outcome);
        if !args.quiet {
            report(&plan, &outcome)?;
        }
        if args.stop && !outcome.findings.is_empty() {
            break;
        }
    }
    Ok(())
}

/// How many findings of a round are told in words.
const TOLD: usize = 5;

fn report(plan: &Plan, outcome: &Outcome) -> io::Result<()> {
    let mut out = anstream::stderr().lock();
    writeln!(
        out,
        "round {} over {}: {} ms of load, {} acknowledged, {} refused, {} delivered, {} faults",
        plan.number,
        plan.scheme,
        outcome.load.as_millis(),
        outcome.acknowledged,
        outcome.refused,
        outcome.delivered,
        outcome.findings.len()
    )?;
    for finding in outcome.findings.iter().take(TOLD) {
        writeln!(out, "  {:?}: {}", finding.fault, finding.what)?;
    }
    Ok(())
}
