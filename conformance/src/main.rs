//! The command `quince-conformance`.

use std::process::ExitCode;

use clap::Parser as _;
use quince_conformance::{args::Arguments, commands};

fn main() -> ExitCode {
    commands::execute(&Arguments::parse()).into()
}
