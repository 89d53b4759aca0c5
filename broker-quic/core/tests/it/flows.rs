//! Data flows: what belongs to each, and that each dies alone. Rules of `docs/mqtt-over-quic.md` are cited.

use core::time::Duration;

use quince_codec::{Packet, Property, Publish, QoS};
use quince_core::bench::VirtualBroker;
use quince_core::{ClosedBy, Config, ConnectionId, FlowEnd, FlowId};

use crate::net::{
    BOTH, Client, Net, Q0, Q1, Q2, V3, V5, ack, farewell, hello, list, options, publish,
};

const A: FlowId = FlowId::new(1);
const B: FlowId = FlowId::new(2);
const C: FlowId = FlowId::new(3);

impl Net {
    fn open_flows(&mut self, client: Client, flows: &[FlowId]) {
        for flow in flows {
            self.broker.open_flow(client, *flow);
        }
    }

    fn publish_on(&mut self, client: Client, flow: FlowId, publish: Publish<'_>) {
        self.send_on(client, flow, &Packet::Publish(publish));
    }

    /// Subscribes on a flow and reads the SUBACK there.
    fn take_on(&mut self, client: Client, flow: FlowId, filter: &str, qos: QoS) {
        self.subscribe_on(client, flow, 7, &[], &[(filter, options(qos))]);
        let granted = format!("SUBACK 7 {:02x}", qos as u8);
        assert_eq!(self.read_on(client, flow), [granted]);
    }

    fn end(&self, client: Client, flow: FlowId) -> Option<FlowEnd> {
        self.broker.flow_end(client, flow)
    }
}

fn aborted(code: u64) -> Option<FlowEnd> {
    Some(FlowEnd::Aborted(code))
}

#[test]
fn answers_leave_on_the_flow_that_the_packet_came_on() {
    // MQ-7
    for version in BOTH {
        let mut net = Net::new();
        let client = net.simple(version, "c");
        net.open_flows(client, &[A, B]);
        net.take_on(client, A, "t", Q2);
        net.publish_on(client, B, publish(Q1, 3, "u", "x"));
        net.publish_on(client, B, publish(Q2, 4, "u", "x"));
        net.send_on(client, B, &Packet::PubRel(ack(4)));
        net.unsubscribe_on(client, A, 5, &["t"]);
        net.send_on(client, A, &Packet::PingReq);
        let nobody = if version == V5 { " 10" } else { "" };
        assert_eq!(
            net.read_on(client, B),
            [
                format!("PUBACK 3{nobody}"),
                format!("PUBREC 4{nobody}"),
                "PUBCOMP 4".to_owned()
            ]
        );
        let ended = if version == V5 { " 00" } else { "" };
        assert_eq!(
            net.read_on(client, A),
            [format!("UNSUBACK 5{ended}"), "PINGRESP".to_owned()]
        );
        assert!(net.read(client).is_empty(), "nothing on the control flow");
    }
}

#[test]
fn a_subscription_lives_on_the_flow_of_its_subscribe() {
    // MQ-9, MQ-10, MQ-8: both copies carry identifier 1.
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A, B]);
    net.take_on(client, A, "t", Q1);
    net.take_on(client, B, "t", Q1);
    let publisher = net.simple(V5, "p");
    net.publish(publisher, publish(Q1, 1, "t", "x"));
    assert_eq!(net.read(publisher), ["PUBACK 1"]);
    assert_eq!(net.read_on(client, A), ["PUBLISH q1 id=1 t=x"]);
    assert_eq!(net.read_on(client, B), ["PUBLISH q1 id=1 t=x"]);
    net.assert_quiet(client);
}

#[test]
fn unsubscribe_elsewhere_finds_no_subscription() {
    // MQ-11
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A, B]);
    net.take_on(client, A, "t", Q0);
    net.unsubscribe(client, 1, &["t"]);
    net.unsubscribe_on(client, B, 2, &["t"]);
    assert_eq!(net.read(client), ["UNSUBACK 1 11"]);
    assert_eq!(net.read_on(client, B), ["UNSUBACK 2 11"]);
    net.publish(client, publish(Q0, 0, "t", "still"));
    assert_eq!(net.read_on(client, A), ["PUBLISH q0 t=still"]);
}

