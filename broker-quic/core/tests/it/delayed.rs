//! Messages below `$delayed/`.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use quince_codec::{Packet, Property, ReasonCode};
use quince_core::bench::VirtualBroker;
use quince_core::{Action, ClosedBy, Config, Policy, Subject};

use crate::net::{BOTH, Net, Q0, Q1, V3, V5, ack, farewell, hello, options, publish};

#[test]
fn a_delayed_message_is_acknowledged_now_and_published_later() {
    for version in BOTH {
        let mut net = Net::new();
        let sub = net.simple(version, "s");
        net.subscribe(sub, &[("a/b", Q1), ("$delayed/#", Q1)]);
        let client = net.simple(version, "p");
        net.publish(client, publish(Q1, 7, "$delayed/5/a/b", "later"));
        assert_eq!(net.read(client), ["PUBACK 7"]);
        assert_eq!(net.broker.hub().figures().delayed_messages, 1);
        net.wait_millis(4_999);
        net.assert_quiet(sub);
        net.wait_millis(1);
        assert_eq!(net.read(sub), ["PUBLISH q1 id=1 a/b=later"]);
        assert_eq!(net.broker.hub().figures().delayed_messages, 0);
    }
}

#[test]
fn delayed_messages_come_in_the_order_of_their_times_and_then_of_their_coming() {
    let mut net = Net::new();
    let sub = net.simple(V5, "s");
    net.subscribe(sub, &[("t", Q0)]);
    let client = net.simple(V5, "p");
    for (topic, payload) in [
        ("$delayed/2/t", "2a"),
        ("$delayed/1/t", "1"),
        ("$delayed/2/t", "2b"),
        ("$delayed/0/t", "0"),
    ] {
        net.publish(client, publish(Q0, 0, topic, payload));
    }
    net.wait(2);
    let expected = ["0", "1", "2a", "2b"].map(|payload| format!("PUBLISH q0 t={payload}"));
    assert_eq!(net.read(sub), expected);
}

#[test]
fn a_delayed_message_outlives_its_publisher_and_may_be_retained() {
    let mut net = Net::new();
    let client = net.simple(V5, "p");
    let mut message = publish(Q1, 7, "$delayed/5/t", "x");
    message.retain = true;
    net.publish(client, message);
    net.disconnect(client, 0, &[]);
    net.wait(5);
    let sub = net.simple(V5, "s");
    net.subscribe_with(sub, 1, &[], &[("t", options(Q0))]);
    assert_eq!(net.read(sub), ["SUBACK 1 00", "PUBLISH q0 retain t=x"]);
}

#[test]
fn expiry_runs_while_a_message_is_delayed() {
    let mut net = Net::new();
    let sub = net.simple(V5, "s");
    net.subscribe(sub, &[("t", Q0)]);
    let client = net.simple(V5, "p");
    let expiry = [Property::MessageExpiryInterval(5)];
    net.publish_with(client, publish(Q0, 0, "$delayed/5/t", "gone"), &expiry);
    net.publish_with(client, publish(Q0, 0, "$delayed/3/t", "left"), &expiry);
    net.wait(10);
    assert_eq!(
        net.read(sub),
        ["PUBLISH q0 t=left MessageExpiryInterval(2)"]
    );
}

#[test]
fn a_wrong_delay_is_no_topic() {
    let mut net = Net::new();
    let client = net.simple(V5, "p");
    net.publish(client, publish(Q1, 7, "$delayed/soon/t", "x"));
    assert_eq!(net.read_without_reason(client), ["PUBACK 7 90"]);
    net.publish(client, publish(Q0, 0, "$delayed/soon/t", "x"));
    assert_eq!(
        net.closed(client),
        (ReasonCode::TOPIC_NAME_INVALID, ClosedBy::Server)
    );
    let will = hello(V5, "w").will(farewell("$delayed/soon/t", "x"));
    let client = net.dial(&will);
    assert_eq!(net.read_without_reason(client), ["CONNACK 90"]);
}

#[test]
fn a_will_may_be_delayed() {
    let mut net = Net::new();
    let sub = net.simple(V3, "s");
    net.subscribe(sub, &[("t", Q0)]);
    let client = net.client(&hello(V3, "w").will(farewell("$delayed/2/t", "gone")));
    net.abort(client);
    net.wait_millis(1_999);
    net.assert_quiet(sub);
    net.wait_millis(1);
    assert_eq!(net.read(sub), ["PUBLISH q0 t=gone"]);
}

#[test]
fn the_number_of_delayed_messages_is_bounded() {
    let mut net = Net::with(Config {
        delayed_messages: 2,
        ..Config::default()
    });
    let client = net.simple(V5, "p");
    for number in 1..=3 {
        net.publish(client, publish(Q1, number, "$delayed/60/t", "x"));
    }
    let codes = net.read_without_reason(client);
    assert_eq!(codes, ["PUBACK 1", "PUBACK 2", "PUBACK 3 97"]);
    net.wait(60);
    net.publish(client, publish(Q1, 4, "$delayed/60/t", "x"));
    assert_eq!(net.read(client), ["PUBACK 4"]);
}

