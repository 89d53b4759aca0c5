//! Access rules in the form of mosquitto's `acl_file`.
//!
//! ```text
//! # What comes first is for clients without a name.
//! topic read news/#
//! # From here on for alice.
//! user alice
//! topic readwrite alice/#
//! topic deny alice/secret
//! # For every client, whoever's section it stands in.
//! pattern write devices/%u/%c
//! ```
//!
//! What no rule grants is denied; what a `deny` speaks of is denied whatever else grants it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use quince_codec::Version;
use quince_codec::topic::{SharedSubscription, validate_topic_filter};
use quince_core::{Action, Subject};

use super::filter::{Filter, Identities, Pieces};
use crate::problem::{Problem, read_text, similar};

const KEYWORDS: [&str; 3] = ["user", "topic", "pattern"];
const RIGHTS: [(&str, Right); 4] = [
    ("read", Right::Read),
    ("write", Right::Write),
    ("readwrite", Right::ReadWrite),
    ("deny", Right::Deny),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Read,
    Write,
    ReadWrite,
    Deny,
}

impl Right {
    fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

#[derive(Clone, Debug)]
struct Rule {
    right: Right,
    filter: Filter,
}

/// All rules of a file.
#[derive(Debug, Default)]
pub(crate) struct Acl {
    /// For clients without a name.
    anonymous: Vec<Rule>,
    users: BTreeMap<Box<str>, Vec<Rule>>,
    /// For everybody.
    patterns: Vec<Rule>,
}

impl Acl {
    /// Reads an access file.
    ///
    /// # Errors
    /// The first line that is no rule.
    pub(crate) fn load(path: &Path) -> Result<Self, Problem> {
        Self::parse(path, &read_text(path)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Problem> {
        let mut acl = Self::default();
        let mut user: Option<Box<str>> = None;
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            let parsed = Line::parse(line).map_err(|mistake| {
                let span = offset + mistake.span.start..offset + mistake.span.end;
                Problem::of_file(path, mistake.message, mistake.help).at(text, span)
            })?;
            match parsed {
                Line::Nothing => {}
                Line::User(name) => {
                    acl.users.entry(Box::from(name)).or_default();
                    user = Some(Box::from(name));
                }
                Line::Topic(rule) => match &user {
                    Some(user) => acl.users.entry(user.clone()).or_default().push(rule),
                    None => acl.anonymous.push(rule),
                },
                Line::Pattern(rule) => acl.patterns.push(rule),
            }
            offset += line.len();
        }
        Ok(acl)
    }

    /// Whether the rules let `subject` do `action`.
    pub(crate) fn allows(&self, subject: Subject<'_>, action: Action<'_>) -> bool {
        match action {
            Action::Publish(topic) => self.grants(subject, topic, Right::writes),
            Action::Receive(topic) => self.grants(subject, topic, Right::reads),
            Action::Subscribe(filter) => {
                let shared = SharedSubscription::parse(filter).ok().flatten();
                self.lets_subscribe(subject, shared.map_or(filter, |shared| shared.filter))
            }
        }
    }

    fn rules(&self, subject: Subject<'_>) -> impl Iterator<Item = &Rule> {
        let own = match subject.principal.name() {
            Some(name) => self.users.get(name),
            None => Some(&self.anonymous),
        };
        own.into_iter().flatten().chain(&self.patterns)
    }

    fn grants(&self, subject: Subject<'_>, topic: &str, grants: fn(Right) -> bool) -> bool {
        let mut granted = false;
        for rule in self.rules(subject) {
            let denies = rule.right == Right::Deny;
            if (denies || !granted && grants(rule.right)) && rule.filter.matches(topic, subject) {
                if denies {
                    return false;
                }
                granted = true;
            }
        }
        granted
    }

    /// A subscription is made when something that its filter matches may be received; what may not is left out of
    /// it, message by message.
    fn lets_subscribe(&self, subject: Subject<'_>, filter: &str) -> bool {
        let wanted = Pieces::of(filter);
        let denied: Vec<Pieces<'_>> = self
            .rules(subject)
            .filter(|rule| rule.right == Right::Deny)
            .filter_map(|rule| rule.filter.resolve(subject))
            .collect();
        self.rules(subject)
            .filter(|rule| rule.right.reads())
            .filter_map(|rule| rule.filter.resolve(subject)?.intersection(&wanted))
            .any(|granted| !denied.iter().any(|denied| denied.covers(&granted)))
    }
}

/// One line of the file.
enum Line<'a> {
    Nothing,
    User(&'a str),
    Topic(Rule),
    Pattern(Rule),
}

/// What is wrong with a line, in bytes of the line.
struct Mistake {
    span: Range<usize>,
    message: String,
    help: String,
}

/// A part of a line.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Word<'a> {
    /// The first word, and what follows it.
    fn split(self) -> (Self, Self) {
        let end = self.text.find([' ', '\t']).unwrap_or(self.text.len());
        let (first, rest) = self.text.split_at(end);
        let start = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        (
            Self {
                text: first,
                at: self.at,
            },
            Self {
                text: &rest[start..],
                at: self.at + end + start,
            },
        )
    }