#[test]
fn retained_messages_come_on_the_flow_of_their_subscription() {
    // MQ-9
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A, B]);
    let retained = Publish {
        retain: true,
        ..publish(Q0, 0, "r", "kept")
    };
    net.publish(client, retained);
    for flow in [A, B] {
        net.subscribe_on(client, flow, 7, &[], &[("r", options(Q1))]);
        assert_eq!(
            net.read_on(client, flow),
            ["SUBACK 7 01", "PUBLISH q0 retain r=kept"]
        );
    }
    net.assert_quiet(client);
}

#[test]
fn identifiers_are_those_of_the_flow() {
    // MQ-8: the same QoS 2 identifier on two flows is two messages, and on one flow a repetition.
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A, B]);
    net.subscribe(client, &[("t", Q0)]);
    for (flow, payload) in [(A, "a"), (B, "b"), (A, "a again")] {
        net.publish_on(client, flow, publish(Q2, 9, "t", payload));
        assert_eq!(net.read_on(client, flow), ["PUBREC 9"]);
    }
    assert_eq!(net.read(client), ["PUBLISH q0 t=a", "PUBLISH q0 t=b"]);
    // PUBREL lets go of the identifier of its own flow.
    net.send_on(client, A, &Packet::PubRel(ack(9)));
    assert_eq!(net.read_on(client, A), ["PUBCOMP 9"]);
    net.publish_on(client, B, publish(Q2, 9, "t", "b again"));
    assert_eq!(net.read_on(client, B), ["PUBREC 9"]);
    net.assert_quiet(client);
}

#[test]
fn topic_aliases_are_those_of_the_flow() {
    // MQ-8
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A, B]);
    net.subscribe(client, &[("#", Q0)]);
    let properties = list(&[Property::TopicAlias(1)]);
    let with_alias = |topic| Publish {
        properties: properties.as_properties(),
        ..publish(Q0, 0, topic, "x")
    };
    net.publish_on(client, A, with_alias("a"));
    net.publish_on(client, B, with_alias("b"));
    net.publish_on(client, A, with_alias(""));
    net.publish_on(client, B, with_alias(""));
    let lines = ["a", "b", "a", "b"].map(|topic| format!("PUBLISH q0 {topic}=x"));
    assert_eq!(net.read(client), lines);
    // What was set on another flow is not known here.
    net.open_flows(client, &[C]);
    net.publish_on(client, C, with_alias(""));
    assert_eq!(net.end(client, C), aborted(0x82));
    net.assert_quiet(client);
}

#[test]
fn receive_maximum_is_that_of_the_flow() {
    // MQ-8, in both directions
    let mut net = Net::with(Config {
        receive_maximum: 2,
        ..Config::default()
    });
    let client = net.client(&hello(V5, "c").with(Property::ReceiveMaximum(1)));
    net.open_flows(client, &[A, B]);
    net.take_on(client, A, "t", Q1);
    net.take_on(client, B, "t", Q1);
    let publisher = net.simple(V5, "p");
    for number in 1..=2 {
        net.publish(publisher, publish(Q1, number, "t", &number.to_string()));
    }
    assert_eq!(net.read_on(client, A), ["PUBLISH q1 id=1 t=1"]);
    assert_eq!(net.read_on(client, B), ["PUBLISH q1 id=1 t=1"]);
    net.send_on(client, B, &Packet::PubAck(ack(1)));
    assert_eq!(net.read_on(client, B), ["PUBLISH q1 id=2 t=2"]);
    assert!(net.read_on(client, A).is_empty());
    for number in 1..=2 {
        for flow in [A, B] {
            net.publish_on(client, flow, publish(Q2, number, "u", "x"));
        }
    }
    net.publish_on(client, A, publish(Q2, 3, "u", "one too many"));
    assert_eq!(net.end(client, A), aborted(0x93));
    assert_eq!(net.end(client, B), None);
    net.assert_quiet(client);
}

