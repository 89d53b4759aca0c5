//! Where settings come from: the file's text, environment variables over it, and how to point back at either.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::DEFAULT;
use super::file::FileFormat;
use crate::problem::{Problem, read_text, similar};

/// What every variable of ours begins with.
const PREFIX: &str = "QUINCE_";

/// One step from the whole file to a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Source {
    path: Option<PathBuf>,
    text: String,
    /// What is set, over everything.
    table: Table,
    /// Names of the variables by section and key.
    variables: BTreeMap<(String, String), String>,
}

impl Source {
    /// Reads the file, or takes the default.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, Problem> {
        let text = match path {
            Some(path) => read_text(path)?,
            None => String::new(),
        };
        let origin = path.map_or_else(String::new, |path| path.display().to_string());
        let at_fault = |error: toml::de::Error| {
            let (message, help) = in_words(error.message());
            let problem = Problem::of(&origin, message, help);
            match error.span() {
                Some(span) => problem.at(&text, span),
                None => problem,
            }
        };
        // Once as what it must be, so that mistakes are found where they are ...
        toml::from_str::<FileFormat>(&text).map_err(at_fault)?;
        // ... and once as it is, so that something can be laid over it.
        let table = toml::from_str::<Table>(&text).map_err(at_fault)?;
        Ok(Self {
            path: path.map(Path::to_path_buf),
            text,
            table,
            variables: BTreeMap::new(),
        })
    }

    /// Lays one environment variable over the file. Those that name no setting are not ours.
    pub(super) fn overlay(&mut self, name: &str, text: &str) -> Result<(), Problem> {
        let Some((section, key)) = variables().remove(name) else {
            return Ok(());
        };
        // `true`, `5` and `"x"` are values as in the file; everything else is text.
        let values = [
            toml::from_str::<Table>(&format!("value = {text}"))
                .ok()
                .filter(|table| table.len() == 1)
                .and_then(|mut table| table.remove("value")),
            Some(Value::String(text.to_owned())),
        ];
        let mut mistake = None;
        for value in values.into_iter().flatten() {
            let mut changed = self.table.clone();
            insert(&mut changed, &section, &key, value);
            match changed.clone().try_into::<FileFormat>() {
                Ok(_) => {
                    self.table = changed;
                    self.variables.insert((section, key), name.to_owned());
                    return Ok(());
                }
                Err(error) => mistake = mistake.or(Some(error)),
            }
        }
        let error = mistake.map(|error| error.message().to_owned());
        let (message, help) = in_words(error.as_deref().unwrap_or("it has no value"));
        Err(Problem::of(variable(name), message, help))
    }

    /// Everything that is set, and the defaults of what is not.
    pub(super) fn format(&self) -> Result<FileFormat, Problem> {
        self.table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| {
                let (message, help) = in_words(error.message());
                Problem::of("the configuration", message, help)
            })
    }

    /// A problem with the setting at `steps`, wherever it was set.
    pub(super) fn problem(
        &self,
        steps: &[Step<'_>],
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        if let [Step::Key(section), Step::Key(key), ..] = steps
            && let Some(name) = self
                .variables
                .get(&((*section).to_owned(), (*key).to_owned()))
        {
            return Problem::of(variable(name), message, help);
        }
        let Some(path) = &self.path else {
            return Problem::of(dotted(steps), message, help);
        };
        let problem = Problem::of_file(path, message, help);
        match locate(&self.text, steps) {
            Some(span) => problem.at(&self.text, span),
            None => problem,
        }
    }

    /// The path that the setting `section.key` names, as seen from where it was set.
    pub(super) fn path(&self, section: &str, key: &str, path: &Path) -> PathBuf {
        let by_variable = self
            .variables
            .contains_key(&(section.to_owned(), key.to_owned()));
        match self.path.as_deref().and_then(Path::parent) {
            Some(folder) if !by_variable => folder.join(path),
            _ => path.to_path_buf(),
        }
    }
}

fn variable(name: &str) -> String {
    format!("environment variable {name}")
}

