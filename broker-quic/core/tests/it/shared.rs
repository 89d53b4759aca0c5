//! Shared subscriptions.

use quince_codec::{Packet, Property, Publish, SubscriptionOptions};

use crate::net::{Client, Net, Q0, Q1, Q2, V5, ack, ack_with, hello, options, publish};

/// How many PUBLISH lines a client has got, and what they were.
fn got(net: &mut Net, client: Client) -> Vec<String> {
    net.read(client)
        .into_iter()
        .filter(|line| line.starts_with("PUBLISH"))
        .collect()
}

#[test]
fn each_message_goes_to_one_member_of_each_group_and_to_everybody_else() {
    let mut net = Net::new();
    let members: Vec<Client> = ["s1", "s2", "s3"]
        .into_iter()
        .map(|name| net.simple(V5, name))
        .collect();
    for member in &members {
        net.subscribe(*member, &[("$share/g/t", Q1)]);
    }
    let other_group = net.simple(V5, "s4");
    net.subscribe(other_group, &[("$share/h/+", Q1)]);
    let plain = net.simple(V5, "s5");
    net.subscribe(plain, &[("t", Q1)]);
    let publisher = net.simple(V5, "p");
    for number in 1..=9 {
        net.publish(publisher, publish(Q1, number, "t", &number.to_string()));
    }
    assert_eq!(got(&mut net, other_group).len(), 9);
    assert_eq!(got(&mut net, plain).len(), 9);
    let mut payloads: Vec<String> = Vec::new();
    for member in &members {
        let lines = got(&mut net, *member);
        assert_eq!(lines.len(), 3, "one third each");
        payloads.extend(
            lines
                .iter()
                .map(|line| line.split("t=").nth(1).expect("payload").to_owned()),
        );
    }
    payloads.sort();
    assert_eq!(payloads.concat(), "123456789");
}

#[test]
fn each_copy_respects_the_qos_granted_to_its_receiver() {
    let mut net = Net::new();
    let grants = [Q0, Q1, Q2];
    let members: Vec<Client> = grants
        .iter()
        .map(|qos| net.simple(V5, ["a", "b", "c"][*qos as usize]))
        .collect();
    for (member, qos) in members.iter().zip(grants) {
        net.subscribe(*member, &[("$share/g/t", qos)]);
    }
    let publisher = net.simple(V5, "p");
    for number in 1..=6 {
        net.publish(publisher, publish(Q2, number, "t", "x"));
    }
    for (member, qos) in members.iter().zip(grants) {
        let lines = got(&mut net, *member);
        assert_eq!(lines.len(), 2);
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with(&format!("PUBLISH q{}", qos as u8))),
            "{lines:?}"
        );
    }
}

#[test]
fn connected_members_are_served_first() {
    let mut net = Net::new();
    let away = net.client(&hello(V5, "away").stored(100));
    net.subscribe(away, &[("$share/g/t", Q1)]);
    let here = net.simple(V5, "here");
    net.subscribe(here, &[("$share/g/t", Q1)]);
    net.abort(away);
    for number in 1..=4 {
        net.publish(here, publish(Q1, number, "t", "x"));
    }
    assert_eq!(got(&mut net, here).len(), 4);
    for number in 1..=4 {
        net.send(here, &Packet::PubAck(ack(number)));
    }
    net.abort(here);
    let publisher = net.simple(V5, "p");
    net.publish(publisher, publish(Q1, 1, "t", "later"));
    assert_eq!(net.read(publisher), ["PUBACK 1"]);
    let away = net.dial(&hello(V5, "away").stored(100));
    assert_eq!(
        net.read(away),
        ["CONNACK 00 present", "PUBLISH q1 id=1 t=later"]
    );
}

#[test]
fn unsubscribing_needs_the_whole_filter() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe(client, &[("$share/g/t", Q0)]);
    net.subscribe(client, &[("$share/g/t", Q0)]);
    net.unsubscribe(client, 1, &["t"]);
    net.publish(client, publish(Q0, 0, "t", "x"));
    assert_eq!(net.read(client), ["UNSUBACK 1 11", "PUBLISH q0 t=x"]);
    net.unsubscribe(client, 2, &["$share/g/t", "$share/g/t"]);
    net.publish(client, publish(Q0, 0, "t", "x"));
    assert_eq!(net.read(client), ["UNSUBACK 2 00 11"]);
    assert_eq!(net.broker.hub().figures().subscriptions, 0);
}

#[test]
fn no_retained_messages_come_with_a_shared_subscription() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.publish(
        client,
        Publish {
            retain: true,
            ..publish(Q0, 0, "t", "kept")
        },
    );
    net.publish(
        client,
        Publish {
            retain: true,
            ..publish(Q0, 0, "$share/g/t", "odd")
        },
    );
    net.subscribe(client, &[("$share/g/t", Q0)]);
    net.assert_quiet(client);
}

