//! CONNECT and CONNACK, Keep Alive, authentication, the end of a connection.

use std::sync::Arc;

use quince_codec::{Packet, Property, ReasonCode};
use quince_core::{ClosedBy, Config, Principal, Redirect, Validity};

use crate::net::{BOTH, Net, Q0, Q1, V3, V5, hello, publish};

fn connack(net: &mut Net, client: crate::net::Client) -> Vec<String> {
    let frames = net.frames(client);
    assert_eq!(frames.len(), 1);
    let Packet::ConnAck(connack) = frames[0].1.decode(frames[0].0).expect("decodes") else {
        panic!("no CONNACK")
    };
    connack
        .properties
        .iter()
        .map(|property| format!("{property:?}"))
        .collect()
}

#[test]
fn connack_announces_what_the_server_takes() {
    let mut net = Net::new();
    let client = net.dial(&hello(V5, "a"));
    assert_eq!(
        connack(&mut net, client),
        [
            "ReceiveMaximum(256)",
            "MaximumPacketSize(1048576)",
            "TopicAliasMaximum(32)"
        ]
    );
    let client = net.dial(&hello(V3, "b"));
    assert_eq!(connack(&mut net, client), [""; 0]);
}

#[test]
fn connack_says_what_was_limited() {
    let config = Config {
        session_expiry_maximum: 60,
        keep_alive_maximum: Some(30),
        ..Config::default()
    };
    let mut net = Net::with(config);
    let client = net.dial(&hello(V5, "a").expiry(61).keep_alive(31));
    let properties = connack(&mut net, client);
    assert!(
        properties.contains(&"SessionExpiryInterval(60)".to_owned()),
        "{properties:?}"
    );
    assert!(
        properties.contains(&"ServerKeepAlive(30)".to_owned()),
        "{properties:?}"
    );
    // No Keep Alive is longer than any.
    let client = net.dial(&hello(V5, "b").expiry(60).keep_alive(0));
    let properties = connack(&mut net, client);
    assert!(
        !properties
            .iter()
            .any(|property| property.starts_with("SessionExpiry")),
        "{properties:?}"
    );
    assert!(
        properties.contains(&"ServerKeepAlive(30)".to_owned()),
        "{properties:?}"
    );
    net.wait_millis(44_999);
    net.assert_quiet(client);
    net.wait_millis(45_000);
    net.assert_refused(client, 0x8d);
}

#[test]
fn an_empty_client_identifier_is_replaced_by_a_unique_one() {
    let mut net = Net::new();
    let first = net.dial(&hello(V5, ""));
    let second = net.dial(&hello(V5, ""));
    let assigned = |lines: Vec<String>| {
        lines
            .into_iter()
            .find(|line| line.starts_with("AssignedClient"))
            .expect("one")
    };
    let (one, other) = (
        assigned(connack(&mut net, first)),
        assigned(connack(&mut net, second)),
    );
    assert_ne!(one, other);
    net.assert_quiet(first);
    let third = net.simple(V3, "");
    let fourth = net.simple(V3, "");
    net.assert_quiet(third);
    net.assert_quiet(fourth);
}

#[test]
fn an_assigned_client_identifier_names_the_session() {
    let mut net = Net::new();
    let first = net.dial(&hello(V5, "").expiry(100));
    let line = connack(&mut net, first)
        .into_iter()
        .find(|line| line.starts_with("Assigned"))
        .expect("assigned");
    let name = line.split('"').nth(1).expect("quoted").to_owned();
    net.abort(first);
    let again = net.dial(&hello(V5, &name).stored(100));
    assert_eq!(net.read(again), ["CONNACK 00 present"]);
}

#[test]
fn version_3_1_1_refuses_an_empty_identifier_that_is_to_be_kept() {
    let mut net = Net::new();
    let client = net.dial(&hello(V3, "").stored(0));
    assert_eq!(net.read(client), ["CONNACK 02"]);
    assert!(net.broker.is_closed(client));
}

