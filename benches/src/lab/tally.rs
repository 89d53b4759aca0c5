//! What the subscriber of one trial saw: which messages, how often, how late.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::clock::Instant;
use super::load::Message;

/// Latencies are kept in microseconds, up to ten minutes, to three significant digits.
const LONGEST_MICROSECONDS: u64 = 600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// An empty histogram of latencies in microseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants that fit each other")
}

/// The record of one subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// How often each message came.
    copies: Vec<u8>,
    received: u64,
    duplicated: u64,
    foreign: u64,
    latencies: Histogram<u64>,
    last_arrival: Option<Instant>,
    silence: Option<Silence>,
}

/// A time in which nothing arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// When the message before it arrived.
    pub(crate) from: Instant,
    pub(crate) length: Duration,
}

impl Tally {
    /// A record for messages `0..expected`.
    pub(crate) fn new(expected: u64) -> Self {
        let expected = usize::try_from(expected).expect("a load that fits into memory");
        Self {
            copies: vec![0; expected],
            received: 0,
            duplicated: 0,
            foreign: 0,
            latencies: histogram(),
            last_arrival: None,
            silence: None,
        }
    }

    /// Notes that a payload arrived. Only the first copy of a message counts as its latency.
    pub(crate) fn arrive(&mut self, payload: &[u8], now: Instant) {
        if let Some(last) = self.last_arrival {
            let silence = Silence {
                from: last,
                length: now.since(last),
            };
            if self.silence.is_none_or(|old| silence.length > old.length) {
                self.silence = Some(silence);
            }
        }
        self.last_arrival = Some(now);
        let Some(message) = Message::parse(payload) else {
            self.foreign += 1;
            return;
        };
        let copies = usize::try_from(message.index)
            .ok()
            .and_then(|index| self.copies.get_mut(index));
        let Some(copies) = copies else {
            self.foreign += 1;
            return;
        };
        *copies = copies.saturating_add(1);
        if *copies > 1 {
            self.duplicated += 1;
            return;
        }
        self.received += 1;
        let latency = now.since(message.due).as_micros();
        let latency = u64::try_from(latency).unwrap_or(u64::MAX);
        // A latency beyond the histogram's end counts as its end.
        self.latencies.saturating_record(latency.max(1));
    }

    /// Different messages that came.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Further copies of messages that had come.
    pub(crate) fn duplicated(&self) -> u64 {
        self.duplicated
    }

    /// What came and was no message of the trial: a fault of the harness or of the broker.
    pub(crate) fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Messages that never came.
    pub(crate) fn missing(&self) -> u64 {
        self.copies.len() as u64 - self.received
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.missing() == 0
    }

    pub(crate) fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }

    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        self.last_arrival
    }

    /// The longest time between two arrivals.
    pub(crate) fn longest_silence(&self) -> Option<Silence> {
        self.silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_nanoseconds(milliseconds * 1_000_000)
    }

    fn payload(index: u64, due: Instant) -> Vec<u8> {
        Message { index, due }.payload(64)
    }

    #[test]
    fn each_message_counts_once_and_the_rest_is_told_apart() {
        let mut tally = Tally::new(4);
        tally.arrive(&payload(0, at(0)), at(25));
        tally.arrive(&payload(2, at(10)), at(35));
        tally.arrive(&payload(2, at(10)), at(900));
        tally.arrive(&payload(4, at(10)), at(901));
        tally.arrive(b"something else", at(902));
        assert_eq!(tally.received(), 2);
        assert_eq!(tally.duplicated(), 1);
        assert_eq!(tally.foreign(), 2);
        assert_eq!(tally.missing(), 2);
        assert!(!tally.is_complete());
        assert_eq!(tally.latencies().len(), 2);
        assert_eq!(
            tally.latencies().max() / 1_000,
            25,
            "the copy's 890 ms do not count"
        );
    }

    #[test]
    fn latency_runs_from_the_scheduled_instant_and_the_histogram_ends_somewhere() {
        let mut tally = Tally::new(3);
        tally.arrive(&payload(0, at(100)), at(100));
        tally.arrive(&payload(1, at(100)), at(400));
        tally.arrive(&payload(2, at(0)), at(3_600_000));
        assert_eq!(tally.latencies().min(), 1);
        assert!(
            tally
                .latencies()
                .equivalent(300_000, tally.latencies().value_at_quantile(0.6))
        );
        assert!(
            tally
                .latencies()
                .equivalent(LONGEST_MICROSECONDS, tally.latencies().max())
        );
        assert!(tally.is_complete());
    }

    #[test]
    fn the_longest_silence_is_between_two_arrivals() {
        let mut tally = Tally::new(9);
        assert_eq!(tally.longest_silence(), None);
        for (index, time) in [(0, 10), (1, 20), (2, 500), (3, 510)] {
            tally.arrive(&payload(index, at(0)), at(time));
        }
        let silence = tally.longest_silence().expect("there is one");
        assert_eq!(silence.from, at(20));
        assert_eq!(silence.length, Duration::from_millis(480));
    }
}
