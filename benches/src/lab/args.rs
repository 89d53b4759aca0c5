//! The command line of `quince-lab`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::conditions::{Conditions, Even};
use super::contender::Contender;
use super::load::{Load, SMALLEST_PAYLOAD};
use super::profile;
use super::trial::Leg;

/// QUIC against TLS over TCP on a bad link, emulated inside this process: no set-up, no root where user namespaces are
/// allowed. Exit codes: 0 done; 1 figures that are not to be trusted, or a trial that failed; 2 wrong usage; 3 this
/// machine does not allow it (the message says what to do).
#[derive(Debug, Parser)]
#[command(name = "quince-lab", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Enter a user namespace even as root
    #[arg(long, global = true)]
    pub(crate) user_namespace: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One-way latency of messages under an open-loop load
    Run(RunArgs),
    /// Time from the first packet of a connection to CONNACK
    Connect(ConnectArgs),
    /// What survives when the client's address changes in the middle of a connection
    Rebind(RebindArgs),
    /// The links that `run --profile` knows, with their figures and where these come from
    Profiles(ProfilesArgs),
    /// What this machine allows, and what to do about the rest
    Doctor,
}

/// What the options that are not given mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Enough seconds for a p99.
    Full,
    /// Under three minutes.
    Quick,
    /// Some seconds: shows that everything works, proves nothing.
    Smoke,
}

/// Options that describe the link and the load; lists become all combinations.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Four cells in under three minutes: 0, 1 and 5 % loss and jitter at 50 ms round trip time
    #[arg(long, conflicts_with = "smoke")]
    quick: bool,
    /// The same in some seconds, with one seed: enough to see that it works, not to judge
    #[arg(long)]
    smoke: bool,
    /// Loss in each direction, in percent; several with commas [default: 0,1,5]
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = percent)]
    loss: Option<Vec<f64>>,
    /// Round trip time in milliseconds; several with commas [default: 50]
    #[arg(long, value_name = "MS", value_delimiter = ',', value_parser = round_trip)]
    rtt: Option<Vec<f64>>,
    /// Further delay of each packet, evenly between 0 and this, in milliseconds; several with commas
    #[arg(long, value_name = "MS", value_delimiter = ',', value_parser = jitter)]
    jitter: Option<Vec<f64>>,
    /// Links that people know instead of loss, round trip time and jitter; several with commas, `all` for all. `quince-lab profiles`
    /// lists them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with_all = ["loss", "rtt", "jitter", "quick"])]
    profile: Vec<String>,
    /// Takes profiles from this file, all of them unless --profile names some
    #[arg(long, value_name = "FILE", conflicts_with_all = ["loss", "rtt", "jitter", "quick"])]
    profile_file: Option<PathBuf>,
    /// What is compared: quic, quic-per-topic, quic-per-message, tls-CONTROL, tcp-CONTROL [default: tls-cubic,tls-bbr,quic, without
    /// --quick quic-per-topic too]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    transports: Option<Vec<Contender>>,
    /// Which way of a message crosses the link
    #[arg(long, value_enum, default_value = "publisher")]
    pub(crate) leg: Leg,
    /// Seeds for each cell; statements need three
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,
    /// First seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first_seed: u64,
    #[command(flatten)]
    load: LoadArgs,
    /// Seconds from the first message to the last
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<f64>,
    /// Links that run at the same time [default: twice the processors, at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: Option<u16>,
    /// Write every trial to this file as it ends, and begin with those that are in it: a run that was stopped goes on, and more
    /// seeds or contenders may be added
    #[arg(long, value_name = "FILE")]
    pub(crate) records: Option<PathBuf>,
    /// Write the configuration, every trial and every cell as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with the distributions; it needs nothing but itself
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// No progress on stderr
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// The load, its length apart.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LoadArgs {
    /// Topics, published in turn
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    topics: u32,
    /// Messages per second on each topic
    #[arg(long, value_name = "PER SECOND", default_value_t = 50.0, value_parser = rate)]
    rate: f64,
    /// Bytes of each payload
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = payload)]
    payload: usize,
    /// Quality of Service: 0 or 1
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
}

