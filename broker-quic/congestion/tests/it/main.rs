//! How much of a bottleneck the floor takes from others, and what it is good for: whole QUIC connections in virtual time.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "figures for docs/tuning.md")]

mod net;

use std::sync::Arc;
use std::time::Duration;

use quince_congestion::FlooredCubicConfig;
use quinn_proto::congestion::{ControllerFactory, CubicConfig};

use crate::net::{Bottleneck, Net};

type Factory = Arc<dyn ControllerFactory + Send + Sync>;

fn floored() -> Factory {
    Arc::new(FlooredCubicConfig::default())
}

fn cubic() -> Factory {
    Arc::new(CubicConfig::default())
}

/// Bytes that each of the clients got through in half a minute, once all had begun.
fn half_a_minute(seed: u8, bottleneck: Bottleneck, clients: Vec<Factory>) -> Vec<u64> {
    let mut net = Net::new(seed, bottleneck, clients);
    let warm_up = Duration::from_secs(5);
    net.run_until(warm_up);
    let before = net.read.clone();
    net.run_until(warm_up + Duration::from_secs(30));
    let pairs = net.read.iter().zip(before);
    pairs.map(|(after, before)| after - before).collect()
}

/// What a client with the floor gets beside one without, as a part of its fair share. On a bottleneck that drops what
/// does not fit, luck gives one of two equals an advantage that lasts: several draws, and each comes first in half of them.
fn share(bottleneck: impl Fn() -> Bottleneck) -> f64 {
    let (mut ours, mut all) = (0, 0);
    for seed in 1..=4 {
        let first = half_a_minute(seed, bottleneck(), vec![floored(), cubic()]);
        let second = half_a_minute(seed, bottleneck(), vec![cubic(), floored()]);
        ours += first[0] + second[1];
        all += first[0] + first[1] + second[0] + second[1];
    }
    2.0 * ours as f64 / all as f64
}

#[test]
fn beside_cubic_on_one_bottleneck_the_floor_takes_at_most_a_fifth_more_than_its_share() {
    for (kilobits, milliseconds, packets) in [
        (128, 25, 10),
        (256, 25, 10),
        (256, 25, 40),
        (1_000, 25, 5),
        (1_000, 25, 10),
        (1_000, 100, 40),
        (4_000, 25, 10),
        (4_000, 25, 80),
        (10_000, 25, 40),
    ] {
        let share = share(|| Bottleneck {
            bits_per_second: kilobits * 1000,
            queue: packets * 1228,
            delay: Duration::from_millis(milliseconds),
            lost: 0,
        });
        let path = format!("{kilobits} kbit/s, {milliseconds} ms, room for {packets} packets");
        println!("{path}: {share:.2}");
        assert!(share <= 1.2, "{share:.2} of the fair share at {path}");
    }
}

#[test]
fn on_a_path_that_loses_packets_but_is_not_full_more_gets_through() {
    let bottleneck = || Bottleneck {
        bits_per_second: 10_000_000,
        queue: 40 * 1228,
        delay: Duration::from_millis(25),
        lost: 50,
    };
    let with = half_a_minute(1, bottleneck(), vec![floored()])[0];
    let without = half_a_minute(1, bottleneck(), vec![cubic()])[0];
    println!("{with} bytes with the floor, {without} without");
    assert!(with > 5 * without / 4, "{with} and {without} bytes");
}
