//! The lab itself; Linux only, because its links are made of network namespaces.

mod actors;
mod args;
mod broker;
mod clients;
mod clock;
mod conditions;
mod connect;
mod contender;
mod doctor;
mod fault;
mod generator;
mod latency;
mod load;
mod machine;
mod network;
mod preflight;
mod profile;
mod profiles;
mod rebind;
mod records;
mod report;
mod run;
mod samples;
mod sockets;
mod statistics;
mod tally;
mod trial;

use std::fmt;
use std::process::ExitCode;

use clap::Parser as _;
use quince_link::{Enter, Unavailable};

use args::{Cli, Command};
use fault::Fault;

/// The figures are not to be trusted, or a trial gave none.
const NOT_TRUSTED: u8 = 1;
/// A file that cannot be written.
const USAGE: u8 = 2;
/// This machine does not allow it.
const REFUSED: u8 = 3;

/// Why a command ends without what it was asked for.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("{0}")]
    Usage(String),
    #[error("failed to write '{file}': {source}")]
    Write {
        file: String,
        source: std::io::Error,
    },
    #[error("failed to write to the terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Fault(Fault::Refused(_)) => REFUSED,
            Self::Fault(_) => NOT_TRUSTED,
            Self::Usage(_) | Self::Write { .. } | Self::Terminal(_) => USAGE,
        }
    }
}

/// Whether all figures can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Yes,
    No,
}

/// The program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match carry_out(&cli) {
        Ok(Trust::Yes) => ExitCode::SUCCESS,
        Ok(Trust::No) => ExitCode::from(NOT_TRUSTED),
        Err(failure) => {
            complain(&failure);
            ExitCode::from(failure.code())
        }
    }
}

fn complain(failure: &impl fmt::Display) {
    anstream::eprintln!("quince-lab: {failure}");
}

fn carry_out(cli: &Cli) -> Result<Trust, Failure> {
    // The kernel moves a process only as long as it has one thread, so this comes before everything.
    let enter = if cli.user_namespace {
        Enter::Always
    } else {
        Enter::UnlessRoot
    };
    let entered = quince_link::enter_user_namespace(enter);
    machine::raise_priority();
    let allowed = || {
        let refused = |error: &Unavailable| Fault::Refused(error.to_string());
        entered.as_ref().map_err(refused).copied()
    };
    match &cli.command {
        // It tells the refusal, and what else there is to it.
        Command::Doctor => doctor::run(entered),
        Command::Profiles(args) => profiles::run(args),
        Command::Run(args) => {
            allowed()?;
            latency::run(args)
        }
        Command::Connect(args) => {
            allowed()?;
            connect::run(args)
        }
        Command::Rebind(args) => {
            allowed()?;
            rebind::run(args)
        }
    }
}
