//! PUBLISH at every QoS, both ways, with what may be repeated and what must not.

use quince_codec::{Packet, Property, Publish, QoS};

use crate::net::{BOTH, Net, Q0, Q1, Q2, V3, V5, ack, ack_with, hello, publish};

#[test]
fn every_qos_to_every_granted_qos_arrives_at_the_minimum() {
    for version in BOTH {
        for published in [Q0, Q1, Q2] {
            for granted in [Q0, Q1, Q2] {
                let mut net = Net::new();
                let subscriber = net.simple(version, "s");
                net.subscribe(subscriber, &[("t/+", granted)]);
                let publisher = net.simple(version, "p");
                net.publish(publisher, publish(published, 9, "t/a", "x"));
                let acknowledged = match published {
                    QoS::AtMostOnce => vec![],
                    QoS::AtLeastOnce => vec!["PUBACK 9"],
                    QoS::ExactlyOnce => vec!["PUBREC 9"],
                };
                assert_eq!(net.read(publisher), acknowledged);
                let line = match published.min(granted) {
                    QoS::AtMostOnce => "PUBLISH q0 t/a=x",
                    QoS::AtLeastOnce => "PUBLISH q1 id=1 t/a=x",
                    QoS::ExactlyOnce => "PUBLISH q2 id=1 t/a=x",
                };
                assert_eq!(
                    net.read(subscriber),
                    [line],
                    "{version} {published:?} {granted:?}"
                );
            }
        }
    }
}

#[test]
fn a_qos_2_message_from_the_client_is_published_once() {
    for version in BOTH {
        let mut net = Net::new();
        let subscriber = net.simple(version, "s");
        net.subscribe(subscriber, &[("t", Q0)]);
        let client = net.simple(version, "p");
        net.publish(client, publish(Q2, 7, "t", "one"));
        net.publish(
            client,
            Publish {
                dup: true,
                ..publish(Q2, 7, "t", "one")
            },
        );
        net.publish(
            client,
            Publish {
                dup: true,
                ..publish(Q2, 7, "t", "one")
            },
        );
        assert_eq!(net.read(client), ["PUBREC 7", "PUBREC 7", "PUBREC 7"]);
        net.send(client, &Packet::PubRel(ack(7)));
        assert_eq!(net.read(client), ["PUBCOMP 7"]);
        assert_eq!(net.read(subscriber), ["PUBLISH q0 t=one"]);
        // From now on the identifier means a new message, whatever DUP says.
        net.publish(
            client,
            Publish {
                dup: true,
                ..publish(Q2, 7, "t", "two")
            },
        );
        assert_eq!(net.read(client), ["PUBREC 7"]);
        assert_eq!(net.read(subscriber), ["PUBLISH q0 t=two"]);
    }
}

#[test]
fn a_qos_2_identifier_is_remembered_across_connections() {
    for version in BOTH {
        let mut net = Net::new();
        let subscriber = net.simple(version, "s");
        net.subscribe(subscriber, &[("t", Q0)]);
        let client = net.client(&hello(version, "p").stored(100));
        net.publish(client, publish(Q2, 7, "t", "one"));
        net.abort(client);
        let client = net.dial(&hello(version, "p").stored(100));
        net.publish(
            client,
            Publish {
                dup: true,
                ..publish(Q2, 7, "t", "one")
            },
        );
        net.send(client, &Packet::PubRel(ack(7)));
        assert_eq!(
            net.read(client),
            ["CONNACK 00 present", "PUBREC 7", "PUBCOMP 7"]
        );
        assert_eq!(net.read(subscriber), ["PUBLISH q0 t=one"]);
    }
}

#[test]
fn a_qos_1_identifier_is_free_after_puback() {
    let mut net = Net::new();
    let client = net.simple(V5, "p");
    net.subscribe(client, &[("t", Q0)]);
    for dup in [false, true, false] {
        net.publish(
            client,
            Publish {
                dup,
                ..publish(Q1, 5, "t", "x")
            },
        );
        assert_eq!(net.read(client), ["PUBACK 5", "PUBLISH q0 t=x"]);
    }
}

#[test]
fn unknown_identifiers_are_answered() {
    let mut net = Net::new();
    let five = net.simple(V5, "five");
    net.send(five, &Packet::PubRel(ack(9)));
    net.send(five, &Packet::PubRec(ack(9)));
    assert_eq!(
        net.read_without_reason(five),
        ["PUBCOMP 9 92", "PUBREL 9 92"]
    );
    net.send(five, &Packet::PubAck(ack(9)));
    net.send(five, &Packet::PubComp(ack(9)));
    net.send(five, &Packet::PubRec(ack_with(9, 0x80)));
    net.assert_quiet(five);
    let three = net.simple(V3, "three");
    net.send(three, &Packet::PubRel(ack(9)));
    net.send(three, &Packet::PubRec(ack(9)));
    assert_eq!(net.read(three), ["PUBCOMP 9", "PUBREL 9"]);
}

