//! The command line of `quince-client`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use quince_client::{Dialer, Endpoint, Identity, Trust};
use quince_codec::{QoS, Version};

use crate::Failure;

/// Publish and subscribe by hand, over TCP, TLS, WebSocket and QUIC.
#[derive(Debug, Parser)]
#[command(name = "quince-client", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish one message, and end when the broker has it as its QoS promises
    Pub(PublishArgs),
    /// Subscribe, and print the payload of each message on a line
    Sub(SubscribeArgs),
}

/// To whom, and how.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// The broker: mqtt://HOST[:1883] or tcp://, mqtts://HOST[:8883] or tls://,
    /// ws://HOST[:8083][/mqtt], wss://HOST[:8084][/mqtt], quic://HOST[:14567]
    #[arg(short, long, value_name = "URL", default_value = "mqtt://127.0.0.1")]
    pub(crate) url: Endpoint,
    /// MQTT version: 5.0, 3.1.1 or 3.1
    #[arg(
        short = 'V',
        long = "mqtt",
        value_name = "VERSION",
        default_value = "5.0"
    )]
    pub(crate) version: Version,
    /// Client Identifier [default: the broker chooses]
    #[arg(short, long, value_name = "ID", default_value = "")]
    pub(crate) id: String,
    /// Keep Alive in seconds; 0 turns it off
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) keep_alive: u16,
    /// PEM file of the certificate authorities to trust [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    cafile: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long)]
    insecure: bool,
    /// PEM file of the client certificate to show, its chain behind it
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file of the client certificate's private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Ask for the certificate of this name instead of the URL's host (SNI)
    #[arg(long, value_name = "NAME")]
    servername: Option<String>,
}

impl Connection {
    /// What dials as these arguments say, and waits for at most `timeout` each time.
    pub(crate) fn dialer(&self, timeout: Duration) -> Result<Dialer, Failure> {
        let trust = match &self.cafile {
            Some(file) => Trust::from_pem_file(file)?,
            None if self.insecure => Trust::Anyone,
            None => Trust::System,
        };
        let mut dialer = Dialer::new(trust, timeout);
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            dialer = dialer.with_identity(Identity::from_pem_files(certificate, key)?);
        }
        if let Some(name) = &self.servername {
            dialer = dialer.with_server_name(name.clone());
        }
        Ok(dialer)
    }
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("payload").required(true))]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Topic Name
    #[arg(short, long)]
    pub(crate) topic: String,
    /// Quality of Service: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = qos)]
    pub(crate) qos: QoS,
    /// Have the broker retain the message
    #[arg(short, long)]
    pub(crate) retain: bool,
    /// The message's text
    #[arg(short, long, group = "payload", value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// The message is what this file holds
    #[arg(short, long, group = "payload", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The message is empty; with --retain it clears the topic
    #[arg(short, long, group = "payload")]
    pub(crate) null: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Topic Filter; may be given several times
    #[arg(short, long, required = true, value_name = "FILTER")]
    pub(crate) topic: Vec<String>,
    /// Highest Quality of Service to be delivered: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = qos)]
    pub(crate) qos: QoS,
    /// End after this many messages
    #[arg(short = 'C', long, value_name = "MESSAGES")]
    pub(crate) count: Option<u64>,
    /// Print the topic before each payload
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

fn qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("expected 0, 1 or 2".to_owned()),
    }
}
