//! Every limit at its bound: the last thing that is taken, and the first that is not.

use core::time::Duration;

use quince_codec::{Packet, Property, Publish};
use quince_core::bench::VirtualBroker;
use quince_core::{Config, FlowId, Principal};

use crate::net::{
    BOTH, Client, Farewell, Net, Q0, Q1, Q2, V3, V5, ack, farewell, hello, options, publish,
};

/// The defaults that users are told; another value here is a change of documented behaviour.
#[test]
fn the_defaults_are_the_documented_ones() {
    let config = Config::default();
    assert_eq!(config.connect_timeout, Duration::from_secs(10));
    assert_eq!(config.yield_timeout, Duration::from_secs(1));
    assert_eq!(
        (config.packet_before_connack, config.packet_after_connack),
        (65_536, 1_048_576)
    );
    assert_eq!(
        (
            config.topic_levels,
            config.client_id_length,
            config.user_properties
        ),
        (128, 1_024, 1_000)
    );
    assert_eq!(
        (config.receive_maximum, config.topic_alias_maximum),
        (256, 32)
    );
    assert_eq!(
        (config.queue_messages, config.queue_bytes),
        (1_000, 4_194_304)
    );
    assert_eq!(
        (config.subscriptions_per_session, config.stored_sessions),
        (1_000, 100_000)
    );
    assert_eq!(
        (config.retained_messages, config.retained_bytes),
        (100_000, 268_435_456)
    );
    assert_eq!(
        (config.buffered_bytes, config.outbox_bytes),
        (536_870_912, 65_536)
    );
}

/// A stored Session that is away and takes everything on `t`.
fn away(net: &mut Net, qos: quince_codec::QoS) {
    let client = net.client(&hello(V5, "away").stored(1_000_000));
    net.subscribe(client, &[("t", qos)]);
    net.abort(client);
}

#[test]
fn a_full_queue_of_a_stored_session_refuses_the_publisher() {
    for qos in [Q1, Q2] {
        let mut net = Net::new();
        away(&mut net, Q2);
        let bystander = net.simple(V5, "b");
        net.subscribe(bystander, &[("t", Q0)]);
        let publisher = net.simple(V5, "p");
        for number in 1..=1000_u16 {
            net.publish(publisher, publish(qos, number, "t", "x"));
            let lines = net.read(publisher);
            assert_eq!(lines.len(), 1);
            assert!(lines[0].ends_with(&format!(" {number}")), "{lines:?}");
            net.send(publisher, &Packet::PubRel(ack(number)));
            net.read(publisher);
        }
        assert_eq!(net.read(bystander).len(), 1000);
        net.publish(
            publisher,
            Publish {
                retain: true,
                ..publish(qos, 1001, "t", "x")
            },
        );
        let lines = net.read_without_reason(publisher);
        assert!(lines[0].ends_with(" 1001 97"), "{lines:?}");
        // A message that is refused goes to nobody, and is not retained.
        net.assert_quiet(bystander);
        assert_eq!(net.broker.hub().figures().retained_messages, 0);
        // QoS 0 copies go on to those who have room.
        net.publish(publisher, publish(Q0, 0, "t", "y"));
        assert_eq!(net.read(bystander), ["PUBLISH q0 t=y"]);
    }
}