#[test]
fn what_is_wrong_on_a_flow_ends_it_alone() {
    // MQ-6, MQ-13
    let cases: [(&str, &[u8], u64); 6] = [
        ("reserved type", &[0x00, 0x00], 0x81),
        ("PUBREL with wrong flags", &[0x60, 0x02, 0x00, 0x01], 0x81),
        (
            "remaining length too long",
            &[0x30, 0xff, 0xff, 0xff, 0xff],
            0x81,
        ),
        ("packet too large", &[0x30, 0xff, 0xff, 0xff, 0x7f], 0x95),
        (
            "CONNACK from a client",
            &[0x20, 0x03, 0x00, 0x00, 0x00],
            0x82,
        ),
        ("DISCONNECT", &[0xe0, 0x00], 0x82),
    ];
    for (what, bytes, code) in cases {
        let mut net = Net::new();
        let client = net.client(&hello(V5, "c").will(farewell("will", "gone")));
        net.open_flows(client, &[A, B]);
        net.take_on(client, A, "t", Q0);
        net.take_on(client, B, "t", Q0);
        net.broker.write(client, A, bytes);
        assert_eq!(net.end(client, A), aborted(code), "{what}");
        net.publish(client, publish(Q0, 0, "t", "x"));
        assert!(net.read_on(client, A).is_empty(), "{what}");
        assert_eq!(net.read_on(client, B), ["PUBLISH q0 t=x"], "{what}");
        net.assert_quiet(client);
        assert_eq!(net.broker.hub().figures().subscriptions, 1, "{what}");
    }
}

#[test]
fn connect_and_auth_are_for_the_control_flow() {
    // MQ-6
    for version in BOTH {
        let mut net = Net::new();
        let client = net.simple(version, "c");
        net.open_flows(client, &[A]);
        let connect = [
            0x10, 0x0d, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, b'd',
        ];
        net.broker.write(client, A, &connect);
        assert_eq!(net.end(client, A), aborted(0x82));
        net.assert_quiet(client);
    }
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A]);
    net.broker.write(client, A, &[0xf0, 0x00]);
    assert_eq!(net.end(client, A), aborted(0x82));
}

#[test]
fn nothing_is_read_from_a_data_flow_before_connack() {
    // MQ-5
    let mut net = Net::new();
    net.broker.set_authenticator(Box::new(|_| None));
    let watcher = {
        let watcher = net.dial(&hello(V5, "w"));
        net.broker
            .answer(watcher, Ok(quince_core::Principal::anonymous()));
        assert_eq!(net.read(watcher), ["CONNACK 00"]);
        net.subscribe(watcher, &[("t", Q0)]);
        watcher
    };
    let client = net.open(V5);
    net.open_flows(client, &[A]);
    net.publish_on(client, A, publish(Q1, 1, "t", "early"));
    net.greet(client, &hello(V5, "c"));
    assert!(net.broker.unread(client) > 0);
    assert!(net.read(watcher).is_empty());
    net.broker
        .answer(client, Ok(quince_core::Principal::anonymous()));
    assert_eq!(net.broker.unread(client), 0);
    assert_eq!(net.read(client), ["CONNACK 00"]);
    assert_eq!(net.read_on(client, A), ["PUBACK 1"]);
    assert_eq!(net.read(watcher), ["PUBLISH q0 t=early"]);
}

#[test]
fn what_waits_before_a_refused_connect_has_no_effect() {
    // MQ-5
    let mut net = Net::new();
    let watcher = net.simple(V5, "w");
    net.subscribe(watcher, &[("t", Q0)]);
    net.broker.set_authenticator(Box::new(|_| {
        Some(Err(quince_codec::ReasonCode(0x87)).into())
    }));
    let client = net.open(V5);
    net.open_flows(client, &[A]);
    net.publish_on(client, A, publish(Q0, 0, "t", "early"));
    net.greet(client, &hello(V5, "c"));
    assert!(net.broker.is_closed(client));
    assert!(net.read(watcher).is_empty());
}

