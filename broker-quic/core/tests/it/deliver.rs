//! What a message looks like when it arrives: properties, expiry, Topic Aliases, Maximum Packet Size.

use quince_codec::{Packet, Property, Publish};

use quince_core::Config;

use crate::net::{BOTH, Net, Q0, Q1, Q2, V3, V5, ack, hello, publish};

#[test]
fn properties_are_forwarded_unchanged_and_in_order() {
    let mut net = Net::new();
    let subscriber = net.client(&hello(V5, "s").stored(100));
    net.subscribe(subscriber, &[("t", Q1)]);
    let publisher = net.simple(V5, "p");
    let properties = [
        Property::UserProperty("c", "1"),
        Property::PayloadFormatIndicator(true),
        Property::ResponseTopic("r/s"),
        Property::UserProperty("a", ""),
        Property::CorrelationData(&[0, 255]),
        Property::ContentType(""),
        Property::UserProperty("c", "1"),
    ];
    let expected: String = properties
        .iter()
        .map(|property| format!(" {property:?}"))
        .collect();
    net.publish_with(publisher, publish(Q1, 1, "t", "x"), &properties);
    assert_eq!(
        net.read(subscriber),
        [format!("PUBLISH q1 id=1 t=x{expected}")]
    );
    net.abort(subscriber);
    let subscriber = net.dial(&hello(V5, "s").stored(100));
    assert_eq!(
        net.read(subscriber)[1],
        format!("PUBLISH q1 id=1 dup t=x{expected}")
    );
    let old = net.simple(V3, "old");
    net.subscribe(old, &[("t", Q0)]);
    net.publish_with(publisher, publish(Q0, 0, "t", "x"), &properties);
    assert_eq!(net.read(old), ["PUBLISH q0 t=x"]);
}

#[test]
fn the_expiry_interval_shrinks_while_a_message_waits() {
    let mut net = Net::new();
    let expiring = [Property::MessageExpiryInterval(30)];
    let subscriber = net.client(&hello(V5, "s").stored(1000));
    net.subscribe(subscriber, &[("t", Q1)]);
    let publisher = net.simple(V5, "p");
    net.publish_with(publisher, publish(Q1, 1, "t", "live"), &expiring);
    assert_eq!(
        net.read(subscriber),
        ["PUBLISH q1 id=1 t=live MessageExpiryInterval(30)"]
    );
    net.send(subscriber, &Packet::PubAck(ack(1)));
    net.abort(subscriber);
    net.publish_with(publisher, publish(Q1, 1, "t", "one"), &expiring);
    net.wait(3);
    net.publish_with(
        publisher,
        publish(Q1, 1, "t", "two"),
        &[Property::MessageExpiryInterval(2)],
    );
    net.publish(publisher, publish(Q1, 1, "t", "three"));
    net.wait(2);
    let subscriber = net.dial(&hello(V5, "s").stored(1000));
    assert_eq!(
        net.read(subscriber),
        [
            "CONNACK 00 present",
            "PUBLISH q1 id=2 t=one MessageExpiryInterval(25)",
            "PUBLISH q1 id=3 t=three"
        ]
    );
}

#[test]
fn what_was_sent_once_does_not_expire() {
    let mut net = Net::new();
    let subscriber = net.client(&hello(V5, "s").stored(1000));
    net.subscribe(subscriber, &[("t", Q2)]);
    let publisher = net.simple(V5, "p");
    net.publish_with(
        publisher,
        publish(Q2, 1, "t", "x"),
        &[Property::MessageExpiryInterval(1)],
    );
    assert_eq!(net.read(subscriber).len(), 1);
    net.abort(subscriber);
    net.wait(3);
    let subscriber = net.dial(&hello(V5, "s").stored(1000));
    assert_eq!(
        net.read(subscriber),
        [
            "CONNACK 00 present",
            "PUBLISH q2 id=1 dup t=x MessageExpiryInterval(0)"
        ]
    );
    net.send(publisher, &Packet::PubRel(ack(1)));
    assert_eq!(net.read(publisher), ["PUBREC 1", "PUBCOMP 1"]);
}