    fn mistake(self, message: impl Into<String>, help: impl Into<String>) -> Mistake {
        Mistake {
            span: self.at..self.at + self.text.len(),
            message: message.into(),
            help: help.into(),
        }
    }
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Result<Self, Mistake> {
        let line = line.trim_end();
        let start = line.len() - line.trim_start().len();
        if line.is_empty() || line[start..].starts_with('#') {
            return Ok(Self::Nothing);
        }
        let whole = Word {
            text: &line[start..],
            at: start,
        };
        let (keyword, rest) = whole.split();
        match keyword.text {
            "user" if rest.text.is_empty() => {
                Err(keyword.mistake("`user` names nobody", "write `user NAME`"))
            }
            "user" => Ok(Self::User(rest.text)),
            "topic" => parse_rule(keyword, rest, Identities::Refused).map(Self::Topic),
            "pattern" => parse_rule(keyword, rest, Identities::Substituted).map(Self::Pattern),
            other => Err(keyword.mistake(
                format!("'{other}' begins no rule"),
                match similar(other, KEYWORDS) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => {
                        "a line begins with `user`, `topic` or `pattern`, or with # for a comment"
                            .to_owned()
                    }
                },
            )),
        }
    }
}

fn parse_rule(keyword: Word<'_>, rest: Word<'_>, identities: Identities) -> Result<Rule, Mistake> {
    if rest.text.is_empty() {
        let message = format!("`{}` says nothing about any topic", keyword.text);
        return Err(keyword.mistake(
            message,
            format!("write `{} read|write|readwrite|deny FILTER`", keyword.text),
        ));
    }
    let (first, filter) = rest.split();
    // A single word is the filter, even if it is called like a right.
    let (right, filter) = if filter.text.is_empty() {
        (Right::ReadWrite, first)
    } else {
        match RIGHTS.iter().find(|(word, _)| *word == first.text) {
            Some((_, right)) => (*right, filter),
            None => {
                return Err(first.mistake(
                    format!("'{}' is no right", first.text),
                    match similar(first.text, RIGHTS.map(|(word, _)| word)) {
                        Some(word) => format!("did you mean `{word}`?"),
                        None => {
                            "write read, write, readwrite or deny before a filter that has spaces"
                                .to_owned()
                        }
                    },
                ));
            }
        }
    };
    if filter.text.starts_with("$share/") {
        return Err(filter.mistake(
            "a rule about a shared subscription would never be asked",
            "leave `$share/NAME/` out: the filter behind it is what counts",
        ));
    }
    if let Err(error) = validate_topic_filter(filter.text, Version::V5_0) {
        return Err(filter.mistake(
            format!("this is no Topic Filter: {error}"),
            "+ stands for one whole level, # for all levels from there on and is the last one",
        ));
    }
    let parsed = Filter::parse(filter.text, identities);
    parsed
        .map(|filter| Rule { right, filter })
        .map_err(|(message, help)| filter.mistake(message, help))
}

#[cfg(test)]
mod tests {
    use quince_core::Principal;

    use super::*;

    const FILE: &str = "
topic read news/#
user alice
topic readwrite alice/#
topic deny alice/secret
topic write with spaces/x
user bob
topic everything/+
# comment
pattern write devices/%u/%c
\tpattern read  up/%c/#
";

    fn allows(user: Option<&str>, client_id: &str, action: Action<'_>) -> bool {
        let acl = Acl::parse(Path::new("acl"), FILE).expect("well-formed");
        let principal = user.map_or_else(Principal::anonymous, Principal::named);
        acl.allows(
            Subject {
                client_id,
                principal: &principal,
            },
            action,
        )
    }

    #[test]
    fn sections_rights_and_patterns() {
        use Action::{Publish, Receive, Subscribe};
        for (user, action, expected) in [
            (None, Receive("news/x"), true),
            (None, Publish("news/x"), false),
            (None, Publish("devices/alice/c"), false),
            (Some("alice"), Receive("news/x"), false),
            (Some("alice"), Receive("alice/x"), true),
            (Some("alice"), Receive("alice/secret"), false),
            (Some("alice"), Publish("alice/secret"), false),
            (Some("alice"), Publish("with spaces/x"), true),
            (Some("alice"), Receive("everything/x"), false),
            (Some("bob"), Publish("everything/x"), true),
            (Some("bob"), Receive("everything/x"), true),
            (Some("alice"), Publish("devices/alice/c"), true),
            (Some("alice"), Publish("devices/alice/other"), false),
            (Some("carol"), Receive("up/c/x"), true),
            (Some("carol"), Receive("alice/x"), false),
            (Some("alice"), Subscribe("#"), true),
            (Some("alice"), Subscribe("alice/secret"), false),
            (Some("alice"), Subscribe("$share/g/alice/secret"), false),
            (Some("alice"), Subscribe("$share/g/alice/#"), true),
            (Some("alice"), Subscribe("news/#"), false),
            (Some("alice"), Subscribe("$SYS/#"), false),
            (Some("alice"), Subscribe("devices/+/c"), false),
            (Some("carol"), Subscribe("+/c"), true),
        ] {
            assert_eq!(allows(user, "c", action), expected, "{user:?} {action:?}");
        }
    }
}