#[test]
fn a_refused_message_takes_no_room_from_anybody() {
    for retain in [false, true] {
        let config = Config {
            queue_messages: 2,
            retained_messages: 0,
            ..Config::default()
        };
        let mut net = Net::with(config);
        for (name, filters) in [
            ("a", &["t", "u"] as &[&str]),
            ("b", &["t"]),
            ("c", &["t", "u"]),
        ] {
            let client = net.client(&hello(V5, name).stored(100));
            for filter in filters {
                net.subscribe(client, &[(filter, Q1)]);
            }
            net.abort(client);
        }
        let client =
            net.client_resumed(&hello(V5, "b").stored(100).with(Property::ReceiveMaximum(1)));
        net.subscribe(client, &[("only", Q1)]);
        let publisher = net.simple(V5, "p");
        if !retain {
            for number in 1..=2 {
                net.publish(publisher, publish(Q1, number, "only", "x"));
            }
        }
        net.read(publisher);
        for number in 1..=5 {
            net.publish(
                publisher,
                Publish {
                    retain,
                    ..publish(Q1, number, "t", "x")
                },
            );
            assert_eq!(
                net.read_without_reason(publisher),
                [format!("PUBACK {number} 97")]
            );
        }
        for number in 1..=2 {
            net.publish(publisher, publish(Q1, number, "u", "x"));
            assert_eq!(net.read(publisher), [format!("PUBACK {number}")]);
        }
    }
}

#[test]
fn the_queue_is_bounded_in_bytes_too() {
    let mut net = Net::with(Config {
        queue_bytes: 10_000,
        ..Config::default()
    });
    away(&mut net, Q1);
    let publisher = net.simple(V5, "p");
    let payload = "x".repeat(4_000);
    let mut codes = Vec::new();
    for number in 1..=3 {
        net.publish(publisher, publish(Q1, number, "t", &payload));
        codes.extend(net.read_without_reason(publisher));
    }
    assert_eq!(codes, ["PUBACK 1", "PUBACK 2", "PUBACK 3 97"]);
    // What is in flight still counts.
    let client = net.dial(&hello(V5, "away").stored(100));
    assert_eq!(net.read(client).len(), 3);
    net.publish(publisher, publish(Q1, 4, "t", &payload));
    assert_eq!(net.read_without_reason(publisher), ["PUBACK 4 97"]);
    net.send(client, &Packet::PubAck(ack(1)));
    net.publish(publisher, publish(Q1, 5, "t", &payload));
    assert_eq!(net.read(publisher), ["PUBACK 5"]);
}

#[test]
fn a_publisher_without_reason_codes_is_paused_until_there_is_room() {
    for qos in [Q1, Q2] {
        let mut net = Net::with(Config {
            queue_messages: 2,
            ..Config::default()
        });
        away(&mut net, Q2);
        let publisher = net.client(&hello(V3, "p").keep_alive(10));
        for number in 1..=3 {
            net.publish(publisher, publish(qos, number, "t", &number.to_string()));
        }
        assert_eq!(net.read(publisher).len(), 2);
        net.send(publisher, &Packet::PingReq);
        assert_eq!(
            net.read(publisher),
            ["PINGRESP"],
            "it is served all the same"
        );
        // A packet that may not overtake the PUBLISH stays behind it.
        net.unsubscribe(publisher, 9, &["none"]);
        assert_eq!(net.read(publisher), [""; 0]);
        // Its Keep Alive is not judged meanwhile.
        net.wait(29);
        assert!(!net.broker.is_closed(publisher));
        let client = net.dial(&hello(V5, "away").stored(100));
        assert_eq!(net.read(client).len(), 3);
        net.send(
            client,
            &if qos == Q1 {
                Packet::PubAck(ack(1))
            } else {
                Packet::PubRec(ack(1))
            },
        );
        net.wait_millis(50);
        let name = if qos == Q1 { "PUBACK 3" } else { "PUBREC 3" };
        assert_eq!(net.read(publisher), [name, "UNSUBACK 9"]);
        assert!(
            net.read(client)
                .last()
                .is_some_and(|line| line.ends_with("t=3"))
        );
    }
}

#[test]
fn a_paused_publisher_is_closed_in_the_end() {
    let mut net = Net::with(Config {
        queue_messages: 1,
        ..Config::default()
    });
    away(&mut net, Q1);
    let publisher = net.simple(V3, "p");
    net.publish(publisher, publish(Q1, 1, "t", "x"));
    net.publish(publisher, publish(Q1, 2, "t", "x"));
    assert_eq!(net.read(publisher), ["PUBACK 1"]);
    net.wait_millis(29_999);
    assert!(!net.broker.is_closed(publisher));
    net.wait_millis(1);
    net.assert_refused(publisher, 0x97);
}

