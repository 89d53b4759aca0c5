//! Topic Aliases of one network connection, one map per direction [MQTT5-3.3.2-7].

use std::collections::BTreeMap;
use std::sync::Arc;

use quince_codec::ReasonCode;

/// What the client's aliases stand for.
#[derive(Debug)]
pub(crate) struct IncomingAliases {
    maximum: u16,
    topics: BTreeMap<u16, Arc<str>>,
}

impl IncomingAliases {
    /// Aliases from 1 to `maximum`, the announced Topic Alias Maximum.
    pub(crate) fn new(maximum: u16) -> Self {
        Self {
            maximum,
            topics: BTreeMap::new(),
        }
    }

    /// The topic that a PUBLISH with this alias means; a topic that is not empty is what the alias stands for from
    /// now on [MQTT5-3.3.2-12].
    pub(crate) fn resolve(&mut self, alias: u16, topic: &str) -> Result<Arc<str>, ReasonCode> {
        if alias == 0 || alias > self.maximum {
            return Err(ReasonCode::TOPIC_ALIAS_INVALID);
        }
        if topic.is_empty() {
            return self
                .topics
                .get(&alias)
                .cloned()
                .ok_or(ReasonCode::PROTOCOL_ERROR);
        }
        let topic: Arc<str> = Arc::from(topic);
        self.topics.insert(alias, Arc::clone(&topic));
        Ok(topic)
    }
}

/// What our aliases stand for: the topics that were set last.
#[derive(Debug)]
pub(crate) struct OutgoingAliases {
    maximum: u16,
    topics: Vec<Arc<str>>,
    /// Index of the alias that is given away next when all are taken.
    oldest: usize,
}

impl OutgoingAliases {
    /// Aliases from 1 to `maximum` [MQTT5-3.1.2-26]; 0 means none [MQTT5-3.1.2-27].
    pub(crate) fn new(maximum: u16) -> Self {
        Self {
            maximum,
            topics: Vec::new(),
            oldest: 0,
        }
    }

    /// The alias that stands for a topic.
    pub(crate) fn find(&self, topic: &str) -> Option<u16> {
        let index = self.topics.iter().position(|known| **known == *topic)?;
        u16::try_from(index + 1).ok()
    }

    /// The alias that the next new topic gets; `None` when aliases are not allowed.
    pub(crate) fn next(&self) -> Option<u16> {
        if self.maximum == 0 {
            return None;
        }
        let index = if self.topics.len() < usize::from(self.maximum) {
            self.topics.len()
        } else {
            self.oldest
        };
        u16::try_from(index + 1).ok()
    }

    /// The client was told that the alias of [`OutgoingAliases::next`] stands for this topic.
    pub(crate) fn set_next(&mut self, topic: &Arc<str>) {
        if self.topics.len() < usize::from(self.maximum) {
            self.topics.push(Arc::clone(topic));
        } else if let Some(known) = self.topics.get_mut(self.oldest) {
            *known = Arc::clone(topic);
            self.oldest = (self.oldest + 1) % self.topics.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incoming_aliases_are_those_from_one_to_the_maximum() {
        let mut aliases = IncomingAliases::new(2);
        assert_eq!(
            aliases.resolve(0, "a"),
            Err(ReasonCode::TOPIC_ALIAS_INVALID)
        );
        assert_eq!(
            aliases.resolve(3, "a"),
            Err(ReasonCode::TOPIC_ALIAS_INVALID)
        );
        assert_eq!(aliases.resolve(2, ""), Err(ReasonCode::PROTOCOL_ERROR));
        assert_eq!(aliases.resolve(2, "a").as_deref(), Ok("a"));
        assert_eq!(aliases.resolve(2, "b").as_deref(), Ok("b"));
        assert_eq!(aliases.resolve(2, "").as_deref(), Ok("b"));
    }

    #[test]
    fn outgoing_aliases_stay_within_the_maximum_and_give_the_oldest_away() {
        let mut aliases = OutgoingAliases::new(2);
        for (topic, alias) in [("a", 1), ("b", 2), ("c", 1), ("d", 2)] {
            assert_eq!(aliases.find(topic), None);
            assert_eq!(aliases.next(), Some(alias));
            aliases.set_next(&Arc::from(topic));
            assert_eq!(aliases.find(topic), Some(alias));
        }
        assert_eq!(aliases.find("a"), None);
        assert_eq!(OutgoingAliases::new(0).next(), None);
    }
}
