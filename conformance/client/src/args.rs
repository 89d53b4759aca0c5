//! The command line of `quince-client`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use quince_client::{Dialer, Endpoint, Identity, Scheme, Trust};
use quince_codec::topic::{TopicNameError, validate_topic_name};
use quince_codec::{QoS, RetainHandling, Version};

use crate::failure::Failure;
use crate::payload::Format;

/// Publish and subscribe by hand, over TCP, TLS, WebSocket and QUIC.
#[derive(Debug, Parser)]
#[command(name = "quince-client", version)]
#[command(after_help = "Exit codes:\n  \
    0  done\n  \
    1  the broker refused, broke off or fell silent\n  \
    2  wrong usage, or a file that is of no use\n  \
    3  no connection: nothing answers there")]
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
    #[arg(
        short,
        long,
        value_name = "ID",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) id: String,
    /// Keep Alive in seconds; 0 turns it off
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) keep_alive: u16,
    /// User Name
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Password. On a command line others may see it; in the environment they do not
    #[arg(
        long,
        value_name = "TEXT",
        env = "QUINCE_PASSWORD",
        hide_env_values = true
    )]
    pub(crate) password: Option<String>,
    /// Go on with the session that the broker has kept for this Client Identifier, and have it kept
    /// again (Clean Start off)
    #[arg(long)]
    pub(crate) keep_session: bool,
    /// How long the broker keeps the session after the connection (5.0) [default: not at all, or a
    /// day with --keep-session]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) session_expiry: Option<u32>,
    /// The message that the broker publishes if this client vanishes.
    #[command(flatten)]
    pub(crate) will: WillArgs,
    /// Where there is no connection, or no longer one, try again: after a second, then after longer
    /// and longer, up to half a minute
    #[arg(long)]
    pub(crate) reconnect: bool,
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

/// The Will Message.
#[derive(Debug, Args)]
pub(crate) struct WillArgs {
    /// Topic of the message that the broker publishes if this client vanishes
    #[arg(id = "will-topic", long, value_name = "TOPIC", value_parser = topic_name)]
    pub(crate) topic: Option<String>,
    /// That message's text [default: none]
    #[arg(
        id = "will-message",
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        requires = "will-topic"
    )]
    pub(crate) message: String,
    /// That message's Quality of Service
    #[arg(id = "will-qos", long, value_name = "QOS", default_value = "0", value_parser = qos, requires = "will-topic")]
    pub(crate) qos: QoS,
    /// Have the broker retain that message
    #[arg(id = "will-retain", long, requires = "will-topic")]
    pub(crate) retain: bool,
    /// How long the broker waits with it (5.0)
    #[arg(
        id = "will-delay",
        long,
        value_name = "SECONDS",
        requires = "will-topic"
    )]
    pub(crate) delay: Option<u32>,
}

impl Connection {
    /// Whether this version has properties.
    pub(crate) fn has_properties(&self) -> bool {
        self.version == Version::V5_0
    }

    /// What the argument parser cannot see.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.needs_5_0(&[
            ("--session-expiry", self.session_expiry.is_some()),
            ("--will-delay", self.will.delay.is_some()),
        ])?;
        let needs_id = self.keep_session || self.version == Version::V3_1;
        if !self.has_properties() && needs_id && self.id.is_empty() {
            return Err(Failure::Usage(format!(
                "MQTT {} needs a Client Identifier here: add --id",
                self.version
            )));
        }
        if !self.has_properties() && self.password.is_some() && self.user.is_none() {
            return Err(Failure::Usage(format!(
                "MQTT {} has no password without a user name: add --user",
                self.version
            )));
        }
        // Whoever names an authority believes that the connection is safe.
        let for_tls = [
            ("--cafile", self.cafile.is_some()),
            ("--insecure", self.insecure),
            ("--cert", self.cert.is_some()),
            ("--servername", self.servername.is_some()),
        ];
        match for_tls.iter().find(|(_, given)| *given) {
            Some((option, _)) if matches!(self.url.scheme(), Scheme::Tcp | Scheme::Ws) => {
                Err(Failure::Usage(format!(
                    "{option} needs TLS, and {} has none: use tls://, wss:// or quic://",
                    self.url
                )))
            }
            _ => Ok(()),
        }
    }

    /// Refuses those of these options that are given, if this version does not have them.
    pub(crate) fn needs_5_0(&self, options: &[(&str, bool)]) -> Result<(), Failure> {
        match options.iter().find(|(_, given)| *given) {
            Some((option, _)) if !self.has_properties() => Err(Failure::Usage(format!(
                "{option} needs MQTT 5.0, and this is {}",
                self.version
            ))),
            _ => Ok(()),
        }
    }

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
    #[arg(short, long, value_parser = topic_name)]
    pub(crate) topic: String,
    /// Quality of Service: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = qos)]
    pub(crate) qos: QoS,
    /// Have the broker retain the message
    #[arg(short, long)]
    pub(crate) retain: bool,
    /// How the message is given
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// Message Expiry Interval (5.0)
    #[arg(long, value_name = "SECONDS")]
    pub(crate) expiry: Option<u32>,
    /// Content Type (5.0)
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// Response Topic (5.0)
    #[arg(long, value_name = "TOPIC", value_parser = topic_name)]
    pub(crate) response_topic: Option<String>,
    /// Correlation Data (5.0)
    #[arg(long, value_name = "TEXT")]
    pub(crate) correlation_data: Option<String>,
    /// Say that the message is UTF-8 (Payload Format Indicator, 5.0)
    #[arg(long)]
    pub(crate) utf8: bool,
    /// User Property (5.0); may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = user_property)]
    pub(crate) user_property: Vec<(String, String)>,
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
    /// How each message is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// Leave out what this client publishes itself (5.0)
    #[arg(long)]
    pub(crate) no_local: bool,
    /// Keep the RETAIN flag as the publisher set it (5.0)
    #[arg(long)]
    pub(crate) retain_as_published: bool,
    /// Retained messages: 0 send them, 1 only if the subscription is new, 2 do not (5.0)
    #[arg(long, value_name = "0|1|2", default_value = "0", value_parser = retain_handling)]
    pub(crate) retain_handling: RetainHandling,
    /// Subscription Identifier (5.0)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=268_435_455))]
    pub(crate) subscription_id: Option<u32>,
    /// User Property of SUBSCRIBE (5.0); may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = user_property)]
    pub(crate) user_property: Vec<(String, String)>,
    /// End after this many messages
    #[arg(short = 'C', long, value_name = "MESSAGES")]
    pub(crate) count: Option<u64>,
    /// Print the topic before each payload
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

fn retain_handling(text: &str) -> Result<RetainHandling, String> {
    match text {
        "0" => Ok(RetainHandling::SendAtSubscribe),
        "1" => Ok(RetainHandling::SendIfNew),
        "2" => Ok(RetainHandling::DoNotSend),
        _ => Err("expected 0, 1 or 2".to_owned()),
    }
}

fn topic_name(text: &str) -> Result<String, TopicNameError> {
    validate_topic_name(text).map(|()| text.to_owned())
}

fn user_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("expected NAME=VALUE".to_owned()),
    }
}

fn qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("expected 0, 1 or 2".to_owned()),
    }
}
