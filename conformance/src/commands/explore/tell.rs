//! What `explore` says at its end.

use std::{io::Write, time::Duration};

use super::super::Failure;
use crate::{
    exit_code::ExitCode,
    explore::{Expedition, Explored, Finding, Report},
};

/// Tells all that was found, and gives the exit code.
pub(super) fn tell(
    expedition: &Expedition,
    time: Duration,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let journal = expedition.journal();
    let reports = expedition.reports();
    let earlier = journal.findings.len() - reports.iter().filter(|one| one.is_finding()).count();
    for report in &reports {
        tell_one(report, out)?;
    }
    writeln!(
        out,
        "{} in {} s, seeds up to {}: {} found{}{}{}",
        counted(expedition.played(), "program"),
        time.as_secs(),
        journal.next_seed.saturating_sub(1),
        journal.findings.len(),
        also(expedition.known(), "failed likewise"),
        also(
            reports.iter().filter(|one| !one.is_finding()).count() as u64,
            "did not fail again"
        ),
        also(earlier as u64, "of the findings are older"),
    )?;
    if expedition.interrupted() {
        writeln!(out, "interrupted")?;
        return Ok(ExitCode::NoVerdict);
    }
    if expedition.played() == 0 {
        writeln!(out, "there was no time to play anything")?;
        return Ok(ExitCode::NoVerdict);
    }
    Ok(if journal.findings.is_empty() {
        ExitCode::Clean
    } else {
        ExitCode::Deviation
    })
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn also(number: u64, what: &str) -> String {
    if number == 0 {
        String::new()
    } else {
        format!(", {number} {what}")
    }
}

fn tell_one(report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let (word, finding): (_, &Finding) = match &report.explored {
        Explored::Clean | Explored::Known => return Ok(()),
        Explored::Found(finding) => ("FOUND", finding),
        Explored::Unstable(finding) => ("not again", finding),
        Explored::Gone(finding) => ("GONE", finding),
    };
    writeln!(out, "{word} with seed {}: {}", report.seed, finding.failure)?;
    for statement in finding.failure.statements() {
        writeln!(out, "    {statement}")?;
    }
    writeln!(
        out,
        "    {} of {}: {}",
        counted(finding.program.actions.len() as u64, "action"),
        counted(finding.program.clients.len() as u64, "client"),
        report.file
    )?;
    Ok(())
}
