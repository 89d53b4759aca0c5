//! `explain --report`: a failure as a text that is ready to be filed with the broker's makers.

use std::{io::Write, path::Path};

use super::{Failure, matrix::read};
use crate::{
    catalogue::Catalogue,
    exit_code::ExitCode,
    matrix::{JsonReport, JsonResult},
};

/// Prints the failures of one scenario in a report, each as an issue text.
pub(super) fn write(id: &str, report: &Path, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let shown = report.display();
    let report = read(report)?;
    let of_scenario = |result: &&JsonResult| {
        result.scenario == id || result.scenario.split('/').next() == Some(id)
    };
    let played: Vec<&JsonResult> = report.results.iter().filter(of_scenario).collect();
    if played.is_empty() {
        return Err(Failure::usage(format!(
            "{shown} has no result of a scenario `{id}`"
        )));
    }
    let failed: Vec<_> = played.iter().filter(|one| one.verdict == "fail").collect();
    if failed.is_empty() {
        return Err(Failure::usage(format!("`{id}` did not fail in {shown}")));
    }
    for result in failed {
        issue(&report, result, out)?;
    }
    Ok(ExitCode::Clean)
}

fn issue(report: &JsonReport, result: &JsonResult, out: &mut dyn Write) -> Result<(), Failure> {
    let target = &report.targets[result.target];
    let JsonResult { scenario, mqtt, .. } = result;
    writeln!(
        out,
        "# {scenario} (MQTT {mqtt} over {})\n",
        target.transport
    )?;
    write!(out, "Broker: {}", target.called())?;
    match target.configuration.as_str() {
        "" | "plain" => writeln!(out)?,
        configuration => writeln!(out, ", configuration {configuration}")?,
    }
    writeln!(out, "\n## What the specification asks\n")?;
    for id in &result.statements {
        if let Some(statement) = Catalogue::embedded().statement(id) {
            writeln!(
                out,
                "- [{id}] ({}, section {}): {}",
                statement.keyword.name(),
                statement.section,
                statement.paraphrase
            )?;
        }
    }
    writeln!(out, "\n## What happens\n\n```\n{}\n```", result.detail)?;
    writeln!(out, "\n## Everything that crossed the wire\n\n```")?;
    for line in &result.transcript {
        let arrow = if line.direction == "sent" { "->" } else { "<-" };
        writeln!(
            out,
            "{:>6} ms  {} {arrow} {}",
            line.time_ms, line.client, line.decoded
        )?;
        if !line.hex.is_empty() {
            writeln!(out, "           {}", line.hex)?;
        }
    }
    writeln!(out, "```\n\n## How to see it again\n\n```")?;
    let transport = &target.transport;
    writeln!(
        out,
        "quince-conformance run {transport}://HOST:PORT --mqtt {mqtt} --filter {scenario}"
    )?;
    writeln!(
        out,
        "```\n\nFound by quince-conformance {} on {}.\n",
        report.suite, report.started
    )?;
    Ok(())
}
