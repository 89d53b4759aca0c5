//! The command `quince-client`: publish and subscribe by hand.

mod args;
mod publish;
mod subscribe;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use quince_client::{Client, ConnectOptions};

use crate::args::{Cli, Command, Connection};

/// How long each step of a conversation may take the broker.
const PATIENCE: Duration = Duration::from_secs(10);

/// What ends the command early, in words for the user.
type Failure = Box<dyn std::error::Error>;

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
            ExitCode::FAILURE
        }
    }
}

/// Connects as `connection` says.
async fn connect(connection: &Connection) -> Result<Client, Failure> {
    let dialer = connection.dialer(PATIENCE)?;
    let transport = dialer.dial(&connection.url).await?;
    let options = ConnectOptions {
        version: connection.version,
        client_id: connection.id.clone(),
        keep_alive: connection.keep_alive,
        clean_start: true,
        patience: PATIENCE,
    };
    Ok(Client::connect(transport, &options).await?)
}