#[test]
fn a_flow_that_the_client_ends_is_answered_first() {
    // MQ-14
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A]);
    net.take_on(client, A, "t", Q1);
    net.publish_on(client, A, publish(Q1, 1, "u", "x"));
    net.broker.set_flow_room(client, A, Some(0));
    net.publish_on(client, A, publish(Q1, 2, "u", "x"));
    net.broker.finish_flow(client, A);
    assert_eq!(net.end(client, A), None, "an answer is still to leave");
    assert_eq!(net.broker.hub().figures().subscriptions, 0);
    // What is published now is not for this flow any more.
    net.publish(client, publish(Q0, 0, "t", "late"));
    // Nor is what comes behind the end; a transport would not deliver it.
    net.publish_on(client, A, publish(Q1, 3, "u", "x"));
    net.broker.set_flow_room(client, A, None);
    assert_eq!(net.end(client, A), Some(FlowEnd::Finished));
    assert_eq!(net.read_on(client, A), ["PUBACK 1 10", "PUBACK 2 10"]);
    net.assert_quiet(client);
}

#[test]
fn half_a_packet_before_the_end_of_a_flow_is_dropped() {
    // MQ-14
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.subscribe(client, &[("#", Q0)]);
    net.open_flows(client, &[A]);
    net.publish_on(client, A, publish(Q0, 0, "t", "whole"));
    net.broker.write(client, A, &[0x30, 0x05, 0x00, 0x01]);
    net.broker.finish_flow(client, A);
    assert_eq!(net.end(client, A), Some(FlowEnd::Finished));
    assert_eq!(net.read(client), ["PUBLISH q0 t=whole"]);
    net.assert_quiet(client);
}

#[test]
fn a_reset_or_stopped_flow_is_aborted_with_the_same_code() {
    // MQ-15
    let mut net = Net::new();
    let client = net.client(&hello(V5, "c").will(farewell("w", "x")));
    net.open_flows(client, &[A, B]);
    net.take_on(client, A, "t", Q0);
    net.broker.reset_flow(client, A, 1234);
    net.broker.stop_flow(client, B, 5678);
    assert_eq!(net.end(client, A), aborted(1234));
    assert_eq!(net.end(client, B), aborted(5678));
    assert_eq!(net.broker.hub().figures().subscriptions, 0);
    net.assert_quiet(client);
    // A second word about a flow that is gone changes nothing.
    net.broker.reset_flow(client, A, 1);
    assert_eq!(net.end(client, A), aborted(1234));
}

#[test]
fn the_end_of_the_control_flow_ends_the_connection() {
    // MQ-4
    let mut net = Net::new();
    let watcher = net.simple(V5, "w");
    net.subscribe(watcher, &[("will", Q0)]);
    let client = net.client(&hello(V5, "c").will(farewell("will", "gone")));
    net.open_flows(client, &[A]);
    net.take_on(client, A, "t", Q0);
    net.broker.finish(client);
    assert_eq!(net.closed(client).1, ClosedBy::Network);
    assert_eq!(net.read(watcher), ["PUBLISH q0 will=gone"]);
    assert_eq!(net.broker.hub().figures().subscriptions, 1);
}

#[test]
fn a_resumed_session_has_what_belongs_to_the_control_flow() {
    // MQ-16
    let mut net = Net::new();
    let client = net.client(&hello(V5, "c").stored(1000));
    net.open_flows(client, &[A]);
    net.subscribe(client, &[("kept", Q1)]);
    net.take_on(client, A, "lost", Q1);
    let publisher = net.simple(V5, "p");
    net.publish(publisher, publish(Q1, 1, "lost", "1"));
    assert_eq!(net.read_on(client, A), ["PUBLISH q1 id=1 lost=1"]);
    net.abort(client);
    for topic in ["kept", "lost"] {
        net.publish(publisher, publish(Q1, 2, topic, "2"));
    }
    assert_eq!(net.read(publisher), ["PUBACK 1", "PUBACK 2", "PUBACK 2 10"]);
    let client = net.dial(&hello(V5, "c").stored(1000));
    assert_eq!(
        net.read(client),
        ["CONNACK 00 present", "PUBLISH q1 id=1 kept=2"]
    );
    // The same flow number begins anew.
    net.open_flows(client, &[A]);
    net.send_on(client, A, &Packet::PingReq);
    assert_eq!(net.read_on(client, A), ["PINGRESP"]);
}

