//! What is out of range is refused, with its range.

use super::*;

#[test]
fn a_trace_says_where_it_is_broken() {
    let broken = Trace::parse("01 # fine\n0 x1", Step::Packet).unwrap_err();
    assert_eq!(broken, "line 2, column 3: expected 0 or 1, found 'x'");
    assert!(Trace::parse("# nothing", Step::Packet).is_err());
    let trace = Trace::parse("01\n 1\t0", Step::Packet).unwrap();
    assert_eq!(*trace.lost, [false, true, true, false]);
}

#[test]
fn ranges_are_checked() {
    let refused = |impairment: Impairment| {
        let config = Config {
            b_to_a: impairment,
            ..Config::default()
        };
        config.check().unwrap_err()
    };
    let default = Impairment::default;
    assert_eq!(
        refused(default().losing(-0.1)),
        "loss is -0.1, but must be from 0 to 1"
    );
    assert_eq!(
        refused(default().losing(f64::NAN)),
        "loss is NaN, but must be from 0 to 1"
    );
    let twice = Impairment {
        duplication: 2.0,
        ..default()
    };
    assert_eq!(refused(twice), "duplication is 2, but must be from 0 to 1");
    let narrow = |bits_per_second, queue| Impairment {
        bandwidth: Some(Bandwidth {
            bits_per_second,
            queue,
        }),
        ..default()
    };
    assert_eq!(
        refused(narrow(999, 1500)),
        "a bandwidth is at least 1,000 bits per second"
    );
    assert_eq!(
        refused(narrow(1000, 1499)),
        "a queue of 1499 bytes takes no packet of the MTU's 1500 bytes"
    );
    let small = Config {
        mtu: 1279,
        ..Config::default()
    };
    assert_eq!(small.check().unwrap_err(), "an MTU of 1279 is below 1,280");
    assert_eq!(Config::default().check(), Ok(()));
}
