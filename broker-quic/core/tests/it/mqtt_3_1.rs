//! Clients of MQTT 3.1: served as those of 3.1.1, but for what their version has otherwise.

use std::sync::Arc;

use quince_codec::{ReasonCode, Version};
use quince_core::bench::VirtualBroker;
use quince_core::{Action, ClosedBy, Config, Policy, Subject};

use crate::net::{Net, Q0, Q1, Q2, V3, V5, ack, farewell, hello, options, publish};

const V3_1: Version = Version::V3_1;

/// CONNECT with Clean Session and the Client Identifier `a`.
const CONNECT: &[u8] = b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a";

#[test]
fn it_is_accepted_in_its_own_form() {
    let mut net = Net::new();
    let client = net.open(V3_1);
    net.raw(client, CONNECT);
    assert_eq!(net.broker.read(client), [0x20, 2, 0, 0]);
    net.assert_quiet(client);
}

#[test]
fn its_session_is_kept_but_it_is_not_told_so() {
    let mut net = Net::new();
    let client = net.client(&hello(V3_1, "a").stored(0));
    net.subscribe(client, &[("t", Q1)]);
    net.abort(client);
    let publisher = net.simple(V5, "p");
    net.publish(publisher, publish(Q1, 1, "t", "x"));
    let client = net.dial(&hello(V3_1, "a").stored(0));
    assert_eq!(
        net.read(client),
        ["CONNACK 00", "PUBLISH q1 id=1 t=x"],
        "Session Present came with 3.1.1"
    );
    // The same Session, for a client that has learned 3.1.1.
    net.abort(client);
    let client = net.dial(&hello(V3, "a").stored(0));
    assert_eq!(
        net.read(client),
        ["CONNACK 00 present", "PUBLISH q1 id=1 dup t=x"]
    );
}

#[test]
fn messages_pass_between_the_versions() {
    for other in Version::ALL {
        for qos in [Q0, Q1, Q2] {
            let mut net = Net::new();
            let publisher = net.simple(V3_1, "p");
            let subscriber = net.simple(other, "s");
            net.subscribe(subscriber, &[("t/+", qos)]);
            net.publish(publisher, publish(qos, 7, "t/u", "x"));
            let step = match qos {
                Q0 => None,
                Q1 => Some("PUBACK 7"),
                Q2 => Some("PUBREC 7"),
            };
            assert_eq!(net.read(publisher), Vec::from_iter(step), "{other}");
            let delivered = match qos {
                Q0 => "PUBLISH q0 t/u=x",
                Q1 => "PUBLISH q1 id=1 t/u=x",
                Q2 => "PUBLISH q2 id=1 t/u=x",
            };
            assert_eq!(net.read(subscriber), [delivered], "to {other}");
            net.subscribe(publisher, &[("back", Q0)]);
            net.publish(subscriber, publish(Q0, 0, "back", "y"));
            assert_eq!(net.read(publisher), ["PUBLISH q0 back=y"], "from {other}");
        }
    }
}

/// Retries carry DUP in PUBREL, SUBSCRIBE and UNSUBSCRIBE too (section 4.2 there).
#[test]
fn what_is_sent_again_may_say_so() {
    let mut net = Net::new();
    let client = net.open(V3_1);
    net.raw(client, CONNECT);
    net.raw(client, b"\x8a\x06\x00\x01\x00\x01t\x01");
    net.raw(client, b"\x34\x06\x00\x01t\x00\x02x");
    net.raw(client, b"\x3c\x06\x00\x01t\x00\x02x");
    net.raw(client, b"\x6a\x02\x00\x02");
    net.raw(client, b"\xaa\x05\x00\x03\x00\x01t");
    assert_eq!(
        net.read(client),
        [
            "CONNACK 00",
            "SUBACK 1 01",
            "PUBREC 2",
            "PUBLISH q1 id=1 t=x",
            "PUBREC 2",
            "PUBCOMP 2",
            "UNSUBACK 3",
        ]
    );
    // In 3.1.1 the flag is reserved [MQTT3-3.8.1-1].
    let client = net.simple(V3, "b");
    net.raw(client, b"\x8a\x06\x00\x01\x00\x01t\x01");
    net.assert_refused(client, 0x81);
}