#[test]
fn what_a_shared_member_leaves_on_its_flow_goes_to_another() {
    let mut net = Net::new();
    let leaver = net.simple(V5, "leaver");
    net.open_flows(leaver, &[A]);
    net.take_on(leaver, A, "$share/g/t", Q1);
    let publisher = net.simple(V5, "p");
    net.publish(publisher, publish(Q1, 1, "t", "x"));
    assert_eq!(net.read_on(leaver, A), ["PUBLISH q1 id=1 t=x"]);
    let away = net.client(&hello(V5, "away").stored(1000));
    net.subscribe(away, &[("$share/g/t", Q1)]);
    net.abort(away);
    net.send_on(leaver, A, &Packet::PubAck(ack(1)));
    for number in 2..=3 {
        net.publish(publisher, publish(Q1, number, "t", "x"));
        assert_eq!(
            net.read_on(leaver, A),
            [format!("PUBLISH q1 id={number} t=x")],
            "who is connected comes first"
        );
    }
    let stayer = net.simple(V5, "stayer");
    net.subscribe(stayer, &[("$share/g/t", Q1)]);
    net.broker.finish_flow(leaver, A);
    assert_eq!(
        net.read(stayer),
        ["PUBLISH q1 id=1 t=x", "PUBLISH q1 id=2 t=x"]
    );
}

#[test]
fn a_flow_that_is_not_read_holds_up_no_other() {
    // MQ-17
    let mut net = Net::with(Config {
        queue_messages: 10,
        ..Config::default()
    });
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A, B]);
    net.take_on(client, A, "a", Q1);
    net.take_on(client, B, "b", Q1);
    net.broker.set_flow_room(client, A, Some(0));
    let publisher = net.simple(V5, "p");
    let big = "x".repeat(40_000);
    for number in 1..=20 {
        net.publish(publisher, publish(Q1, number, "a", &big));
        net.publish(publisher, publish(Q1, number, "b", "small"));
        assert_eq!(
            net.read_on(client, B),
            [format!("PUBLISH q1 id={number} b=small")]
        );
        net.send_on(client, B, &Packet::PubAck(ack(number)));
    }
    net.broker.set_flow_room(client, A, None);
    // The outbox holds two, the last one beyond its limit; the queue was full with ten, of which these are two.
    let lines = net.read_on(client, A);
    assert_eq!(lines.len(), 10);
    assert!(lines[0].starts_with("PUBLISH q1 id=1 a="));
}

#[test]
fn one_flow_too_many_is_aborted() {
    // MQ-18
    let mut net = Net::with(Config {
        data_flows: 2,
        ..Config::default()
    });
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A, B, C]);
    assert_eq!(net.end(client, B), None);
    assert_eq!(net.end(client, C), aborted(0x97));
    net.broker.finish_flow(client, A);
    let another = FlowId::new(4);
    net.open_flows(client, &[another]);
    net.send_on(client, another, &Packet::PingReq);
    assert_eq!(net.read_on(client, another), ["PINGRESP"]);
}

#[test]
fn a_packet_on_any_flow_keeps_the_connection_alive() {
    // MQ-19
    let mut net = Net::new();
    let client = net.client(&hello(V5, "c").keep_alive(10));
    net.open_flows(client, &[A]);
    for _ in 0..5 {
        net.wait(14);
        net.publish_on(client, A, publish(Q0, 0, "t", "x"));
    }
    assert!(!net.broker.is_closed(client));
    net.wait(15);
    net.assert_refused(client, 0x8d);
}

#[test]
fn no_local_holds_across_the_flows_of_a_client() {
    // MQ-12
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.open_flows(client, &[A, B]);
    let mut selfless = options(Q0);
    selfless.no_local = true;
    net.subscribe_on(client, A, 7, &[], &[("t", selfless)]);
    assert_eq!(net.read_on(client, A), ["SUBACK 7 00"]);
    net.publish_on(client, B, publish(Q0, 0, "t", "x"));
    assert!(net.read_on(client, A).is_empty());
}

