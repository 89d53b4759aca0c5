//! Every packet type in both versions, byte for byte as the specification's tables lay it out.

use quince_codec::property::Place;
use quince_codec::{
    Acknowledgement, Auth, ConnAck, Connect, Disconnect, FilterList, Packet, PacketId, PacketType,
    Properties, Property, PropertyList, Publish, QoS, ReasonCode, RetainHandling, SubAck,
    Subscribe, SubscriptionList, SubscriptionOptions, UnsubAck, Unsubscribe,
    Version::{self, V3_1_1, V5_0},
    Will,
};

use crate::bytes_to::{frame, hex};

/// Both ways, and the decoded form for the snapshot.
fn check(seen: &mut String, version: Version, bytes: &str, packet: Packet<'_>) {
    let name = packet.packet_type();
    let bytes = hex(bytes);
    let frame = frame(&bytes);
    let decoded = frame
        .decode(version)
        .unwrap_or_else(|error| panic!("{name} {version}: {error}"));
    assert_eq!(decoded, packet, "{name} {version} decoded");
    assert_eq!(
        packet.to_bytes(version).unwrap(),
        bytes,
        "{name} {version} encoded"
    );
    assert_eq!(
        packet.encoded_len(version),
        Ok(bytes.len()),
        "{name} {version} length"
    );
    seen.push_str(&format!("{version} {bytes:02x?}\n{decoded:#?}\n\n"));
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn list(properties: &[Property<'_>]) -> PropertyList {
    properties.iter().copied().collect()
}

fn acknowledgement(
    number: u16,
    reason_code: ReasonCode,
    properties: Properties<'_>,
) -> Acknowledgement<'_> {
    Acknowledgement {
        packet_id: id(number),
        reason_code,
        properties,
    }
}

#[test]
fn connect() {
    let mut seen = String::new();
    let bare = Connect {
        version: V3_1_1,
        clean_start: true,
        keep_alive: 10,
        properties: Properties::EMPTY,
        client_id: "",
        will: None,
        user_name: None,
        password: None,
    };
    check(
        &mut seen,
        V3_1_1,
        "10 0c (name) 00 04 4d515454 04 (flags) 02 00 0a (id) 00 00",
        Packet::Connect(bare),
    );
    let v5 = Connect {
        version: V5_0,
        ..bare
    };
    check(
        &mut seen,
        V5_0,
        "10 0d 00 04 4d515454 05 02 00 0a (properties) 00 00 00",
        Packet::Connect(v5),
    );
    let will = Will {
        qos: QoS::ExactlyOnce,
        retain: true,
        properties: Properties::EMPTY,
        topic: "w",
        payload: b"\x00",
    };
    let full = Connect {
        clean_start: false,
        keep_alive: 0xffff,
        client_id: "c",
        will: Some(will),
        user_name: Some("u"),
        password: Some(&[0xff]),
        ..bare
    };
    let bytes = "10 19 00 04 4d515454 04 (flags) f4 ffff (id) 0001 63 (will) 0001 77 0001 00 (user) 0001 75 (password) 0001 ff";
    check(&mut seen, V3_1_1, bytes, Packet::Connect(full));
    let properties = list(&[
        Property::SessionExpiryInterval(1),
        Property::ReceiveMaximum(2),
        Property::MaximumPacketSize(3),
        Property::TopicAliasMaximum(4),
        Property::RequestResponseInformation(true),
        Property::RequestProblemInformation(false),
        Property::UserProperty("k", "v"),
        Property::AuthenticationMethod("m"),
        Property::AuthenticationData(&[9]),
    ]);
    let will_properties = list(&[
        Property::WillDelayInterval(5),
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(6),
        Property::ContentType("t"),
        Property::ResponseTopic("r"),
        Property::CorrelationData(&[7]),
        Property::UserProperty("", ""),
    ]);
    let will = Will {
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: will_properties.as_properties(),
        ..will
    };
    let full = Connect {
        version: V5_0,
        properties: properties.as_properties(),
        will: Some(will),
        ..full
    };
    let bytes = "10 5b 00 04 4d515454 05 (flags) cc ffff
        (properties) 23 11 00000001 21 0002 27 00000003 22 0004 19 01 17 00 26 0001 6b 0001 76 15 0001 6d 16 0001 09
        (id) 0001 63
        (will properties) 1d 18 00000005 01 01 02 00000006 03 0001 74 08 0001 72 09 0001 07 26 0000 0000
        (will) 0001 77 0001 00 (user) 0001 75 (password) 0001 ff";
    check(&mut seen, V5_0, bytes, Packet::Connect(full));
    let password_only = Connect {
        password: Some(b"p"),
        ..v5
    };
    check(
        &mut seen,
        V5_0,
        "10 10 00 04 4d515454 05 42 000a 00 0000 0001 70",
        Packet::Connect(password_only),
    );
    insta::assert_snapshot!(seen);
}

#[test]
fn conn_ack() {
    let mut seen = String::new();
    let refused = ConnAck {
        session_present: false,
        code: 5,
        properties: Properties::EMPTY,
    };
    check(&mut seen, V3_1_1, "20 02 00 05", Packet::ConnAck(refused));
    let accepted = ConnAck {
        session_present: true,
        code: 0,
        properties: Properties::EMPTY,
    };
    check(&mut seen, V3_1_1, "20 02 01 00", Packet::ConnAck(accepted));
    check(&mut seen, V5_0, "20 03 01 00 00", Packet::ConnAck(accepted));
    let properties = list(&[
        Property::SessionExpiryInterval(u32::MAX),
        Property::ReceiveMaximum(1),
        Property::MaximumQoS(1),
        Property::RetainAvailable(false),
        Property::MaximumPacketSize(0x100),
        Property::AssignedClientIdentifier("a"),
        Property::TopicAliasMaximum(0),
        Property::ReasonString("r"),
        Property::UserProperty("k", "v"),
        Property::WildcardSubscriptionAvailable(true),
        Property::SubscriptionIdentifierAvailable(false),
        Property::SharedSubscriptionAvailable(true),
        Property::ServerKeepAlive(60),
        Property::ResponseInformation("i"),
        Property::ServerReference("s"),
        Property::AuthenticationMethod("m"),
        Property::AuthenticationData(&[]),
    ]);
    let full = ConnAck {
        session_present: false,
        code: 0x9d,
        properties: properties.as_properties(),
    };
    let bytes =
        "20 3e 00 9d 3b 11 ffffffff 21 0001 24 01 25 00 27 00000100 12 0001 61 22 0000 1f 0001 72
        26 0001 6b 0001 76 28 01 29 00 2a 01 13 003c 1a 0001 69 1c 0001 73 15 0001 6d 16 0000";
    check(&mut seen, V5_0, bytes, Packet::ConnAck(full));
    insta::assert_snapshot!(seen);
}

#[test]
fn publish() {
    let mut seen = String::new();
    let bare = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "a/b",
        packet_id: None,
        properties: Properties::EMPTY,
        payload: b"hi",
    };
    check(
        &mut seen,
        V3_1_1,
        "30 07 0003 612f62 6869",
        Packet::Publish(bare),
    );
    check(
        &mut seen,
        V5_0,
        "30 08 0003 612f62 00 6869",
        Packet::Publish(bare),
    );
    let second = Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        retain: true,
        packet_id: Some(id(0x0a0b)),
        payload: b"",
        ..bare
    };
    check(
        &mut seen,
        V3_1_1,
        "3d 07 0003 612f62 0a0b",
        Packet::Publish(second),
    );
    let properties = list(&[
        Property::PayloadFormatIndicator(false),
        Property::MessageExpiryInterval(0x01020304),
        Property::TopicAlias(0x0506),
        Property::ResponseTopic("r"),
        Property::CorrelationData(&[1, 2]),
        Property::UserProperty("b", "1"),
        Property::UserProperty("b", "2"),
        Property::SubscriptionIdentifier(268_435_455),
        Property::SubscriptionIdentifier(128),
        Property::ContentType(""),
    ]);
    let full = Publish {
        qos: QoS::AtLeastOnce,
        topic: "",
        packet_id: Some(id(0xffff)),
        properties: properties.as_properties(),
        ..bare
    };
    let bytes = "32 33 0000 ffff 2c 01 00 02 01020304 23 0506 08 0001 72 09 0002 0102
        26 0001 62 0001 31 26 0001 62 0001 32 0b ffffff7f 0b 8001 03 0000 6869";
    check(&mut seen, V5_0, bytes, Packet::Publish(full));
    let long = Publish {
        payload: &[0x2e; 123],
        ..bare
    };
    check(
        &mut seen,
        V3_1_1,
        &format!("30 8001 0003 612f62 {}", "2e".repeat(123)),
        Packet::Publish(long),
    );
    insta::assert_snapshot!(seen);
}