#[test]
fn acknowledgements_overtake_a_publish_that_waits_for_room_in_its_own_clients_queue() {
    let mut net = Net::with(Config {
        queue_messages: 2,
        ..Config::default()
    });
    let client = net.client(&hello(V3, "c").stored(0));
    net.subscribe(client, &[("t", Q1)]);
    for number in 1..=3 {
        net.publish(client, publish(Q1, number, "t", &number.to_string()));
    }
    assert_eq!(
        net.read(client),
        [
            "PUBACK 1",
            "PUBLISH q1 id=1 t=1",
            "PUBACK 2",
            "PUBLISH q1 id=2 t=2"
        ]
    );
    net.send(client, &Packet::PubAck(ack(1)));
    net.wait_millis(50);
    assert_eq!(net.read(client), ["PUBACK 3", "PUBLISH q1 id=3 t=3"]);
}

#[test]
fn a_disconnect_behind_a_publish_that_waits_is_heard_before_the_end() {
    for goodbye in [true, false] {
        let mut net = Net::with(Config {
            queue_messages: 1,
            ..Config::default()
        });
        away(&mut net, Q1);
        let watcher = net.simple(V3, "watcher");
        net.subscribe(watcher, &[("will", Q0)]);
        let publisher = net.client(&hello(V3, "p").will(farewell("will", "gone")));
        net.publish(publisher, publish(Q1, 1, "t", "x"));
        net.publish(publisher, publish(Q1, 2, "t", "y"));
        if goodbye {
            net.disconnect(publisher, 0, &[]);
        } else {
            net.unsubscribe(publisher, 9, &["none"]);
        }
        net.broker.finish(publisher);
        assert!(!net.broker.is_closed(publisher));
        net.dial(&hello(V5, "away"));
        net.wait(1);
        assert!(net.broker.is_closed(publisher));
        let expected: &[&str] = if goodbye {
            &[]
        } else {
            &["PUBLISH q0 will=gone"]
        };
        assert_eq!(net.read(watcher), expected);
    }
}

#[test]
fn what_stays_behind_a_publish_that_waits_is_bounded() {
    let mut net = Net::with(Config {
        queue_messages: 1,
        held_input: 1000,
        ..Config::default()
    });
    away(&mut net, Q1);
    let publisher = net.simple(V3, "p");
    let payload = "x".repeat(400);
    for number in 1..=10 {
        net.publish(publisher, publish(Q1, number, "t", &payload));
    }
    assert_eq!(net.read(publisher), ["PUBACK 1"]);
    assert!(net.broker.unread(publisher) >= 5 * 400, "reading is paused");
    assert!(!net.broker.is_closed(publisher));
}

#[test]
fn two_clients_that_publish_to_each_other_do_not_lock_up() {
    let mut net = Net::with(Config {
        queue_messages: 2,
        ..Config::default()
    });
    let clients: Vec<Client> = ["a", "b"]
        .map(|name| net.client(&hello(V3, name).stored(0)))
        .to_vec();
    for (client, filter) in clients.iter().zip(["a", "b"]) {
        net.subscribe(*client, &[(filter, Q1)]);
    }
    for number in 1..=4 {
        net.publish(clients[0], publish(Q1, number, "b", "x"));
        net.publish(clients[1], publish(Q1, number, "a", "x"));
    }
    net.wait(60);
    assert!(clients.iter().all(|client| net.broker.is_closed(*client)));
}

