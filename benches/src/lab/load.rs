//! What is published: how many topics, how often, how large; and how a message says which one it is.

use std::time::Duration;

use serde::Serialize;

use super::clock::Instant;

/// What a message of the lab starts with.
const MARK: [u8; 4] = *b"QLAB";
/// Mark, index and scheduled instant.
pub(crate) const SMALLEST_PAYLOAD: usize = MARK.len() + 8 + 8;

/// The open-loop load of a trial: every message has its instant before the first one is sent, and none waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Load {
    /// Topics, published in turn.
    pub(crate) topics: u32,
    /// Messages per second on each topic.
    pub(crate) rate: f64,
    /// Bytes of a payload; at least [`SMALLEST_PAYLOAD`].
    pub(crate) payload: usize,
    /// Quality of Service of the publishes and of the subscription: 0 or 1.
    pub(crate) qos: u8,
    /// Seconds from the first message to the last.
    pub(crate) seconds: f64,
}

impl Load {
    /// How many messages there are, over all topics.
    pub(crate) fn messages(&self) -> u64 {
        let messages = f64::from(self.topics) * self.rate * self.seconds;
        // Rates and durations are checked where they are read: this is positive and far below 2^53.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked where it is read"
        )]
        let messages = messages.round() as u64;
        messages.max(1)
    }

    /// When message `index` is due, if the first is due at `start`.
    pub(crate) fn due(&self, start: Instant, index: u64) -> Instant {
        let interval = 1.0 / (f64::from(self.topics) * self.rate);
        // Not a sum of intervals: rounding does not add up.
        #[expect(clippy::cast_precision_loss, reason = "indexes are far below 2^53")]
        let offset = Duration::from_secs_f64(interval * index as f64);
        start + offset
    }

    /// The topic that message `index` goes to.
    pub(crate) fn topic(&self, index: u64) -> String {
        format!("lab/{}", index % u64::from(self.topics))
    }
}

/// A message on its way: which one, and when it should have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) index: u64,
    /// The instant of the schedule, not the one of sending: what waits in the sender counts.
    pub(crate) due: Instant,
}

impl Message {
    /// The payload, `size` bytes long.
    pub(crate) fn payload(self, size: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(size);
        payload.extend(MARK);
        payload.extend(self.index.to_be_bytes());
        payload.extend(self.due.nanoseconds().to_be_bytes());
        payload.resize(size.max(SMALLEST_PAYLOAD), b'.');
        payload
    }

    /// Reads a payload; `None` when it is not one of the lab's.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let rest = payload.strip_prefix(&MARK)?;
        let (index, rest) = rest.split_first_chunk()?;
        let (due, _) = rest.split_first_chunk()?;
        Some(Self {
            index: u64::from_be_bytes(*index),
            due: Instant::from_nanoseconds(u64::from_be_bytes(*due)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        topics: 8,
        rate: 50.0,
        payload: 256,
        qos: 0,
        seconds: 10.0,
    };

    #[test]
    fn messages_are_spread_evenly_over_the_time_and_the_topics() {
        assert_eq!(LOAD.messages(), 4_000);
        let start = Instant::from_nanoseconds(7);
        assert_eq!(LOAD.due(start, 0), start);
        assert_eq!(LOAD.due(start, 1), start + Duration::from_micros(2_500));
        assert_eq!(LOAD.due(start, 4_000), start + Duration::from_secs(10));
        assert_eq!(LOAD.topic(0), "lab/0");
        assert_eq!(LOAD.topic(7), "lab/7");
        assert_eq!(LOAD.topic(8), "lab/0");
    }

    #[test]
    fn a_payload_says_which_message_it_is_and_has_the_size_asked_for() {
        let message = Message {
            index: 123_456,
            due: Instant::from_nanoseconds(u64::MAX / 3),
        };
        for size in [SMALLEST_PAYLOAD, 256, 5_000] {
            let payload = message.payload(size);
            assert_eq!(payload.len(), size);
            assert_eq!(Message::parse(&payload), Some(message));
        }
        let payload = message.payload(SMALLEST_PAYLOAD);
        assert_eq!(Message::parse(&payload[..SMALLEST_PAYLOAD - 1]), None);
        assert_eq!(Message::parse(&payload[1..]), None);
        assert_eq!(Message::parse(b""), None);
    }
}
