//! Classes of lateness, and what makes a trial worthless.

use std::time::Duration;

use super::*;
use crate::{Config, Impairment, taint};

#[test]
fn percentiles_are_at_most_a_quarter_too_high() {
    let mut lateness = Lateness::default();
    assert_eq!(lateness.percentile(0.5), Duration::ZERO);
    for microseconds in 1..=1000 {
        lateness.record(Duration::from_micros(microseconds));
    }
    for (share, exact) in [(0.0, 1), (0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
        let (found, exact) = (lateness.percentile(share), Duration::from_micros(exact));
        assert!(
            found >= exact && found <= exact * 5 / 4,
            "{share}: {found:?}"
        );
    }
    assert_eq!(lateness.most(), Duration::from_millis(1));
    assert_eq!(lateness.mean(), Duration::from_nanos(500_500));
    lateness.record(Duration::MAX);
    assert_eq!(lateness.count(), 1001);
}

#[test]
fn every_class_holds_its_own_end() {
    for class in 8..CLASSES {
        assert_eq!(class_of(end_of(class)), class);
        if class + 1 < CLASSES {
            assert_eq!(class_of(end_of(class) + 1), class + 1);
        }
    }
    assert_eq!(end_of(CLASSES - 1), u64::MAX);
}

#[test]
fn each_loss_that_nobody_configured_taints() {
    let config = Config::default();
    let tainted = |spoil: fn(&mut Statistics)| {
        let mut statistics = Statistics::default();
        spoil(&mut statistics);
        taint::of(&statistics, &config)
    };
    assert_eq!(tainted(|_| {}), None);
    // What was configured does not.
    assert_eq!(
        tainted(|statistics| {
            let counts = &mut statistics.a_to_b;
            counts.lost = 9;
            counts.queue_drops = 9;
            counts.blacked_out = 9;
            counts.unmapped = 9;
            statistics.kernel_b.udp_checksum_errors = 9;
        }),
        None
    );
    let spoilers: [fn(&mut Statistics); 8] = [
        |statistics| statistics.a_to_b.overrun = 1,
        |statistics| statistics.b_to_a.overrun = 1,
        |statistics| statistics.b_to_a.write_errors = 1,
        |statistics| statistics.kernel_a.device_tx_dropped = 1,
        |statistics| statistics.kernel_b.device_rx_dropped = 1,
        |statistics| statistics.kernel_a.udp_receive_buffer_errors = 1,
        |statistics| statistics.a_to_b.bad_checksums = 1,
        |statistics| statistics.a_to_b.largest = 1501,
    ];
    for spoil in spoilers {
        assert!(tainted(spoil).is_some());
    }
}

#[test]
fn one_late_packet_in_two_hundred_is_allowed() {
    let delay = Duration::from_millis(50);
    let config = Config {
        a_to_b: Impairment::delayed(delay),
        b_to_a: Impairment::delayed(delay),
        ..Config::default()
    };
    let mut statistics = Statistics::default();
    for _ in 0..199 {
        statistics.b_to_a.lateness.record(Duration::from_millis(3));
    }
    statistics.b_to_a.lateness.record(Duration::from_millis(20));
    assert_eq!(taint::of(&statistics, &config), None);
    statistics.b_to_a.lateness.record(Duration::from_millis(20));
    assert!(taint::of(&statistics, &config).unwrap().contains("late"));
}
