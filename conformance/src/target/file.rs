//! From the text of a target file to a [`TargetFile`], or to everything that is wrong with it.

use std::{collections::BTreeMap, ops::Range, path::Path, time::Duration};

use quince_client::{Endpoint, Trust};
use quince_codec::Version;
use serde::Deserialize;
use toml::{Spanned, Value as TomlValue};

use super::{Commands, Configuration, Credentials, Listener, PLAIN, TargetFile};
use crate::{
    scenario::{
        FileError, Problem,
        expression::{Value, unhex},
    },
    setup::{Facts, Setup},
    suggest,
};

/// How long commands and the broker may take, unless the file says otherwise.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileFormat {
    name: String,
    listeners: Spanned<Vec<ListenerFormat>>,
    mqtt: Option<Spanned<Vec<String>>>,
    baseline: Option<Spanned<String>>,
    ca: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    start: Option<Spanned<Vec<String>>>,
    restart: Option<Spanned<Vec<String>>>,
    reconfigure: Option<Spanned<Vec<String>>>,
    patience_seconds: Option<u64>,
    credentials: Option<CredentialsFormat>,
    #[serde(default)]
    configurations: Vec<Spanned<ConfigurationFormat>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenerFormat {
    url: Spanned<String>,
    mqtt: Option<Spanned<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsFormat {
    user_name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigurationFormat {
    name: Spanned<String>,
    credentials: Option<CredentialsFormat>,
    set: BTreeMap<Spanned<String>, Spanned<TomlValue>>,
}

impl TargetFile {
    /// Reads a target file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with line, column and what was expected.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot be read: {error}");
            let help = Some("create it, or correct the path".to_owned());
            FileError::new(&name, "", vec![Problem::at("", 0..0, message, help)])
        })?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Commands run in that folder, so that a relative path to it would be seen from there.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Self::parse(&name, &text, &folder)
    }

    /// Reads the text of a target file called `name` that lies in `folder`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with line, column and what was expected.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self, FileError> {
        let format: FileFormat = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let message = error.message().trim().to_owned();
            FileError::new(name, text, vec![Problem::at(text, span, message, None)])
        })?;
        let mut reader = Reader {
            text,
            folder,
            problems: Vec::new(),
        };
        let target = reader.target(format);
        if reader.problems.is_empty() {
            Ok(target)
        } else {
            Err(FileError::new(name, text, reader.problems))
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    folder: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        let help = Some(help.to_owned());
        self.problems
            .push(Problem::at(self.text, span, message.into(), help));
    }

    fn target(&mut self, format: FileFormat) -> TargetFile {
        let versions = match &format.mqtt {
            Some(versions) => self.versions(versions),
            None => vec![Version::V3_1_1, Version::V5_0],
        };
        let listeners = self.listeners(&format.listeners, &versions);
        let commands = Commands {
            start: self.command(format.start.as_ref()),
            restart: self.command(format.restart.as_ref()),
            reconfigure: self.command(format.reconfigure.as_ref()),
            patience: format
                .patience_seconds
                .map_or(PATIENCE, Duration::from_secs),
        };
        if commands.start.is_none()
            && listeners
                .iter()
                .any(|listener| listener.endpoint.port() == 0)
        {
            let help =
                "give the port at which the broker listens, or `start`, which is told a free one";
            self.problem(format.listeners.span(), "port 0 without `start`", help);
        }
        let baseline = format.baseline.map(|file| {
            let path = self.folder.join(file.get_ref());
            if !path.is_file() {
                let message = format!("there is no file {}", path.display());
                self.problem(
                    file.span(),
                    message,
                    "paths are seen from the folder of this file",
                );
            }
            path
        });
        let trust = self.trust(format.ca.as_ref(), format.insecure);
        let plain = Configuration {
            name: PLAIN.to_owned(),
            credentials: format.credentials.map(credentials),
            facts: Facts::default(),
        };
        let can_change = commands.start.is_some() || commands.reconfigure.is_some();
        let mut configurations = vec![plain];
        for further in format.configurations {
            if !can_change {
                let help = "give `start`, or `reconfigure` for a broker that somebody else starts";
                self.problem(
                    further.span(),
                    "nothing can bring the broker into this configuration",
                    help,
                );
            }
            let configuration = self.configuration(further.into_inner(), &configurations);
            configurations.push(configuration);
        }
        TargetFile {
            name: format.name,
            folder: self.folder.to_owned(),
            baseline,
            trust,
            listeners,
            commands,
            configurations,
        }
    }

    fn versions(&mut self, words: &Spanned<Vec<String>>) -> Vec<Version> {
        let mut versions = Vec::new();
        for word in words.get_ref() {
            match word.parse() {
                Ok(version) if !versions.contains(&version) => versions.push(version),
                Ok(_) => {}
                Err(_) => {
                    let message = format!("there is no MQTT {word}");
                    self.problem(words.span(), message, "the versions are 3.1, 3.1.1 and 5.0");
                }
            }
        }
        if words.get_ref().is_empty() {
            self.problem(
                words.span(),
                "no version",
                "expected [\"3.1.1\", \"5.0\"] or one of them",
            );
        }
        versions.sort_unstable();
        versions
    }

    fn listeners(
        &mut self,
        formats: &Spanned<Vec<ListenerFormat>>,
        versions: &[Version],
    ) -> Vec<Listener> {
        if formats.get_ref().is_empty() {
            self.problem(
                formats.span(),
                "no listener",
                "expected [[listeners]] with url = \"mqtt://HOST\"",
            );
        }
        let mut listeners: Vec<Listener> = Vec::new();
        for format in formats.get_ref() {
            let versions = match &format.mqtt {
                Some(own) => self.versions(own),
                None => versions.to_vec(),
            };
            match Endpoint::parse(format.url.get_ref()) {
                Ok(endpoint) => listeners.push(Listener { endpoint, versions }),
                Err(error) => {
                    let help =
                        "expected mqtt://, mqtts://, ws://, wss:// or quic://, a host, a port";
                    self.problem(format.url.span(), error.to_string(), help);
                }
            }
        }
        listeners
    }

    fn command(&mut self, words: Option<&Spanned<Vec<String>>>) -> Option<Vec<String>> {
        let words = words?;
        if words.get_ref().first().is_none_or(String::is_empty) {
            self.problem(
                words.span(),
                "an empty command",
                "expected [\"program\", \"argument\"]",
            );
        }
        Some(words.get_ref().clone())
    }

    fn trust(&mut self, ca: Option<&Spanned<String>>, insecure: bool) -> Trust {
        let Some(file) = ca else {
            return if insecure {
                Trust::Anyone
            } else {
                Trust::System
            };
        };
        if insecure {
            self.problem(
                file.span(),
                "`ca` and `insecure`",
                "with `insecure` every certificate is good; leave one out",
            );
        }
        Trust::from_pem_file(&self.folder.join(file.get_ref())).unwrap_or_else(|error| {
            self.problem(
                file.span(),
                error.to_string(),
                "paths are seen from the folder of this file",
            );
            Trust::System
        })
    }

    fn configuration(
        &mut self,
        format: ConfigurationFormat,
        earlier: &[Configuration],
    ) -> Configuration {
        let name = format.name.get_ref();
        if earlier.iter().any(|other| other.name == *name) {
            let message = format!("a second configuration `{name}`");
            self.problem(
                format.name.span(),
                message,
                "names are unique; the file itself is `plain`",
            );
        }
        if format.set.is_empty() {
            self.problem(
                format.name.span(),
                "it sets nothing",
                "expected set = { denied-topic = \"...\" } or the like",
            );
        }
        let credentials = format
            .credentials
            .map(credentials)
            .or_else(|| earlier[0].credentials.clone());
        let mut facts = Facts::default();
        for (word, value) in &format.set {
            let Some(setup) = Setup::parse(word.get_ref()) else {
                let words = Setup::ALL.into_iter().map(Setup::word);
                let near = suggest::nearest(word.get_ref(), words);
                let message = format!("there is no setup `{}`", word.get_ref());
                let help = match near.as_slice() {
                    [] => "docs/targets.md lists them".to_owned(),
                    near => format!("did you mean `{}`?", near.join("` or `")),
                };
                self.problem(word.span(), message, &help);
                continue;
            };
            match values(setup, value.get_ref(), credentials.as_ref()) {
                Ok(values) => facts.set(setup, values),
                Err(expected) => {
                    let message = format!("`{setup}` cannot be that");
                    self.problem(value.span(), message, expected);
                }
            }
        }
        Configuration {
            name: format.name.into_inner(),
            credentials,
            facts,
        }
    }
}

