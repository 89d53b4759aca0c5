//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use quince_client::{Endpoint, Scheme};
use quince_codec::Version;

use crate::LoadError;
use crate::case::{Case, Setting};
use crate::target::{Running, Target};

/// Load for any MQTT broker: throughput, fan-out, fan-in, pairs, paced latency, connections
///
/// Each broker is a URL that is running already (NAME=URL or URL), or a command that is started afresh for every case
/// (--start). With several, they take turns and are compared with the first.
#[derive(Debug, Parser)]
#[command(name = "quince-load", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Brokers that run already: `tcp://`, `tls://`, `ws://`, `wss://` or `quic://` URLs, each with an optional `NAME=` before it
    #[arg(value_name = "[NAME=]URL")]
    urls: Vec<String>,

    /// A broker to start: NAME=COMMAND or NAME@SCHEME=COMMAND. `{port}` in it becomes a free port on which 127.0.0.1 is
    /// dialled. The command runs in a shell
    #[arg(long, value_name = "NAME[@SCHEME]=COMMAND")]
    start: Vec<String>,

    /// Cases, separated by commas: q0, q1, q2, fanout, fanin, pairs, lat0, lat1, connect, idle, or `traffic` for the first six.
    /// A number behind a colon gives the number of clients: fanout:1000
    #[arg(long, default_value = "traffic", value_name = "CASES")]
    cases: String,

    /// Payload of each message in bytes, at least 16
    #[arg(long, default_value_t = 16, value_name = "BYTES")]
    size: usize,

    /// Protocol version
    #[arg(long, default_value = "3.1.1", value_parser = version, value_name = "VERSION")]
    mqtt: Version,

    /// How long each case is measured, in seconds; a second of warming up comes before
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    seconds: f64,

    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..), value_name = "COUNT")]
    pub(crate) rounds: u16,

    /// Messages per second of the paced cases, lat0 and lat1
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "COUNT")]
    rate: u32,

    /// Threads of the generator
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "COUNT")]
    pub(crate) threads: u16,

    /// Do not verify certificates
    #[arg(long)]
    insecure: bool,

    /// Write each single measurement as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Print the table as Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve as a broker that does as little as possible: what the generator reaches against it is the generator's own ceiling
    Sink {
        /// Port on 127.0.0.1
        #[arg(long, default_value_t = 1883)]
        port: u16,
    },
}

/// Clients of the cases with many, unless a number is given.
const MANY: usize = 100;
const PAIRS: usize = 50;
const IDLE: usize = 1000;

impl Arguments {
    pub(crate) fn targets(&self) -> Result<Vec<Target>, LoadError> {
        let running = self.urls.iter().map(|text| running_target(text));
        let started = self.start.iter().map(|text| started_target(text));
        let targets = running.chain(started).collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() {
            return Err(LoadError::Usage(
                "no broker: give a URL, or --start NAME=COMMAND".to_owned(),
            ));
        }
        Ok(targets)
    }

    pub(crate) fn cases(&self) -> Result<Vec<Case>, LoadError> {
        if !(16..=64 * 1024 * 1024).contains(&self.size) {
            return Err(LoadError::Usage(format!(
                "--size {}: a payload has 16 to 67108864 bytes, because it carries when and by whom it was sent",
                self.size
            )));
        }
        if !(self.seconds > 0.0 && self.seconds <= 86_400.0) {
            return Err(LoadError::Usage(format!(
                "--seconds {}: more than 0 and at most 86400",
                self.seconds
            )));
        }
        let mut cases = Vec::new();
        for word in self.cases.split(',').map(str::trim) {
            if word == "traffic" {
                for name in ["q0", "q1", "q2", "fanout", "fanin", "pairs"] {
                    cases.extend(case(name));
                }
            } else {
                cases.push(case(word).ok_or_else(|| {
                    LoadError::Usage(format!(
                        "no case `{word}`: there are q0, q1, q2, fanout, fanin, pairs, lat0, lat1, connect, idle and traffic"
                    ))
                })?);
            }
        }
        Ok(cases)
    }

    pub(crate) fn setting(&self, running: &Running) -> Setting {
        Setting {
            endpoint: running.endpoint.clone(),
            version: self.mqtt,
            insecure: self.insecure || running.own,
            size: self.size,
            duration: Duration::from_secs_f64(self.seconds),
            rate: self.rate,
        }
    }
}

fn version(text: &str) -> Result<Version, &'static str> {
    text.parse().map_err(|_| "expected 3.1, 3.1.1 or 5.0")
}

fn case(word: &str) -> Option<Case> {
    let (name, count) = match word.split_once(':') {
        Some((name, count)) => (name, Some(count.parse::<usize>().ok().filter(|n| *n > 0)?)),
        None => (word, None),
    };
    let many = |default: usize| count.unwrap_or(default);
    Some(match name {
        "q0" | "q1" | "q2" | "lat0" | "lat1" | "connect" if count.is_some() => return None,
        "q0" => Case::through(0),
        "q1" => Case::through(1),
        "q2" => Case::through(2),
        "fanout" => Case::FanOut(many(MANY)),
        "fanin" => Case::FanIn(many(MANY)),
        "pairs" => Case::Pairs(many(PAIRS)),
        "lat0" => Case::Paced(quince_codec::QoS::AtMostOnce),
        "lat1" => Case::Paced(quince_codec::QoS::AtLeastOnce),
        "connect" => Case::Connect,
        "idle" => Case::Idle(many(IDLE)),
        _ => return None,
    })
}

fn endpoint(text: &str) -> Result<Endpoint, LoadError> {
    Endpoint::parse(text).map_err(|error| LoadError::Usage(error.to_string()))
}

fn running_target(text: &str) -> Result<Target, LoadError> {
    // A URL may hold `=` only behind its `://`.
    let (name, url) = match text.split_once('=') {
        Some((name, url)) if !name.contains("://") => (name, url),
        _ => (text, text),
    };
    Ok(Target::running(name, endpoint(url)?))
}

fn started_target(text: &str) -> Result<Target, LoadError> {
    let (name, command) = text
        .split_once('=')
        .ok_or_else(|| LoadError::Usage(format!("--start {text}: expected NAME=COMMAND")))?;
    let (name, scheme) = name.split_once('@').unwrap_or((name, "tcp"));
    if !command.contains("{port}") {
        return Err(LoadError::Usage(format!(
            "--start {name}: the command has no {{port}}, so it could not be told where to listen"
        )));
    }
    let scheme: Scheme = endpoint(&format!("{scheme}://127.0.0.1"))?.scheme();
    Ok(Target::started(name, scheme, command))
}