#[test]
fn a_session_that_is_not_stored_loses_its_oldest_messages() {
    let mut net = Net::with(Config {
        queue_messages: 3,
        ..Config::default()
    });
    let slow = net.client(&hello(V5, "slow").with(Property::ReceiveMaximum(1)));
    net.subscribe(slow, &[("t", Q1)]);
    let publisher = net.simple(V5, "p");
    for number in 1..=6 {
        net.publish(publisher, publish(Q1, number, "t", &number.to_string()));
        assert_eq!(net.read(publisher), [format!("PUBACK {number}")]);
    }
    // One in flight and two in the queue are three.
    assert_eq!(net.read(slow), ["PUBLISH q1 id=1 t=1"]);
    net.send(slow, &Packet::PubAck(ack(1)));
    net.send(slow, &Packet::PubAck(ack(2)));
    assert_eq!(
        net.read(slow),
        ["PUBLISH q1 id=2 t=5", "PUBLISH q1 id=3 t=6"]
    );
}

#[test]
fn qos_0_never_pushes_out_what_is_owed_to_a_stored_session() {
    let mut net = Net::with(Config {
        queue_messages: 3,
        ..Config::default()
    });
    away(&mut net, Q1);
    let publisher = net.simple(V5, "p");
    net.publish(publisher, publish(Q1, 1, "t", "owed"));
    for number in 1..=4 {
        net.publish(publisher, publish(Q0, 0, "t", &number.to_string()));
    }
    let client = net.dial(&hello(V5, "away").stored(100));
    assert_eq!(
        net.read(client),
        [
            "CONNACK 00 present",
            "PUBLISH q1 id=1 t=owed",
            "PUBLISH q0 t=3",
            "PUBLISH q0 t=4"
        ]
    );
}

#[test]
fn topics_have_at_most_128_levels() {
    let last = vec!["a"; 128].join("/");
    let over = vec!["a"; 129].join("/");
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe(client, &[(last.as_str(), Q0)]);
    net.publish(client, publish(Q1, 1, &last, "x"));
    assert_eq!(
        net.read(client),
        ["PUBACK 1".to_owned(), format!("PUBLISH q0 {last}=x")]
    );
    net.publish(client, publish(Q1, 2, &over, "x"));
    net.publish(client, publish(Q2, 3, &over, "x"));
    assert_eq!(
        net.read_without_reason(client),
        ["PUBACK 2 90", "PUBREC 3 90"]
    );
    net.publish(client, publish(Q0, 0, &over, "x"));
    net.assert_refused(client, 0x90);
    for qos in [Q0, Q1, Q2] {
        let client = net.simple(V3, "b");
        net.publish(client, publish(qos, 1, &over, "x"));
        net.assert_refused(client, 0x90);
    }
    net.client(&hello(V5, "c").will(farewell(&last, "")));
    for (version, expected) in [(V5, vec!["CONNACK 90"]), (V3, vec![])] {
        let client = net.dial(&hello(version, "d").will(farewell(&over, "")));
        assert_eq!(net.read_without_reason(client), expected);
        assert!(net.broker.is_closed(client));
    }
}

#[test]
fn a_client_identifier_has_at_most_1024_bytes() {
    let last = "x".repeat(1024);
    let over = "x".repeat(1025);
    for (version, refusal) in [(V5, "CONNACK 85"), (V3, "CONNACK 02")] {
        let mut net = Net::new();
        net.simple(version, &last);
        let client = net.dial(&hello(version, &over));
        assert_eq!(net.read_without_reason(client), [refusal]);
        assert!(net.broker.is_closed(client));
    }
}