fn credentials(format: CredentialsFormat) -> Credentials {
    (format.user_name, format.password.into_bytes())
}

/// The values of the variables of a setup, or what was expected instead.
fn values(
    setup: Setup,
    value: &TomlValue,
    credentials: Option<&Credentials>,
) -> Result<Vec<Value>, &'static str> {
    let number = |range: std::ops::RangeInclusive<i64>, expected| {
        let number = value.as_integer().filter(|number| range.contains(number));
        let number = number.and_then(|number| u64::try_from(number).ok());
        number
            .map(|number| vec![Value::Number(number)])
            .ok_or(expected)
    };
    let text = |is_good: fn(&str) -> bool, expected| {
        let text = value.as_str().filter(|text| is_good(text));
        text.map(|text| vec![Value::Text(text.to_owned())])
            .ok_or(expected)
    };
    match setup {
        Setup::MaximumQos => number(0..=1, "expected 0 or 1"),
        Setup::MaximumPacketSize => number(
            200..=1_000_000,
            "expected the size in bytes, 200 to 1000000",
        ),
        Setup::ServerKeepAlive | Setup::SessionExpiry => {
            number(1..=10, "expected the seconds, 1 to 10")
        }
        Setup::NoRetain | Setup::NoTopicAliases => match value.as_bool() {
            Some(true) => Ok(Vec::new()),
            _ => Err("expected true; leave it out where it does not hold"),
        },
        Setup::DeniedTopic => text(|topic| !topic.is_empty(), "expected the Topic Name"),
        Setup::RefusedClientId => text(|_| true, "expected the Client Identifier"),
        Setup::Users => match (value.as_bool(), credentials) {
            (Some(true), Some((user, password))) => Ok(vec![
                Value::Text(user.clone()),
                Value::Bytes(password.clone()),
            ]),
            (Some(true), None) => Err("give the `credentials` of one user"),
            _ => Err("expected true; leave it out where it does not hold"),
        },
        Setup::EnhancedAuthentication => {
            let part = |name| value.get(name).and_then(TomlValue::as_str);
            let data = part("data").map(unhex).and_then(Result::ok);
            match (part("method"), data) {
                (Some(method), Some(data)) => {
                    Ok(vec![Value::Text(method.to_owned()), Value::Bytes(data)])
                }
                _ => {
                    Err("expected { method = \"NAME\", data = \"HEX\" }: what a client sends first")
                }
            }
        }
    }
}