#[test]
fn its_client_identifier_has_1_to_23_characters() {
    let longest = "c".repeat(23);
    let accented = "\u{e9}".repeat(23);
    let too_long = "c".repeat(24);
    for (client_id, clean, answer) in [
        ("", true, "CONNACK 02"),
        ("", false, "CONNACK 02"),
        ("c", true, "CONNACK 00"),
        (longest.as_str(), true, "CONNACK 00"),
        (accented.as_str(), true, "CONNACK 00"),
        (too_long.as_str(), true, "CONNACK 02"),
    ] {
        let mut net = Net::new();
        let mut hello = hello(V3_1, client_id);
        hello.clean = clean;
        let client = net.dial(&hello);
        assert_eq!(net.read(client), [answer], "{client_id:?}");
        assert_eq!(net.broker.is_closed(client), answer != "CONNACK 00");
    }
}

#[test]
fn a_refused_connect_gets_a_return_code() {
    for (code, connack) in [
        (ReasonCode::SERVER_BUSY, "CONNACK 03"),
        (ReasonCode::BAD_USER_NAME_OR_PASSWORD, "CONNACK 04"),
        (ReasonCode::NOT_AUTHORIZED, "CONNACK 05"),
    ] {
        let mut net = Net::new();
        net.broker
            .set_authenticator(Box::new(move |_| Some(Err(code).into())));
        let client = net.dial(&hello(V3_1, "a"));
        assert_eq!(net.read(client), [connack]);
        assert_eq!(net.closed(client), (code, ClosedBy::Server));
    }
}

#[test]
fn the_wrong_level_under_its_name_is_refused() {
    let mut net = Net::new();
    let client = net.open(V3_1);
    net.raw(client, b"\x10\x0f\x00\x06MQIsdp\x04\x02\x00\x00\x00\x01a");
    assert_eq!(net.read(client), ["CONNACK 01"]);
    assert!(net.broker.is_closed(client));
}

/// Nobody may do anything with `secret`.
#[derive(Debug)]
struct Secret;

impl Policy for Secret {
    fn allows(&self, _: Subject<'_>, action: Action<'_>) -> bool {
        let (Action::Publish(name) | Action::Subscribe(name) | Action::Receive(name)) = action;
        name != "secret"
    }
}

/// It has no way to be told (sections 3.3 and 3.8 there).
#[test]
fn what_it_may_not_do_is_acknowledged_and_not_done() {
    let mut net = Net::over(VirtualBroker::with_policy(
        Config::default(),
        Arc::new(Secret),
    ));
    let client = net.simple(V3_1, "a");
    let filters = [("secret", options(Q1)), ("open", options(Q2))];
    net.subscribe_with(client, 1, &[], &filters);
    assert_eq!(net.read(client), ["SUBACK 1 01 02"]);
    net.publish(client, publish(Q1, 2, "secret", "x"));
    net.publish(client, publish(Q1, 3, "open", "x"));
    assert_eq!(
        net.read(client),
        ["PUBACK 2", "PUBACK 3", "PUBLISH q1 id=1 open=x"]
    );
    let figures = net.broker.hub().figures();
    assert_eq!(figures.subscriptions, 1);
}

/// A SUBACK of 3.1 cannot say that a subscription was not made.
#[test]
fn a_filter_that_is_none_ends_the_connection() {
    let mut net = Net::new();
    let client = net.simple(V3_1, "a");
    net.subscribe_with(client, 1, &[], &[("a#", options(Q0))]);
    assert_eq!(net.read(client), [""; 0]);
    assert_eq!(
        net.closed(client),
        (ReasonCode::TOPIC_FILTER_INVALID, ClosedBy::Server)
    );
}

#[test]
fn its_will_is_published() {
    let mut net = Net::new();
    let watcher = net.simple(V5, "w");
    net.subscribe(watcher, &[("gone", Q1)]);
    let client = net.client(&hello(V3_1, "a").will(farewell("gone", "bye")));
    net.abort(client);
    assert_eq!(net.read(watcher), ["PUBLISH q0 gone=bye"]);
    net.assert_quiet(watcher);
}

#[test]
fn what_it_left_in_flight_is_sent_again() {
    let mut net = Net::new();
    let client = net.client(&hello(V3_1, "a").stored(0));
    net.subscribe(client, &[("t", Q2)]);
    net.publish(client, publish(Q1, 1, "t", "x"));
    assert_eq!(net.read(client), ["PUBACK 1", "PUBLISH q1 id=1 t=x"]);
    net.abort(client);
    let client = net.dial(&hello(V3_1, "a").stored(0));
    assert_eq!(net.read(client), ["CONNACK 00", "PUBLISH q1 id=1 dup t=x"]);
    net.send(client, &quince_codec::Packet::PubAck(ack(1)));
    net.assert_quiet(client);
}
