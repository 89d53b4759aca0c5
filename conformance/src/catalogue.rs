//! The statement catalogue: what the specifications ask, in our own words.
//!
//! The rows lie in `conformance/catalogue/*.tsv` and are part of the binary. Ids always carry the version, because the same
//! number means different things in different versions: `MQTT5-3.3.1-9` is not `MQTT3-3.3.1-9`. `X5-n` and `X3-n` are testable
//! requirements that the specifications print without an id.

mod alias;
mod load;
mod need;
mod statement;

use std::sync::LazyLock;

use quince_codec::Version;

use crate::{
    scenario::{Known, Statements},
    suggest,
};
pub use load::CatalogueError;
pub use need::Need;
pub use statement::{Keyword, Observable, Statement, Subject};

/// The rows of all versions, in the order of the files: 3.1.1, 5.0, extras.
#[derive(Debug)]
pub struct Catalogue {
    statements: Vec<Statement>,
}

/// Why a text names no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no statement `{id}`{}", suggest::did_you_mean(.near))]
pub struct UnknownStatement {
    /// The text as given.
    pub id: String,
    /// Ids that may have been meant, the likeliest first.
    pub near: Vec<String>,
}

impl Catalogue {
    /// The catalogue that is part of this binary.
    ///
    /// # Panics
    /// If the embedded files are broken, which a test of this crate excludes.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Catalogue> = LazyLock::new(|| {
            load::embedded().unwrap_or_else(|error| unreachable!("the embedded catalogue: {error}"))
        });
        &EMBEDDED
    }

    /// Every statement, in the order of the files.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The statement with exactly that id.
    pub fn statement(&self, id: &str) -> Option<&Statement> {
        self.statements.iter().find(|statement| statement.id == id)
    }

    /// The statement that a person means by `text`: an id in any case, or one of the spellings that the specifications misprint.
    ///
    /// # Errors
    /// [`UnknownStatement`], with what may have been meant: an id without its version ("MQTT-3.3.1-1", "3.3.1-1") is in both.
    pub fn find(&self, text: &str) -> Result<&Statement, UnknownStatement> {
        let upper = text.trim().to_ascii_uppercase();
        let canonical = alias::canonical(&upper).unwrap_or(&upper);
        self.statement(canonical).ok_or_else(|| UnknownStatement {
            id: text.to_owned(),
            near: self.near(canonical),
        })
    }

    fn near(&self, upper: &str) -> Vec<String> {
        let number = upper.trim_start_matches('[').trim_end_matches(']');
        let number = number.strip_prefix("MQTT-").unwrap_or(number);
        let versioned: Vec<String> = ["MQTT3", "MQTT5"]
            .iter()
            .map(|prefix| format!("{prefix}-{number}"))
            .map(|id| alias::canonical(&id).map_or(id, str::to_owned))
            .filter(|id| self.statement(id).is_some())
            .collect();
        if versioned.is_empty() {
            suggest::nearest(upper, self.statements.iter().map(|statement| statement.id))
        } else {
            versioned
        }
    }
}

impl Statements for Catalogue {
    fn known(&self, id: &str) -> Option<Known> {
        self.statement(id).map(|statement| Known {
            about_connecting: statement.is_about_connecting(),
        })
    }
}

/// The version that ids with this prefix belong to.
fn version_of_prefix(prefix: &str) -> Option<Version> {
    match prefix {
        "MQTT3" | "X3" => Some(Version::V3_1_1),
        "MQTT5" | "X5" | "MQ" => Some(Version::V5_0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misprinted_and_lower_case_ids_are_understood() {
        let catalogue = Catalogue::embedded();
        for (text, id) in [
            ("mqtt5-3.3.1-1", "MQTT5-3.3.1-1"),
            ("MQTT3-3.1.2.7", "MQTT3-3.1.2-7"),
            ("MQTT3-3-8.3-4", "MQTT3-3.8.3-4"),
            ("MQTT3-3.3.1.-1", "MQTT3-3.3.1-1"),
            ("MQTT5-4.2-1", "MQTT5-4.2.0-1"),
            ("x5-1", "X5-1"),
        ] {
            assert_eq!(catalogue.find(text).expect(text).id, id);
        }
    }

    #[test]
    fn an_id_without_its_version_is_ambiguous() {
        let catalogue = Catalogue::embedded();
        for (text, message) in [
            (
                "MQTT-3.3.1-1",
                "there is no statement `MQTT-3.3.1-1`: did you mean `MQTT3-3.3.1-1` or `MQTT5-3.3.1-1`?",
            ),
            (
                "3.2.2-22",
                "there is no statement `3.2.2-22`: did you mean `MQTT5-3.2.2-22`?",
            ),
            (
                "4.2-1",
                "there is no statement `4.2-1`: did you mean `MQTT5-4.2.0-1`?",
            ),
            ("zzzzzzzzzz", "there is no statement `zzzzzzzzzz`"),
        ] {
            assert_eq!(catalogue.find(text).expect_err(text).to_string(), message);
        }
        let near = catalogue
            .find("MQTT5-3.3.1-99")
            .expect_err("no such id")
            .near;
        assert!(
            near.iter().any(|id| id.starts_with("MQTT5-3.3.1-")),
            "{near:?}"
        );
    }

    #[test]
    fn what_connecting_means_follows_the_sections() {
        let catalogue = Catalogue::embedded();
        for (id, expected) in [
            ("MQTT5-3.1.2-1", true),
            ("MQTT5-3.2.0-1", true),
            ("MQTT5-3.10.4-1", false),
            ("MQTT5-3.3.1-1", false),
            ("X5-11", true),
            ("X5-40", false),
        ] {
            assert_eq!(
                catalogue.known(id).expect(id).about_connecting,
                expected,
                "{id}"
            );
        }
    }
}
