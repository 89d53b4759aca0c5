//! Session State: start, resumption, end.

use quince_codec::Property;

use crate::net::{BOTH, Net, Q0, Q1, Q2, V3, V5, hello, publish};

#[test]
fn session_present_says_whether_there_was_one() {
    for version in BOTH {
        let mut net = Net::new();
        let stored = hello(version, "a").stored(100);
        for expected in ["CONNACK 00", "CONNACK 00 present", "CONNACK 00 present"] {
            let client = net.dial(&stored);
            assert_eq!(net.read(client), [expected]);
            net.abort(client);
        }
        let client = net.dial(&hello(version, "a"));
        assert_eq!(net.read(client), ["CONNACK 00"]);
        net.abort(client);
        let client = net.dial(&stored);
        assert_eq!(net.read(client), ["CONNACK 00"]);
    }
}

#[test]
fn a_stored_session_keeps_subscriptions_and_messages() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(&hello(version, "s").stored(100));
        net.subscribe(client, &[("t", Q2)]);
        net.disconnect(client, 0, &[]);
        let publisher = net.simple(version, "p");
        net.publish(publisher, publish(Q1, 1, "t", "one"));
        net.publish(publisher, publish(Q2, 2, "t", "two"));
        let client = net.dial(&hello(version, "s").stored(100));
        assert_eq!(
            net.read(client),
            [
                "CONNACK 00 present",
                "PUBLISH q1 id=1 t=one",
                "PUBLISH q2 id=2 t=two"
            ]
        );
        net.publish(publisher, publish(Q0, 0, "t", "three"));
        assert_eq!(net.read(client), ["PUBLISH q0 t=three"]);
    }
}

#[test]
fn a_clean_start_discards_everything() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(&hello(version, "s").stored(100));
        net.subscribe(client, &[("t", Q2)]);
        net.abort(client);
        let publisher = net.simple(version, "p");
        net.publish(publisher, publish(Q1, 1, "t", "one"));
        let client = net.client(&hello(version, "s"));
        net.publish(publisher, publish(Q1, 1, "t", "two"));
        net.assert_quiet(client);
        assert_eq!(net.broker.hub().figures().subscriptions, 0);
        assert_eq!(net.broker.hub().figures().buffered_bytes, 0);
    }
}

#[test]
fn a_session_without_expiry_ends_with_its_connection() {
    let mut net = Net::new();
    let mut hello = hello(V5, "s");
    hello.clean = false;
    let client = net.client(&hello);
    net.subscribe(client, &[("t", Q1)]);
    net.abort(client);
    assert_eq!(net.broker.hub().figures().sessions, 0);
    assert_eq!(net.broker.hub().figures().subscriptions, 0);
    let client = net.dial(&hello);
    assert_eq!(net.read(client), ["CONNACK 00"]);
}

#[test]
fn a_session_ends_when_its_expiry_interval_has_passed() {
    for (wait, present) in [(9_999, true), (10_000, false)] {
        let mut net = Net::new();
        let client = net.client(&hello(V5, "s").stored(10));
        net.subscribe(client, &[("t", Q1)]);
        // It does not run while the client is connected.
        net.wait(100);
        net.assert_quiet(client);
        net.abort(client);
        net.wait_millis(wait);
        assert_eq!(
            net.broker.hub().figures().subscriptions,
            usize::from(present)
        );
        let client = net.dial(&hello(V5, "s").stored(10));
        assert_eq!(
            net.read(client),
            [if present {
                "CONNACK 00 present"
            } else {
                "CONNACK 00"
            }]
        );
    }
}

#[test]
fn the_longest_expiry_interval_never_ends() {
    for (version, seconds) in [(V5, u32::MAX), (V3, 0)] {
        let mut net = Net::new();
        let client = net.client(&hello(version, "s").stored(seconds));
        net.abort(client);
        net.wait(u64::from(u32::MAX) * 2);
        let client = net.dial(&hello(version, "s").stored(seconds));
        assert_eq!(net.read(client), ["CONNACK 00 present"]);
    }
}

#[test]
fn disconnect_can_change_the_expiry_interval() {
    for (connect, disconnect, wait, present) in [
        (60, Some(0), 0, false),
        (1, Some(60), 3, true),
        (1, None, 3, false),
        (60, None, 3, true),
    ] {
        let mut net = Net::new();
        let client = net.client(&hello(V5, "s").stored(connect));
        let properties: Vec<_> = disconnect
            .map(Property::SessionExpiryInterval)
            .into_iter()
            .collect();
        net.disconnect(client, 0, &properties);
        net.wait(wait);
        let client = net.dial(&hello(V5, "s").stored(10));
        let expected = if present {
            "CONNACK 00 present"
        } else {
            "CONNACK 00"
        };
        assert_eq!(net.read(client), [expected], "{connect} {disconnect:?}");
    }
}

#[test]
fn a_session_that_was_to_end_cannot_be_kept_by_disconnect() {
    let mut net = Net::new();
    let client = net.client(&hello(V5, "s"));
    net.disconnect(client, 0, &[Property::SessionExpiryInterval(10)]);
    net.assert_refused(client, 0x82);
    assert_eq!(net.broker.hub().figures().sessions, 0);
}

#[test]
fn the_expiry_interval_of_the_new_connection_counts() {
    let mut net = Net::new();
    let client = net.client(&hello(V5, "s").stored(1000));
    net.abort(client);
    let client = net.dial(&hello(V5, "s").stored(1));
    net.abort(client);
    net.wait(1);
    assert_eq!(net.broker.hub().figures().sessions, 0);
    assert_eq!(net.broker.hub().figures().stored_sessions, 0);
}

#[test]
fn a_session_may_change_its_version() {
    let mut net = Net::new();
    let client = net.client(&hello(V3, "s").stored(0));
    net.subscribe(client, &[("t", Q1)]);
    net.abort(client);
    let publisher = net.simple(V5, "p");
    net.publish_with(
        publisher,
        publish(Q1, 1, "t", "x"),
        &[Property::ContentType("c")],
    );
    let client = net.dial(&hello(V5, "s").stored(100));
    assert_eq!(
        net.read(client),
        [
            "CONNACK 00 present",
            "PUBLISH q1 id=1 t=x ContentType(\"c\")"
        ]
    );
    net.abort(client);
    let client = net.dial(&hello(V3, "s").stored(0));
    assert_eq!(
        net.read(client),
        ["CONNACK 00 present", "PUBLISH q1 id=1 dup t=x"]
    );
}