#[test]
fn the_client_may_use_every_announced_alias() {
    let mut net = Net::new();
    let subscriber = net.simple(V5, "s");
    net.subscribe(subscriber, &[("#", Q0)]);
    let publisher = net.simple(V5, "p");
    for alias in 1..=32 {
        let topic = format!("t/{alias}");
        net.publish_with(
            publisher,
            publish(Q0, 0, &topic, "set"),
            &[Property::TopicAlias(alias)],
        );
        net.publish_with(
            publisher,
            publish(Q0, 0, "", "use"),
            &[Property::TopicAlias(alias)],
        );
        assert_eq!(
            net.read(subscriber),
            [
                format!("PUBLISH q0 {topic}=set"),
                format!("PUBLISH q0 {topic}=use")
            ]
        );
    }
    net.publish_with(
        publisher,
        publish(Q0, 0, "other", "set"),
        &[Property::TopicAlias(1)],
    );
    net.publish_with(
        publisher,
        publish(Q0, 0, "", "use"),
        &[Property::TopicAlias(1)],
    );
    assert_eq!(
        net.read(subscriber),
        ["PUBLISH q0 other=set", "PUBLISH q0 other=use"]
    );
    net.publish_with(
        publisher,
        publish(Q0, 0, "t", "x"),
        &[Property::TopicAlias(33)],
    );
    net.assert_refused(publisher, 0x94);
    net.assert_quiet(subscriber);
}

#[test]
fn an_alias_does_not_outlive_its_connection() {
    let mut net = Net::new();
    let client = net.client(&hello(V5, "p").stored(100));
    net.publish_with(
        client,
        publish(Q0, 0, "t", "set"),
        &[Property::TopicAlias(1)],
    );
    net.abort(client);
    let client = net.client_resumed(&hello(V5, "p").stored(100));
    net.publish_with(
        client,
        publish(Q0, 0, "", "use"),
        &[Property::TopicAlias(1)],
    );
    net.assert_refused(client, 0x82);
}

#[test]
fn the_server_uses_aliases_within_the_clients_maximum() {
    let mut net = Net::new();
    let aliased = net.client(&hello(V5, "s").with(Property::TopicAliasMaximum(2)));
    net.subscribe(aliased, &[("#", Q1)]);
    let plain = net.simple(V5, "n");
    net.subscribe(plain, &[("#", Q1)]);
    for (topic, expected) in [
        ("a", "a=x TopicAlias(1)"),
        ("a", "=x TopicAlias(1)"),
        ("b", "b=x TopicAlias(2)"),
        ("a", "=x TopicAlias(1)"),
        ("c", "c=x TopicAlias(1)"),
        ("a", "a=x TopicAlias(2)"),
        ("c", "=x TopicAlias(1)"),
    ] {
        net.publish(plain, publish(Q0, 0, topic, "x"));
        assert_eq!(net.read(aliased), [format!("PUBLISH q0 {expected}")]);
        assert_eq!(net.read(plain), [format!("PUBLISH q0 {topic}=x")]);
    }
}

#[test]
fn the_server_uses_no_more_than_32_aliases() {
    let mut net = Net::new();
    let client = net.client(&hello(V5, "s").with(Property::TopicAliasMaximum(u16::MAX)));
    net.subscribe(client, &[("#", Q0)]);
    for number in 0..40 {
        net.publish(client, publish(Q0, 0, &format!("t/{number}"), "x"));
    }
    let lines = net.read(client);
    assert!(
        lines[31].ends_with("t/31=x TopicAlias(32)"),
        "{}",
        lines[31]
    );
    assert!(lines[32].ends_with("t/32=x TopicAlias(1)"), "{}", lines[32]);
}

#[test]
fn a_retransmission_does_not_rely_on_an_old_alias() {
    let mut net = Net::new();
    let alias = hello(V5, "s")
        .stored(100)
        .with(Property::TopicAliasMaximum(2));
    let client = net.client(&alias);
    net.subscribe(client, &[("t", Q1)]);
    net.publish(client, publish(Q1, 1, "t", "one"));
    net.publish(client, publish(Q1, 1, "t", "two"));
    net.abort(client);
    let client = net.dial(&alias);
    assert_eq!(
        net.read(client),
        [
            "CONNACK 00 present",
            "PUBLISH q1 id=1 dup t=one TopicAlias(1)",
            "PUBLISH q1 id=2 dup =two TopicAlias(1)"
        ]
    );
}

#[test]
fn what_is_too_large_for_the_client_is_not_sent_and_counts_as_sent() {
    for qos in [Q0, Q1, Q2] {
        let size = 40;
        let small = hello(V5, "s")
            .stored(100)
            .with(Property::MaximumPacketSize(size))
            .with(Property::ReceiveMaximum(1));
        let mut net = Net::new();
        let client = net.client(&small);
        net.subscribe(client, &[("t", Q2)]);
        let healthy = net.simple(V5, "h");
        net.subscribe(healthy, &[("t", Q2)]);
        // Header 2, topic 3, identifier 2, property length 1.
        let overhead = if qos == Q0 { 6 } else { 8 };
        let fits = "x".repeat(size as usize - overhead);
        let too_large = format!("{fits}x");
        let publisher = net.simple(V5, "p");
        for (number, payload) in [(1, &too_large), (2, &fits)] {
            net.publish(publisher, publish(qos, number, "t", payload));
        }
        let number = if qos == Q0 { "" } else { " id=1" };
        assert_eq!(
            net.read(client),
            [format!("PUBLISH q{}{number} t={fits}", qos as u8)]
        );
        assert_eq!(net.read(healthy).len(), 2);
        net.abort(client);
        let client = net.dial(&small);
        assert_eq!(net.read(client).len(), if qos == Q0 { 1 } else { 2 });
    }
}