impl LoadArgs {
    pub(crate) fn load(&self, seconds: f64) -> Load {
        let Self {
            topics,
            rate,
            payload,
            qos,
        } = *self;
        Load {
            topics,
            rate,
            payload,
            qos,
            seconds,
        }
    }
}

impl RunArgs {
    pub(crate) fn depth(&self) -> Depth {
        if self.quick {
            Depth::Quick
        } else if self.smoke {
            Depth::Smoke
        } else {
            Depth::Full
        }
    }

    /// The cells of the table, in its order. Options that are given make a grid; else the depth says.
    ///
    /// # Errors
    /// When there is no such profile, or the file is of no use.
    pub(crate) fn conditions(&self) -> Result<Vec<Conditions>, String> {
        if self.profile.is_empty() && self.profile_file.is_none() {
            return Ok(self.grid());
        }
        let known = match &self.profile_file {
            Some(file) => profile::of_file(file)?,
            None => profile::ours(),
        };
        if self.profile.is_empty() || self.profile == ["all"] {
            return Ok(known.into_iter().map(Conditions::of).collect());
        }
        let find = |name: &String| {
            let found = known.iter().find(|profile| profile.name == *name);
            found.cloned().map(Conditions::of).ok_or_else(|| {
                let names: Vec<_> = known.iter().map(|profile| profile.name.as_str()).collect();
                format!(
                    "there is no profile '{name}': use {} or all",
                    names.join(", ")
                )
            })
        };
        self.profile.iter().map(find).collect()
    }

    fn grid(&self) -> Vec<Conditions> {
        let plain = self.loss.is_none() && self.rtt.is_none() && self.jitter.is_none();
        if plain {
            return [(0.0, 0.0), (1.0, 0.0), (5.0, 0.0), (0.0, 10.0)]
                .map(|(loss, jitter)| {
                    Conditions::Even(Even {
                        rtt: 50.0,
                        loss,
                        jitter,
                    })
                })
                .to_vec();
        }
        let mut cells = Vec::new();
        for &rtt in self.rtt.as_deref().unwrap_or(&[50.0]) {
            for &jitter in self.jitter.as_deref().unwrap_or(&[0.0]) {
                for &loss in self.loss.as_deref().unwrap_or(&[0.0, 1.0, 5.0]) {
                    cells.push(Conditions::Even(Even { rtt, loss, jitter }));
                }
            }
        }
        cells
    }

    pub(crate) fn contenders(&self) -> Vec<Contender> {
        self.transports.clone().unwrap_or_else(|| {
            let names: &[&str] = match self.depth() {
                Depth::Full => &["tls-cubic", "tls-bbr", "quic", "quic-per-topic"],
                Depth::Quick | Depth::Smoke => &["tls-cubic", "tls-bbr", "quic"],
            };
            let parsed = names.iter().map(|name| name.parse());
            parsed.map(|it| it.expect("a contender's name")).collect()
        })
    }

    pub(crate) fn seeds(&self) -> Vec<u64> {
        let count = self.seeds.unwrap_or_else(|| match self.depth() {
            Depth::Full => 5,
            Depth::Quick => 3,
            Depth::Smoke => 1,
        });
        (0..count)
            .map(|offset| self.first_seed.wrapping_add(offset))
            .collect()
    }

    pub(crate) fn load(&self) -> Load {
        self.load
            .load(self.duration.unwrap_or_else(|| match self.depth() {
                Depth::Full => 20.0,
                Depth::Quick => 8.0,
                Depth::Smoke => 1.5,
            }))
    }

    /// How long stragglers are waited for.
    pub(crate) fn patience(&self) -> Duration {
        match self.depth() {
            Depth::Full => Duration::from_secs(30),
            Depth::Quick | Depth::Smoke => Duration::from_secs(10),
        }
    }