fn dotted(steps: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// Sets `key` of a section, whose name may have dots.
fn insert(table: &mut Table, section: &str, key: &str, value: Value) {
    let mut table = table;
    for part in section.split('.') {
        let inner = table
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        if !inner.is_table() {
            *inner = Value::Table(Table::new());
        }
        let Value::Table(inner) = inner else { return };
        table = inner;
    }
    table.insert(key.to_owned(), value);
}

/// The default with its optional keys no longer in comments: everything that can be set.
pub(super) fn every_key() -> String {
    DEFAULT
        .lines()
        .map(|line| match line.strip_prefix("#") {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every variable that sets something, with its section and key.
fn variables() -> BTreeMap<String, (String, String)> {
    let mut variables = BTreeMap::new();
    let table: Table = toml::from_str(&every_key()).unwrap_or_default();
    collect(&table, "", &mut variables);
    variables
}

fn collect(table: &Table, section: &str, variables: &mut BTreeMap<String, (String, String)>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) if section.is_empty() => collect(inner, key, variables),
            Value::Table(inner) => collect(inner, &format!("{section}.{key}"), variables),
            // Lists of tables (the listeners) have flags instead.
            _ if section.is_empty() => {}
            _ => {
                let name = format!("{PREFIX}{section}_{key}").replace('.', "_");
                variables.insert(name.to_ascii_uppercase(), (section.to_owned(), key.clone()));
            }
        }
    }
}

/// Where in the text a setting is; the nearest thing around it where it is not there itself.
fn locate(text: &str, steps: &[Step<'_>]) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let mut span = None;
    let mut value: Option<&Spanned<DeValue<'_>>> = None;
    for (depth, step) in steps.iter().enumerate() {
        let inner = match (step, value.map(Spanned::get_ref)) {
            (Step::Key(key), None) if depth == 0 => table.get_ref().get(*key),
            (Step::Key(key), Some(DeValue::Table(table))) => table.get(*key),
            (Step::Index(index), Some(DeValue::Array(array))) => array.get(*index),
            _ => None,
        };
        let Some(inner) = inner else { break };
        span = Some(inner.span());
        value = Some(inner);
    }
    span
}

/// What the TOML reader complains about, as it concerns an operator: what is wrong, and what to do.
fn in_words(message: &str) -> (String, String) {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let choices = |known: &[&str], what: &str| match quoted
        .first()
        .and_then(|typed| similar(typed, known.iter().copied()))
    {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("{what}: {}", known.join(", ")),
    };
    match quoted[..] {
        [unknown, ref known @ ..] if message.starts_with("unknown field") => (
            format!("there is no setting `{unknown}` here"),
            choices(known, "what can be set here"),
        ),
        [unknown, ref known @ ..] if message.starts_with("unknown variant") => (
            format!("`{unknown}` is none of the choices"),
            choices(known, "choose one of"),
        ),
        [missing, ..] if message.starts_with("missing field") => (
            format!("`{missing}` is missing"),
            format!("add a line `{missing} = ...`; `quince-broker default-config` explains it"),
        ),
        _ if message.starts_with("invalid type") || message.starts_with("invalid value") => {
            let (found, expected) = message
                .split_once(", expected ")
                .unwrap_or((message, "another value"));
            let found = found
                .trim_start_matches("invalid type: ")
                .trim_start_matches("invalid value: ");
            (
                format!("found {found}"),
                format!("write {}", kind_in_words(expected)),
            )
        }
        _ => (
            message.lines().collect::<Vec<_>>().join(" "),
            "write it as TOML: `key = value`, text in double quotes, sections in [brackets]"
                .to_owned(),
        ),
    }
}

fn kind_in_words(expected: &str) -> &str {
    match expected {
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, not below 0",
        "a boolean" => "true or false, without quotes",
        "a string" | "path string" => "text in double quotes",
        "a sequence" => "a list: [[listeners]] begins each of them",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_is_the_default_and_has_every_key() {
        let file: FileFormat = toml::from_str(DEFAULT).expect("well-formed");
        assert_eq!(file, FileFormat::default());
        // Every key, also those that have no value by default, is in the file under its name.
        let every: FileFormat = toml::from_str(&every_key()).expect("well-formed");
        let written = Table::try_from(&every).expect("a table");
        let shown: Table = toml::from_str(&every_key()).expect("well-formed");
        assert_eq!(written, shown);
        assert!(every.limits.keep_alive_maximum_seconds.is_some());
        assert!(every.access.jwt.is_some());
    }

    #[test]
    fn variables_are_laid_over_the_file() {
        let mut source = Source::read(None).expect("the default");
        for (name, value) in [
            ("QUINCE_LIMITS_RECEIVE_MAXIMUM", "20"),
            ("QUINCE_ACCESS_ACL_FILE", "/etc/acl"),
            ("QUINCE_TCP_CONGESTION", "bbr"),
            ("QUINCE_LOG", "debug"),
            ("QUINCE_SERVICE_HOST", "10.0.0.1"),
        ] {
            source.overlay(name, value).expect(name);
        }
        let format = source.format().expect("well-formed");
        assert_eq!(format.limits.receive_maximum, 20);
        assert_eq!(format.access.acl_file, Some(PathBuf::from("/etc/acl")));
        assert_eq!(format.tcp.congestion.as_deref(), Some("bbr"));
        for (name, value) in [
            ("QUINCE_LIMITS_RECEIVE_MAXIMUM", "many"),
            ("QUINCE_LIMITS_RECEIVE_MAXIMUM", "70000"),
            ("QUINCE_LIMITS_RECEIVE_MAXIMUM", "1\nqueue_bytes = 1"),
        ] {
            let problem = source.overlay(name, value).expect_err(value).to_string();
            assert!(
                problem.contains(name) && problem.contains("65535"),
                "{problem}"
            );
        }
    }
}
