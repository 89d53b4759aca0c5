//! Each impairment happens to real packets as it was decided.

use std::{collections::BTreeSet, time::Duration};

use quince_link::{
    Bandwidth, Change, Checksum, Config, Corruption, Decider, Direction, End, Fate, GilbertElliott,
    Impairment, Jitter, Link, Loss, Order, Step,
};

use crate::{
    test,
    traffic::{datagram, flood, missing, number, udp, wait_until},
};

pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    vec![
        test!(loss_is_what_was_configured),
        test!(a_seed_tells_what_is_lost),
        test!(bursts_are_what_was_decided),
        test!(duplicates_arrive_twice),
        test!(damage_is_found_by_the_kernel),
        test!(repaired_damage_reaches_the_reader),
        test!(jitter_reorders_only_when_told),
        test!(a_full_queue_drops),
        test!(a_blackout_is_exact),
        test!(delays_are_never_too_short),
        test!(what_was_late_taints),
    ]
}

fn one_way(seed: u64, a_to_b: Impairment) -> Link {
    Link::open(Config {
        seed,
        a_to_b,
        ..Config::default()
    })
    .unwrap()
}

/// The indexes that a decider loses, for an impairment that does not look at the time.
fn decided(seed: u64, impairment: Impairment, count: u64) -> BTreeSet<u64> {
    let mut decider = Decider::new(seed, Direction::AToB, impairment);
    (0..count)
        .filter(|_| matches!(decider.decide(Duration::ZERO, 100), Fate::Lost(_)))
        .collect()
}

fn loss_is_what_was_configured() {
    for (seed, probability, expected) in [(11, 0.01, 1000), (12, 0.05, 5000)] {
        let impairment = Impairment::delayed(Duration::from_millis(1)).losing(probability);
        let link = one_way(seed, impairment.clone());
        let got = flood(&link, 100_000, 64);
        let lost = missing(100_000, &got);
        let statistics = link.statistics();
        assert_eq!(statistics.a_to_b.lost, lost.len() as u64);
        assert!(
            statistics.a_to_b.lost.abs_diff(expected) <= expected / 20,
            "{statistics:#?}"
        );
        assert_eq!(lost, decided(seed, impairment, 100_000));
        assert_eq!(statistics.a_to_b.bad_checksums, 0);
        assert_eq!(statistics.unconfigured_losses(), 0, "{statistics:#?}");
    }
}

fn a_seed_tells_what_is_lost() {
    let lost = |seed| {
        let link = one_way(seed, Impairment::default().losing(0.1));
        missing(5000, &flood(&link, 5000, 64))
    };
    let first = lost(21);
    assert_eq!(first, lost(21));
    assert_ne!(first, lost(22));
}

fn bursts_are_what_was_decided() {
    let impairment = Impairment {
        loss: Loss::GilbertElliott(GilbertElliott {
            step: Step::Packet,
            to_bad: 0.01,
            to_good: 0.25,
            loss_good: 0.0,
            loss_bad: 1.0,
        }),
        ..Impairment::default()
    };
    let link = one_way(31, impairment.clone());
    let lost = missing(5000, &flood(&link, 5000, 64));
    assert!(!lost.is_empty());
    assert_eq!(lost, decided(31, impairment, 5000));
}

fn duplicates_arrive_twice() {
    let link = one_way(
        41,
        Impairment {
            duplication: 0.1,
            ..Impairment::default()
        },
    );
    let got = flood(&link, 5000, 64);
    assert_eq!(missing(5000, &got), BTreeSet::new());
    let duplicated = link.counts(Direction::AToB).duplicated;
    assert!((400..600).contains(&duplicated), "{duplicated}");
    assert_eq!(got.len() as u64, 5000 + duplicated);
}

fn damaged(checksum: Checksum) -> (Link, Vec<Vec<u8>>) {
    let corruption = Corruption {
        probability: 0.1,
        checksum,
    };
    let link = one_way(
        51,
        Impairment {
            corruption: Some(corruption),
            ..Impairment::default()
        },
    );
    let got = flood(&link, 5000, 200);
    let corrupted = link.counts(Direction::AToB).corrupted;
    assert!((400..600).contains(&corrupted), "{corrupted}");
    (link, got)
}

fn damage_is_found_by_the_kernel() {
    let (link, got) = damaged(Checksum::Left);
    let statistics = link.statistics();
    let corrupted = statistics.a_to_b.corrupted;
    assert_eq!(got.len() as u64, 5000 - corrupted);
    assert!(got.iter().all(|got| *got == datagram(number(got), 200)));
    assert_eq!(statistics.kernel_b.udp_checksum_errors, corrupted);
    // They were configured, so the trial is sound.
    assert_eq!(statistics.unconfigured_losses(), 0);
}