#[test]
fn what_is_too_large_leaves_the_queue() {
    let mut net = Net::with(Config {
        queue_messages: 1,
        ..Config::default()
    });
    let client = net.client(
        &hello(V5, "s")
            .stored(100)
            .with(Property::MaximumPacketSize(50)),
    );
    net.subscribe(client, &[("t", Q1)]);
    for _ in 0..3 {
        let publisher = net.simple(V5, "p");
        net.publish(publisher, publish(Q1, 1, "t", &"x".repeat(100)));
        assert_eq!(net.read(publisher), ["PUBACK 1"]);
    }
    net.assert_quiet(client);
}

#[test]
fn a_message_in_flight_that_has_become_too_large_is_done() {
    let mut net = Net::new();
    let client = net.client(&hello(V5, "s").stored(100));
    net.subscribe(client, &[("t", Q1)]);
    net.publish(client, publish(Q1, 1, "t", &"x".repeat(100)));
    net.publish(client, publish(Q1, 1, "t", "y"));
    net.abort(client);
    let client = net.dial(
        &hello(V5, "s")
            .stored(100)
            .with(Property::MaximumPacketSize(50))
            .with(Property::ReceiveMaximum(1)),
    );
    assert_eq!(
        net.read(client),
        ["CONNACK 00 present", "PUBLISH q1 id=2 dup t=y"]
    );
    net.abort(client);
    net.wait(100);
    assert_eq!(net.broker.hub().figures().buffered_bytes, 0);
}

#[test]
fn a_client_that_does_not_read_slows_only_itself() {
    for version in BOTH {
        let mut net = Net::new();
        let slow = net.simple(version, "slow");
        net.subscribe(slow, &[("t", Q0)]);
        let healthy = net.simple(version, "healthy");
        net.subscribe(healthy, &[("t", Q0)]);
        net.broker.set_room(slow, Some(0));
        let payload = "x".repeat(10_000);
        for _ in 0..100 {
            net.publish(healthy, publish(Q0, 0, "t", &payload));
        }
        assert_eq!(net.read(healthy).len(), 100);
        net.broker.set_room(slow, None);
        // Nothing is lost: what the outbox had no room for waited in the queue.
        assert_eq!(net.read(slow).len(), 100);
    }
}

#[test]
fn what_a_client_asks_waits_while_it_does_not_read() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.broker.set_room(client, Some(0));
    let pings: Vec<u8> = core::iter::repeat_n([0xc0, 0x00], 100_000)
        .flatten()
        .collect();
    net.raw(client, &pings);
    assert!(
        net.broker.unread(client) > 0,
        "reading goes on though the outbox is full"
    );
    net.broker.set_room(client, None);
    assert_eq!(net.broker.unread(client), 0);
    assert_eq!(net.read(client).len(), 100_000);
}

#[test]
fn publishing_below_sys_is_refused_by_policy() {
    let mut net = Net::new();
    let watcher = net.simple(V5, "w");
    net.subscribe(watcher, &[("$SYS/#", Q0)]);
    let client = net.simple(V5, "a");
    net.publish(client, publish(Q1, 1, "$SYS/x", "x"));
    net.publish(
        client,
        Publish {
            retain: true,
            ..publish(Q2, 2, "$SYS/x", "x")
        },
    );
    net.publish(client, publish(Q0, 0, "$SYS/x", "x"));
    assert_eq!(
        net.read_without_reason(client),
        ["PUBACK 1 87", "PUBREC 2 87"]
    );
    // The identifier is free at once.
    net.publish(
        client,
        Publish {
            dup: true,
            ..publish(Q2, 2, "u", "x")
        },
    );
    assert_eq!(net.read(client), ["PUBREC 2 10"]);
    let old = net.simple(V3, "old");
    net.publish(old, publish(Q1, 1, "$SYS/x", "x"));
    net.publish(old, publish(Q2, 2, "$SYS/x", "x"));
    net.send(old, &Packet::PubRel(ack(2)));
    assert_eq!(net.read(old), ["PUBACK 1", "PUBREC 2", "PUBCOMP 2"]);
    net.assert_quiet(watcher);
}
