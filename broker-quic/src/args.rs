//! The command line of `quince-broker`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use quince_broker::{Durable, ListenerUrl};

/// An MQTT broker over TCP, TLS, WebSocket and QUIC.
///
/// Without arguments it serves loopback only: MQTT over TCP on port 1883, over WebSocket on port
/// 8083, and over QUIC on UDP port 14567 with a certificate that lives in memory. On standard output it prints one line per
/// listener, then `ready`; it logs to standard error. SIGINT or SIGTERM end it in order,
/// SIGHUP makes it read certificates, passwords and access rules again.
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
pub(crate) enum Command {
    /// Serve clients (this is what happens without a command)
    Serve(Box<Serve>),
    /// Say whether a configuration file, and every file that it names, is good
    CheckConfig(CheckConfig),
    /// Print the annotated default configuration
    DefaultConfig,
    /// Say what a data folder holds, and whether anything is gone; changes nothing
    Inspect(Inspect),
    /// Set a user's password in a password file, or delete a user
    Passwd(Passwd),
}

/// Reads the store of a data folder. A broker may be running on it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Inspect {
    /// The data folder
    pub(crate) directory: PathBuf,
}

/// Checks a configuration as a start would, and starts nothing.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckConfig {
    /// The configuration file
    pub(crate) file: PathBuf,
}

/// Changes one user of a password file.
///
/// On a terminal the password is asked for twice; otherwise the first line of standard input is it. A running broker
/// reads the file again at SIGHUP.
#[derive(Clone, Debug, Args)]
pub(crate) struct Passwd {
    /// The password file; it is made if it is missing
    pub(crate) file: PathBuf,
    /// The user's name
    pub(crate) user: String,
    /// Delete the user
    #[arg(long, short = 'D')]
    pub(crate) delete: bool,
    /// Keep the password so that clients can log in by SCRAM-SHA-256 too, without sending it
    #[arg(long, conflicts_with = "delete")]
    pub(crate) scram: bool,
    /// How often SCRAM hashes, which each login costs the client [default: 100000]
    #[arg(long, value_name = "NUMBER", requires = "scram")]
    pub(crate) iterations: Option<NonZeroU32>,
}

/// How to serve.
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Listen here: tcp://ADDRESS:PORT, tls://, ws://, wss:// or quic://; port 0 lets the system
    /// choose. May be given several times [default: tcp://127.0.0.1:1883 ws://127.0.0.1:8083 quic://127.0.0.1:14567]
    #[arg(long, value_name = "URL", env = "QUINCE_LISTEN", value_delimiter = ',')]
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
    /// The configuration file (see `default-config`); flags and QUINCE_... variables go over it
    #[arg(long, value_name = "FILE", env = "QUINCE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Set anything that `default-config` shows, as limits.queue_messages=200. May be given several times
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Users and their hashed passwords (see `passwd`)
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Who may do what, in the form of mosquitto's acl_file
    #[arg(long, value_name = "FILE")]
    pub(crate) acl_file: Option<PathBuf>,
    /// Keep Sessions, messages and the broker's own certificate in this folder, so that they outlive the process
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    pub(crate) data_dir: Option<PathBuf>,
    /// When something counts as stored: sync (on the medium), batch:MILLISECONDS (on the medium at most so much later), or
    /// memory (it goes with the process; only the certificate stays)
    #[arg(long, default_value = "sync", requires = "data_dir")]
    pub(crate) durability: Durable,
    /// Start although the store has lost something, with what is left of it
    #[arg(long, requires = "data_dir")]
    pub(crate) accept_loss: bool,
    /// Keep everything in memory; nothing outlives the process (this is what happens without --data-dir)
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Let clients in that give neither name nor password, on every listener that does not say otherwise
    #[arg(long)]
    pub(crate) allow_anonymous: bool,
}

impl Cli {
    pub(crate) fn into_command(self) -> Command {
        self.command
            .unwrap_or_else(|| Command::Serve(Box::new(self.serve)))
    }
}
