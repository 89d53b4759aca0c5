//! One statement of a specification.

use quince_codec::Version;

use super::need::Need;
use crate::verdict::Level;

/// One row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The id with its version: `MQTT5-3.3.1-1`, `X3-7`.
    pub id: &'static str,
    /// The version it belongs to.
    pub version: Version,
    /// The section or sections where it stands ("3.3.1.2", "3.1.2.5, 3.14.2.1").
    pub section: &'static str,
    /// The word with which it asks.
    pub keyword: Keyword,
    /// Who is bound.
    pub subject: Subject,
    /// Whether a client can see a server break it.
    pub observable: Observable,
    /// What a test takes.
    pub needs: Vec<Need>,
    /// What it asks, in our own words.
    pub paraphrase: &'static str,
    /// The same requirement in the other version, or, for an extra, the nearest statements of its own version.
    pub related: Vec<&'static str>,
    /// Why a client cannot see it, or only in part; empty where it can.
    pub why_not: &'static str,
}

impl Statement {
    /// How strongly it asks. A numbered statement that is worded as a fact is as strong as MUST, since conformance is to those.
    pub fn level(&self) -> Level {
        match self.keyword {
            Keyword::Must | Keyword::MustNot => Level::Must,
            Keyword::Fact if self.is_numbered() => Level::Must,
            Keyword::Fact => Level::Fact,
            Keyword::Should | Keyword::ShouldNot => Level::Should,
            Keyword::May => Level::May,
        }
    }

    /// Whether it has a number in the specification, and is not one of our further requirements.
    pub fn is_numbered(&self) -> bool {
        self.id.starts_with("MQTT")
    }

    /// Whether it is about CONNECT or CONNACK (sections 3.1 and 3.2, and nothing else).
    pub fn is_about_connecting(&self) -> bool {
        self.section.split(", ").all(|section| {
            let mut numbers = section.split('.');
            numbers.next() == Some("3") && matches!(numbers.next(), Some("1" | "2"))
        })
    }
}

/// The word with which a statement asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keyword {
    /// MUST.
    Must,
    /// MUST NOT.
    MustNot,
    /// SHOULD.
    Should,
    /// SHOULD NOT.
    ShouldNot,
    /// MAY.
    May,
    /// Stated as a fact, or as a Malformed Packet or Protocol Error.
    Fact,
}

impl Keyword {
    const ALL: [Self; 6] = [
        Self::Must,
        Self::MustNot,
        Self::Should,
        Self::ShouldNot,
        Self::May,
        Self::Fact,
    ];

    /// The word as the catalogue writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::May => "MAY",
            Self::Fact => "FACT",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name() == text)
    }
}

/// Who is bound by a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The server.
    Server,
    /// The client; a server shows it only where it must react to a breach.
    Client,
    /// Both ends.
    Both,
}

impl Subject {
    /// The word as the catalogue writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Both => "both",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Server, Self::Client, Self::Both]
            .into_iter()
            .find(|subject| subject.name() == text)
    }
}

/// Whether a client that sees nothing but the wire can tell that a server breaks a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observable {
    /// It can.
    Yes,
    /// Only on some servers, or only in part.
    Partial,
    /// It cannot.
    No,
}

impl Observable {
    /// The word as the catalogue writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partial => "partial",
            Self::No => "no",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Yes, Self::Partial, Self::No]
            .into_iter()
            .find(|observable| observable.name() == text)
    }
}