fn repaired_damage_reaches_the_reader() {
    let (link, got) = damaged(Checksum::Repaired);
    let statistics = link.statistics();
    assert_eq!(got.len(), 5000);
    let expected = (0..5000).map(|number| datagram(number, 200));
    let different = got.iter().zip(expected).map(|(got, expected)| {
        let bits = got
            .iter()
            .zip(&expected)
            .map(|(got, expected)| (got ^ expected).count_ones());
        bits.sum::<u32>()
    });
    let different: Vec<u32> = different.filter(|bits| *bits > 0).collect();
    assert!(different.iter().all(|bits| *bits == 1), "one bit each");
    assert_eq!(different.len() as u64, statistics.a_to_b.corrupted);
    assert_eq!(statistics.kernel_b.udp_checksum_errors, 0);
}

fn jitter_reorders_only_when_told() {
    let run = |order| {
        let jitter = Jitter {
            most: Duration::from_millis(20),
            order,
        };
        let link = one_way(
            61,
            Impairment {
                jitter: Some(jitter),
                ..Impairment::default()
            },
        );
        let got: Vec<u64> = flood(&link, 5000, 64).iter().map(number).collect();
        assert_eq!(got.len(), 5000);
        (got.is_sorted(), link.counts(Direction::AToB).reordered)
    };
    assert_eq!(run(Order::Kept), (true, 0));
    let (sorted, reordered) = run(Order::Free);
    assert!(!sorted && reordered > 0);
}

fn a_full_queue_drops() {
    // 1,000 bytes with headers take 8 ms at 1 Mbit/s; ten of them may wait.
    let bandwidth = Bandwidth {
        bits_per_second: 1_000_000,
        queue: 10_000,
    };
    let link = one_way(
        71,
        Impairment {
            bandwidth: Some(bandwidth),
            ..Impairment::default()
        },
    );
    let got: Vec<u64> = flood(&link, 500, 972).iter().map(number).collect();
    let counts = link.counts(Direction::AToB);
    assert!(got.is_sorted());
    assert!(
        got[..10].iter().copied().eq(0..10),
        "the queue takes ten at once: {got:?}"
    );
    assert!(counts.queue_drops > 0);
    assert_eq!(got.len() as u64 + counts.queue_drops, 500);
    assert_eq!(counts.lost, 0);
}

fn a_blackout_is_exact() {
    let link = one_way(81, Impairment::default());
    assert_eq!(flood(&link, 100, 64).len(), 100);
    link.change(Change::Blackout(Duration::from_secs(3600)))
        .unwrap();
    assert_eq!(flood(&link, 50, 64).len(), 0);
    link.change(Change::Impair(Direction::AToB, Impairment::default()))
        .unwrap();
    assert_eq!(flood(&link, 25, 64).len(), 25);
    let counts = link.counts(Direction::AToB);
    assert_eq!(
        (counts.packets, counts.blacked_out, counts.delivered),
        (175, 50, 125)
    );
    // One that begins later has not begun.
    link.change_at(
        Duration::from_secs(3600),
        Change::Blackout(Duration::from_secs(1)),
    )
    .unwrap();
    assert_eq!(flood(&link, 25, 64).len(), 25);
}

fn delays_are_never_too_short() {
    let link = one_way(
        91,
        Impairment::delayed(Duration::from_millis(25)).losing(0.05),
    );
    let found = link
        .measure_fidelity(1000, Duration::from_micros(500))
        .unwrap();
    assert_eq!((found.sent, found.early), (1000, 0), "{found:?}");
    assert_eq!(found.received + found.lost, 1000, "{found:?}");
    assert!(found.lost > 0);
}

/// A reader that does not read makes a loss that nobody configured, and the link says so.
fn what_was_late_taints() {
    let link = one_way(92, Impairment::default());
    let receiver = udp(link.side(End::B));
    let sender = udp(link.side(End::A));
    let to = receiver.local_addr().unwrap();
    for number in 1..=1000 {
        sender.send_to(&[0; 1400], to).unwrap();
        wait_until(&link, Direction::AToB, |counts| counts.delivered == number);
    }
    let statistics = link.statistics();
    assert!(
        statistics.kernel_b.udp_receive_buffer_errors > 0,
        "{statistics:#?}"
    );
    assert!(link.taint().unwrap().contains("nobody configured"));
}
