//! The command line: its words, and what is wrong with a wrong one.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use quince_client::{Endpoint, Trust};
use quince_codec::Version;

use crate::{explore::arguments::ExploreArguments, suggest};

/// The names of the commands, for suggestions.
const COMMANDS: [&str; 8] = [
    "run",
    "list",
    "statements",
    "explain",
    "matrix",
    "prove",
    "explore",
    "replay",
];

/// Plays MQTT conformance scenarios against a broker, and judges it.
///
/// Without a command it runs the suite; without a URL the target is the embedded broker, over TCP and over QUIC.
#[derive(Debug, Parser)]
#[command(
    name = "quince-conformance",
    version,
    args_conflicts_with_subcommands = true
)]
#[command(after_help = "Exit codes:\n  \
    0  no MUST-level failure outside the baseline\n  \
    1  a MUST-level failure or inconclusive, a baseline entry that passes, or a target on which nothing passed\n  \
    2  wrong usage or a broken file\n  \
    3  nothing answers CONNECT within 10 s, or the suite itself failed")]
pub struct Arguments {
    /// What to do; `run` if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of `run`.
    #[command(flatten)]
    pub run: RunArguments,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play the suite against brokers (the default)
    Run(RunArguments),
    /// List the scenarios
    List(Selection),
    /// Show every statement with its coverage and proof
    Statements {
        /// Write the rows as JSON to this file
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Explain one statement or scenario in words, or a failure as an issue text
    Explain {
        /// A statement such as MQTT5-3.3.1-1, or a scenario
        id: String,
        /// Print the failures of that scenario in this JSON report as a text that is ready to be filed
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Compare brokers: statements against brokers and transports, from several JSON reports
    Matrix {
        /// JSON reports of `run`
        #[arg(required = true, value_name = "JSON")]
        files: Vec<PathBuf>,
        /// Write the matrix as a page to this file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Write the matrix as Markdown to this file
        #[arg(long, value_name = "FILE")]
        markdown: Option<PathBuf>,
    },
    /// Show that each check catches the faults it is meant for
    Prove {
        /// Blind each expectation in turn, and list those that catch nothing
        #[arg(long)]
        audit: bool,
        /// Which scenarios.
        #[command(flatten)]
        selection: Selection,
    },
    /// Play programs that nobody wrote, judged by a model of MQTT, and write down what fails
    Explore(ExploreArguments),
    /// Play the scenarios, or the program, of one file, and show all that crosses the wire
    Replay {
        /// A scenario file, or a program that `explore` wrote
        file: PathBuf,
        /// Where, how, and what is written.
        #[command(flatten)]
        run: RunArguments,
    },
}

/// Which scenarios, in which versions.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Only these versions
    #[arg(long, value_name = "VERSION", value_delimiter = ',', value_parser = parse_version)]
    pub mqtt: Vec<Version>,
    /// Only scenarios whose id contains this text
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Only scenarios that judge this statement
    #[arg(long, value_name = "ID")]
    pub statement: Option<String>,
}

impl Selection {
    /// The versions to play, oldest first.
    pub fn versions(&self) -> Vec<Version> {
        Version::ALL
            .into_iter()
            .filter(|version| self.mqtt.is_empty() || self.mqtt.contains(version))
            .collect()
    }
}

/// Whose certificates are taken.
#[derive(Clone, Copy, Debug, Args)]
pub struct Accepted {
    /// Accept any certificate
    #[arg(long)]
    pub insecure: bool,
}

impl Accepted {
    /// As a dialler needs it.
    pub const fn trust(self) -> Trust {
        if self.insecure {
            Trust::Anyone
        } else {
            Trust::System
        }
    }
}

/// The options of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The brokers to judge; the embedded one if empty.
    #[arg(
        help = "Brokers: mqtt://HOST[:PORT], mqtts://, ws://, wss://, quic://; the embedded broker if left out"
    )]
    #[arg(value_name = "URL", value_parser = parse_target)]
    pub urls: Vec<Endpoint>,
    /// The file that tells of one broker.
    #[arg(help = "One broker with its listeners, credentials, commands and configurations")]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["urls", "insecure"])]
    pub target: Option<PathBuf>,
    /// Which scenarios.
    #[command(flatten)]
    pub selection: Selection,
    /// Scenarios played at once on each target
    #[arg(long, value_name = "N", default_value = "16")]
    pub jobs: NonZeroUsize,
    /// Whose certificates are taken.
    #[command(flatten)]
    pub accepted: Accepted,
    /// Print only what went wrong
    #[arg(long, short)]
    pub quiet: bool,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the report as TAP to this file
    #[arg(long, value_name = "FILE")]
    pub tap: Option<PathBuf>,
    /// Write the report as Markdown to this file
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the report as one page, with every transcript, to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The file of known deviations.
    #[arg(help = "Known deviations, one a line: SCENARIO [VERSION] [TRANSPORT] : REASON")]
    #[arg(
        long_help = "Known deviations, one a line: SCENARIO [VERSION] [TRANSPORT] : REASON\n\n\
        An entry that passes makes the run fail, so that the file only shrinks. Lines that begin with # are comments."
    )]
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
}

pub(crate) fn parse_version(text: &str) -> Result<Version, String> {
    text.parse()
        .map_err(|_| "the versions are 3.1, 3.1.1 and 5.0".to_owned())
}

/// A URL; what has no `://` is none, and gets a guess at what was meant.
pub(crate) fn parse_target(text: &str) -> Result<Endpoint, String> {
    if !text.contains("://") {
        let commands = suggest::nearest(text, COMMANDS.into_iter());
        return Err(if commands.is_empty() {
            format!("this is no URL: did you mean `mqtt://{text}`?")
        } else {
            format!(
                "this is neither a command nor a URL{}",
                suggest::did_you_mean(&commands)
            )
        });
    }
    text.parse::<Endpoint>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_is_suggested() {
        let names: Vec<String> = Arguments::command()
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        assert_eq!(names, COMMANDS);
    }

    #[test]
    fn what_is_no_url_gets_a_guess() {
        for (text, expected) in [
            (
                "localhost:1883",
                "this is no URL: did you mean `mqtt://localhost:1883`?",
            ),
            (
                "statments",
                "this is neither a command nor a URL: did you mean `statements`?",
            ),
        ] {
            assert_eq!(parse_target(text).expect_err(text), expected);
        }
        assert_eq!(
            parse_target("mqtt://localhost").expect("a URL").to_string(),
            "tcp://localhost:1883"
        );
    }

    #[test]
    fn without_a_command_it_runs() {
        let arguments =
            Arguments::try_parse_from(["q", "--mqtt", "3.1.1,5.0", "quic://h"]).expect("parses");
        assert!(arguments.command.is_none());
        assert_eq!(arguments.run.urls.len(), 1);
        assert_eq!(
            arguments.run.selection.versions(),
            [Version::V3_1_1, Version::V5_0]
        );
        assert_eq!(Selection::default().versions(), Version::ALL);
    }
}