#[test]
fn bytes_of_delayed_messages_are_on_the_account_of_the_process() {
    let mut net = Net::new();
    let before = net.broker.hub().figures().buffered_bytes;
    let client = net.simple(V5, "p");
    let payload = "x".repeat(10_000);
    net.publish(client, publish(Q1, 1, "$delayed/60/t", &payload));
    let held = net.broker.hub().figures().buffered_bytes - before;
    assert!((10_000..11_000).contains(&held), "{held}");
    net.wait(60);
    assert_eq!(net.broker.hub().figures().buffered_bytes, before);
}

#[test]
fn a_receiver_without_room_delays_an_acknowledged_message_further() {
    let mut net = Net::with(Config {
        queue_messages: 1,
        ..Config::default()
    });
    let sub = net.client(&hello(V5, "s").stored(600));
    net.subscribe(sub, &[("t", Q1)]);
    net.abort(sub);
    let client = net.simple(V5, "p");
    net.publish(client, publish(Q1, 1, "t", "first"));
    net.publish(client, publish(Q1, 2, "$delayed/1/t", "second"));
    assert_eq!(net.read(client), ["PUBACK 1", "PUBACK 2"]);
    net.wait(10);
    assert_eq!(net.broker.hub().figures().delayed_messages, 1);
    let sub = net.dial(&hello(V5, "s").stored(600));
    assert_eq!(
        net.read(sub),
        ["CONNACK 00 present", "PUBLISH q1 id=1 t=first"]
    );
    net.send(sub, &Packet::PubAck(ack(1)));
    net.wait(1);
    assert_eq!(net.read(sub), ["PUBLISH q1 id=2 t=second"]);
}

/// Counts how often somebody asks to publish, which is once for each attempt.
#[derive(Debug, Default)]
struct Attempts(AtomicUsize);

impl Policy for Attempts {
    fn allows(&self, _subject: Subject<'_>, action: Action<'_>) -> bool {
        let is_attempt = matches!(action, Action::Publish("t"));
        self.0.fetch_add(usize::from(is_attempt), Ordering::Relaxed);
        true
    }
}

#[test]
fn a_call_that_comes_late_tries_once() {
    let attempts = Arc::new(Attempts::default());
    let config = Config {
        queue_messages: 1,
        ..Config::default()
    };
    let policy = Arc::clone(&attempts) as Arc<dyn Policy>;
    let mut net = Net::over(VirtualBroker::with_policy(config, policy));
    let sub = net.client(&hello(V5, "s").stored(600));
    net.subscribe(sub, &[("t", Q1)]);
    net.abort(sub);
    let client = net.simple(V5, "p");
    net.publish(client, publish(Q1, 1, "t", "first"));
    net.publish(client, publish(Q1, 2, "$delayed/1/t", "second"));
    let before = attempts.0.load(Ordering::Relaxed);
    let late = net.broker.now() + Duration::from_secs(500);
    net.broker.hub().handle_timeout(late);
    assert_eq!(attempts.0.load(Ordering::Relaxed), before + 1);
    let next = net.broker.hub().next_timeout();
    assert_eq!(next, Some(late + Duration::from_secs(1)));
}

/// Forbids topics below `closed/` to everybody, and to all when `shut`.
#[derive(Debug, Default)]
struct Gate {
    shut: AtomicBool,
}

impl Policy for Gate {
    fn allows(&self, _subject: Subject<'_>, action: Action<'_>) -> bool {
        match action {
            Action::Publish(topic) => {
                !topic.starts_with("closed/") && !self.shut.load(Ordering::Relaxed)
            }
            _ => true,
        }
    }
}

#[test]
fn the_right_to_the_destination_is_needed_at_both_times() {
    let policy = Arc::new(Gate::default());
    let mut net = Net::over(VirtualBroker::with_policy(
        Config::default(),
        Arc::clone(&policy) as Arc<dyn Policy>,
    ));
    let sub = net.simple(V5, "s");
    net.subscribe(sub, &[("#", Q0)]);
    let client = net.simple(V5, "p");
    net.publish(client, publish(Q1, 1, "$delayed/1/closed/t", "x"));
    assert_eq!(net.read_without_reason(client), ["PUBACK 1 87"]);
    net.publish(client, publish(Q1, 2, "$delayed/1/open/t", "x"));
    assert_eq!(net.read(client), ["PUBACK 2"]);
    policy.shut.store(true, Ordering::Relaxed);
    net.wait(5);
    net.assert_quiet(sub);
    let refused = net.dial(&hello(V5, "w").will(farewell("$delayed/1/t", "x")));
    assert_eq!(net.read_without_reason(refused), ["CONNACK 87"]);
}

#[test]
fn a_delayed_message_that_expired_replaces_nothing() {
    let mut net = Net::new();
    let client = net.simple(V5, "p");
    let mut message = publish(Q0, 0, "t", "old");
    message.retain = true;
    net.publish(client, message);
    let mut message = publish(Q0, 0, "$delayed/5/t", "new");
    message.retain = true;
    net.publish_with(client, message, &[Property::MessageExpiryInterval(5)]);
    net.wait(10);
    let sub = net.simple(V5, "s");
    net.subscribe_with(sub, 1, &[], &[("t", options(Q0))]);
    assert_eq!(net.read(sub), ["SUBACK 1 00", "PUBLISH q0 retain t=old"]);
}
