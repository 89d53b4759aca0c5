//! The command `quince-client`: publish and subscribe by hand.

mod args;
mod connection;
mod failure;
mod payload;
mod publish;
mod subscribe;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::{Cli, Command};

/// How long each step of a conversation may take the broker.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Pub(args) => publish::run(&args).await,
        Command::Sub(args) => subscribe::run(&args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be left to read it.
            let _ = writeln!(anstream::stderr(), "quince-client: {error}");
            error.exit_code()
        }
    }
}