#[test]
fn acknowledgements() {
    let mut seen = String::new();
    type Make = fn(Acknowledgement<'_>) -> Packet<'_>;
    let kinds: [(&str, Make, ReasonCode); 4] = [
        (
            "40",
            |packet| Packet::PubAck(packet),
            ReasonCode::NO_MATCHING_SUBSCRIBERS,
        ),
        (
            "50",
            |packet| Packet::PubRec(packet),
            ReasonCode::QUOTA_EXCEEDED,
        ),
        (
            "62",
            |packet| Packet::PubRel(packet),
            ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
        ),
        (
            "70",
            |packet| Packet::PubComp(packet),
            ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
        ),
    ];
    let properties = list(&[
        Property::ReasonString("r"),
        Property::UserProperty("k", "v"),
    ]);
    for (first, packet, code) in kinds {
        let success = packet(acknowledgement(
            0x0102,
            ReasonCode::SUCCESS,
            Properties::EMPTY,
        ));
        check(&mut seen, V3_1_1, &format!("{first} 02 0102"), success);
        check(&mut seen, V5_0, &format!("{first} 02 0102"), success);
        let coded = packet(acknowledgement(0x0102, code, Properties::EMPTY));
        check(
            &mut seen,
            V5_0,
            &format!("{first} 03 0102 {:02x}", code.0),
            coded,
        );
        let full = packet(acknowledgement(
            0x0102,
            ReasonCode::SUCCESS,
            properties.as_properties(),
        ));
        check(
            &mut seen,
            V5_0,
            &format!("{first} 0f 0102 00 0b 1f 0001 72 26 0001 6b 0001 76"),
            full,
        );
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn subscribe() {
    let mut seen = String::new();
    let mut subscriptions = SubscriptionList::new();
    subscriptions.push(
        "a/#",
        SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            ..SubscriptionOptions::default()
        },
    );
    subscriptions.push(
        "+",
        SubscriptionOptions {
            qos: QoS::ExactlyOnce,
            ..SubscriptionOptions::default()
        },
    );
    let plain = Subscribe {
        packet_id: id(10),
        properties: Properties::EMPTY,
        subscriptions: subscriptions.as_ref(),
    };
    check(
        &mut seen,
        V3_1_1,
        "82 0c 000a 0003 612f23 01 0001 2b 02",
        Packet::Subscribe(plain),
    );
    check(
        &mut seen,
        V5_0,
        "82 0d 000a 00 0003 612f23 01 0001 2b 02",
        Packet::Subscribe(plain),
    );
    let mut subscriptions = SubscriptionList::new();
    let options = SubscriptionOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    subscriptions.push("t", options);
    let options = SubscriptionOptions {
        no_local: false,
        retain_as_published: true,
        retain_handling: RetainHandling::SendIfNew,
        ..options
    };
    subscriptions.push("$share/g/t", options);
    let properties = list(&[
        Property::SubscriptionIdentifier(1),
        Property::UserProperty("k", "v"),
    ]);
    let full = Subscribe {
        packet_id: id(1),
        properties: properties.as_properties(),
        subscriptions: subscriptions.as_ref(),
    };
    let bytes = "82 1d 0001 09 0b 01 26 0001 6b 0001 76 0001 74 2e 000a 2473686172652f672f74 1a";
    check(&mut seen, V5_0, bytes, Packet::Subscribe(full));
    insta::assert_snapshot!(seen);
}

#[test]
fn sub_ack_unsubscribe_and_unsub_ack() {
    let mut seen = String::new();
    let properties = list(&[Property::ReasonString("r"), Property::UserProperty("", "v")]);
    let sub_ack = SubAck {
        packet_id: id(1),
        properties: Properties::EMPTY,
        codes: &[0, 1, 2, 0x80],
    };
    check(
        &mut seen,
        V3_1_1,
        "90 06 0001 00 01 02 80",
        Packet::SubAck(sub_ack),
    );
    let sub_ack = SubAck {
        packet_id: id(1),
        properties: properties.as_properties(),
        codes: &[0x8f, 0xa2],
    };
    check(
        &mut seen,
        V5_0,
        "90 0f 0001 0a 1f 0001 72 26 0000 0001 76 8f a2",
        Packet::SubAck(sub_ack),
    );
    let mut filters = FilterList::new();
    filters.push("a");
    filters.push("#");
    let unsubscribe = Unsubscribe {
        packet_id: id(0x1234),
        properties: Properties::EMPTY,
        filters: filters.as_ref(),
    };
    check(
        &mut seen,
        V3_1_1,
        "a2 08 1234 0001 61 0001 23",
        Packet::Unsubscribe(unsubscribe),
    );
    let user = list(&[Property::UserProperty("k", "v")]);
    let unsubscribe = Unsubscribe {
        properties: user.as_properties(),
        ..unsubscribe
    };
    check(
        &mut seen,
        V5_0,
        "a2 10 1234 07 26 0001 6b 0001 76 0001 61 0001 23",
        Packet::Unsubscribe(unsubscribe),
    );
    let unsub_ack = UnsubAck {
        packet_id: id(2),
        properties: Properties::EMPTY,
        codes: &[],
    };
    check(&mut seen, V3_1_1, "b0 02 0002", Packet::UnsubAck(unsub_ack));
    let unsub_ack = UnsubAck {
        codes: &[0x00, 0x11],
        ..unsub_ack
    };
    check(
        &mut seen,
        V5_0,
        "b0 05 0002 00 00 11",
        Packet::UnsubAck(unsub_ack),
    );
    let unsub_ack = UnsubAck {
        properties: properties.as_properties(),
        codes: &[0x87],
        ..unsub_ack
    };
    check(
        &mut seen,
        V5_0,
        "b0 0e 0002 0a 1f 0001 72 26 0000 0001 76 87",
        Packet::UnsubAck(unsub_ack),
    );
    insta::assert_snapshot!(seen);
}

#[test]
fn ping_disconnect_and_auth() {
    let mut seen = String::new();
    for version in Version::ALL {
        check(&mut seen, version, "c0 00", Packet::PingReq);
        check(&mut seen, version, "d0 00", Packet::PingResp);
        let normal = Disconnect {
            reason_code: ReasonCode::NORMAL_DISCONNECTION,
            properties: Properties::EMPTY,
        };
        check(&mut seen, version, "e0 00", Packet::Disconnect(normal));
    }
    let with_will = Disconnect {
        reason_code: ReasonCode::DISCONNECT_WITH_WILL_MESSAGE,
        properties: Properties::EMPTY,
    };
    check(&mut seen, V5_0, "e0 01 04", Packet::Disconnect(with_will));
    let properties = list(&[
        Property::SessionExpiryInterval(0),
        Property::ReasonString("r"),
        Property::UserProperty("k", "v"),
        Property::ServerReference("s"),
    ]);
    let moved = Disconnect {
        reason_code: ReasonCode::SERVER_MOVED,
        properties: properties.as_properties(),
    };
    let bytes = "e0 16 9d 14 11 00000000 1f 0001 72 26 0001 6b 0001 76 1c 0001 73";
    check(&mut seen, V5_0, bytes, Packet::Disconnect(moved));
    let bare = Auth {
        reason_code: ReasonCode::SUCCESS,
        properties: Properties::EMPTY,
    };
    check(&mut seen, V5_0, "f0 00", Packet::Auth(bare));
    let properties = list(&[
        Property::AuthenticationMethod("m"),
        Property::AuthenticationData(&[1, 2]),
        Property::ReasonString("r"),
        Property::UserProperty("k", "v"),
    ]);
    let auth = Auth {
        reason_code: ReasonCode::CONTINUE_AUTHENTICATION,
        properties: properties.as_properties(),
    };
    check(
        &mut seen,
        V5_0,
        "f0 16 18 14 15 0001 6d 16 0002 0102 1f 0001 72 26 0001 6b 0001 76",
        Packet::Auth(auth),
    );
    insta::assert_snapshot!(seen);
}

/// Variable Byte Integers at the edges of their lengths (table 1-1), in a property and as a Remaining Length.
#[test]
fn variable_byte_integers() {
    let edges = [
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2_097_151, "ffff7f"),
        (2_097_152, "80808001"),
        (268_435_455, "ffffff7f"),
    ];
    for (number, digits) in edges {
        let mut properties = PropertyList::new();
        properties.push(Property::SubscriptionIdentifier(number));
        assert_eq!(
            properties.as_properties().raw(),
            hex(&format!("0b {digits}"))
        );
        let bytes = properties.as_properties().raw();
        let place = Place::Packet(PacketType::Subscribe);
        let read = Properties::parse(bytes, place).unwrap();
        assert_eq!(
            read.subscription_identifiers().collect::<Vec<_>>(),
            [number]
        );
    }
    for (number, digits) in &edges[1..7] {
        // A topic of one byte and its length take three bytes of the body.
        let payload = vec![0; *number as usize - 3];
        let publish = Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: "t",
            packet_id: None,
            properties: Properties::EMPTY,
            payload: &payload,
        };
        let bytes = Packet::Publish(publish).to_bytes(V3_1_1).unwrap();
        assert!(bytes.starts_with(&hex(&format!("30 {digits} 0001 74"))));
        assert_eq!(frame(&bytes).decode(V3_1_1), Ok(Packet::Publish(publish)));
    }
}
