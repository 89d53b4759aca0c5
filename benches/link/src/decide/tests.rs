//! What was configured is what is decided: exactly where it can be, by theory where it is chance.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{Corruption, Jitter};

const LENGTH: usize = 1000;

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn decider(seed: u64, impairment: Impairment) -> Decider {
    Decider::new(seed, Direction::AToB, impairment)
}

/// The fates of `count` packets, one in each millisecond.
fn fates(seed: u64, impairment: &Impairment, count: u64) -> Vec<Fate> {
    let mut decider = decider(seed, impairment.clone());
    (0..count)
        .map(|index| decider.decide(milliseconds(index), LENGTH))
        .collect()
}

fn lost(seed: u64, impairment: &Impairment, count: u64) -> BTreeSet<usize> {
    let fates = fates(seed, impairment, count);
    (0..fates.len())
        .filter(|index| fates[*index] == Fate::Lost(Cause::Loss))
        .collect()
}

fn losing(loss: Loss) -> Impairment {
    Impairment {
        loss,
        ..Impairment::default()
    }
}

fn arrival(fate: Fate) -> Arrival {
    match fate {
        Fate::Arrives(arrival) => arrival,
        Fate::Lost(cause) => panic!("lost by {cause:?}"),
    }
}

/// Lengths of the runs of losses.
fn bursts(lost: &BTreeSet<usize>) -> Vec<usize> {
    let mut bursts: Vec<usize> = Vec::new();
    let mut latest = None;
    for &index in lost {
        if latest.is_some_and(|latest| latest + 1 == index) {
            *bursts.last_mut().unwrap() += 1;
        } else {
            bursts.push(1);
        }
        latest = Some(index);
    }
    bursts
}

fn mean(numbers: &[usize]) -> f64 {
    numbers.iter().sum::<usize>() as f64 / numbers.len() as f64
}

fn assert_near(found: f64, expected: f64, share: f64) {
    assert!(
        (found - expected).abs() <= expected * share,
        "{found} instead of {expected}"
    );
}

#[test]
fn nothing_happens_by_default() {
    for (index, fate) in (0..).zip(fates(1, &Impairment::default(), 100)) {
        let expected = Arrival {
            at: milliseconds(index),
            duplicate: None,
            damage: None,
        };
        assert_eq!(fate, Fate::Arrives(expected));
    }
}

#[test]
fn delay_is_exact() {
    let delay = Duration::from_micros(25_001);
    for (index, fate) in (0..).zip(fates(1, &Impairment::delayed(delay), 100)) {
        assert_eq!(arrival(fate).at, milliseconds(index) + delay);
    }
}

#[test]
fn independent_loss_is_independent() {
    for (seed, probability) in [(1, 0.01), (2, 0.05), (3, 0.1), (4, 0.5)] {
        let lost = lost(seed, &Impairment::default().losing(probability), 1_000_000);
        assert_near(lost.len() as f64, 1e6 * probability, 0.03);
        assert_near(mean(&bursts(&lost)), 1.0 / (1.0 - probability), 0.02);
    }
    assert_eq!(lost(1, &Impairment::default().losing(0.0), 1000).len(), 0);
    assert_eq!(
        lost(1, &Impairment::default().losing(1.0), 1000).len(),
        1000
    );
}

#[test]
fn directions_and_seeds_lose_different_packets() {
    let impairment = Impairment::default().losing(0.1);
    let mut other = Decider::new(1, Direction::BToA, impairment.clone());
    let one = fates(1, &impairment, 1000);
    let other: Vec<_> = (0..1000)
        .map(|index| other.decide(milliseconds(index), LENGTH))
        .collect();
    assert_ne!(one, other);
    assert_ne!(one, fates(2, &impairment, 1000));
}

#[test]
fn listed_packets_are_lost() {
    let list = losing(Loss::List(
        [0, 7, 8, 99].into_iter().collect::<BTreeSet<u64>>().into(),
    ));
    assert_eq!(lost(1, &list, 100), [0, 7, 8, 99].into());
}

#[test]
fn bursts_by_packet_follow_the_theory() {
    for (loss_good, loss_bad) in [(0.0, 1.0), (0.001, 0.6)] {
        let model = GilbertElliott {
            step: Step::Packet,
            to_bad: 0.01,
            to_good: 0.25,
            loss_good,
            loss_bad,
        };
        let lost = lost(5, &losing(Loss::GilbertElliott(model.clone())), 1_000_000);
        assert_near(lost.len() as f64 / 1e6, model.share_lost(), 0.03);
        if loss_bad == 1.0 {
            assert_near(model.share_lost(), 0.03846, 0.001);
            // A burst ends in each step with probability `to_good`.
            assert_near(mean(&bursts(&lost)), 1.0 / model.to_good, 0.03);
        }
    }
}