#[test]
fn the_wrong_acknowledgement_is_a_protocol_error() {
    for version in BOTH {
        for packet in [Packet::PubRec(ack(1)), Packet::PubComp(ack(1))] {
            let mut net = Net::new();
            let client = net.simple(version, "a");
            net.subscribe(client, &[("t", Q1)]);
            net.publish(client, publish(Q1, 3, "t", "x"));
            net.read(client);
            net.send(client, &packet);
            net.assert_refused(client, 0x82);
        }
    }
}

#[test]
fn delivery_at_qos_2_goes_through_its_four_packets() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.simple(version, "s");
        net.subscribe(client, &[("t", Q2)]);
        let publisher = net.simple(version, "p");
        net.publish(publisher, publish(Q2, 1, "t", "x"));
        assert_eq!(net.read(client), ["PUBLISH q2 id=1 t=x"]);
        net.send(client, &Packet::PubRec(ack(1)));
        assert_eq!(net.read(client), ["PUBREL 1"]);
        // A second PUBREC gets a second PUBREL.
        net.send(client, &Packet::PubRec(ack(1)));
        assert_eq!(net.read(client), ["PUBREL 1"]);
        net.send(client, &Packet::PubComp(ack(1)));
        net.assert_quiet(client);
    }
}

#[test]
fn dup_is_not_copied_from_the_publisher() {
    let mut net = Net::new();
    let client = net.simple(V5, "s");
    net.subscribe(client, &[("t", Q2)]);
    net.publish(
        client,
        Publish {
            dup: true,
            ..publish(Q1, 3, "t", "x")
        },
    );
    assert_eq!(net.read(client), ["PUBACK 3", "PUBLISH q1 id=1 t=x"]);
}

#[test]
fn what_is_in_flight_is_sent_again_on_resumption_only() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(&hello(version, "s").stored(1000));
        net.subscribe(client, &[("t", Q2)]);
        let publisher = net.simple(version, "p");
        net.publish(publisher, publish(Q1, 1, "t", "one"));
        net.publish(publisher, publish(Q2, 2, "t", "two"));
        net.publish(publisher, publish(Q2, 3, "t", "three"));
        assert_eq!(
            net.read(client),
            [
                "PUBLISH q1 id=1 t=one",
                "PUBLISH q2 id=2 t=two",
                "PUBLISH q2 id=3 t=three"
            ]
        );
        net.send(client, &Packet::PubRec(ack(2)));
        assert_eq!(net.read(client), ["PUBREL 2"]);
        net.wait(60);
        net.assert_quiet(client);
        for _ in 0..2 {
            net.abort(client);
            let client = net.dial(&hello(version, "s").stored(1000));
            assert_eq!(
                net.read(client),
                [
                    "CONNACK 00 present",
                    "PUBLISH q1 id=1 dup t=one",
                    "PUBLISH q2 id=3 dup t=three",
                    "PUBREL 2"
                ]
            );
            net.abort(client);
        }
        let client = net.dial(&hello(version, "s").stored(1000));
        net.read(client);
        net.send(client, &Packet::PubAck(ack(1)));
        net.send(client, &Packet::PubComp(ack(2)));
        net.send(client, &Packet::PubRec(ack(3)));
        net.send(client, &Packet::PubComp(ack(3)));
        assert_eq!(net.read(client), ["PUBREL 3"]);
        net.abort(client);
        let client = net.dial(&hello(version, "s").stored(1000));
        assert_eq!(net.read(client), ["CONNACK 00 present"]);
    }
}

#[test]
fn an_error_from_the_client_ends_the_message() {
    let mut net = Net::new();
    let client = net.client(
        &hello(V5, "s")
            .stored(1000)
            .with(Property::ReceiveMaximum(1)),
    );
    net.subscribe(client, &[("t", Q2)]);
    let publisher = net.simple(V5, "p");
    net.publish(publisher, publish(Q1, 1, "t", "one"));
    net.publish(publisher, publish(Q2, 2, "t", "two"));
    net.publish(publisher, publish(Q0, 0, "t", "three"));
    assert_eq!(net.read(client), ["PUBLISH q1 id=1 t=one"]);
    net.send(client, &Packet::PubAck(ack_with(1, 0x80)));
    assert_eq!(
        net.read(client),
        ["PUBLISH q2 id=2 t=two", "PUBLISH q0 t=three"]
    );
    net.send(client, &Packet::PubRec(ack_with(2, 0x80)));
    net.assert_quiet(client);
    net.publish(publisher, publish(Q1, 3, "t", "four"));
    assert_eq!(net.read(client), ["PUBLISH q1 id=3 t=four"]);
    net.send(client, &Packet::PubAck(ack(3)));
    net.abort(client);
    let client = net.dial(&hello(V5, "s").stored(1000));
    assert_eq!(net.read(client), ["CONNACK 00 present"]);
}

