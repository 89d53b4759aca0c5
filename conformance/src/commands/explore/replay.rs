//! `replay` of a program that exploration wrote down.

use std::{io::Write, sync::Arc};

use super::{ask, dialer};
use crate::{
    args::RunArguments,
    commands::{Failure, until_told::run_until_told},
    exit_code::ExitCode,
    explore::{self, Pace, Played, Stage, program::Program},
};

/// The program in a file; `None` if it holds something else.
pub(in crate::commands) fn read_program(
    name: &str,
    text: &str,
) -> Result<Option<Program>, Failure> {
    // What is no KDL at all is told, with carets, by whoever reads scenarios.
    if text.parse::<kdl::KdlDocument>().is_err() {
        return Ok(None);
    }
    explore::read(text).map_err(|why| Failure::usage(format!("{name}: {why}")))
}

/// Plays a program on each target, patiently, and shows all that clients did and saw.
pub(in crate::commands) fn replay(
    program: &Program,
    arguments: &RunArguments,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    refuse_what_scenarios_take(arguments)?;
    let mut code = ExitCode::Clean;
    if arguments.urls.is_empty() {
        code = tell("the embedded core", &on_core(program)?, out)?;
    }
    for endpoint in &arguments.urls {
        let dialer = dialer(&arguments.accepted);
        let played = run_until_told(async |_| {
            let (stage, _) = ask(&program.versions(), &dialer, endpoint).await?;
            let played = stage.play(program, Pace::Patient).await;
            Arc::clone(&dialer).wait_idle().await;
            Ok::<_, Failure>(played)
        })??;
        if let Some(explore::Failure::Unreachable(why)) = &played.failure {
            return Err(Failure::no_verdict(format!("{endpoint}: {why}")));
        }
        if tell(&endpoint.to_string(), &played, out)? == ExitCode::Deviation {
            code = ExitCode::Deviation;
        }
    }
    Ok(code)
}

/// A program is one play on each URL: there is nothing to choose from, to report or to compare with a baseline.
fn refuse_what_scenarios_take(arguments: &RunArguments) -> Result<(), Failure> {
    let selection = &arguments.selection;
    let given = [
        ("--target", arguments.target.is_some()),
        ("--mqtt", !selection.mqtt.is_empty()),
        ("--filter", selection.filter.is_some()),
        ("--statement", selection.statement.is_some()),
        ("--json", arguments.json.is_some()),
        ("--junit", arguments.junit.is_some()),
        ("--tap", arguments.tap.is_some()),
        ("--markdown", arguments.markdown.is_some()),
        ("--html", arguments.html.is_some()),
        ("--baseline", arguments.baseline.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => Err(Failure::usage(format!(
            "{option} is for scenarios; a program is played on URLs, or on the embedded core, and makes no report"
        ))),
    }
}

#[cfg(not(feature = "embedded"))]
fn on_core(_: &Program) -> Result<Played, Failure> {
    Err(crate::commands::not_embedded())
}

#[cfg(feature = "embedded")]
fn on_core(program: &Program) -> Result<Played, Failure> {
    let play = explore::CoreStage.play(program, Pace::Patient);
    Ok(crate::link::run_without_waiting(play))
}

fn tell(target: &str, played: &Played, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    for line in &played.transcript {
        writeln!(out, "{line}")?;
    }
    match &played.failure {
        None => {
            writeln!(out, "{target}: nothing that a right server would not do")?;
            Ok(ExitCode::Clean)
        }
        Some(failure) => {
            writeln!(out, "{target}: {failure}")?;
            for statement in failure.statements() {
                writeln!(out, "    {statement}")?;
            }
            Ok(ExitCode::Deviation)
        }
    }
}