    /// How often a tainted trial is done again.
    pub(crate) fn repeats(&self) -> usize {
        match self.depth() {
            Depth::Full | Depth::Quick => 2,
            // It proves nothing anyway.
            Depth::Smoke => 0,
        }
    }

    /// When no trial is done again any more, from the start: `--quick` ends in under three minutes on any machine that can
    /// keep up at all, and a last repetition takes up to 20 seconds.
    pub(crate) fn repeat_until(&self) -> Duration {
        match self.depth() {
            Depth::Full => Duration::MAX,
            Depth::Quick | Depth::Smoke => Duration::from_secs(150),
        }
    }

    pub(crate) fn parallel(&self) -> usize {
        self.parallel.map_or_else(
            || {
                let processors = std::thread::available_parallelism().map_or(1, usize::from);
                (2 * processors).min(8)
            },
            usize::from,
        )
    }
}

/// Options of `profiles`.
#[derive(Debug, Args)]
pub(crate) struct ProfilesArgs {
    /// As a file, to be changed and given to `run --profile-file`
    #[arg(long)]
    pub(crate) toml: bool,
}

/// Options of `connect`.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Loss in each direction, in percent; several with commas
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = percent, default_value = "0,5")]
    pub(crate) loss: Vec<f64>,
    /// Round trip time in milliseconds
    #[arg(long, value_name = "MS", value_parser = round_trip, default_value_t = 50.0)]
    pub(crate) rtt: f64,
    /// What is compared: quic, tls-CONTROL, tcp-CONTROL
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "tcp-cubic,tls-cubic,quic"
    )]
    pub(crate) transports: Vec<Contender>,
    /// Connections of each, one after the other on each link
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) connections: u32,
    /// Seed of the losses
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Links that share the connections of each cell, running at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
    /// Write every cell as a JSON line
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// How the address of the client changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Move {
    /// A new port of the same address
    Port,
    /// A new port of a new address
    Address,
}

/// What becomes of the old mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Old {
    /// It goes on working for what comes in, and for TCP in both directions
    Kept,
    /// It is gone, and TCP is told with RST
    Reset,
    /// It is gone without a word
    Silent,
}

/// Options of `rebind`.
#[derive(Debug, Args)]
pub(crate) struct RebindArgs {
    /// What changes
    #[arg(long, value_enum, default_value = "port")]
    pub(crate) to: Move,
    /// What becomes of the old mapping; several with commas
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "reset,silent"
    )]
    pub(crate) old: Vec<Old>,
    /// Round trip time in milliseconds
    #[arg(long, value_name = "MS", value_parser = round_trip, default_value_t = 50.0)]
    pub(crate) rtt: f64,
    /// What is compared: quic, tls-CONTROL, tcp-CONTROL
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "tcp-cubic,tls-cubic,quic"
    )]
    pub(crate) transports: Vec<Contender>,
    /// Seconds from the first message to the last; the address changes after half of it
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value_t = 8.0)]
    pub(crate) duration: f64,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Write every trial as a JSON line
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

fn number(text: &str, least: f64, most: f64, what: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value: &f64| (least..=most).contains(value))
        .ok_or_else(|| format!("expected {what}, from {least} to {most}"))
}

fn percent(text: &str) -> Result<f64, String> {
    number(text, 0.0, 90.0, "a share of the packets in percent")
}

fn round_trip(text: &str) -> Result<f64, String> {
    number(text, 0.0, 10_000.0, "milliseconds")
}

fn jitter(text: &str) -> Result<f64, String> {
    number(text, 0.0, 10_000.0, "milliseconds")
}

fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.1, 86_400.0, "seconds")
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, 0.001, 100_000.0, "messages per second on each topic")
}

