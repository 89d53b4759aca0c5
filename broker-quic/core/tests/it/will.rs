//! Will Messages.

use quince_codec::{Property, Publish};

use crate::net::{BOTH, Farewell, Net, Q0, Q1, Q2, V3, V5, farewell, hello, publish};

fn watched(version: quince_codec::Version) -> (Net, crate::net::Client) {
    let mut net = Net::new();
    let watcher = net.simple(version, "w");
    net.subscribe(watcher, &[("w/#", Q2)]);
    (net, watcher)
}

fn delayed<'a>(topic: &'a str, seconds: u32) -> Farewell<'a> {
    Farewell {
        properties: vec![Property::WillDelayInterval(seconds)],
        ..farewell(topic, "gone")
    }
}

const GONE: &str = "PUBLISH q0 w/a=gone";

#[test]
fn every_end_but_a_normal_disconnect_publishes_the_will() {
    for version in BOTH {
        type End = fn(&mut Net, crate::net::Client);
        let ends: [(&str, End, bool); 6] = [
            ("abort", |net, client| net.abort(client), true),
            ("finish", |net, client| net.broker.finish(client), true),
            ("keep alive", |net, _| net.wait_millis(3_000), true),
            (
                "malformed",
                |net, client| net.raw(client, b"\xc1\x00"),
                true,
            ),
            (
                "shut flags",
                |net, client| net.raw(client, b"\xe1\x00"),
                true,
            ),
            (
                "disconnect",
                |net, client| net.disconnect(client, 0, &[]),
                false,
            ),
        ];
        for (name, end, published) in ends {
            let (mut net, watcher) = watched(version);
            let client = net.client(
                &hello(version, "a")
                    .keep_alive(2)
                    .will(farewell("w/a", "gone")),
            );
            end(&mut net, client);
            assert!(net.broker.is_closed(client), "{name}");
            let expected = if published { vec![GONE] } else { vec![] };
            assert_eq!(net.read(watcher), expected, "{name}");
            // It is published once only.
            let again = net.client(&hello(version, "a"));
            net.abort(again);
            net.assert_quiet(watcher);
        }
    }
}

#[test]
fn disconnect_with_will_message_publishes_it() {
    for code in [0x04, 0x80, 0x8d] {
        let (mut net, watcher) = watched(V5);
        let client = net.client(&hello(V5, "a").will(farewell("w/a", "gone")));
        net.disconnect(client, code, &[]);
        assert_eq!(net.read(watcher), [GONE], "{code:02x}");
    }
}

#[test]
fn the_will_has_its_qos_and_retain() {
    for version in BOTH {
        for (qos, line) in [
            (Q1, "PUBLISH q1 id=1 w/a=gone"),
            (Q2, "PUBLISH q2 id=1 w/a=gone"),
        ] {
            let (mut net, watcher) = watched(version);
            let will = Farewell {
                qos,
                retain: true,
                ..farewell("w/a", "gone")
            };
            let client = net.client(&hello(version, "a").will(will));
            net.abort(client);
            assert_eq!(net.read(watcher), [line]);
            let late = net.simple(version, "late");
            net.subscribe_with(late, 1, &[], &[("w/a", crate::net::options(Q0))]);
            assert_eq!(
                net.read(late),
                ["SUBACK 1 00", "PUBLISH q0 retain w/a=gone"]
            );
        }
    }
}

#[test]
fn the_properties_of_a_will_are_published_in_order() {
    let (mut net, watcher) = watched(V5);
    let properties = vec![
        Property::UserProperty("a", "1"),
        Property::PayloadFormatIndicator(true),
        Property::WillDelayInterval(1),
        Property::UserProperty("b", "2"),
        Property::MessageExpiryInterval(60),
        Property::ContentType("c"),
        Property::UserProperty("a", "1"),
    ];
    let client = net.client(&hello(V5, "a").stored(10).will(Farewell {
        properties,
        ..farewell("w/a", "gone")
    }));
    net.abort(client);
    net.wait(1);
    let lines = net.read(watcher);
    assert_eq!(lines.len(), 1);
    let users: Vec<&str> = lines[0]
        .match_indices("UserProperty")
        .map(|(at, _)| &lines[0][at + 13..at + 21])
        .collect();
    assert_eq!(users, ["\"a\", \"1\"", "\"b\", \"2\"", "\"a\", \"1\""]);
    assert!(
        lines[0].contains("ContentType(\"c\")") && lines[0].contains("MessageExpiryInterval(60)"),
        "{lines:?}"
    );
    assert!(!lines[0].contains("WillDelay"), "{lines:?}");
}

