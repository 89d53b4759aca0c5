//! Errors on an established connection, and how much is said about them.

use quince_codec::{Packet, Property, SubAck};

use crate::net::{BOTH, Client, Net, Q0, Q1, V3, V5, hello, options, publish};

/// Both clients are connected; the second must not notice anything.
fn pair(version: quince_codec::Version) -> (Net, Client, Client) {
    let mut net = Net::new();
    let watcher = net.simple(version, "w");
    net.subscribe(watcher, &[("#", Q0)]);
    let client = net.simple(version, "a");
    (net, watcher, client)
}

#[test]
fn malformed_packets_end_their_connection_only() {
    for version in BOTH {
        let cases: [(&str, &[u8], u8); 9] = [
            ("reserved flags of PINGREQ", b"\xc1\x00", 0x81),
            ("PUBLISH at QoS 3", b"\x36\x05\x00\x01a\x00\x01", 0x81),
            ("wildcard in a Topic Name", b"\x30\x06\x00\x03a/+\x00", 0x90),
            (
                "SUBSCRIBE with flags 0",
                b"\x80\x06\x00\x01\x00\x01a\x00",
                0x81,
            ),
            ("packet identifier 0", b"\x62\x02\x00\x00", 0x82),
            (
                "Remaining Length of five bytes",
                b"\x30\xff\xff\xff\xff\x01",
                0x81,
            ),
            ("packet type 0", b"\x00\x00", 0x81),
            ("bytes behind PINGREQ", b"\xc0\x01\x00", 0x81),
            ("a packet that only a server sends", b"\xd0\x00", 0x82),
        ];
        for (name, bytes, code) in cases {
            let (mut net, watcher, client) = pair(version);
            net.raw(client, bytes);
            net.raw(client, b"\xc0\x00");
            let expected = if version == V5 {
                vec![format!("DISCONNECT {code:02x}")]
            } else {
                vec![]
            };
            assert_eq!(net.read_without_reason(client), expected, "{name}");
            assert!(net.broker.is_closed(client), "{name}");
            net.assert_quiet(watcher);
        }
    }
}

#[test]
fn what_only_a_server_sends_is_a_protocol_error() {
    let (mut net, _, client) = pair(V5);
    net.send(
        client,
        &Packet::SubAck(SubAck {
            packet_id: crate::net::id(1),
            properties: quince_codec::Properties::EMPTY,
            codes: &[0],
        }),
    );
    net.assert_refused(client, 0x82);
}

#[test]
fn protocol_errors_of_version_5_have_their_codes() {
    type Act = fn(&mut Net, Client);
    let cases: [(&str, Act, u8); 5] = [
        (
            "alias 0",
            |net, client| {
                net.publish_with(client, publish(Q0, 0, "t", ""), &[Property::TopicAlias(0)])
            },
            0x94,
        ),
        (
            "alias 33",
            |net, client| {
                net.publish_with(client, publish(Q1, 1, "t", ""), &[Property::TopicAlias(33)])
            },
            0x94,
        ),
        (
            "unknown alias",
            |net, client| {
                net.publish_with(client, publish(Q0, 0, "", ""), &[Property::TopicAlias(1)])
            },
            0x82,
        ),
        (
            "Subscription Identifier from a client",
            |net, client| {
                net.publish_with(
                    client,
                    publish(Q0, 0, "t", ""),
                    &[Property::SubscriptionIdentifier(1)],
                )
            },
            0x82,
        ),
        (
            "No Local on a shared subscription",
            |net, client| {
                let options = quince_codec::SubscriptionOptions {
                    no_local: true,
                    ..options(Q0)
                };
                net.subscribe_with(
                    client,
                    1,
                    &[],
                    &[("a", crate::net::options(Q0)), ("$share/g/t", options)],
                );
            },
            0x82,
        ),
    ];
    for (name, act, code) in cases {
        let (mut net, watcher, client) = pair(V5);
        act(&mut net, client);
        assert_eq!(
            net.read_without_reason(client),
            [format!("DISCONNECT {code:02x}")],
            "{name}"
        );
        assert!(net.broker.is_closed(client), "{name}");
        net.assert_quiet(watcher);
    }
}

#[test]
fn auth_without_a_method_is_a_protocol_error() {
    let (mut net, _, client) = pair(V5);
    net.raw(client, b"\xf0\x00");
    net.assert_refused(client, 0x82);
}

#[test]
fn reason_strings_go_only_where_they_are_wanted_and_fit() {
    let provoke = |net: &mut Net, client: Client| {
        net.publish(client, publish(Q1, 1, "$SYS/x", "x"));
        net.subscribe_with(client, 2, &[], &[("$share//t", options(Q1))]);
        net.send(client, &Packet::PubRel(crate::net::ack(9)));
        net.read(client)
    };
    let bare = ["PUBACK 1 87", "SUBACK 2 8f", "PUBCOMP 9 92"];
    let mut net = Net::new();
    let client = net.simple(V5, "told");
    let lines = provoke(&mut net, client);
    for (line, start) in lines.iter().zip(bare) {
        assert!(
            line.starts_with(&format!("{start} ReasonString(")),
            "{line}"
        );
    }
    let client = net.client(&hello(V5, "untold").with(Property::RequestProblemInformation(false)));
    assert_eq!(provoke(&mut net, client), bare);
    // DISCONNECT may say it even so.
    net.raw(client, b"\xf0\x00");
    assert!(net.read(client)[0].starts_with("DISCONNECT 82 ReasonString("));
    let client = net.client(&hello(V5, "narrow").with(Property::MaximumPacketSize(16)));
    assert_eq!(provoke(&mut net, client), bare);
    net.raw(client, b"\xf0\x00");
    assert_eq!(net.read(client), ["DISCONNECT 82"]);
}

#[test]
fn nothing_follows_a_disconnect() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe(client, &[("t", Q0)]);
    let publisher = net.simple(V3, "p");
    net.raw(client, b"\xf0\x00\xc0\x00");
    net.publish(publisher, publish(Q0, 0, "t", "x"));
    net.assert_refused(client, 0x82);
    assert_eq!(net.read(client), [""; 0]);
}
