//! The command `profiles`: the links that `run` knows by name.

use std::io::Write as _;

use super::args::ProfilesArgs;
use super::profile;
use super::{Failure, Trust};

/// Prints them, for people or as a file.
pub(super) fn run(args: &ProfilesArgs) -> Result<Trust, Failure> {
    let mut out = anstream::stdout().lock();
    if args.toml {
        write!(out, "{}", profile::OURS)?;
        return Ok(Trust::Yes);
    }
    for profile in profile::ours() {
        writeln!(out, "{}", profile.name)?;
        for line in profile.describe() {
            writeln!(out, "    {line}")?;
        }
        writeln!(out, "    source: {}", profile.source)?;
    }
    Ok(Trust::Yes)
}
