//! Messages that their publisher sent ahead of their time: `$delayed/<seconds>/<topic>`, as EMQX defines it.
//!
//! The message is acknowledged when it is taken, waits here, and is published to `<topic>` when its time has come. Its
//! Message Expiry Interval runs meanwhile [MQTT5-3.3.2-6], and its publisher needs the right to `<topic>` at both times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quince_codec::{Properties, Property, PropertyList, QoS};

use crate::fanout::QuotaExceeded;
use crate::message::{Budget, Charge, Incoming};
use crate::policy::Identity;
use crate::position::Position;
use crate::time::Time;

/// The longest delay, in seconds; EMQX's.
const LONGEST: u32 = 4_294_967;

/// How long a message whose receivers have no room waits for its next attempt, in seconds.
pub(crate) const NEXT_ATTEMPT: u64 = 1;

/// What a Topic Name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination<'a> {
    /// Where the message goes.
    pub(crate) topic: &'a str,
    /// After how many seconds; `None` means at once.
    pub(crate) delay: Option<u32>,
}

/// A Topic Name below `$delayed/` that gives no delay of 0 to 4,294,967 seconds, or no topic of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchDelay;

impl<'a> Destination<'a> {
    /// Reads a Topic Name.
    pub(crate) fn of(topic: &'a str) -> Result<Self, NoSuchDelay> {
        let Some(rest) = topic.strip_prefix("$delayed/") else {
            return Ok(Self { topic, delay: None });
        };
        let (seconds, topic) = rest.split_once('/').ok_or(NoSuchDelay)?;
        // A sign is no digit, although `parse` would take it.
        let digits = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
        let delay = seconds
            .parse::<u32>()
            .ok()
            .filter(|&delay| digits && delay <= LONGEST)
            .ok_or(NoSuchDelay)?;
        if topic.is_empty() || topic.starts_with("$delayed/") {
            return Err(NoSuchDelay);
        }
        Ok(Self {
            topic,
            delay: Some(delay),
        })
    }
}

/// A message that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) topic: Box<str>,
    pub(crate) properties: PropertyList,
    pub(crate) payload: Box<[u8]>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) expires: Option<Time>,
    pub(crate) publisher: Identity,
    /// Picks the members of shared subscriptions.
    pub(crate) turn: u64,
    pub(crate) _charge: Charge,
}

/// A message that waits, and the record that stored it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) record: Option<u64>,
}

impl Waiting {
    /// Bytes that a message of these parts occupies.
    pub(crate) fn size(
        topic: &str,
        properties: Properties<'_>,
        payload: &[u8],
        publisher: &Identity,
    ) -> usize {
        size_of::<Self>()
            + topic.len()
            + properties.raw().len()
            + payload.len()
            + publisher.client_id.len()
    }

    /// The message as it is published at `now`, by way of `properties`; `None` when it has expired.
    pub(crate) fn incoming<'a>(
        &'a self,
        now: Time,
        properties: &'a mut PropertyList,
    ) -> Option<Incoming<'a>> {
        *properties = PropertyList::new();
        for property in self.properties.as_properties().iter() {
            if !matches!(property, Property::MessageExpiryInterval(_)) {
                properties.push(property);
            }
        }
        if let Some(expires) = self.expires {
            if expires <= now {
                return None;
            }
            properties.push(Property::MessageExpiryInterval(now.seconds_until(expires)));
        }
        Some(Incoming {
            topic: &self.topic,
            properties: properties.as_properties(),
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
        })
    }
}

/// All messages that wait. See the module.
#[derive(Debug)]
pub(crate) struct Delayed {
    waiting: Mutex<BTreeMap<(Time, u64), Entry>>,
    limit: usize,
}

impl Delayed {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            limit,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<(Time, u64), Entry>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn messages(&self) -> usize {
        self.waiting().len()
    }

