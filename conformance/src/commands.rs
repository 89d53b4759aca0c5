//! The commands: from parsed arguments to an exit code.

mod explain;
mod explore;
mod issue;
mod list;
mod matrix;
mod prove;
mod run;
mod statements;
mod until_told;

use std::{
    io::{self, Write},
    path::Path,
};

use miette::Diagnostic as _;

use crate::{
    args::{Arguments, Command, Selection},
    catalogue::Catalogue,
    exit_code::ExitCode,
    library::{Chosen, Library, LibraryError},
    runner::Job,
    scenario::FileError,
};

/// Why a command could not do its work.
#[derive(Debug)]
struct Failure {
    code: ExitCode,
    message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self {
            code: ExitCode::Usage,
            message: message.into(),
        }
    }

    /// Nothing can be said about the target.
    fn no_verdict(message: impl Into<String>) -> Self {
        Self {
            code: ExitCode::NoVerdict,
            message: message.into(),
        }
    }
}

impl From<io::Error> for Failure {
    /// Standard output is gone or full: nothing can be said about the target.
    fn from(error: io::Error) -> Self {
        // Whoever stops reading (`list | head`) knows that they did.
        Self::no_verdict(match error.kind() {
            io::ErrorKind::BrokenPipe => String::new(),
            _ => format!("failed to write: {error}"),
        })
    }
}

impl From<LibraryError> for Failure {
    fn from(error: LibraryError) -> Self {
        match error {
            LibraryError::File(error) => Self::usage(with_carets(&error)),
            LibraryError::Twice { .. } => Self::usage(error.to_string()),
        }
    }
}

/// Everything that is wrong with a scenario file, each with the place shown.
fn with_carets(error: &FileError) -> String {
    let handler = miette::GraphicalReportHandler::new();
    let count = error.problems.len();
    let mut text = format!(
        "{} has {count} problem{}\n",
        error.file,
        if count == 1 { "" } else { "s" }
    );
    for problem in error.related().into_iter().flatten() {
        if handler.render_report(&mut text, problem).is_err() {
            return error.to_string();
        }
    }
    text
}

/// Does what the arguments say; messages go to standard error.
pub fn execute(arguments: &Arguments) -> ExitCode {
    let out: &mut dyn Write = &mut anstream::stdout();
    let done = match &arguments.command {
        None => run::run(&arguments.run, out),
        Some(Command::Run(run)) => run::run(run, out),
        Some(Command::List(selection)) => list::list(selection, out),
        Some(Command::Statements { json }) => statements::statements(json.as_deref(), out),
        Some(Command::Explain { id, report: None }) => explain::explain(id, out),
        Some(Command::Explain {
            id,
            report: Some(report),
        }) => issue::write(id, report, out),
        Some(Command::Matrix {
            files,
            html,
            markdown,
        }) => matrix::matrix(files, html.as_deref(), markdown.as_deref(), out),
        Some(Command::Prove { audit, selection }) => prove::prove(selection, *audit, out),
        Some(Command::Explore(arguments)) => explore::explore(arguments, out),
        Some(Command::Replay { file, run }) => run::replay(file, run, out),
    };
    done.unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            // If standard error is gone as well, the exit code still tells.
            let _ = writeln!(anstream::stderr(), "error: {}", failure.message);
        }
        failure.code
    })
}

/// The jobs that a selection leaves; that none is left is wrong usage.
fn choose(library: &Library, selection: &Selection) -> Result<Vec<Job>, Failure> {
    let statement = match &selection.statement {
        Some(id) => {
            let found = Catalogue::embedded().find(id);
            Some(found.map_err(|error| Failure::usage(error.to_string()))?.id)
        }
        None => None,
    };
    let versions = selection.versions();
    let chosen = Chosen {
        versions,
        text: selection.filter.clone(),
        statement,
    };
    let jobs = library.jobs(&chosen);
    if jobs.is_empty() {
        return Err(Failure::usage(match (&chosen.text, statement) {
            (Some(text), _) => {
                format!("no scenario's id contains `{text}` in what was chosen; see `list`")
            }
            (None, Some(id)) => format!("no scenario judges {id}; see `explain {id}`"),
            (None, None) => "no scenario names that version of MQTT; see `list`".to_owned(),
        }));
    }
    Ok(jobs)
}

/// Writes a file by what `fill` puts into it.
fn write_file(
    file: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    fill(&mut bytes)?;
    std::fs::write(file, bytes)
        .map_err(|error| Failure::usage(format!("failed to write {}: {error}", file.display())))
}

/// Without the embedded broker there is nothing to play on in virtual time.
#[cfg(not(feature = "embedded"))]
fn not_embedded() -> Failure {
    Failure::usage(
        "this binary was built without the embedded broker: give a URL, or build with the feature `embedded`",
    )
}
