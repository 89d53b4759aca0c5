//! Retained messages.

use quince_codec::{Property, Publish};

use crate::net::{BOTH, Net, Q0, Q1, Q2, V3, V5, hello, publish};

fn retained<'a>(
    qos: quince_codec::QoS,
    number: u16,
    topic: &'a str,
    payload: &'a str,
) -> Publish<'a> {
    Publish {
        retain: true,
        ..publish(qos, number, topic, payload)
    }
}

#[test]
fn a_new_subscription_gets_the_last_message_of_each_topic() {
    for version in BOTH {
        let mut net = Net::new();
        let publisher = net.simple(version, "p");
        net.publish(publisher, retained(Q1, 1, "a/1", "old"));
        net.publish(publisher, retained(Q2, 2, "a/1", "new"));
        net.publish(publisher, retained(Q0, 0, "a/2", "two"));
        net.publish(publisher, retained(Q0, 0, "b", "other"));
        net.disconnect(publisher, 0, &[]);
        let client = net.simple(version, "s");
        net.subscribe_with(client, 1, &[], &[("a/+", crate::net::options(Q1))]);
        let mut lines = net.read(client);
        assert_eq!(lines.remove(0), "SUBACK 1 01");
        lines.sort();
        assert_eq!(
            lines,
            [
                "PUBLISH q0 retain a/2=two",
                "PUBLISH q1 id=1 retain a/1=new"
            ]
        );
    }
}

#[test]
fn an_empty_payload_clears_and_is_delivered() {
    for version in BOTH {
        let mut net = Net::new();
        let live = net.simple(version, "live");
        net.subscribe(live, &[("t", Q0)]);
        net.publish(live, retained(Q0, 0, "t", "x"));
        net.publish(live, retained(Q0, 0, "t", ""));
        net.publish(live, retained(Q0, 0, "u", ""));
        assert_eq!(net.read(live), ["PUBLISH q0 t=x", "PUBLISH q0 t="]);
        assert_eq!(net.broker.hub().figures().retained_messages, 0);
        let late = net.simple(version, "late");
        net.subscribe(late, &[("#", Q0)]);
    }
}

#[test]
fn what_is_not_retained_changes_nothing() {
    let mut net = Net::new();
    let publisher = net.simple(V5, "p");
    net.publish(publisher, retained(Q0, 0, "t", "kept"));
    net.publish(publisher, publish(Q0, 0, "t", "x"));
    net.publish(publisher, publish(Q0, 0, "t", ""));
    net.publish(publisher, publish(Q0, 0, "u", "x"));
    let late = net.simple(V5, "late");
    net.subscribe_with(late, 1, &[], &[("#", crate::net::options(Q0))]);
    assert_eq!(net.read(late), ["SUBACK 1 00", "PUBLISH q0 retain t=kept"]);
}

#[test]
fn retained_messages_expire() {
    let mut net = Net::new();
    let publisher = net.simple(V5, "p");
    net.publish_with(
        publisher,
        retained(Q0, 0, "t", "x"),
        &[Property::MessageExpiryInterval(10)],
    );
    net.wait(4);
    let client = net.simple(V5, "s");
    net.subscribe_with(client, 1, &[], &[("t", crate::net::options(Q0))]);
    assert_eq!(
        net.read(client),
        [
            "SUBACK 1 00",
            "PUBLISH q0 retain t=x MessageExpiryInterval(6)"
        ]
    );
    net.wait(6);
    net.subscribe(client, &[("t", Q0)]);
}

#[test]
fn wildcards_do_not_find_topics_that_start_with_a_dollar() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.publish(client, retained(Q0, 0, "$r/x", "x"));
    net.subscribe(client, &[("#", Q0), ("+/x", Q0)]);
    net.subscribe_with(client, 1, &[], &[("$r/#", crate::net::options(Q0))]);
    assert_eq!(
        net.read(client),
        ["SUBACK 1 00", "PUBLISH q0 retain $r/x=x"]
    );
}

#[test]
fn a_subscription_identifier_comes_with_retained_messages() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.publish(client, retained(Q0, 0, "t", "x"));
    net.subscribe_with(
        client,
        1,
        &[Property::SubscriptionIdentifier(3)],
        &[("t", crate::net::options(Q0))],
    );
    assert_eq!(
        net.read(client),
        [
            "SUBACK 1 00",
            "PUBLISH q0 retain t=x SubscriptionIdentifier(3)"
        ]
    );
}

#[test]
fn reading_many_retained_messages_respects_receive_maximum_and_survives_the_connection() {
    let mut net = Net::new();
    let publisher = net.simple(V5, "p");
    for number in 1..=1500_u16 {
        net.publish(publisher, retained(Q1, number, &format!("t/{number}"), "x"));
    }
    let client = net.client(&hello(V5, "s").stored(100).with(Property::ReceiveMaximum(2)));
    net.subscribe_with(client, 1, &[], &[("t/#", crate::net::options(Q1))]);
    assert_eq!(net.read(client).len(), 3);
    net.abort(client);
    let client = net.dial(&hello(V5, "s").stored(100));
    let mut topics = std::collections::BTreeSet::new();
    loop {
        let lines = net.read(client);
        let publishes: Vec<&String> = lines
            .iter()
            .filter(|line| line.starts_with("PUBLISH"))
            .collect();
        if publishes.is_empty() {
            break;
        }
        for line in publishes {
            let number = line
                .split("id=")
                .nth(1)
                .and_then(|rest| rest.split(' ').next())
                .expect("id");
            let topic = line.split("t/").nth(1).expect("topic").to_owned();
            assert!(topics.insert(topic), "twice: {line}");
            let number = number.parse().expect("number");
            net.send(
                client,
                &quince_codec::Packet::PubAck(crate::net::ack(number)),
            );
        }
    }
    assert_eq!(topics.len(), 1500);
}

#[test]
fn retained_messages_outlive_their_publishers_session() {
    for version in BOTH {
        let mut net = Net::new();
        let publisher = net.simple(version, "p");
        net.publish(publisher, retained(Q1, 1, "t", "x"));
        net.disconnect(publisher, 0, &[]);
        let client = net.simple(V3, "s");
        net.subscribe_with(client, 1, &[], &[("t", crate::net::options(Q1))]);
        assert_eq!(
            net.read(client),
            ["SUBACK 1 01", "PUBLISH q1 id=1 retain t=x"]
        );
    }
}