#[test]
fn bursts_by_time_are_fades_for_everyone() {
    let impairment = losing(Loss::GilbertElliott(GilbertElliott {
        step: Step::Millisecond,
        to_bad: 0.005,
        to_good: 0.05,
        loss_good: 0.0,
        loss_bad: 1.0,
    }));
    // The milliseconds that are lost to somebody who sends every `apart` microseconds.
    let fades = |apart: u64| -> BTreeSet<u64> {
        let mut decider = decider(6, impairment.clone());
        let times = (0..200_000_000).step_by(usize::try_from(apart).unwrap());
        let lost = times.filter(|time| {
            decider.decide(Duration::from_micros(*time), LENGTH) == Fate::Lost(Cause::Loss)
        });
        lost.map(|time| time / 1000).collect()
    };
    let every = fades(500);
    assert_near(every.len() as f64 / 200_000.0, 0.005 / 0.055, 0.1);
    // Who sends seldom meets the same fades, as far as they look.
    let seldom = fades(7000);
    assert!(!seldom.is_empty());
    assert_eq!(
        seldom,
        every.into_iter().filter(|time| time % 7 == 0).collect()
    );
}

#[test]
fn a_trace_is_played_again_and_again() {
    let trace = |step| {
        losing(Loss::Trace(
            Trace::parse("0 1 # two steps\n10", step).unwrap(),
        ))
    };
    assert_eq!(lost(1, &trace(Step::Packet), 10), [1, 2, 5, 6, 9].into());
    let mut decider = decider(1, trace(Step::Millisecond));
    let fates = [0, 1000, 1999, 2000, 3000, 4000, 5000].map(|microseconds| {
        decider.decide(Duration::from_micros(microseconds), LENGTH) == Fate::Lost(Cause::Loss)
    });
    assert_eq!(fates, [false, true, true, true, false, false, true]);
}

#[test]
fn a_blackout_begins_and_ends_exactly() {
    let mut decider = decider(
        1,
        Impairment {
            blackouts: vec![milliseconds(500)..milliseconds(1500)],
            ..Impairment::default()
        },
    );
    decider.black_out(milliseconds(1700)..milliseconds(1701));
    let black = |time: &u64| {
        decider.decide(Duration::from_micros(*time), LENGTH) == Fate::Lost(Cause::Blackout)
    };
    let black: Vec<u64> = (0..2_000_000).step_by(500).filter(black).collect();
    assert_eq!(black.len(), 2000 + 2);
    assert_eq!((black[0], black[1999]), (500_000, 1_499_500));
    assert_eq!(black[2000..], [1_700_000, 1_700_500]);
}

#[test]
fn a_burst_fills_the_queue_and_drains_at_the_rate() {
    // 1,000 bytes take a millisecond; ten of them fit.
    let mut decider = decider(
        1,
        Impairment {
            delay: milliseconds(20),
            bandwidth: Some(Bandwidth {
                bits_per_second: 8_000_000,
                queue: 10_000,
            }),
            ..Impairment::default()
        },
    );
    for place in 1..=10 {
        let due = arrival(decider.decide(Duration::ZERO, LENGTH)).at;
        assert_eq!(due, milliseconds(20 + place));
    }
    assert_eq!(decider.decide(Duration::ZERO, 1), Fate::Lost(Cause::Queue));
    // After one was sent there is room for one.
    assert_eq!(
        arrival(decider.decide(milliseconds(1), LENGTH)).at,
        milliseconds(31)
    );
    assert_eq!(
        decider.decide(milliseconds(1), LENGTH),
        Fate::Lost(Cause::Queue)
    );
    // Half a packet of room is room for half a packet.
    assert_eq!(
        decider.decide(Duration::from_micros(1500), LENGTH),
        Fate::Lost(Cause::Queue)
    );
    assert!(matches!(
        decider.decide(Duration::from_micros(1500), LENGTH / 2),
        Fate::Arrives(_)
    ));
    // An idle link sends at once.
    assert_eq!(
        arrival(decider.decide(milliseconds(100), LENGTH)).at,
        milliseconds(121)
    );
}

