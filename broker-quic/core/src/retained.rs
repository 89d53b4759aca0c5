//! Retained messages, in shards by topic, and the cursor that reads them for a new subscription.
//!
//! A retained PUBLISH holds its topic's shard over store and push, so that all see one order of the topic.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use quince_codec::QoS;

use crate::interleave::{Interleaving, Seam};
use crate::message::Message;
use crate::routes::filter_matches;
use crate::time::Time;

const SHARDS: usize = 16;
/// How many entries a cursor looks at while it holds a shard.
const LOOK_AT_MOST: usize = 256;

type Topics = BTreeMap<Arc<str>, Arc<Message>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Retained {
    limit_messages: usize,
    limit_bytes: usize,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    shards: [Mutex<Topics>; SHARDS],
    interleaving: Interleaving,
}

/// The store has no room for one more message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A locked shard: the only way to change a topic of it.
pub(crate) struct Shard<'a> {
    retained: &'a Retained,
    topics: MutexGuard<'a, Topics>,
}

impl Retained {
    pub(crate) fn new(limit_messages: usize, limit_bytes: usize) -> Self {
        Self {
            limit_messages,
            limit_bytes,
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            shards: core::array::from_fn(|_| Mutex::default()),
            interleaving: Interleaving::default(),
        }
    }

    pub(crate) fn interleave(&mut self, interleaving: Interleaving) {
        self.interleaving = interleaving;
    }

    pub(crate) fn messages(&self) -> usize {
        self.messages.load(Ordering::Acquire)
    }

    /// Locks the shard of a topic.
    pub(crate) fn shard(&self, topic: &str) -> Shard<'_> {
        Shard {
            retained: self,
            topics: self.lock(shard_of(topic)),
        }
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Topics> {
        self.interleaving
            .lock(&self.shards[shard], Seam::RetainedShard)
    }

    /// Throws away what has expired; returns whether anything was.
    pub(crate) fn sweep(&self, now: Time) -> bool {
        let before = self.messages();
        for shard in 0..SHARDS {
            self.lock(shard).retain(|_, message| {
                let keep = !message.is_expired(now);
                if !keep {
                    self.uncount(message);
                }
                keep
            });
        }
        self.messages() < before
    }

    fn uncount(&self, message: &Message) {
        self.messages.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(message.allocated(), Ordering::AcqRel);
    }

    /// Counts a message in, unless that goes beyond a limit.
    fn count(&self, message: &Message) -> Result<(), Full> {
        let take = |counter: &AtomicUsize, amount: usize, limit: usize| {
            let add = |used: usize| used.checked_add(amount).filter(|&sum| sum <= limit);
            counter
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, add)
                .map_err(|_| Full)
        };
        take(&self.messages, 1, self.limit_messages)?;
        take(&self.bytes, message.allocated(), self.limit_bytes).inspect_err(|_| {
            self.messages.fetch_sub(1, Ordering::AcqRel);
        })?;
        Ok(())
    }
}

impl Shard<'_> {
    /// Puts `message` in the place of what its topic has. On `Full` nothing has changed.
    pub(crate) fn replace(&mut self, message: &Arc<Message>) -> Result<Option<Arc<Message>>, Full> {
        let old = self.remove(&message.topic);
        if let Err(full) = self.retained.count(message) {
            if let Some(old) = old {
                self.restore(old);
            }
            return Err(full);
        }
        self.topics
            .insert(Arc::clone(&message.topic), Arc::clone(message));
        Ok(old)
    }

    /// Puts back what [`Shard::replace`] or [`Shard::remove`] gave out while this shard was locked.
    pub(crate) fn restore(&mut self, old: Arc<Message>) {
        self.remove(&old.topic);
        self.retained.messages.fetch_add(1, Ordering::AcqRel);
        self.retained
            .bytes
            .fetch_add(old.allocated(), Ordering::AcqRel);
        self.topics.insert(Arc::clone(&old.topic), old);
    }

    /// Forgets the topic's message.
    pub(crate) fn remove(&mut self, topic: &str) -> Option<Arc<Message>> {
        let old = self.topics.remove(topic);
        if let Some(old) = &old {
            self.retained.uncount(old);
        }
        old
    }
}