#[test]
fn a_packet_has_at_most_1000_user_properties() {
    let last = vec![Property::UserProperty("a", "b"); 1000];
    let over = vec![Property::UserProperty("a", "b"); 1001];
    let mut net = Net::new();
    let mut hello_last = hello(V5, "a");
    hello_last.properties = last.clone();
    hello_last.will = Some(Farewell {
        properties: last.clone(),
        ..farewell("w", "")
    });
    let client = net.client(&hello_last);
    net.publish_with(client, publish(Q1, 1, "t", "x"), &last);
    net.subscribe_with(client, 2, &last, &[("t", options(Q0))]);
    assert_eq!(net.read(client), ["PUBACK 1 10", "SUBACK 2 00"]);
    type Act<'a> = &'a dyn Fn(&mut Net, Client);
    let acts: [Act<'_>; 2] = [
        &|net, client| net.publish_with(client, publish(Q1, 1, "t", "x"), &over),
        &|net, client| net.subscribe_with(client, 2, &over, &[("t", options(Q0))]),
    ];
    for act in acts {
        let client = net.simple(V5, "b");
        act(&mut net, client);
        net.assert_refused(client, 0x97);
    }
    for in_will in [false, true] {
        let mut greeting = hello(V5, "c");
        if in_will {
            greeting.will = Some(Farewell {
                properties: over.clone(),
                ..farewell("w", "")
            });
        } else {
            greeting.properties = over.clone();
        }
        let client = net.dial(&greeting);
        assert_eq!(net.read_without_reason(client), ["CONNACK 97"]);
        assert!(net.broker.is_closed(client));
    }
}

#[test]
fn a_session_has_at_most_1000_subscriptions() {
    for (version, code) in [(V5, "97"), (V3, "80")] {
        let mut net = Net::new();
        let client = net.simple(version, "a");
        for number in 1..=1000 {
            net.subscribe(client, &[(&format!("t/{number}"), Q0)]);
        }
        net.subscribe_with(
            client,
            1,
            &[],
            &[("t/0", options(Q0)), ("t/1", options(Q1))],
        );
        assert_eq!(
            net.read_without_reason(client),
            [format!("SUBACK 1 {code} 01")]
        );
        net.unsubscribe(client, 2, &["t/1"]);
        net.read(client);
        net.subscribe(client, &[("t/0", Q0)]);
    }
}

#[test]
fn the_number_of_stored_sessions_is_bounded() {
    for (version, refusal) in [(V5, "CONNACK 97"), (V3, "CONNACK 03")] {
        let mut net = Net::with(Config {
            stored_sessions: 2,
            ..Config::default()
        });
        net.client(&hello(version, "a").stored(100));
        let second = net.client(&hello(version, "b").stored(100));
        let client = net.dial(&hello(version, "c").stored(100));
        assert_eq!(net.read_without_reason(client), [refusal]);
        assert!(net.broker.is_closed(client));
        // One that ends with its connection is none of them, and the two can go on.
        net.simple(version, "d");
        net.abort(second);
        let second = net.client_resumed(&hello(version, "b").stored(100));
        net.abort(second);
        net.simple(version, "b");
        net.client(&hello(version, "c").stored(100));
    }
}

#[test]
fn the_retained_store_is_bounded_in_messages_and_bytes() {
    for config in [
        Config {
            retained_messages: 2,
            ..Config::default()
        },
        Config {
            retained_bytes: 2 * 1_200 + 100,
            ..Config::default()
        },
    ] {
        let mut net = Net::with(config);
        let client = net.simple(V5, "a");
        let payload = "x".repeat(900);
        let retained = |qos, number, topic| Publish {
            retain: true,
            ..publish(qos, number, topic, &payload)
        };
        net.publish(client, retained(Q1, 1, "t/1"));
        net.publish_with(
            client,
            retained(Q1, 2, "t/2"),
            &[Property::MessageExpiryInterval(10)],
        );
        net.publish(client, retained(Q1, 3, "t/3"));
        // Replacing is always possible.
        net.publish(client, retained(Q1, 4, "t/1"));
        assert_eq!(
            net.read_without_reason(client),
            ["PUBACK 1 10", "PUBACK 2 10", "PUBACK 3 97", "PUBACK 4 10"]
        );
        assert_eq!(net.broker.hub().figures().retained_messages, 2);
        // What can't be replaced stays.
        let larger = "y".repeat(4_000);
        if net.broker.hub().config().retained_bytes < 4_000 {
            net.publish(
                client,
                Publish {
                    retain: true,
                    ..publish(Q1, 6, "t/1", &larger)
                },
            );
            assert_eq!(net.read_without_reason(client), ["PUBACK 6 97"]);
            assert_eq!(net.broker.hub().figures().retained_messages, 2);
        }
        // At QoS 0 it is only not kept.
        net.subscribe(client, &[("t/3", Q0)]);
        net.publish(client, retained(Q0, 0, "t/3"));
        assert_eq!(net.read(client).len(), 1);
        // What has expired makes room.
        net.wait(10);
        net.publish(client, retained(Q1, 5, "t/3"));
        assert_eq!(net.read(client)[0], "PUBACK 5");
        assert_eq!(net.broker.hub().figures().retained_messages, 2);
    }
}