#[test]
fn twice_the_bandwidth_loses_half() {
    // 10 Mbit/s, 64 kB: 1,000 bytes every 0.4 ms are 20 Mbit/s.
    let mut decider = decider(
        1,
        Impairment {
            bandwidth: Some(Bandwidth {
                bits_per_second: 10_000_000,
                queue: 64_000,
            }),
            ..Impairment::default()
        },
    );
    let times = (0..10_000_000).step_by(400).map(Duration::from_micros);
    let passed = times.filter(|time| matches!(decider.decide(*time, LENGTH), Fate::Arrives(_)));
    // The last one comes at 9.9996 s: what was sent until then, whole packets, and what is in the queue.
    assert_eq!(passed.count(), 12_499 + 64);
}

#[test]
fn one_kind_of_chance_does_not_shift_another() {
    let plain = Impairment::default().losing(0.1);
    let everything = Impairment {
        jitter: Some(Jitter {
            most: milliseconds(10),
            order: Order::Free,
        }),
        duplication: 0.3,
        corruption: Some(Corruption {
            probability: 0.3,
            checksum: Checksum::Left,
        }),
        ..plain.clone()
    };
    assert_eq!(lost(9, &plain, 10_000), lost(9, &everything, 10_000));
    // Nor does it tell of it: those that are spared have the jitter, the duplicates and the damage of anybody.
    let half = Impairment {
        loss: Loss::Independent { probability: 0.5 },
        ..everything
    };
    let mut spared = 0.0;
    let (mut jitter, mut duplicated, mut damaged) = (0.0, 0.0, 0.0);
    for (index, fate) in (0..).zip(fates(9, &half, 100_000)) {
        if let Fate::Arrives(arrival) = fate {
            spared += 1.0;
            jitter += (arrival.at - milliseconds(index)).as_secs_f64();
            duplicated += f64::from(u8::from(arrival.duplicate.is_some()));
            damaged += f64::from(u8::from(arrival.damage.is_some()));
        }
    }
    assert_near(jitter / spared, 0.005, 0.02);
    assert_near(duplicated / spared, 0.3, 0.03);
    assert_near(damaged / spared, 0.3, 0.03);
}

#[test]
fn shares_of_duplicates_and_damage_are_kept() {
    let impairment = Impairment {
        duplication: 0.02,
        corruption: Some(Corruption {
            probability: 0.05,
            checksum: Checksum::Repaired,
        }),
        ..Impairment::default()
    };
    let arrivals: Vec<_> = fates(10, &impairment, 1_000_000)
        .into_iter()
        .map(arrival)
        .collect();
    let duplicated = arrivals
        .iter()
        .filter(|arrival| arrival.duplicate.is_some())
        .count();
    let damaged = arrivals
        .iter()
        .filter(|arrival| arrival.damage.is_some())
        .count();
    assert_near(duplicated as f64, 20_000.0, 0.03);
    assert_near(damaged as f64, 50_000.0, 0.03);
    let both = arrivals
        .iter()
        .filter(|arrival| arrival.duplicate.is_some() && arrival.damage.is_some());
    // Independent of each other.
    assert_near(both.count() as f64, 1000.0, 0.1);
}

#[test]
fn jitter_is_even_and_reorders_as_it_must() {
    let jitter = |order| Impairment {
        delay: milliseconds(25),
        jitter: Some(Jitter {
            most: milliseconds(10),
            order,
        }),
        ..Impairment::default()
    };
    let extra = |index: u64, fate: Fate| arrival(fate).at - milliseconds(index + 25);
    let extras = (0..)
        .zip(fates(11, &jitter(Order::Free), 100_000))
        .map(|(index, fate)| extra(index, fate));
    let extras: Vec<Duration> = extras.collect();
    assert!(extras.iter().all(|extra| *extra < milliseconds(10)));
    let sum: Duration = extras.iter().sum();
    assert_near(sum.as_secs_f64() / 1e5, 0.005, 0.01);
    let first_half = extras
        .iter()
        .filter(|extra| **extra < milliseconds(5))
        .count();
    assert_near(first_half as f64, 50_000.0, 0.02);
    for (order, reorders) in [(Order::Free, true), (Order::Kept, false)] {
        let dues: Vec<_> = fates(11, &jitter(order), 1000)
            .into_iter()
            .map(|fate| arrival(fate).at)
            .collect();
        assert_eq!(!dues.is_sorted(), reorders);
    }
}

#[test]
fn a_change_goes_on_with_the_indexes() {
    let mut decider = decider(12, Impairment::default());
    decider.black_out(milliseconds(1)..milliseconds(100));
    decider.decide(Duration::ZERO, LENGTH);
    assert_eq!(
        decider.decide(milliseconds(1), LENGTH),
        Fate::Lost(Cause::Blackout)
    );
    assert_eq!(decider.next_index(), 2);
    decider.impair(losing(Loss::List(
        [2, 4].into_iter().collect::<BTreeSet<u64>>().into(),
    )));
    let fates =
        [2, 3, 4].map(|time| decider.decide(milliseconds(time), LENGTH) == Fate::Lost(Cause::Loss));
    assert_eq!(fates, [true, false, true]);
}