fn payload(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|bytes| (SMALLEST_PAYLOAD..=65_000).contains(bytes))
        .ok_or_else(|| {
            format!("expected bytes, from {SMALLEST_PAYLOAD} (a message says which it is) to 65000")
        })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run(arguments: &[&str]) -> RunArgs {
        let words = ["quince-lab", "run"].iter().chain(arguments);
        match Cli::try_parse_from(words).expect("a command line").command {
            Command::Run(run) => run,
            other => panic!("{other:?}"),
        }
    }

    fn wrong(arguments: &[&str]) -> String {
        let words = ["quince-lab"].iter().chain(arguments);
        Cli::try_parse_from(words)
            .expect_err("wrong usage")
            .to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_quick_run_is_what_it_is_said_to_be() {
        let quick = run(&["--quick"]);
        let cells: Vec<_> = quick.grid().iter().map(ToString::to_string).collect();
        let expected = [
            "RTT 50 ms, 0 % loss",
            "RTT 50 ms, 1 % loss",
            "RTT 50 ms, 5 % loss",
            "RTT 50 ms, jitter 10 ms",
        ];
        assert_eq!(cells, expected);
        let contenders: Vec<_> = quick.contenders().iter().map(ToString::to_string).collect();
        assert_eq!(contenders, ["tls-cubic", "tls-bbr", "quic"]);
        assert_eq!(quick.seeds(), [1, 2, 3]);
        assert_eq!(quick.load().messages(), 3_200);
        assert_eq!(quick.leg, Leg::Publisher);
    }

    #[test]
    fn lists_become_all_combinations() {
        let cells = run(&["--loss", "0,2.5", "--rtt", "20,300"]).grid();
        let cells: Vec<_> = cells.iter().map(ToString::to_string).collect();
        let expected = [
            "RTT 20 ms, 0 % loss",
            "RTT 20 ms, 2.5 % loss",
            "RTT 300 ms, 0 % loss",
            "RTT 300 ms, 2.5 % loss",
        ];
        assert_eq!(cells, expected);
    }

    #[test]
    fn profiles_are_taken_by_name() {
        let names = |arguments: &[&str]| -> Result<Vec<_>, _> {
            let cells = run(arguments).conditions()?;
            Ok(cells.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let two = names(&["--profile", "train,lan"]);
        assert_eq!(two, Ok(vec!["train".to_owned(), "lan".to_owned()]));
        let all = names(&["--profile", "all"]).expect("the lab's own");
        assert_eq!(all.len(), profile::ours().len());
        let unknown: Result<Vec<String>, String> = names(&["--profile", "moon"]);
        let error = unknown.expect_err("no such profile");
        assert!(
            error.contains("no profile 'moon': use lan, home-wifi"),
            "{error}"
        );
        let error = names(&["--profile-file", "nowhere.toml"]).expect_err("no such file");
        assert!(error.contains("nowhere.toml: No such file"), "{error}");
    }

    #[test]
    fn wrong_usage_says_what_was_expected() {
        for (arguments, expected) in [
            (
                &["run", "--loss", "101"][..],
                "expected a share of the packets in percent, from 0 to 90",
            ),
            (
                &["run", "--loss", "a"],
                "expected a share of the packets in percent",
            ),
            (&["run", "--rtt=-1"], "expected milliseconds, from 0"),
            (&["run", "--payload", "4"], "expected bytes, from 20"),
            (
                &["run", "--transports", "udp"],
                "use quic, quic-per-topic, quic-per-message, tls-CONTROL or tcp-CONTROL",
            ),
            (&["run", "--seeds", "0"], "1..=1000"),
            (&["run", "--quick", "--smoke"], "cannot be used with"),
            (
                &["run", "--profile", "lan", "--loss", "1"],
                "cannot be used with",
            ),
            (&["run", "--qos", "2"], "0..=1"),
            (
                &["rebind", "--old", "gone"],
                "possible values: kept, reset, silent",
            ),
            (&["launch"], "unrecognized subcommand"),
        ] {
            let error = wrong(arguments);
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }
}
