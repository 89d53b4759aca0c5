//! Load for any MQTT broker, or for several in turn, with ratios between them.
//!
//! The generator knows nothing of any broker: it dials URLs, or starts a command and dials that. Every round starts each
//! broker afresh, so that no case suffers from what an earlier one left behind, and takes the brokers in turn, so that a change of
//! the machine's mood meets all of them.

mod args;
mod case;
mod connection;
mod connections;
mod measure;
mod paced;
mod report;
mod sink;
mod target;
mod traffic;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::report::Report;
use crate::target::Target;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// A broker could not be started or reached.
    #[error("{target}: {reason}")]
    Target {
        /// Its name.
        target: String,
        /// What happened.
        reason: String,
    },
    /// A connection that should work did not.
    #[error("connection {name}: {reason}")]
    Connection {
        /// Client Identifier.
        name: String,
        /// What happened.
        reason: String,
    },
    /// Something happened that makes the figures worthless.
    #[error("{0}")]
    Spoiled(String),
    /// A file or the terminal.
    #[error("{0}")]
    Output(#[from] std::io::Error),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::Sink { port }) => sink::serve(port).map_err(LoadError::from),
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if matches!(error, LoadError::Usage(_)) {
                2
            } else {
                1
            };
            _ = writeln!(anstream::stderr(), "quince-load: {error}");
            ExitCode::from(code)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), LoadError> {
    let targets = arguments.targets()?;
    let cases = arguments.cases()?;
    let mut report = Report::new(arguments)?;
    for round in 1..=arguments.rounds {
        for case in &cases {
            for target in &targets {
                let outcome = measure_once(arguments, case, target)?;
                report.add(round, case, target, outcome)?;
            }
        }
    }
    report.finish(&targets, &cases)
}

fn measure_once(
    arguments: &Arguments,
    case: &case::Case,
    target: &Target,
) -> Result<measure::Outcome, LoadError> {
    let running = target.start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads.into())
        .enable_all()
        .build()?;
    let setting = arguments.setting(&running);
    let outcome = runtime.block_on(case.play(&setting, &running));
    runtime.shutdown_background();
    outcome
}
