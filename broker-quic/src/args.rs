//! The command line of `quince-broker`.

use std::path::PathBuf;

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
    /// PEM file of the certificate that encrypted listeners show, its chain behind it [default: one
    /// of their own, in memory]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// PEM file of that certificate's private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Let in who shows a certificate signed by an authority of this PEM file, and nobody else, on
    /// encrypted listeners
    #[arg(long, value_name = "FILE")]
    pub(crate) client_ca: Option<PathBuf>,
    /// PEM file of client certificates that were revoked. May be given several times, once for each
    /// authority
    #[arg(long, value_name = "FILE", requires = "client_ca")]
    pub(crate) crl: Vec<PathBuf>,
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
