//! From the text of a scenario file to [`Scenario`] values, or to everything that is wrong with it.

mod fault;
mod head;
mod malformed;
mod packet;
mod step;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};
use quince_codec::Version;

use super::{
    expression::{Expression, Literal, Variables, pieces},
    field::Kind,
    model::Scenario,
    pattern::{Errors, Pattern},
    problem::{FileError, Problem},
    statements::Statements,
};

/// Reads a scenario file. `file` names it in messages.
///
/// # Errors
/// Everything that is wrong with the file, each with line, column and what was expected.
pub fn parse(
    file: &str,
    source: &str,
    statements: &dyn Statements,
) -> Result<Vec<Scenario>, FileError> {
    let mut parser = Parser {
        file,
        source,
        statements,
        problems: Vec::new(),
        scope: Scope::default(),
    };
    let scenarios = match KdlDocument::parse_v2(source) {
        Ok(document) => parser.file(&document),
        Err(error) => {
            if let Some(at) = or_on_the_same_line(source) {
                parser.problem(
                    (at, 2),
                    "`or` stands behind a `}` on the same line",
                    "`or` begins a new line, or follows a `;`",
                );
            }
            for diagnostic in error.diagnostics {
                let message = diagnostic
                    .message
                    .unwrap_or_else(|| "this is not KDL".to_owned());
                let span = (diagnostic.span.offset(), diagnostic.span.len());
                parser.problem(span, message, diagnostic.help.or(diagnostic.label));
            }
            Vec::new()
        }
    };
    if parser.problems.is_empty() {
        return Ok(scenarios);
    }
    Err(FileError::new(file, source, parser.problems))
}

/// What is known at one place of the file.
#[derive(Clone, Debug, Default)]
struct Scope {
    /// The versions for which this place is played.
    versions: Vec<Version>,
    /// The variables that have a value here.
    variables: BTreeSet<String>,
    /// Names of steps, and where they stand.
    step_names: BTreeMap<String, (usize, usize)>,
    /// The clients seen so far.
    clients: BTreeSet<String>,
    /// The number of the next step.
    next_step: usize,
    /// The ids that the scenario and its cases prove.
    proves: BTreeSet<String>,
}

struct Parser<'a> {
    file: &'a str,
    source: &'a str,
    statements: &'a dyn Statements,
    problems: Vec<Problem>,
    scope: Scope,
}

