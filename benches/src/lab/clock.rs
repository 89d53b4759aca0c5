//! The one clock of a trial: CLOCK_MONOTONIC, which every thread of the process reads alike.
//!
//! Publisher and subscriber live in one process, so a latency is the difference of two readings of the same clock;
//! nothing has to be synchronised.

use std::time::Duration;

use rustix::thread::{ClockId as SleepClock, clock_nanosleep_absolute};
use rustix::time::{ClockId, Timespec, clock_gettime};

const NANOSECONDS: u64 = 1_000_000_000;

/// A reading of the clock, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        // The clock counts from the start of the machine: neither part is negative.
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let rest = u64::try_from(time.tv_nsec).unwrap_or_default();
        Self(seconds * NANOSECONDS + rest)
    }

    pub(crate) fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    pub(crate) fn nanoseconds(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Sleeps until this instant, by the absolute time, so that a late wake-up does not shift the next.
    pub(crate) fn sleep(self) {
        let (Ok(tv_sec), Ok(tv_nsec)) = (
            (self.0 / NANOSECONDS).try_into(),
            (self.0 % NANOSECONDS).try_into(),
        ) else {
            return;
        };
        let until = Timespec { tv_sec, tv_nsec };
        // A signal ends the sleep early; the instant is still the same.
        while clock_nanosleep_absolute(SleepClock::Monotonic, &until).is_err() {
            if Self::now() >= self {
                return;
            }
        }
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        let later = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_never_ends_before_its_instant() {
        for microseconds in [0, 1, 300, 2_000] {
            let until = Instant::now() + Duration::from_micros(microseconds);
            until.sleep();
            assert!(Instant::now() >= until);
        }
    }
}
