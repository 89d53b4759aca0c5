//! The command line of `quince-broker`.

use clap::{Args, Parser, Subcommand};
use quince_broker::ListenerUrl;

/// An MQTT broker over TCP, TLS, WebSocket and QUIC.
///
/// Without arguments it serves loopback only: MQTT over TCP on port 1883, over WebSocket on port
/// 8083, and over QUIC on UDP port 14567 with a certificate that lives in memory. On standard output it prints one line per
/// listener, then `ready`; it logs to standard error. SIGINT or SIGTERM end it in order.
#[derive(Debug, Parser)]
#[command(
    name = "quince-broker",
    version,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients (this is what happens without a command)
    Serve(Serve),
}

/// How to serve.
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Listen here: tcp://ADDRESS:PORT, tls://, ws://, wss:// or quic://; port 0 lets the system
    /// choose. May be given several times [default: tcp://127.0.0.1:1883 ws://127.0.0.1:8083 quic://127.0.0.1:14567]
    #[arg(long, value_name = "URL")]
    pub(crate) listen: Vec<ListenerUrl>,
    /// Keep everything in memory; nothing outlives the process (the only way there is so far)
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Let anybody in who reaches a listener that is not on loopback
    #[arg(long)]
    pub(crate) allow_anonymous: bool,
}

impl Cli {
    pub(crate) fn into_serve(self) -> Serve {
        match self.command {
            Some(Command::Serve(serve)) => serve,
            None => self.serve,
        }
    }
}