#[test]
fn a_member_with_a_plain_subscription_too_gets_both_copies() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe_with(
        client,
        1,
        &[Property::SubscriptionIdentifier(1)],
        &[("t", options(Q0))],
    );
    net.subscribe_with(
        client,
        2,
        &[Property::SubscriptionIdentifier(2)],
        &[("$share/g/t", options(Q0))],
    );
    net.read(client);
    net.publish(client, publish(Q0, 0, "t", "x"));
    assert_eq!(
        net.read(client),
        [
            "PUBLISH q0 t=x SubscriptionIdentifier(1)",
            "PUBLISH q0 t=x SubscriptionIdentifier(2)"
        ]
    );
}

#[test]
fn what_a_member_refuses_is_offered_to_nobody() {
    for qos in [Q1, Q2] {
        let mut net = Net::new();
        let one = net.simple(V5, "one");
        let two = net.simple(V5, "two");
        for client in [one, two] {
            net.subscribe(client, &[("$share/g/t", Q2)]);
        }
        let publisher = net.simple(V5, "p");
        net.publish(publisher, publish(qos, 1, "t", "x"));
        let receiver = if got(&mut net, one).is_empty() {
            two
        } else {
            one
        };
        let refusal = ack_with(1, 0x80);
        let packet = if qos == Q1 {
            Packet::PubAck(refusal)
        } else {
            Packet::PubRec(refusal)
        };
        net.send(receiver, &packet);
        net.read(two);
        net.assert_quiet(one);
        net.assert_quiet(two);
    }
}

#[test]
fn a_qos_2_message_is_finished_with_its_receiver_only() {
    for returns in [true, false] {
        let mut net = Net::new();
        let one = net.client(&hello(V5, "one").stored(100));
        net.subscribe(one, &[("$share/g/t", Q2)]);
        let publisher = net.simple(V5, "p");
        net.publish(publisher, publish(Q2, 1, "t", "x"));
        assert_eq!(got(&mut net, one).len(), 1);
        let two = net.simple(V5, "two");
        net.subscribe(two, &[("$share/g/t", Q2)]);
        net.abort(one);
        net.assert_quiet(two);
        if returns {
            let one = net.dial(&hello(V5, "one").stored(100));
            assert_eq!(
                net.read(one),
                ["CONNACK 00 present", "PUBLISH q2 id=1 dup t=x"]
            );
            net.send(one, &Packet::PubRec(ack(1)));
            assert_eq!(net.read(one), ["PUBREL 1"]);
        } else {
            net.wait(100);
        }
        net.assert_quiet(two);
    }
}

#[test]
fn a_qos_1_message_without_an_acknowledgement_goes_to_another_member_when_the_session_ends() {
    for (qos, offered) in [(Q1, true), (Q2, false)] {
        for ends_later in [true, false] {
            let mut net = Net::new();
            let one = net.client(&hello(V5, "one").stored(if ends_later { 100 } else { 0 }));
            net.subscribe(one, &[("$share/g/t", Q2)]);
            let publisher = net.simple(V5, "p");
            net.publish(publisher, publish(qos, 1, "t", "x"));
            assert_eq!(got(&mut net, one).len(), 1);
            let two = net.simple(V5, "two");
            net.subscribe(two, &[("$share/g/t", Q2)]);
            net.abort(one);
            if ends_later {
                net.assert_quiet(two);
                net.wait(100);
            }
            assert_eq!(got(&mut net, two).len(), usize::from(offered));
        }
    }
}

#[test]
fn an_orphan_stays_in_its_group() {
    let mut net = Net::new();
    let of_g = net.simple(V5, "g");
    net.subscribe(of_g, &[("$share/g/t", Q1)]);
    let first_of_h = net.simple(V5, "h1");
    net.subscribe(first_of_h, &[("$share/h/t", Q1)]);
    let publisher = net.simple(V5, "p");
    net.publish(publisher, publish(Q1, 1, "t", "x"));
    assert_eq!(got(&mut net, of_g).len(), 1);
    let second_of_h = net.simple(V5, "h2");
    net.subscribe(second_of_h, &[("$share/h/t", Q1)]);
    net.abort(first_of_h);
    assert_eq!(got(&mut net, second_of_h).len(), 1);
    net.assert_quiet(of_g);
}

#[test]
fn an_orphan_has_the_retain_flag_that_its_new_receiver_asks_for() {
    let mut net = Net::new();
    let one = net.simple(V5, "one");
    net.subscribe(one, &[("$share/g/t", Q1)]);
    let publisher = net.simple(V5, "p");
    let retained = Publish {
        retain: true,
        ..publish(Q1, 1, "t", "x")
    };
    net.publish(publisher, retained);
    assert_eq!(got(&mut net, one), ["PUBLISH q1 id=1 t=x"]);
    let two = net.simple(V5, "two");
    let as_published = SubscriptionOptions {
        retain_as_published: true,
        ..options(Q1)
    };
    net.subscribe_with(two, 7, &[], &[("$share/g/t", as_published)]);
    assert_eq!(net.read(two), ["SUBACK 7 01"]);
    net.abort(one);
    assert_eq!(got(&mut net, two), ["PUBLISH q1 id=1 retain t=x"]);
}
