//! When a trial proves nothing.

use std::time::Duration;

use crate::{Config, Statistics};

/// The lateness that is always allowed: a link without delay has some too.
const ALWAYS_ALLOWED: Duration = Duration::from_millis(1);

/// Why a trial with these statistics proves nothing, if it doesn't:
///
/// - packets were lost that nobody configured,
/// - packets entered with wrong checksums, or larger than the MTU,
/// - of two hundred packets more than one was handed over later than due by a tenth of the smaller delay, or by a
///   millisecond where that is more. That is half of the packets that a 99th percentile leaves aside.
#[must_use]
pub fn of(statistics: &Statistics, config: &Config) -> Option<String> {
    let unconfigured = statistics.unconfigured_losses();
    if unconfigured > 0 {
        return Some(format!(
            "{unconfigured} packets were lost that nobody configured"
        ));
    }
    let allowed = (config.a_to_b.delay.min(config.b_to_a.delay) / 10).max(ALWAYS_ALLOWED);
    for (name, counts) in [
        ("a to b", &statistics.a_to_b),
        ("b to a", &statistics.b_to_a),
    ] {
        if counts.bad_checksums > 0 {
            let bad = counts.bad_checksums;
            return Some(format!(
                "{bad} packets from {name} entered with a wrong checksum"
            ));
        }
        if counts.largest > config.mtu.into() {
            let largest = counts.largest;
            return Some(format!("a packet from {name} had {largest} bytes"));
        }
        let late = counts.lateness.percentile(0.995);
        if late > allowed {
            return Some(format!(
                "from {name} one packet in two hundred was late by {late:?}; {allowed:?} is allowed"
            ));
        }
    }
    None
}