    /// When the first one is due.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.waiting().keys().next().map(|(at, _)| *at)
    }

    /// Keeps a copy of `incoming` until `at`, and makes its record by `record`. Says whether it is now the first one due,
    /// and the position behind its record.
    pub(crate) fn keep(
        &self,
        budget: &Arc<Budget>,
        (now, at): (Time, Time),
        incoming: &Incoming<'_>,
        by: (Identity, u64),
        record: impl FnOnce(&Arc<Waiting>) -> Position,
    ) -> Result<(bool, Position), QuotaExceeded> {
        let (publisher, turn) = by;
        let bytes = Waiting::size(
            incoming.topic,
            incoming.properties,
            incoming.payload,
            &publisher,
        );
        let mut waiting = self.waiting();
        if waiting.len() >= self.limit {
            return Err(QuotaExceeded);
        }
        let charge = budget.charge(bytes).ok_or(QuotaExceeded)?;
        let mut properties = PropertyList::new();
        for property in incoming.properties.iter() {
            // An alias names the topic as it was sent, and only on that connection.
            if !matches!(property, Property::TopicAlias(_)) {
                properties.push(property);
            }
        }
        let message = Arc::new(Waiting {
            topic: Box::from(incoming.topic),
            properties,
            payload: Box::from(incoming.payload),
            qos: incoming.qos,
            retain: incoming.retain,
            expires: incoming
                .properties
                .message_expiry_interval()
                .map(|seconds| now.plus_secs(u64::from(seconds))),
            publisher,
            turn,
            _charge: charge,
        });
        // The record is made under this lock: whoever takes the message makes the next one.
        let position = record(&message);
        let message = Entry {
            waiting: message,
            record: (position > Position::START).then(|| position.records()),
        };
        let is_first = waiting.keys().next().is_none_or(|(first, _)| at < *first);
        insert_last(&mut waiting, at, message);
        Ok((is_first, position))
    }

    /// Takes the first message that is due by `now`.
    pub(crate) fn take(&self, now: Time) -> Option<(Time, Entry)> {
        let mut waiting = self.waiting();
        let first = waiting.first_entry().filter(|first| first.key().0 <= now)?;
        let at = first.key().0;
        Some((at, first.remove()))
    }

    /// Puts one back that could not be published at `at`.
    pub(crate) fn put_back(&self, at: Time, message: Entry) {
        insert_last(&mut self.waiting(), at.plus_secs(NEXT_ATTEMPT), message);
    }
}

impl Delayed {
    /// Keeps what a store held.
    pub(crate) fn restore(&self, at: Time, message: Entry) {
        insert_last(&mut self.waiting(), at, message);
    }
}

/// Messages of one instant keep the order in which they came.
fn insert_last(waiting: &mut BTreeMap<(Time, u64), Entry>, at: Time, message: Entry) {
    let last = waiting
        .range((at, 0)..=(at, u64::MAX))
        .next_back()
        .map(|((_, turn), _)| turn + 1);
    waiting.insert((at, last.unwrap_or(0)), message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_read_from_the_topic() {
        let to = |topic, delay| Ok(Destination { topic, delay });
        for (topic, expected) in [
            ("a/b", to("a/b", None)),
            ("$delayed", to("$delayed", None)),
            ("$delayedx/5/a", to("$delayedx/5/a", None)),
            ("$delayed/5/a/b", to("a/b", Some(5))),
            ("$delayed/0//a", to("/a", Some(0))),
            ("$delayed/4294967/a", to("a", Some(4_294_967))),
            ("$delayed/4294968/a", Err(NoSuchDelay)),
            ("$delayed/99999999999/a", Err(NoSuchDelay)),
            ("$delayed/+5/a", Err(NoSuchDelay)),
            ("$delayed/-5/a", Err(NoSuchDelay)),
            ("$delayed/x/a", Err(NoSuchDelay)),
            ("$delayed//a", Err(NoSuchDelay)),
            ("$delayed/", Err(NoSuchDelay)),
            ("$delayed/5", Err(NoSuchDelay)),
            ("$delayed/5/", Err(NoSuchDelay)),
            ("$delayed/5/$delayed/5/a", Err(NoSuchDelay)),
        ] {
            assert_eq!(Destination::of(topic), expected, "{topic}");
        }
    }
}
