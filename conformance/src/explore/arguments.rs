//! The options of `explore`.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use quince_client::Endpoint;
use quince_codec::Version;

use crate::args::{Accepted, parse_target, parse_version};

/// What to explore, for how long, and where findings go.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes:\n  \
    0  nothing found\n  \
    1  something found, now or by the exploration that is resumed\n  \
    2  wrong usage or a broken file\n  \
    3  nothing answers CONNECT within 10 s, or nothing could be played")]
pub struct ExploreArguments {
    /// The broker to explore; the core of the embedded one, in virtual time, if left out.
    #[arg(help = "A broker, as for `run`; the embedded core in virtual time if left out")]
    #[arg(value_name = "URL", value_parser = parse_target)]
    pub url: Option<Endpoint>,
    /// For how long new programs are begun, such as 60s, 5m or 1h
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = parse_seconds)]
    pub seconds: u64,
    /// The seed of the first program
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Programs played at once; with a URL 64 if left out, else one for each processor
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Only clients of these versions
    #[arg(long, value_name = "VERSION", value_delimiter = ',', value_parser = parse_version)]
    pub mqtt: Vec<Version>,
    /// Whose certificates are taken.
    #[command(flatten)]
    pub accepted: Accepted,
    /// Write what fails into this folder
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
    /// Go on where the exploration of this file ended, and write into it how far this one came
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
    /// Stop at this many kinds of failure
    #[arg(long, value_name = "N")]
    pub findings: Option<NonZeroUsize>,
}

impl ExploreArguments {
    /// The versions that clients speak: those named, or 3.1.1 and 5.0.
    pub fn versions(&self) -> Vec<Version> {
        if self.mqtt.is_empty() {
            vec![Version::V3_1_1, Version::V5_0]
        } else {
            self.mqtt.clone()
        }
    }
}

/// Seconds from `60s`, `5m`, `1h`.
fn parse_seconds(text: &str) -> Result<u64, String> {
    let expected = || "a time is a number with s, m or h, such as 60s".to_owned();
    let (number, factor) = [('s', 1), ('m', 60), ('h', 3600)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(expected)?;
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(factor).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, expected) in [("60s", Some(60)), ("5m", Some(300)), ("2h", Some(7200))] {
            assert_eq!(parse_seconds(text).ok(), expected);
        }
        for text in [
            "",
            "60",
            "s",
            "-1s",
            "1 s",
            "1d",
            "9999999999999999999h",
            "é",
        ] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}
