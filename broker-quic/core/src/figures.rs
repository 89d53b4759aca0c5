//! Figures about a broker, and the `$SYS` topics under which it publishes them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures about a broker at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Connections that have not closed.
    pub connections: usize,
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Sessions that outlive their network connection.
    pub stored_sessions: usize,
    /// Subscriptions of all Sessions.
    pub subscriptions: usize,
    /// Retained messages.
    pub retained_messages: usize,
    /// Messages that wait for their time below `$delayed/`.
    pub delayed_messages: usize,
    /// Allocated bytes of all messages held.
    pub buffered_bytes: usize,
    /// Messages that clients published and the broker took.
    pub messages_received: u64,
    /// Messages that were sent to clients, each repetition counted.
    pub messages_sent: u64,
    /// Will Messages that could not be published because a queue was full.
    pub dropped_wills: u64,
}

impl Figures {
    /// Each figure with its Topic Name, in the order of the fields.
    pub fn topics(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        [
            ("$SYS/broker/clients/connected", count(self.connections)),
            ("$SYS/broker/sessions/total", count(self.sessions)),
            ("$SYS/broker/sessions/stored", count(self.stored_sessions)),
            ("$SYS/broker/subscriptions/count", count(self.subscriptions)),
            (
                "$SYS/broker/retained messages/count",
                count(self.retained_messages),
            ),
            ("$SYS/broker/messages/delayed", count(self.delayed_messages)),
            (
                "$SYS/broker/store/messages/bytes",
                count(self.buffered_bytes),
            ),
            ("$SYS/broker/messages/received", self.messages_received),
            ("$SYS/broker/messages/sent", self.messages_sent),
            ("$SYS/broker/wills/dropped", self.dropped_wills),
        ]
        .into_iter()
    }
}

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) messages_received: Counter,
    pub(crate) messages_sent: Counter,
    pub(crate) dropped_wills: Counter,
}

/// A number that only grows. Nothing is ordered by it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
