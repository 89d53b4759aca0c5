//! What is measured, and the statistics over it.

use std::fs::read_to_string;
use std::time::Duration;

use hdrhistogram::Histogram;

/// What one case came to on one broker.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Closed-loop traffic or connections.
    Rate {
        /// Messages delivered, or connections made, per second.
        per_second: f64,
        /// Processor time of the broker for each of them, if we started it.
        cpu: Option<Duration>,
    },
    /// Paced messages.
    Latency {
        /// From the instant at which each should have been sent to its receipt, in nanoseconds.
        histogram: Box<Histogram<u64>>,
        /// Messages that were due but had not come within a second of the end.
        missing: u64,
        /// Processor time of the broker for each message, if we started it.
        cpu: Option<Duration>,
    },
    /// Connections that do nothing.
    Memory {
        /// Resident bytes of the broker for each, if we started it.
        bytes: Option<f64>,
    },
}

/// Processor time and memory that a process has taken so far, from `/proc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) resident_bytes: u64,
}

impl Usage {
    /// `None` where there is no such process or no `/proc`.
    pub(crate) fn of(process: Option<u32>) -> Option<Self> {
        let process = process?;
        let stat = read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name in the second field may hold blanks.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)?;
        let pages = number(21)?;
        let page = u64::try_from(rustix::param::page_size()).ok()?;
        let per_second = rustix::param::clock_ticks_per_second();
        Some(Self {
            cpu: Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / per_second.max(1)),
            resident_bytes: pages * page,
        })
    }
}

/// The processor time between two looks, for each of `count`.
pub(crate) fn cpu_for_each(
    before: Option<Usage>,
    after: Option<Usage>,
    count: u64,
) -> Option<Duration> {
    let spent = after?.cpu.checked_sub(before?.cpu)?;
    (count > 0).then(|| Duration::from_secs_f64(spent.as_secs_f64() / count as f64))
}

/// The middle and the quartiles of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| {
            let place = share * last as f64;
            let (below, above) = (place.floor(), place.ceil());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and `last`"
            )]
            let (low, high) = (values[below as usize], values[above as usize]);
            low + (high - low) * (place - below)
        };
        Some(Self {
            lower: at(0.25),
            median: at(0.5),
            upper: at(0.75),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_values() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        let expect = |lower, median, upper| {
            Some(Spread {
                lower,
                median,
                upper,
            })
        };
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7.0]), expect(7.0, 7.0, 7.0));
        assert_eq!(spread(&[3.0, 1.0]), expect(1.5, 2.0, 2.5));
        assert_eq!(spread(&[5.0, 1.0, 4.0, 2.0, 3.0]), expect(2.0, 3.0, 4.0));
    }

    #[test]
    fn this_process_has_used_memory() {
        let usage = Usage::of(Some(std::process::id())).expect("there is /proc");
        assert!(usage.resident_bytes > 100_000);
        assert!(Usage::of(None).is_none());
    }

    #[test]
    fn processor_time_is_shared_out() {
        let usage = |seconds| {
            Some(Usage {
                cpu: Duration::from_secs(seconds),
                resident_bytes: 0,
            })
        };
        assert_eq!(
            cpu_for_each(usage(1), usage(3), 1000),
            Some(Duration::from_millis(2))
        );
        assert_eq!(cpu_for_each(usage(1), usage(3), 0), None);
        assert_eq!(cpu_for_each(None, usage(3), 5), None);
    }
}
