//! `statements`: every statement, whether a scenario that cites it passes, and whether a fault against it is caught.

use std::{collections::BTreeSet, io::Write, path::Path};

use serde::Serialize;

use super::{Failure, write_file};
use crate::{
    catalogue::{Catalogue, Observable},
    exit_code::ExitCode,
    library::Library,
    verdict::Level,
};

/// One row of the JSON form.
#[derive(Serialize)]
struct Row {
    id: &'static str,
    level: Level,
    covered: bool,
    proven: bool,
    why_not: &'static str,
}

/// What the core shows in virtual time.
#[derive(Default)]
struct Evidence {
    covered: BTreeSet<String>,
    proven: BTreeSet<String>,
}

/// Plays and proves everything on the core in virtual time, and shows the catalogue with what came out.
pub(super) fn statements(json: Option<&Path>, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let library = Library::embedded()?;
    let evidence = gather(&library)?;
    let row = |statement: &crate::catalogue::Statement| Row {
        id: statement.id,
        level: statement.level(),
        covered: evidence.covered.contains(statement.id),
        proven: evidence.proven.contains(statement.id),
        why_not: statement.why_not,
    };
    let statements = Catalogue::embedded().statements();
    let rows: Vec<Row> = statements.iter().map(row).collect();
    if let Some(file) = json {
        write_file(file, |file| {
            serde_json::to_writer_pretty(&mut *file, &rows)?;
            writeln!(file)
        })?;
    }
    for (row, statement) in rows.iter().zip(statements) {
        let state = match (row.proven, row.covered, statement.observable) {
            (true, ..) => "proven",
            (false, true, _) => "covered",
            (false, false, Observable::No) => "unseen",
            (false, false, _) => "-",
        };
        write!(
            out,
            "{:<14} {:<6} {state:<7}  {}",
            row.id, row.level, statement.paraphrase
        )?;
        match row.why_not {
            "" => writeln!(out)?,
            why_not => writeln!(out, " [{}: {why_not}]", statement.observable.name())?,
        }
    }
    let count = |pick: fn(&Row) -> bool| rows.iter().filter(|row| pick(row)).count();
    writeln!(
        out,
        "{} statements, {} covered, {} proven",
        rows.len(),
        count(|row| row.covered),
        count(|row| row.proven)
    )?;
    Ok(ExitCode::Clean)
}

#[cfg(not(feature = "embedded"))]
fn gather(_: &Library) -> Result<Evidence, Failure> {
    Err(super::not_embedded())
}

#[cfg(feature = "embedded")]
fn gather(library: &Library) -> Result<Evidence, Failure> {
    use crate::{
        link::{run_without_waiting, set_up::CoreSetup},
        player::play,
        prove::{CoreStage, plays, prove},
        verdict::Verdict,
    };

    let mut evidence = Evidence::default();
    for scenario in library.scenarios() {
        for (case, version) in plays(scenario) {
            let set_up = CoreSetup::of(scenario);
            let (mut link, options) = (set_up.link(), set_up.options());
            let outcome = run_without_waiting(play(scenario, case, version, &mut link, &options));
            if outcome.verdict == Verdict::Pass {
                evidence.covered.extend(outcome.statements);
            }
        }
        for result in run_without_waiting(prove(
            scenario,
            Catalogue::embedded(),
            &mut CoreStage::of(scenario),
        )) {
            evidence.proven.extend(result.proven);
        }
    }
    Ok(evidence)
}