#[test]
fn a_delayed_will_waits_and_a_resumed_session_takes_it_back() {
    let (mut net, watcher) = watched(V5);
    let client = net.client(&hello(V5, "a").stored(100).will(delayed("w/a", 3)));
    net.abort(client);
    net.wait_millis(2_999);
    net.assert_quiet(watcher);
    net.wait_millis(1);
    assert_eq!(net.read(watcher), [GONE]);
    net.wait(97);
    net.assert_quiet(watcher);

    let client = net.client(&hello(V5, "b").stored(100).will(delayed("w/b", 3)));
    net.abort(client);
    net.wait(2);
    let client = net.dial(&hello(V5, "b").stored(100));
    net.wait(10);
    net.assert_quiet(watcher);
    net.abort(client);
    net.wait(10);
    net.assert_quiet(watcher);
}

#[test]
fn a_delayed_will_goes_out_when_its_session_ends_first() {
    for (expiry, at) in [(0, 0), (1, 1)] {
        let (mut net, watcher) = watched(V5);
        let client = net.client(&hello(V5, "a").stored(expiry).will(delayed("w/a", 10)));
        net.abort(client);
        if at > 0 {
            net.wait_millis(at * 1000 - 1);
            net.assert_quiet(watcher);
            net.wait_millis(1);
        }
        assert_eq!(net.read(watcher), [GONE], "{expiry}");
        net.wait(20);
        net.assert_quiet(watcher);
    }
}

#[test]
fn a_clean_start_ends_the_session_and_sends_the_delayed_will() {
    let (mut net, watcher) = watched(V5);
    let client = net.client(&hello(V5, "a").stored(100).will(delayed("w/a", 10)));
    net.abort(client);
    net.client(&hello(V5, "a"));
    assert_eq!(net.read(watcher), [GONE]);
    net.wait(20);
    net.assert_quiet(watcher);
}

#[test]
fn takeover_takes_a_delayed_will_back_only_where_the_session_goes_on() {
    for (expiry, clean, published) in [(100, false, false), (100, true, true), (0, false, true)] {
        let (mut net, watcher) = watched(V5);
        net.client(&hello(V5, "a").stored(expiry).will(delayed("w/a", 10)));
        let mut taker = hello(V5, "a").expiry(100);
        taker.clean = clean;
        net.dial(&taker);
        net.wait(20);
        let expected = if published { vec![GONE] } else { vec![] };
        assert_eq!(net.read(watcher), expected, "{expiry} {clean}");
    }
}

#[test]
fn a_will_is_published_to_its_own_stored_session() {
    let mut net = Net::new();
    let client = net.client(&hello(V3, "a").stored(0).will(Farewell {
        qos: Q1,
        ..farewell("w/a", "gone")
    }));
    net.subscribe(client, &[("w/a", Q1)]);
    net.abort(client);
    let client = net.dial(&hello(V3, "a").stored(0));
    assert_eq!(
        net.read(client),
        ["CONNACK 00 present", "PUBLISH q1 id=1 w/a=gone"]
    );
}

#[test]
fn a_will_comes_behind_what_its_client_published() {
    let (mut net, watcher) = watched(V5);
    let client = net.client(&hello(V5, "a").will(farewell("w/a", "gone")));
    net.publish(
        client,
        Publish {
            ..publish(Q0, 0, "w/a", "last")
        },
    );
    net.abort(client);
    assert_eq!(net.read(watcher), ["PUBLISH q0 w/a=last", GONE]);
}

/// The driver's one timer for all Sessions is told when it must ring earlier.
#[test]
fn the_timer_is_woken_when_something_is_due_earlier() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let mut net = Net::new();
    let count = Arc::new(Count::default());
    net.broker
        .hub()
        .set_timer_waker(&Waker::from(Arc::clone(&count)));
    for (name, expiry, woken) in [("a", 100, 1), ("b", 200, 1), ("c", 50, 2)] {
        let client = net.client(&hello(V5, name).stored(expiry));
        net.abort(client);
        assert_eq!(count.0.load(Ordering::Relaxed), woken, "{name}");
    }
}
