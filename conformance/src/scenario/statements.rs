//! What the parser must know about catalogue ids.

use quince_codec::Version;

/// What is known about one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether it is about CONNECT or CONNACK (sections 3.1 and 3.2).
    pub about_connecting: bool,
}

/// The catalogue, as far as scenarios need it.
pub trait Statements {
    /// What is known about an id; `None` if there is no such statement.
    fn known(&self, id: &str) -> Option<Known>;
}

/// Accepts every id that has the right shape: for tests and for files of other suites.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatementsByShape;

impl Statements for StatementsByShape {
    fn known(&self, id: &str) -> Option<Known> {
        version_of(id)?;
        let section = id.split_once('-').map_or("", |(_, rest)| rest);
        let about_connecting = id.starts_with("MQTT")
            && ["3.1.", "3.2."]
                .iter()
                .any(|start| section.starts_with(start));
        Some(Known { about_connecting })
    }
}

/// The version that an id belongs to, by its prefix. Ids of MQTT over QUIC belong to 5.0.
pub fn version_of(id: &str) -> Option<Version> {
    let (prefix, rest) = id.split_once('-')?;
    if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    match prefix {
        "MQTT5" | "X5" | "MQ" => Some(Version::V5_0),
        "MQTT3" | "X3" => Some(Version::V3_1_1),
        _ => None,
    }
}