#[test]
fn a_changed_model_of_bursts_is_where_it_would_have_been() {
    let model = losing(Loss::GilbertElliott(GilbertElliott {
        step: Step::Packet,
        to_bad: 0.1,
        to_good: 0.2,
        loss_good: 0.0,
        loss_bad: 1.0,
    }));
    let whole = fates(13, &model, 2000);
    let mut changed = decider(13, Impairment::default());
    for index in 0..1000 {
        changed.decide(milliseconds(index), LENGTH);
    }
    changed.impair(model);
    let rest: Vec<_> = (1000..2000)
        .map(|index| changed.decide(milliseconds(index), LENGTH))
        .collect();
    assert_eq!(whole[1000..], rest);
}

fn any_impairment() -> impl Strategy<Value = Impairment> {
    let jitter =
        proptest::option::of((0_u64..50, any::<bool>()).prop_map(|(most, keeps)| Jitter {
            most: milliseconds(most),
            order: if keeps { Order::Kept } else { Order::Free },
        }));
    let bandwidth = proptest::option::of((1000_u64..1_000_000_000, 1500_u64..100_000).prop_map(
        |(bits_per_second, queue)| Bandwidth {
            bits_per_second,
            queue,
        },
    ));
    (0_u64..500, jitter, bandwidth, 0.0..=1.0, 0.0..=1.0).prop_map(
        |(delay, jitter, bandwidth, loss, duplication)| Impairment {
            delay: milliseconds(delay),
            jitter,
            bandwidth,
            loss: Loss::Independent { probability: loss },
            duplication,
            ..Impairment::default()
        },
    )
}

proptest! {
    #[test]
    fn fates_are_a_function_of_the_seed(
        seed: u64,
        impairment in any_impairment(),
        packets in proptest::collection::vec((0_u64..5000, 20_usize..1500), 1..200),
    ) {
        let run = || {
            let (mut decider, mut now) = (decider(seed, impairment.clone()), Duration::ZERO);
            let fate = |(wait, length): &(u64, usize)| {
                now += Duration::from_micros(*wait);
                decider.decide(now, *length)
            };
            packets.iter().map(fate).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn nothing_is_early_and_order_is_kept_unless_told(
        seed: u64,
        impairment in any_impairment(),
        packets in proptest::collection::vec((0_u64..5000, 20_usize..1500), 1..200),
    ) {
        let (mut decider, mut now) = (decider(seed, impairment.clone()), Duration::ZERO);
        let mut latest = Duration::ZERO;
        let free = impairment.jitter.as_ref().is_some_and(|jitter| jitter.order == Order::Free);
        for (wait, length) in packets {
            now += Duration::from_micros(wait);
            if let Fate::Arrives(arrival) = decider.decide(now, length) {
                prop_assert!(arrival.at >= now + impairment.delay);
                prop_assert!(free || arrival.at >= latest);
                latest = arrival.at;
                prop_assert!(arrival.duplicate.is_none_or(|due| due >= now + impairment.delay));
            }
        }
    }

    #[test]
    fn a_bottleneck_never_exceeds_its_rate_nor_its_queue(
        // About two million bits come in a second: less than that makes a queue, more does not.
        bits_per_second in prop_oneof![1000_u64..2_000_000, 2_000_000_u64..1_000_000_000],
        queue in 1500_u64..20_000,
        packets in proptest::collection::vec((0_u64..5000, 20_usize..1500), 1..200),
    ) {
        let bandwidth = Bandwidth { bits_per_second, queue };
        let mut decider = decider(1, Impairment { bandwidth: Some(bandwidth.clone()), ..Impairment::default() });
        let (mut now, mut sent) = (Duration::ZERO, Duration::ZERO);
        for (wait, length) in packets {
            now += Duration::from_micros(wait);
            let bytes = length as u64;
            // What is not sent yet, counted in the time that it takes.
            let backlog = sent.saturating_sub(now);
            if let Fate::Arrives(arrival) = decider.decide(now, length) {
                prop_assert_eq!(arrival.at, sent.max(now) + bandwidth.time_of(bytes));
                prop_assert!(bandwidth.sent_in(backlog) + bytes <= queue);
                sent = arrival.at;
            } else {
                prop_assert!(bandwidth.sent_in(backlog) + bytes > queue);
            }
        }
    }
}