/// The shard that holds a topic: FNV-1a, so that it is the same everywhere, of which the high bits hardly depend on the last characters.
fn shard_of(topic: &str) -> usize {
    let hash = topic.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    usize::from(hash.to_le_bytes()[0]) % SHARDS
}

/// Reads the store for one subscription, a little at a time, so that nothing is queued for it.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) filter: Arc<str>,
    pub(crate) granted: QoS,
    pub(crate) identifier: Option<u32>,
    /// What is to be sent below this was sent before, or is lost.
    pub(crate) least: QoS,
    shard: usize,
    last: Option<Arc<str>>,
}

impl Cursor {
    pub(crate) fn new(filter: Arc<str>, granted: QoS, identifier: Option<u32>) -> Self {
        Self {
            filter,
            granted,
            identifier,
            least: QoS::AtMostOnce,
            shard: 0,
            last: None,
        }
    }

    /// The same, going on behind topic `last` after the process ended. It was not stored how far messages of QoS 0 had been
    /// sent, so none is: it may be lost, but not come twice.
    pub(crate) fn resumed_behind(self, last: Option<&Arc<str>>) -> Self {
        let shard = match last {
            Some(_) if !self.filter.contains(['+', '#']) => SHARDS,
            Some(last) => shard_of(last),
            None => 0,
        };
        Self {
            least: QoS::AtLeastOnce,
            shard,
            last: last.cloned(),
            ..self
        }
    }

    /// The next matching message, expired or not; `None` when all have been read.
    pub(crate) fn next(&mut self, retained: &Retained) -> Option<Arc<Message>> {
        if !self.filter.contains(['+', '#']) {
            return self.next_exact(retained);
        }
        let prefix = literal_prefix(&self.filter);
        while self.shard < SHARDS {
            let topics = retained.lock(self.shard);
            let start = match &self.last {
                Some(last) => Bound::Excluded(&**last),
                None => Bound::Included(prefix),
            };
            let mut looked_at = 0;
            let mut last = None;
            for (topic, message) in topics.range::<str, _>((start, Bound::Unbounded)) {
                if !topic.starts_with(prefix) {
                    break;
                }
                looked_at += 1;
                last = Some(Arc::clone(topic));
                if filter_matches(&self.filter, topic) {
                    self.last = last;
                    return Some(Arc::clone(message));
                }
                if looked_at == LOOK_AT_MOST {
                    break;
                }
            }
            if looked_at == LOOK_AT_MOST {
                self.last = last;
            } else {
                self.shard += 1;
                self.last = None;
            }
        }
        None
    }

    fn next_exact(&mut self, retained: &Retained) -> Option<Arc<Message>> {
        if self.shard == SHARDS {
            return None;
        }
        self.shard = SHARDS;
        let topics = retained.lock(shard_of(&self.filter));
        topics.get(&self.filter).cloned()
    }
}

/// What every topic that matches the filter starts with.
fn literal_prefix(filter: &str) -> &str {
    let wildcard = filter.find(['+', '#']).unwrap_or(filter.len());
    // `a/#` also matches `a`.
    filter[..wildcard].trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quince_codec::Properties;

    use super::*;
    use crate::message::{Budget, Incoming};

    #[test]
    fn a_cursor_finds_all_that_matches_among_many_that_do_not() {
        let retained = Retained::new(usize::MAX, usize::MAX);
        let budget = Budget::new(usize::MAX);
        let mut expected = BTreeSet::new();
        for number in 0..20_000 {
            let matching = number % 4_000 == 3_999;
            let topic = format!("t/{number:05}/{}", if matching { "b" } else { "a" });
            let incoming = Incoming {
                topic: &topic,
                properties: Properties::EMPTY,
                payload: b"x",
                qos: QoS::AtMostOnce,
                retain: true,
            };
            let message = Message::copy(&budget, &incoming, None, Time::ZERO).expect("room");
            retained.shard(&topic).replace(&message).expect("room");
            if matching {
                expected.insert(topic);
            }
        }
        let mut cursor = Cursor::new(Arc::from("t/+/b"), QoS::AtMostOnce, None);
        let found: Vec<String> = core::iter::from_fn(|| cursor.next(&retained))
            .map(|message| message.topic.to_string())
            .collect();
        assert_eq!(found.len(), expected.len());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}
