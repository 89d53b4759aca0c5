//! Each fault in a history that has it, and none in the same history without.

use quince_codec::QoS;
use quince_model::delivery::{Deliveries, Fault, MessageName, Owed, Register};

const Q1: QoS = QoS::AtLeastOnce;
const Q2: QoS = QoS::ExactlyOnce;

fn message(number: u64) -> MessageName {
    MessageName {
        publisher: 1,
        number,
    }
}

/// Publisher 1 has sent numbers 1 to 4, odd ones at QoS 1; all are acknowledged.
fn acknowledged() -> Deliveries {
    let mut deliveries = Deliveries::default();
    for number in 1..=4 {
        deliveries.sent(message(number), qos(number));
        deliveries.answered(message(number), false);
    }
    deliveries
}

fn qos(number: u64) -> QoS {
    if number % 2 == 1 { Q1 } else { Q2 }
}

fn owed(receivers: &[u16]) -> Vec<Owed> {
    vec![Owed {
        name: "all",
        is_ordered: true,
        receivers: receivers.to_vec(),
        publishers: vec![1],
    }]
}

/// What is found when receivers got these numbers, in this order, with DUP where it says so.
fn found(deliveries: &mut Deliveries, receipts: &[(u16, u64, bool)]) -> Vec<(Fault, String)> {
    for &(receiver, number, dup) in receipts {
        deliveries.received(receiver, message(number), qos(number), dup);
    }
    let mut receivers: Vec<u16> = receipts.iter().map(|&(receiver, ..)| receiver).collect();
    receivers.sort_unstable();
    receivers.dedup();
    let findings = deliveries.judge(&owed(&receivers));
    let found = findings.into_iter();
    found.map(|found| (found.fault, found.what)).collect()
}

const WHOLE: [(u16, u64, bool); 4] = [(7, 1, false), (7, 2, false), (7, 3, false), (7, 4, false)];

#[test]
fn a_right_history_has_no_finding() {
    assert_eq!(found(&mut acknowledged(), &WHOLE), []);
    // A QoS 1 message may come again with DUP, and without where its publisher has sent it again.
    let mut again = WHOLE.to_vec();
    again.push((7, 3, true));
    assert_eq!(found(&mut acknowledged(), &again), []);
    let mut resent = acknowledged();
    resent.sent(message(1), Q1);
    again.push((7, 1, false));
    assert_eq!(found(&mut resent, &again), []);
    // QoS 1 may overtake QoS 2.
    let crossed = [WHOLE[0], WHOLE[2], WHOLE[1], WHOLE[3]];
    assert_eq!(found(&mut acknowledged(), &crossed), []);
    // Two members share.
    let shared = [WHOLE[0], (8, 2, false), (8, 3, false), WHOLE[3]];
    assert_eq!(found(&mut acknowledged(), &shared), []);
}

#[test]
fn what_was_sent_again_may_come_in_either_place() {
    let shared = [
        (7, 1, false),
        (8, 2, false),
        (7, 3, false),
        (8, 4, false),
        (8, 1, false),
        (7, 2, true),
        (8, 3, false),
        (7, 4, true),
    ];
    let qos_1 = |deliveries: &mut Deliveries| {
        (1..=4).for_each(|number| deliveries.sent(message(number), Q1));
    };
    let mut deliveries = Deliveries::default();
    qos_1(&mut deliveries);
    qos_1(&mut deliveries);
    for (receiver, number, dup) in shared {
        deliveries.received(receiver, message(number), Q1, dup);
    }
    assert_eq!(deliveries.judge(&owed(&[7, 8])), []);
    // Had it been sent once, it would be wrong; and so is a third pass.
    for (times, passes) in [(1, 2), (2, 3)] {
        let mut deliveries = Deliveries::default();
        (0..times).for_each(|_| qos_1(&mut deliveries));
        let first_of_pass = [[3, 4], [2, 2], [1, 1]];
        for number in first_of_pass.iter().take(passes).flatten() {
            deliveries.received(7, message(*number), Q1, true);
        }
        let faults: Vec<Fault> = deliveries
            .judge(&owed(&[7]))
            .iter()
            .map(|found| found.fault)
            .collect();
        assert_eq!(faults, [Fault::OutOfOrder], "{times} {passes}");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let with = |more: (u16, u64, bool)| {
        let mut receipts = WHOLE.to_vec();
        receipts.push(more);
        receipts
    };
    let cases = [
        (WHOLE[..3].to_vec(), Fault::Lost, "1/4, owed to 'all'"),
        (with((7, 2, true)), Fault::Duplicate, "1/2 2 times at 'all'"),
        (
            with((7, 3, false)),
            Fault::RepeatedWithoutDup,
            "1/3 2 times at 'all'",
        ),
        (
            vec![WHOLE[2], WHOLE[0], WHOLE[1], WHOLE[3]],
            Fault::OutOfOrder,
            "7 got 1/1 behind 1/3",
        ),
    ];
    for (receipts, fault, what) in cases {
        assert_eq!(
            found(&mut acknowledged(), &receipts),
            [(fault, what.to_owned())]
        );
    }
    // Two members of a shared subscription, each of whom has it once.
    assert_eq!(
        found(&mut acknowledged(), &with((8, 2, false)))
            .first()
            .map(|found| found.0),
        Some(Fault::Duplicate)
    );
}

#[test]
fn a_refusal_is_no_loss_and_no_delivery() {
    let refused = |attempts| {
        let mut deliveries = Deliveries::default();
        (0..attempts).for_each(|_| deliveries.sent(message(1), Q1));
        deliveries.answered(message(1), true);
        deliveries
    };
    assert!(refused(1).is_complete(&owed(&[7])));
    assert_eq!(refused(1).answers(), (0, 1));
    assert_eq!(refused(1).judge(&owed(&[7])), []);
    assert_eq!(
        found(&mut refused(1), &[(7, 1, false)]),
        [(
            Fault::RefusedButDelivered,
            "1/1 1 times at 'all'".to_owned()
        )]
    );
    // The first attempt may have been taken.
    assert_eq!(found(&mut refused(2), &[(7, 1, false)]), []);
}

#[test]
fn what_nobody_sent_is_altered() {
    let mut deliveries = acknowledged();
    deliveries.received(7, message(9), Q1, false);
    deliveries.received(7, message(1), Q2, false);
    let findings = deliveries.judge(&[]);
    let faults: Vec<Fault> = findings.iter().map(|found| found.fault).collect();
    assert_eq!(faults, [Fault::Altered, Fault::Altered]);
}

#[test]
fn a_register_may_be_what_was_acknowledged_or_is_under_way() {
    let mut register = Register::new(0);
    register.begin(1);
    register.acknowledged(1);
    register.begin(2);
    assert_eq!(register.clone().read(1), Ok(()));
    assert_eq!(register.clone().read(2), Ok(()));
    assert_eq!(
        register.read(0),
        Err("0, where [1, 2] was possible".to_owned())
    );
    assert_eq!(register.read(0), Ok(()), "told once");
}
