//! What is wrong in a file, where, and what to do: one form for the configuration, passwords, access rules and keys.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NamedSource, SourceSpan};

/// A mistake that an operator can mend.
///
/// It displays as one line (`FILE:LINE:COLUMN: what is wrong; what to do`), as a log wants it;
/// [`Problem::explain`] shows the place itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    origin: String,
    place: Option<Place>,
    message: String,
    help: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    /// The line's text and the part that is wrong; none where the line holds a secret.
    snippet: Option<Snippet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Snippet {
    text: String,
    span: Range<usize>,
}

impl Problem {
    /// A problem with all of `path`.
    pub(crate) fn of_file(
        path: &Path,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self::of(path.display().to_string(), message, help)
    }

    /// A problem with something that is no file: a flag, an environment variable.
    pub(crate) fn of(
        origin: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            origin: origin.into(),
            place: None,
            message: message.into(),
            help: help.into(),
        }))
    }

    /// The file cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "create it, or correct the path",
            io::ErrorKind::PermissionDenied => "let the user that runs the broker read it",
            io::ErrorKind::InvalidData => "save it as UTF-8 text",
            _ => "make it readable",
        };
        Self::of_file(path, format!("cannot be read: {error}"), help)
    }

    /// Points at a part of the file's text.
    pub(crate) fn at(mut self, text: &str, span: Range<usize>) -> Self {
        let (line, column) = line_and_column(text, span.start);
        let snippet = Some(Snippet {
            text: text.to_owned(),
            span,
        });
        self.0.place = Some(Place {
            line,
            column,
            snippet,
        });
        self
    }

    /// Points at a line that must not be shown.
    pub(crate) fn at_secret_line(mut self, line: usize) -> Self {
        self.0.place = Some(Place {
            line,
            column: 1,
            snippet: None,
        });
        self
    }

    /// The same with the place shown: the lines around it and a mark under the mistake.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut out = String::new();
        let theme = GraphicalTheme {
            styles: miette::ThemeStyles::none(),
            ..GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_wrap_lines(false)
            .with_links(false);
        match handler.render_report(&mut out, &Report::of(self)) {
            Ok(()) => out,
            Err(fmt::Error) => self.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.origin)?;
        if let Some(place) = &self.0.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}; {}", self.0.message, self.0.help)
    }
}

impl std::error::Error for Problem {}

/// A problem as `miette` draws it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
struct Report {
    message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label]
    span: Option<SourceSpan>,
    #[help]
    help: String,
}

impl Report {
    fn of(Problem(problem): &Problem) -> Self {
        let snippet = problem
            .place
            .as_ref()
            .and_then(|place| place.snippet.as_ref());
        let message = match (&problem.place, snippet) {
            // The drawing names file, line and column.
            (Some(_), Some(_)) => problem.message.clone(),
            (Some(place), None) => {
                format!("{}:{}: {}", problem.origin, place.line, problem.message)
            }
            (None, _) => format!("{}: {}", problem.origin, problem.message),
        };
        Self {
            message,
            text: NamedSource::new(
                &problem.origin,
                snippet
                    .map(|snippet| snippet.text.clone())
                    .unwrap_or_default(),
            ),
            span: snippet.map(|snippet| snippet.span.clone().into()),
            help: problem.help.clone(),
        }
    }
}

/// Both from 1; columns count characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The word of `known` that `typed` may have meant.
pub(crate) fn similar<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(typed, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min()
        .map(|(_, word)| word)
}

/// Reads a text file that an operator wrote.
pub(crate) fn read_text(path: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(path).map_err(|error| Problem::unreadable(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let text = "é = 1\n\nkéy = x";
        let at = text.rfind('x').expect("there");
        let problem = Problem::of("f", "m", "h").at(text, at..at + 1);
        assert_eq!(problem.to_string(), "f:3:7: m; h");
    }

    #[test]
    fn words_that_are_meant() {
        let known = ["listen", "limits", "topic"];
        assert_eq!(similar("lisen", known), Some("listen"));
        assert_eq!(similar("topci", known), Some("topic"));
        assert_eq!(similar("quic", known), None);
    }
}