#[test]
fn the_messages_of_the_whole_process_are_bounded() {
    let mut net = Net::with(Config {
        buffered_bytes: 3_000,
        ..Config::default()
    });
    away(&mut net, Q1);
    let payload = "x".repeat(1_000);
    let client = net.simple(V5, "p");
    for number in 1..=3 {
        net.publish(client, publish(Q1, number, "t", &payload));
    }
    assert_eq!(
        net.read_without_reason(client),
        ["PUBACK 1", "PUBACK 2", "PUBACK 3 97"]
    );
    assert!(net.broker.hub().figures().buffered_bytes <= 3_000);
    let refused = net.dial(&hello(V5, "w").will(farewell("w", &payload)));
    assert_eq!(net.read_without_reason(refused), ["CONNACK 97"]);
    let away = net.dial(&hello(V5, "away"));
    net.read(away);
    assert_eq!(net.broker.hub().figures().buffered_bytes, 0);
    net.client(&hello(V5, "w").will(farewell("w", &payload)));
}

#[test]
fn packets_are_bounded_before_and_after_connack() {
    // CONNECT: fixed header 4, variable header 10, identifier 2 + 1, user name and password 2 + n each.
    for (version, extra) in [(V3, 0), (V5, 1)] {
        for (length, accepted) in [(65_536, true), (65_537, false)] {
            let mut net = Net::new();
            let client = net.open(version);
            let password = length - 4 - 10 - extra - 3 - 2 - 2;
            let mut bytes = vec![0x10];
            remaining_length(&mut bytes, length - 4);
            bytes.extend([0, 4, b'M', b'Q', b'T', b'T', version.level(), 0xc2, 0, 0]);
            bytes.extend(core::iter::repeat_n(0, extra));
            bytes.extend([0, 1, b'a', 0, 0]);
            bytes.extend(u16::try_from(password).expect("fits").to_be_bytes());
            bytes.extend(core::iter::repeat_n(b'p', password));
            assert_eq!(bytes.len(), length);
            net.raw(client, &bytes);
            assert_eq!(
                net.broker.is_closed(client),
                !accepted,
                "{version} {length}"
            );
        }
        for (length, accepted) in [(1_048_576, true), (1_048_577, false)] {
            let mut net = Net::new();
            let client = net.simple(version, "a");
            let mut bytes = vec![0x30];
            remaining_length(&mut bytes, length - 4);
            bytes.extend([0, 1, b't']);
            bytes.extend(core::iter::repeat_n(0, length - bytes.len()));
            net.raw(client, &bytes);
            if accepted {
                net.assert_quiet(client);
            } else {
                net.assert_refused(client, 0x95);
            }
        }
    }
}

fn remaining_length(bytes: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value % 128).expect("below 128");
        value /= 128;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn a_large_packet_may_follow_connect_at_once() {
    let mut net = Net::new();
    net.broker.set_authenticator(Box::new(|_| None));
    let client = net.dial(&hello(V5, "a"));
    net.publish(client, publish(Q1, 1, "t", &"x".repeat(500_000)));
    net.broker.answer(client, Ok(Principal::anonymous()));
    assert_eq!(net.read(client), ["CONNACK 00", "PUBACK 1 10"]);
}

