//! `matrix`: several brokers beside each other.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use super::{Failure, write_file};
use crate::{
    exit_code::ExitCode,
    matrix::{JsonReport, Matrix},
};

/// Reads the reports, writes what is asked for, and prints the scores.
pub(super) fn matrix(
    files: &[PathBuf],
    html: Option<&Path>,
    markdown: Option<&Path>,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let reports = files.iter().map(|file| read(file));
    let matrix = Matrix::of(&reports.collect::<Result<Vec<_>, _>>()?);
    if let Some(file) = html {
        write_file(file, |file| matrix.write_page(file))?;
    }
    if let Some(file) = markdown {
        write_file(file, |file| matrix.write_markdown(file))?;
    }
    matrix.write_scores(out)?;
    Ok(ExitCode::Clean)
}

/// Reads one JSON report.
pub(super) fn read(file: &Path) -> Result<JsonReport, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("failed to read {shown}: {error}")))?;
    JsonReport::parse(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))
}