#[test]
fn a_paused_publish_holds_up_its_own_flow_only() {
    // Version 3.1.1 has no code for a full queue: the publisher waits.
    let mut net = Net::with(Config {
        queue_messages: 1,
        pause_limit: Duration::from_secs(10),
        ..Config::default()
    });
    let away = net.client(&hello(V5, "away").stored(1000));
    net.subscribe(away, &[("t", Q1)]);
    net.abort(away);
    let client = net.simple(V3, "c");
    net.open_flows(client, &[A, B]);
    net.publish_on(client, A, publish(Q1, 1, "t", "1"));
    net.publish_on(client, A, publish(Q1, 2, "t", "2"));
    net.publish_on(client, A, publish(Q1, 3, "u", "behind"));
    assert_eq!(net.read_on(client, A), ["PUBACK 1"]);
    net.publish_on(client, B, publish(Q1, 1, "u", "beside"));
    assert_eq!(net.read_on(client, B), ["PUBACK 1"]);
    net.broker.finish_flow(client, A);
    net.wait(11);
    assert_eq!(net.end(client, A), aborted(0x97), "it waited for too long");
    assert_eq!(net.end(client, B), None);
    net.assert_quiet(client);
}

#[test]
fn a_flow_that_ends_behind_a_paused_publish_waits_for_it() {
    // MQ-14
    let mut net = Net::with(Config {
        queue_messages: 1,
        ..Config::default()
    });
    let away = net.client(&hello(V5, "away").stored(1000));
    net.subscribe(away, &[("t", Q1)]);
    net.abort(away);
    let client = net.client(&hello(V3, "c").keep_alive(1));
    net.open_flows(client, &[A]);
    for number in 1..=2 {
        net.publish_on(client, A, publish(Q1, number, "t", &number.to_string()));
    }
    net.broker.finish_flow(client, A);
    // While a packet is held up, its client is not held to its Keep Alive.
    net.wait(2);
    assert_eq!(net.end(client, A), None);
    let away = net.dial(&hello(V5, "away").stored(1000));
    net.send(away, &Packet::PubAck(ack(1)));
    net.wait(1);
    assert_eq!(net.end(client, A), Some(FlowEnd::Finished));
    assert_eq!(net.read_on(client, A), ["PUBACK 1", "PUBACK 2"]);
    assert_eq!(
        net.read(away),
        [
            "CONNACK 00 present",
            "PUBLISH q1 id=1 t=1",
            "PUBLISH q1 id=2 t=2"
        ]
    );
}

#[test]
fn nothing_of_a_data_flow_is_recorded() {
    // MQ-16
    let broker = VirtualBroker::new(Config {
        durability: quince_core::Durability::Store,
        ..Config::default()
    });
    let end = broker.hub().log_end();
    broker.hub().durable_up_to(end);
    let mut net = Net::over(broker);
    let client = net.dial(&hello(V5, "c").stored(1000));
    let settle = |net: &mut Net| {
        let batch = net.broker.hub().take_records();
        let end = net.broker.hub().log_end();
        net.broker.hub().durable_up_to(end);
        net.broker.settle();
        batch.records.len()
    };
    assert!(settle(&mut net) > 0);
    assert_eq!(net.read(client), ["CONNACK 00"]);
    net.open_flows(client, &[A]);
    net.take_on(client, A, "t", Q2);
    net.publish_on(client, A, publish(Q2, 1, "t", "x"));
    net.send_on(client, A, &Packet::PubRec(ack(1)));
    net.send_on(client, A, &Packet::PubComp(ack(1)));
    net.send_on(client, A, &Packet::PubRel(ack(1)));
    net.unsubscribe_on(client, A, 2, &["t"]);
    assert_eq!(settle(&mut net), 0);
    assert_eq!(
        net.read_on(client, A),
        [
            "PUBREC 1",
            "PUBLISH q2 id=1 t=x",
            "PUBREL 1",
            "PUBCOMP 1",
            "UNSUBACK 2 00"
        ]
    );
}

#[test]
fn a_flow_that_was_not_opened_is_not_heard() {
    let mut net = Net::new();
    let client = net.simple(V5, "c");
    net.publish_on(client, A, publish(Q1, 1, "t", "x"));
    assert!(net.read_on(client, A).is_empty());
    let nobody = ConnectionId::new(99);
    net.broker.open_flow(nobody, A);
    assert_eq!(net.broker.flow_end(nobody, A), None);
    net.assert_quiet(client);
}
