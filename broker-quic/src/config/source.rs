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
    /// What has set something over the file, by section and key: the words for a variable or a flag.
    origins: BTreeMap<(String, String), String>,
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
            origins: BTreeMap::new(),
        })
    }

    /// Lays one environment variable over the file. Those that name no setting are not ours.
    pub(super) fn overlay(&mut self, name: &str, text: &str) -> Result<(), Problem> {
        let Some((section, key)) = variables().remove(name) else {
            return Ok(());
        };
        self.lay_over(section, key, text, format!("environment variable {name}"))
    }

    /// Lays one flag over everything: `section.key=VALUE`.
    pub(super) fn set(&mut self, flag: &str) -> Result<(), Problem> {
        let Some((name, text)) = flag.split_once('=') else {
            let help = "write it as --set limits.queue_messages=200";
            return Err(Problem::of(
                format!("--set {flag}"),
                "it has no value",
                help,
            ));
        };
        let origin = format!("--set {name}");
        let dotted = |(section, key): &(String, String)| format!("{section}.{key}");
        let known: Vec<_> = variables().into_values().collect();
        let Some((section, key)) = known.iter().find(|it| dotted(it) == name) else {
            let names: Vec<String> = known.iter().map(dotted).collect();
            let help = similar(name, names.iter().map(String::as_str)).map_or_else(
                || "`quince-broker default-config` has every setting".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            return Err(Problem::of(origin, "there is no such setting", help));
        };
        self.lay_over(section.clone(), key.clone(), text, origin)
    }

    fn lay_over(
        &mut self,
        section: String,
        key: String,
        text: &str,
        origin: String,
    ) -> Result<(), Problem> {
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
                // What is still missing of a section may come with the next variable or flag.
                Err(error) if !error.message().starts_with("missing field") => {
                    mistake = mistake.or(Some(error));
                }
                _ => {
                    self.table = changed;
                    self.origins.insert((section, key), origin);
                    return Ok(());
                }
            }
        }
        let error = mistake.map(|error| error.message().to_owned());
        let (message, help) = in_words(error.as_deref().unwrap_or("it has no value"));
        Err(Problem::of(origin, message, help))
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
            && let Some(origin) = self
                .origins
                .get(&((*section).to_owned(), (*key).to_owned()))
        {
            return Problem::of(origin, message, help);
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
        let laid_over = self
            .origins
            .contains_key(&(section.to_owned(), key.to_owned()));
        match self.path.as_deref().and_then(Path::parent) {
            Some(folder) if !laid_over => folder.join(path),
            _ => path.to_path_buf(),
        }
    }
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

    #[test]
    fn half_a_section_is_told_when_everything_is_laid_over() {
        let mut source = Source::read(None).expect("the default");
        source
            .overlay("QUINCE_ACCESS_JWT_KEY_FILE", "key.pem")
            .expect("a setting");
        let problem = source.format().expect_err("half a section").to_string();
        assert!(problem.contains("`algorithm` is missing"), "{problem}");
    }

    #[test]
    fn flags_go_over_variables() {
        let mut source = Source::read(None).expect("the default");
        source
            .overlay("QUINCE_LIMITS_RECEIVE_MAXIMUM", "20")
            .expect("a setting");
        for flag in [
            "limits.receive_maximum=30",
            "access.jwt.key_file=a=b",
            "access.jwt.algorithm=ES256",
            "access.jwt.audience=\"5\"",
            "tls.client_revocation_files=[\"one\", \"two\"]",
        ] {
            source.set(flag).expect(flag);
        }
        let jwt = source
            .format()
            .expect("well-formed")
            .access
            .jwt
            .expect("set");
        assert_eq!((jwt.audience.as_str(), jwt.key_file), ("5", "a=b".into()));
        let format = source.format().expect("well-formed");
        assert_eq!(format.limits.receive_maximum, 30);
        assert_eq!(
            format.tls.client_revocation_files.map(|it| it.len()),
            Some(2)
        );
        for (flag, expected) in [
            ("limits.receive_maximum", "it has no value"),
            ("limits.receive_maximum=many", "65535"),
            (
                "limits.recieve_maximum=1",
                "did you mean `limits.receive_maximum`?",
            ),
            ("receive_maximum=1", "no such setting"),
            ("listeners=1", "no such setting"),
            ("access.jwt.algorithm=none", "none of the choices"),
        ] {
            let problem = source.set(flag).expect_err(flag).to_string();
            assert!(
                problem.contains("--set") && problem.contains(expected),
                "{problem}"
            );
        }
    }
}