#[test]
fn an_authentication_method_is_refused() {
    let mut net = Net::new();
    let client = net.dial(&hello(V5, "a").with(Property::AuthenticationMethod("SCRAM")));
    assert_eq!(net.read(client), ["CONNACK 8c"]);
    assert!(net.broker.is_closed(client));
}

#[test]
fn the_first_packet_must_be_connect() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.open(version);
        net.send(client, &Packet::PingReq);
        assert_eq!(net.read(client), [""; 0]);
        assert!(net.broker.is_closed(client));
    }
}

#[test]
fn a_second_connect_is_a_protocol_error() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.simple(version, "a");
        net.greet(client, &hello(version, "a"));
        net.assert_refused(client, 0x82);
    }
}

#[test]
fn an_unknown_protocol_level_is_refused_in_the_form_of_3_1_1() {
    let mut net = Net::new();
    let client = net.open(V3);
    net.raw(client, b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x01a");
    assert_eq!(net.read(client), ["CONNACK 01"]);
    assert!(net.broker.is_closed(client));
}

#[test]
fn a_broken_connect_gets_a_connack_only_in_version_5() {
    let mut net = Net::new();
    let client = net.open(V3);
    net.raw(client, b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01a");
    assert_eq!(net.read(client), [""; 0]);
    assert!(net.broker.is_closed(client));
    let client = net.open(V5);
    net.raw(client, b"\x10\x0e\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01a");
    assert_eq!(net.read(client), ["CONNACK 81"]);
    assert!(net.broker.is_closed(client));
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut net = Net::new();
    let client = net.open(V3);
    for byte in b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a\xc0\x00" {
        net.raw(client, &[*byte]);
    }
    assert_eq!(net.read(client), ["CONNACK 00", "PINGRESP"]);
}

#[test]
fn connect_must_be_complete_in_time_whatever_bytes_come() {
    let mut net = Net::new();
    let client = net.open(V5);
    net.wait_millis(9_000);
    net.raw(client, b"\x10\x0d\x00");
    net.wait_millis(999);
    assert!(!net.broker.is_closed(client));
    net.wait_millis(1);
    assert!(net.broker.is_closed(client));
    assert_eq!(net.read(client), [""; 0]);
}

#[test]
fn what_follows_connect_waits_for_authentication() {
    for version in BOTH {
        let mut net = Net::new();
        net.broker.set_authenticator(Box::new(|request| {
            assert_eq!(request.user_name.as_deref(), Some("u"));
            None
        }));
        let client = net.open(version);
        let mut hello = hello(version, "a");
        hello.user_name = Some("u");
        net.greet(client, &hello);
        net.publish(client, publish(Q1, 5, "t", "x"));
        net.send(client, &Packet::PingReq);
        assert_eq!(net.read(client), [""; 0]);
        assert!(net.broker.unread(client) > 0, "back-pressure");
        net.broker.answer(client, Ok(Principal::named("u")));
        let code = if version == V5 { " 10" } else { "" };
        assert_eq!(
            net.read(client),
            [
                "CONNACK 00".to_owned(),
                format!("PUBACK 5{code}"),
                "PINGRESP".to_owned()
            ]
        );
    }
}

#[test]
fn a_refused_connect_is_told_why_and_nothing_behind_it_counts() {
    for (version, connack) in [(V3, "CONNACK 04"), (V5, "CONNACK 86")] {
        let mut net = Net::new();
        let watcher = net.simple(version, "w");
        net.subscribe(watcher, &[("#", Q0)]);
        net.broker.set_authenticator(Box::new(|_| None));
        let client = net.dial(&hello(version, "a"));
        net.publish(client, publish(Q0, 0, "t", "x"));
        net.broker
            .answer(client, Err(ReasonCode::BAD_USER_NAME_OR_PASSWORD));
        assert_eq!(net.read(client), [connack]);
        assert_eq!(
            net.closed(client),
            (ReasonCode::BAD_USER_NAME_OR_PASSWORD, ClosedBy::Server)
        );
        net.assert_quiet(watcher);
    }
}

#[test]
fn authentication_has_its_time() {
    let mut net = Net::new();
    net.broker.set_authenticator(Box::new(|_| None));
    let client = net.dial(&hello(V5, "a"));
    net.wait_millis(9_999);
    assert!(!net.broker.is_closed(client));
    net.wait_millis(1);
    assert_eq!(net.read(client), ["CONNACK 88"]);
    assert!(net.broker.is_closed(client));
    // A late answer has no effect.
    net.broker.answer(client, Ok(Principal::anonymous()));
    assert_eq!(net.read(client), [""; 0]);
}

#[test]
fn keep_alive_ends_a_silent_client_after_one_and_a_half_intervals() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(&hello(version, "a").keep_alive(2));
        net.wait_millis(2_999);
        net.assert_quiet(client);
        net.wait_millis(2_000);
        // Half a packet is no packet.
        net.raw(client, b"\xc0");
        net.wait_millis(999);
        assert!(!net.broker.is_closed(client));
        net.wait_millis(1);
        net.assert_refused(client, 0x8d);
    }
}