#[test]
fn no_more_than_the_clients_receive_maximum_is_in_flight() {
    for maximum in [1_u16, 2, 5] {
        let mut net = Net::new();
        let client = net.client(&hello(V5, "s").with(Property::ReceiveMaximum(maximum)));
        net.subscribe(client, &[("t", Q2)]);
        let publisher = net.simple(V5, "p");
        for number in 1..=3 * maximum {
            net.publish(publisher, publish(Q2, number, "t", "x"));
        }
        assert_eq!(net.read(client).len(), usize::from(maximum));
        // Everything else goes on at quota zero.
        net.assert_quiet(client);
        net.send(client, &Packet::PubRec(ack(1)));
        assert_eq!(net.read(client), ["PUBREL 1"], "PUBREC frees nothing");
        net.send(client, &Packet::PubComp(ack(1)));
        assert_eq!(
            net.read(client),
            [format!("PUBLISH q2 id={} t=x", maximum + 1)]
        );
    }
}

#[test]
fn no_more_than_256_are_in_flight_to_a_client_that_sets_no_maximum() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.simple(version, "s");
        net.subscribe(client, &[("t", Q1)]);
        let publisher = net.simple(V5, "p");
        for number in 1..=300 {
            net.publish(publisher, publish(Q1, number, "t", "x"));
        }
        assert_eq!(net.read(client).len(), 256);
        net.send(client, &Packet::PubAck(ack(1)));
        assert_eq!(net.read(client), ["PUBLISH q1 id=257 t=x"]);
    }
}

#[test]
fn the_quota_starts_anew_with_each_connection() {
    let mut net = Net::new();
    let client = net.client(&hello(V5, "s").stored(100).with(Property::ReceiveMaximum(3)));
    net.subscribe(client, &[("t", Q1)]);
    let publisher = net.simple(V5, "p");
    for number in 1..=4 {
        net.publish(publisher, publish(Q1, number, "t", &number.to_string()));
    }
    assert_eq!(net.read(client).len(), 3);
    net.abort(client);
    let client = net.dial(&hello(V5, "s").stored(100).with(Property::ReceiveMaximum(1)));
    assert_eq!(
        net.read(client),
        ["CONNACK 00 present", "PUBLISH q1 id=1 dup t=1"]
    );
    net.send(client, &Packet::PubAck(ack(1)));
    assert_eq!(net.read(client), ["PUBLISH q1 id=2 dup t=2"]);
    net.send(client, &Packet::PubAck(ack(2)));
    net.send(client, &Packet::PubAck(ack(3)));
    assert_eq!(
        net.read(client),
        ["PUBLISH q1 id=3 dup t=3", "PUBLISH q1 id=4 t=4"]
    );
}

#[test]
fn the_servers_receive_maximum_is_kept_by_clients() {
    let mut net = Net::new();
    let client = net.simple(V5, "p");
    for number in 1..=256 {
        net.publish(client, publish(Q2, number, "t", "x"));
    }
    assert_eq!(net.read(client).len(), 256);
    net.send(client, &Packet::PubRel(ack(1)));
    net.publish(client, publish(Q2, 1, "t", "x"));
    assert_eq!(net.read(client), ["PUBCOMP 1", "PUBREC 1 10"]);
    net.publish(client, publish(Q2, 257, "t", "x"));
    net.assert_refused(client, 0x93);
    // It starts anew with each connection.
    let stored = hello(V5, "stored").stored(100);
    let client = net.client(&stored);
    for number in 1..=256 {
        net.publish(client, publish(Q2, number, "t", "x"));
    }
    net.abort(client);
    let client = net.client_resumed(&stored);
    for number in 257..=512 {
        net.publish(client, publish(Q2, number, "t", "x"));
    }
    assert_eq!(net.read(client).len(), 256);
    net.publish(client, publish(Q2, 513, "t", "x"));
    net.assert_refused(client, 0x93);
    // Version 3.1.1 knows no such maximum.
    let client = net.simple(V3, "p");
    for number in 1..=300 {
        net.publish(client, publish(Q2, number, "t", "x"));
    }
    assert_eq!(net.read(client).len(), 300);
}

#[test]
fn both_sides_may_use_one_identifier_at_a_time() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe(client, &[("t", Q2)]);
    net.publish(client, publish(Q2, 1, "t", "x"));
    assert_eq!(net.read(client), ["PUBREC 1", "PUBLISH q2 id=1 t=x"]);
    net.send(client, &Packet::PubRec(ack(1)));
    net.send(client, &Packet::PubRel(ack(1)));
    net.send(client, &Packet::PubComp(ack(1)));
    assert_eq!(net.read(client), ["PUBREL 1", "PUBCOMP 1"]);
    net.assert_quiet(client);
}

#[test]
fn messages_of_one_publisher_keep_their_order() {
    for qos in [Q0, Q1, Q2] {
        let mut net = Net::new();
        let client = net.simple(V5, "s");
        net.subscribe(client, &[("#", Q2)]);
        let publisher = net.simple(V5, "p");
        for number in 1..=100 {
            net.publish(publisher, publish(qos, number, "t", &number.to_string()));
        }
        let lines = net.read(client);
        assert_eq!(lines.len(), 100);
        for (line, number) in lines.iter().zip(1..) {
            assert!(line.ends_with(&format!("t={number}")), "{line}");
        }
    }
}
