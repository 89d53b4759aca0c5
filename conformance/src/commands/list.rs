//! `list`: the scenarios.

use std::io::Write;

use super::{Failure, choose};
use crate::{args::Selection, exit_code::ExitCode, library::Library};

/// One line for each scenario case: id, versions, what must hold.
pub(super) fn list(selection: &Selection, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let library = Library::embedded()?;
    let jobs = choose(&library, selection)?;
    let mut rows: Vec<(String, String, &str)> = Vec::new();
    for job in &jobs {
        let (id, version) = (job.id(), job.version.to_string());
        match rows.last_mut() {
            Some((last, versions, _)) if *last == id => {
                versions.push(' ');
                versions.push_str(&version);
            }
            _ => rows.push((id, version, &job.scenario.why)),
        }
    }
    let width = rows
        .iter()
        .map(|(id, ..)| id.len())
        .max()
        .unwrap_or_default();
    for (id, versions, why) in &rows {
        writeln!(out, "{id:<width$}  {versions:<9}  {why}")?;
    }
    writeln!(out, "{} scenarios, {} plays", rows.len(), jobs.len())?;
    Ok(ExitCode::Clean)
}