#[test]
fn input_is_held_up_to_its_bound_by_a_driver_that_goes_on_reading() {
    use std::sync::Arc;

    use quince_core::{Connection, ConnectionId, Hub, Output, Time};
    for (length, ends) in [(131_072, false), (131_073, true)] {
        let hub = Arc::new(Hub::new(Config::default()));
        let mut connection = Connection::new(hub, ConnectionId::new(1), Time::ZERO);
        connection.receive(
            Time::ZERO,
            FlowId::CONTROL,
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a",
        );
        assert!(matches!(
            connection.poll_output(),
            Some(Output::Authenticate(_))
        ));
        assert!(!connection.wants_input(FlowId::CONTROL));
        connection.receive(Time::ZERO, FlowId::CONTROL, &vec![0; length - 1]);
        connection.receive(Time::ZERO, FlowId::CONTROL, &[0]);
        assert_eq!(connection.is_ended(), ends);
    }
}

#[test]
fn the_outbox_takes_no_more_than_its_limit_and_one_packet() {
    let mut net = Net::over(VirtualBroker::new(Config::default()));
    let slow = net.simple(V5, "slow");
    net.subscribe(slow, &[("t", Q0)]);
    net.broker.set_room(slow, Some(0));
    let publisher = net.simple(V5, "p");
    let payload = "x".repeat(30_000);
    for _ in 0..10 {
        net.publish(publisher, publish(Q0, 0, "t", &payload));
    }
    // Three packets are in the outbox, seven in the queue: the budget shows what is not sent.
    let queued = net.broker.hub().figures().buffered_bytes;
    assert!((7 * 30_000..7 * 31_000).contains(&queued), "{queued}");
}

#[test]
fn a_keep_alive_beyond_the_maximum_is_lowered_only_where_it_can_be_said() {
    for version in BOTH {
        let mut net = Net::with(Config {
            keep_alive_maximum: Some(2),
            ..Config::default()
        });
        let client = net.client(&hello(version, "a").keep_alive(100));
        net.wait(3);
        assert_eq!(net.broker.is_closed(client), version == V5);
    }
}

#[test]
fn keep_alive_starts_anew_when_a_paused_publisher_goes_on() {
    let mut net = Net::with(Config {
        queue_messages: 1,
        ..Config::default()
    });
    away(&mut net, Q1);
    let publisher = net.client(&hello(V3, "p").keep_alive(10));
    net.publish(publisher, publish(Q1, 1, "t", "x"));
    net.publish(publisher, publish(Q1, 2, "t", "x"));
    net.wait(20);
    net.dial(&hello(V5, "away"));
    net.wait(1);
    assert_eq!(net.read(publisher), ["PUBACK 1", "PUBACK 2"]);
    net.wait(13);
    assert!(!net.broker.is_closed(publisher));
    net.wait(2);
    net.assert_refused(publisher, 0x8d);
}

#[test]
fn input_of_a_session_is_bounded_for_a_driver_that_goes_on_reading() {
    use std::sync::Arc;

    use quince_core::{Connection, ConnectionId, Hub, Time};
    let now = Time::ZERO;
    let hub = Arc::new(Hub::new(Config::default()));
    let mut connection = Connection::new(hub, ConnectionId::new(1), now);
    let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a";
    connection.receive(now, FlowId::CONTROL, connect);
    assert!(connection.poll_output().is_some());
    connection.authenticated(now, Ok(Principal::anonymous()));
    let pings = [0xc0, 0x00].repeat(32_768);
    // Nothing is written, so the answers fill the outbox.
    while connection.wants_input(FlowId::CONTROL) {
        connection.receive(now, FlowId::CONTROL, &pings);
    }
    for _ in 0..17 {
        connection.receive(now, FlowId::CONTROL, &pings);
    }
    assert!(!connection.is_ended(), "one packet and what comes with it");
    connection.receive(now, FlowId::CONTROL, &pings);
    connection.receive(now, FlowId::CONTROL, &pings);
    assert!(connection.is_ended());
}