#[test]
fn without_keep_alive_a_client_may_be_silent() {
    let mut net = Net::new();
    let client = net.client(&hello(V5, "a").keep_alive(0));
    net.wait(1_000_000);
    net.assert_quiet(client);
}

#[test]
fn disconnect_closes() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.simple(version, "a");
        net.disconnect(client, 0, &[]);
        assert_eq!(net.read(client), [""; 0]);
        assert_eq!(
            net.closed(client),
            (ReasonCode::NORMAL_DISCONNECTION, ClosedBy::Client)
        );
    }
}

#[test]
fn the_end_of_the_stream_is_a_lost_connection() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.broker.finish(client);
    assert_eq!(net.closed(client).1, ClosedBy::Network);
    assert_eq!(net.broker.hub().figures().sessions, 0);
}

#[test]
fn shutdown_tells_everybody() {
    let mut net = Net::new();
    let five = net.simple(V5, "five");
    let three = net.simple(V3, "three");
    let waiting = net.open(V5);
    net.broker.shut_down();
    net.assert_refused(five, 0x8b);
    net.assert_refused(three, 0x8b);
    assert_eq!(net.read(waiting), [""; 0]);
    assert!(net.broker.is_closed(waiting));
    for (version, connack) in [(V3, "CONNACK 03"), (V5, "CONNACK 88")] {
        let late = net.dial(&hello(version, "late"));
        let got = net.read(late);
        assert!(got == [connack] || got.is_empty(), "{got:?}");
        assert!(net.broker.is_closed(late));
    }
    assert_eq!(net.broker.hub().figures().connections, 0);
}

#[test]
fn a_client_that_does_not_read_cannot_hold_up_the_close() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.broker.set_room(client, Some(0));
    net.broker.shut_down();
    net.wait_millis(4_999);
    assert!(
        !net.broker.is_closed(client),
        "the last word has time to leave"
    );
    net.wait_millis(1);
    assert!(net.broker.is_closed(client));
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.broker.set_room(client, Some(0));
    net.broker.shut_down();
    net.broker.set_room(client, None);
    net.assert_refused(client, 0x8b);
}

#[test]
fn a_broker_may_send_everybody_elsewhere() {
    for (validity, code) in [(Validity::ForNow, 0x9c), (Validity::ForGood, 0x9d)] {
        let mut net = Net::with(Config {
            redirect: Some(Redirect {
                server_reference: Arc::from("other.example:1883"),
                validity,
            }),
            ..Config::default()
        });
        let client = net.dial(&hello(V5, "a"));
        let frames = net.frames(client);
        let Packet::ConnAck(connack) = frames[0].1.decode(V5).expect("well-formed") else {
            panic!("{frames:?}");
        };
        assert_eq!(connack.code, code);
        let reference = connack.properties.server_reference();
        assert_eq!(reference, Some("other.example:1883"));
        assert!(net.broker.is_closed(client));
        // Version 3.1.1 can only be told that it is not served here.
        let old = net.dial(&hello(V3, "a"));
        assert_eq!(net.read(old), ["CONNACK 03"]);
        assert!(net.broker.is_closed(old));
    }
}
