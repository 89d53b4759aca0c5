//! What a server must be set to before some statements can be judged: a limit, a rule, users.
//!
//! A scenario names what it needs (`setup denied-topic`); a target file says which of its configurations has it, and with
//! which values. The values are variables of the scenario.

use std::{collections::BTreeMap, fmt};

use crate::scenario::expression::Value;

/// One thing that a server can be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setup {
    /// It serves QoS 0 only, or 0 and 1, and announces that.
    MaximumQos,
    /// It keeps no retained messages, and announces that.
    NoRetain,
    /// It takes packets up to a size only, and announces that.
    MaximumPacketSize,
    /// It takes no Topic Aliases.
    NoTopicAliases,
    /// It imposes a Keep Alive of its own.
    ServerKeepAlive,
    /// It keeps no session for longer than so many seconds, and says so in CONNACK.
    SessionExpiry,
    /// It lets in only who has a user name and the right password.
    Users,
    /// There is a topic to which the suite's user may neither publish nor subscribe.
    DeniedTopic,
    /// There is a Client Identifier that it refuses.
    RefusedClientId,
    /// It knows a method of enhanced authentication.
    EnhancedAuthentication,
}

impl Setup {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::MaximumQos,
        Self::NoRetain,
        Self::MaximumPacketSize,
        Self::NoTopicAliases,
        Self::ServerKeepAlive,
        Self::SessionExpiry,
        Self::Users,
        Self::DeniedTopic,
        Self::RefusedClientId,
        Self::EnhancedAuthentication,
    ];

    /// The word that scenarios and target files use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::MaximumQos => "maximum-qos",
            Self::NoRetain => "no-retain",
            Self::MaximumPacketSize => "maximum-packet-size",
            Self::NoTopicAliases => "no-topic-aliases",
            Self::ServerKeepAlive => "server-keep-alive",
            Self::SessionExpiry => "session-expiry",
            Self::Users => "users",
            Self::DeniedTopic => "denied-topic",
            Self::RefusedClientId => "refused-client-id",
            Self::EnhancedAuthentication => "enhanced-authentication",
        }
    }

    /// The variables that a scenario has beside its own where it names this.
    pub const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::MaximumQos => &["limit"],
            Self::NoRetain | Self::NoTopicAliases => &[],
            Self::MaximumPacketSize => &["size"],
            Self::ServerKeepAlive => &["seconds"],
            Self::SessionExpiry => &["expiry"],
            Self::Users => &["user", "password"],
            Self::DeniedTopic => &["denied"],
            Self::RefusedClientId => &["refused"],
            Self::EnhancedAuthentication => &["method", "data"],
        }
    }

    /// The one that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setup| setup.word() == word)
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What one server is set to, with the values that scenarios use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<Setup, Vec<Value>>);

impl Facts {
    /// The server is set so; `values` are those of [`Setup::variables`], in that order.
    ///
    /// # Panics
    /// If there are more or fewer values than variables.
    pub fn set(&mut self, setup: Setup, values: Vec<Value>) {
        assert_eq!(values.len(), setup.variables().len(), "{setup}");
        self.0.insert(setup, values);
    }

    /// The first of `needed` that the server is not set to.
    pub fn missing(&self, needed: &[Setup]) -> Option<Setup> {
        needed
            .iter()
            .copied()
            .find(|setup| !self.0.contains_key(setup))
    }

    /// The variables of what is `needed`, with their values.
    pub fn values<'a>(
        &'a self,
        needed: &'a [Setup],
    ) -> impl Iterator<Item = (&'static str, &'a Value)> {
        needed.iter().flat_map(|setup| {
            let values = self.0.get(setup).into_iter().flatten();
            setup.variables().iter().copied().zip(values)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_variables_are_unambiguous() {
        for setup in Setup::ALL {
            assert_eq!(Setup::parse(setup.word()), Some(setup));
        }
        let mut names: Vec<&str> = Setup::ALL
            .into_iter()
            .flat_map(|setup| setup.variables().iter().copied())
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(
            names.len(),
            count,
            "no variable means two things: {names:?}"
        );
        assert_eq!(Setup::parse("retain"), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut facts = Facts::default();
        facts.set(Setup::DeniedTopic, vec![Value::Text("secret".to_owned())]);
        assert_eq!(facts.missing(&[]), None);
        assert_eq!(facts.missing(&[Setup::DeniedTopic]), None);
        assert_eq!(
            facts.missing(&[Setup::DeniedTopic, Setup::Users]),
            Some(Setup::Users)
        );
    }
}