impl Parser<'_> {
    fn file(&mut self, document: &KdlDocument) -> Vec<Scenario> {
        let mut scenarios: Vec<Scenario> = Vec::new();
        for node in document.nodes() {
            if node.name().value() != "scenario" {
                let message = format!("unknown word `{}`", node.name().value());
                self.problem(
                    name_span(node),
                    message,
                    "a file holds `scenario NAME { .. }` and nothing else",
                );
                continue;
            }
            if let Some(scenario) = self.scenario(node) {
                if scenarios.iter().any(|other| other.slug == scenario.slug) {
                    let message = format!("a second scenario `{}`", scenario.slug);
                    self.problem(name_span(node), message, "slugs are unique");
                }
                scenarios.push(scenario);
            }
        }
        if document.nodes().is_empty() {
            self.problem(
                (0, 0),
                "the file holds no scenario",
                "expected `scenario NAME { .. }`",
            );
        }
        scenarios
    }

    /// Notes that something is wrong.
    fn problem(
        &mut self,
        span: (usize, usize),
        message: impl Into<String>,
        help: impl Into<OptionalText>,
    ) {
        let offset = floor_char_boundary(self.source, span.0);
        let end = floor_char_boundary(self.source, span.0.saturating_add(span.1)).max(offset);
        let line = self.line(offset);
        let line_start = self.source[..offset].rfind('\n').map_or(0, |at| at + 1);
        let column = self.source[line_start..offset].chars().count() + 1;
        self.problems.push(Problem {
            message: message.into(),
            help: help.into().0,
            line,
            column,
            span: (offset, end - offset),
        });
    }

    fn line(&self, offset: usize) -> usize {
        let offset = floor_char_boundary(self.source, offset);
        self.source[..offset].matches('\n').count() + 1
    }

    /// Reads one value; a variable that is not defined here is a problem.
    fn expression(&mut self, entry: &KdlEntry) -> Expression {
        let annotation = entry.ty().map(|ty| ty.value().to_owned());
        let span = entry_span(entry);
        let literal = match entry.value() {
            KdlValue::String(text) => Literal::Text(text.clone()),
            KdlValue::Bool(flag) => Literal::Flag(*flag),
            KdlValue::Integer(number) => match u64::try_from(*number) {
                Ok(number) => Literal::Number(number),
                Err(_) => Literal::Text(number.to_string()),
            },
            KdlValue::Float(number) => Literal::Text(number.to_string()),
            KdlValue::Null => {
                self.problem(
                    span,
                    "`#null` means nothing here",
                    "write `absent` for what is not there",
                );
                Literal::Text(String::new())
            }
        };
        let expression = Expression {
            annotation,
            literal,
            span,
        };
        if expression.annotation() != Some("as") {
            self.check_variables(&expression);
        }
        expression
    }

    fn check_variables(&mut self, expression: &Expression) {
        if let Literal::Text(text) = &expression.literal
            && let Err(message) = pieces(text)
        {
            self.problem(expression.span, message, None);
        }
        for name in expression.variables() {
            if !self.scope.variables.contains(name) {
                let known: Vec<String> = self
                    .scope
                    .variables
                    .iter()
                    .map(|name| format!("${name}"))
                    .collect();
                let help = format!("defined here: {}", known.join(" "));
                self.problem(
                    expression.span,
                    format!("the variable ${name} is not defined here"),
                    help,
                );
            }
        }
    }

    /// Reads a value to be sent in a field of that kind.
    fn value(&mut self, entry: &KdlEntry, kind: Kind) -> Expression {
        let expression = self.expression(entry);
        if expression.variables().is_empty()
            && let Err(message) = expression.value(kind, &Variables::new())
        {
            self.problem(expression.span, message, None);
        }
        expression
    }

    /// Reads a pattern for a field of that kind; a binding becomes a variable.
    fn pattern(&mut self, entry: &KdlEntry, kind: Kind) -> Expression {
        let expression = self.expression(entry);
        if expression.variables().is_empty() || expression.annotation() == Some("as") {
            match Pattern::read(&expression, kind, Errors::FromEighty, &Variables::new()) {
                Ok(Pattern::Bind(name)) => {
                    self.scope.variables.insert(name);
                }
                Ok(_) => {}
                Err(message) => self.problem(expression.span, message, None),
            }
        }
        expression
    }

    /// Reads a number that an option needs.
    fn number(&mut self, entry: &KdlEntry) -> Expression {
        let expression = self.expression(entry);
        if expression.variables().is_empty()
            && let Err(message) = expression.number(&Variables::new())
        {
            self.problem(expression.span, message, None);
        }
        expression
    }

    /// Reads a time.
    fn time(&mut self, entry: &KdlEntry) -> Expression {
        let expression = self.expression(entry);
        if expression.variables().is_empty()
            && let Err(message) = expression.milliseconds(&Variables::new())
        {
            self.problem(expression.span, message, None);
        }
        expression
    }

    /// A version, or a problem.
    fn version(&mut self, text: &str, span: (usize, usize)) -> Option<Version> {
        let version = text.parse().ok();
        if version.is_none() {
            self.problem(
                span,
                format!("unknown version {text:?}"),
                "expected \"3.1\", \"3.1.1\" or \"5.0\"",
            );
        }
        version
    }

    /// Checks a name.
    fn check_name(&mut self, what: &str, name: &str, span: (usize, usize)) {
        let good = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !good {
            let message = format!("`{name}` is no name for a {what}");
            self.problem(
                span,
                message,
                "names are lower-case letters, digits and hyphens, and start with a letter",
            );
        }
    }
}

/// Help that may be missing.
struct OptionalText(Option<String>);

impl From<&str> for OptionalText {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<String> for OptionalText {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<Option<String>> for OptionalText {
    fn from(text: Option<String>) -> Self {
        Self(text)
    }
}

/// Where `} or {` stands: the likeliest way to write what is not KDL.
fn or_on_the_same_line(source: &str) -> Option<usize> {
    source.match_indices(" or ").find_map(|(at, word)| {
        let before = source[..at].trim_end_matches([' ', '\t']).ends_with('}');
        let after = source[at + word.len()..]
            .trim_start_matches([' ', '\t'])
            .starts_with('{');
        (before && after).then_some(at + 1)
    })
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

fn name_span(node: &KdlNode) -> (usize, usize) {
    let span = node.name().span();
    (span.offset(), span.len())
}

fn entry_span(entry: &KdlEntry) -> (usize, usize) {
    let span = entry.span();
    (span.offset(), span.len())
}
