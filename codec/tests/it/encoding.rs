//! What cannot be encoded is refused, and leaves the buffer alone.

use quince_codec::{
    Acknowledgement, Auth, ConnAck, Connect, Disconnect, EncodeError, FilterList, Packet, PacketId,
    Properties, Property, PropertyList, Publish, QoS, ReasonCode, SubAck, Subscribe,
    SubscriptionList, SubscriptionOptions, UnsubAck, Unsubscribe,
    Version::{self, V3_1, V3_1_1, V5_0},
    Will,
};

const NOTHING: Publish<'_> = Publish {
    dup: false,
    qos: QoS::AtMostOnce,
    retain: false,
    topic: "t",
    packet_id: None,
    properties: Properties::EMPTY,
    payload: b"",
};

const CONNECT: Connect<'_> = Connect {
    version: V3_1_1,
    clean_start: true,
    keep_alive: 0,
    properties: Properties::EMPTY,
    client_id: "",
    will: None,
    user_name: None,
    password: None,
};

#[track_caller]
fn refused(packet: Packet<'_>, version: Version, error: EncodeError) {
    let mut buffer = b"before".to_vec();
    assert_eq!(packet.encoded_len(version), Err(error));
    assert_eq!(packet.encode(version, &mut buffer), Err(error));
    assert_eq!(packet.to_bytes(version), Err(error));
    assert_eq!(buffer, b"before");
}

fn id() -> PacketId {
    PacketId::new(1).unwrap()
}

#[test]
fn a_string_has_at_most_65535_bytes() {
    let longest = "x".repeat(65_535);
    let too_long = "x".repeat(65_536);
    let publish = |topic| Packet::Publish(Publish { topic, ..NOTHING });
    assert_eq!(
        publish(&longest).encoded_len(V3_1_1),
        Ok(1 + 3 + 2 + 65_535)
    );
    refused(publish(&too_long), V3_1_1, EncodeError::StringTooLong);
    let error = EncodeError::StringTooLong;
    refused(
        Packet::Connect(Connect {
            client_id: &too_long,
            ..CONNECT
        }),
        V3_1_1,
        error,
    );
    refused(
        Packet::Connect(Connect {
            user_name: Some(&too_long),
            ..CONNECT
        }),
        V3_1_1,
        error,
    );
    let password = Some(too_long.as_bytes());
    refused(
        Packet::Connect(Connect {
            user_name: Some(""),
            password,
            ..CONNECT
        }),
        V3_1_1,
        error,
    );
    let will = Will {
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
        topic: "t",
        payload: b"",
    };
    let payload = too_long.as_bytes();
    refused(
        Packet::Connect(Connect {
            will: Some(Will { payload, ..will }),
            ..CONNECT
        }),
        V3_1_1,
        error,
    );
    refused(
        Packet::Connect(Connect {
            will: Some(Will {
                topic: &too_long,
                ..will
            }),
            ..CONNECT
        }),
        V3_1_1,
        error,
    );
    let mut subscriptions = SubscriptionList::new();
    subscriptions.push("fits", SubscriptionOptions::default());
    subscriptions.push(&too_long, SubscriptionOptions::default());
    let subscriptions = subscriptions.as_ref();
    refused(
        Packet::Subscribe(Subscribe {
            packet_id: id(),
            properties: Properties::EMPTY,
            subscriptions,
        }),
        V5_0,
        error,
    );
    let mut filters = FilterList::new();
    filters.push(&too_long);
    let filters = filters.as_ref();
    refused(
        Packet::Unsubscribe(Unsubscribe {
            packet_id: id(),
            properties: Properties::EMPTY,
            filters,
        }),
        V5_0,
        error,
    );
}

#[test]
fn a_property_that_cannot_be_written_spoils_its_list() {
    let too_long = "x".repeat(65_536);
    let bad = [
        (
            Property::UserProperty("", &too_long),
            EncodeError::StringTooLong,
        ),
        (
            Property::UserProperty(&too_long, ""),
            EncodeError::StringTooLong,
        ),
        (
            Property::ReasonString(&too_long),
            EncodeError::StringTooLong,
        ),
        (
            Property::CorrelationData(too_long.as_bytes()),
            EncodeError::StringTooLong,
        ),
        (
            Property::SubscriptionIdentifier(268_435_456),
            EncodeError::IntegerTooLarge,
        ),
    ];
    for (property, error) in bad {
        let mut list = PropertyList::new();
        list.push(property);
        assert!(!list.is_empty());
        let properties = list.as_properties();
        for version in Version::ALL {
            refused(
                Packet::Publish(Publish {
                    properties,
                    ..NOTHING
                }),
                version,
                error,
            );
        }
        let reason_code = ReasonCode::SUCCESS;
        refused(
            Packet::Disconnect(Disconnect {
                reason_code,
                properties,
            }),
            V5_0,
            error,
        );
        refused(
            Packet::Auth(Auth {
                reason_code,
                properties,
            }),
            V5_0,
            error,
        );
        list.push(Property::ContentType("a good one"));
        refused(
            Packet::Publish(Publish {
                properties: list.as_properties(),
                ..NOTHING
            }),
            V5_0,
            error,
        );
        list.clear();
        assert!(list.is_empty());
        let properties = list.as_properties();
        assert!(
            Packet::Publish(Publish {
                properties,
                ..NOTHING
            })
            .to_bytes(V5_0)
            .is_ok()
        );
    }
}

#[test]
fn a_packet_has_a_largest_size() {
    // A topic of one byte and its length take three of the 268,435,455 bytes.
    let payload = vec![0; 268_435_453];
    let fits = Packet::Publish(Publish {
        payload: &payload[..268_435_452],
        ..NOTHING
    });
    assert_eq!(fits.encoded_len(V3_1_1), Ok(268_435_460));
    refused(fits, V5_0, EncodeError::PacketTooLarge);
    refused(
        Packet::Publish(Publish {
            payload: &payload,
            ..NOTHING
        }),
        V3_1_1,
        EncodeError::PacketTooLarge,
    );
}

#[test]
fn version_3_1_1_has_no_place_for_what_came_later() {
    let list: PropertyList = [Property::UserProperty("k", "v")].into_iter().collect();
    let properties = list.as_properties();
    let (packet_id, reason_code) = (id(), ReasonCode::SUCCESS);
    let no_subscriptions = SubscriptionList::new();
    let no_filters = FilterList::new();
    let will = Will {
        qos: QoS::AtMostOnce,
        retain: false,
        properties,
        topic: "t",
        payload: b"",
    };
    let packets = [
        Packet::Connect(Connect {
            properties,
            ..CONNECT
        }),
        Packet::Connect(Connect {
            will: Some(will),
            ..CONNECT
        }),
        Packet::Connect(Connect {
            password: Some(b"p"),
            ..CONNECT
        }),
        Packet::Publish(Publish {
            properties,
            ..NOTHING
        }),
        Packet::PubAck(Acknowledgement {
            packet_id,
            reason_code,
            properties,
        }),
        Packet::PubRel(Acknowledgement {
            packet_id,
            reason_code: ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
            properties: Properties::EMPTY,
        }),
        Packet::Subscribe(Subscribe {
            packet_id,
            properties,
            subscriptions: no_subscriptions.as_ref(),
        }),
        Packet::SubAck(SubAck {
            packet_id,
            properties,
            codes: &[0],
        }),
        Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties,
            filters: no_filters.as_ref(),
        }),
        Packet::UnsubAck(UnsubAck {
            packet_id,
            properties: Properties::EMPTY,
            codes: &[0],
        }),
        Packet::Disconnect(Disconnect {
            reason_code,
            properties,
        }),
        Packet::Disconnect(Disconnect {
            reason_code: ReasonCode::SERVER_BUSY,
            properties: Properties::EMPTY,
        }),
        Packet::Auth(Auth {
            reason_code,
            properties: Properties::EMPTY,
        }),
    ];
    for packet in packets {
        refused(packet, V3_1_1, EncodeError::NotInVersion);
    }
    let mut subscriptions = SubscriptionList::new();
    subscriptions.push(
        "t",
        SubscriptionOptions {
            no_local: true,
            ..SubscriptionOptions::default()
        },
    );
    let subscriptions = subscriptions.as_ref();
    let packet = Packet::Subscribe(Subscribe {
        packet_id,
        properties: Properties::EMPTY,
        subscriptions,
    });
    refused(packet, V3_1_1, EncodeError::NotInVersion);
    assert!(packet.to_bytes(V5_0).is_ok());
}

#[test]
fn a_packet_identifier_goes_with_qos_above_0() {
    let packet_id = Some(id());
    refused(
        Packet::Publish(Publish {
            packet_id,
            ..NOTHING
        }),
        V5_0,
        EncodeError::PacketIdentifierWithQoS0,
    );
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        refused(
            Packet::Publish(Publish { qos, ..NOTHING }),
            V5_0,
            EncodeError::PacketIdentifierMissing,
        );
    }
}

/// The byte that tells it has no meaning in 3.1.
#[test]
fn connack_of_3_1_does_not_tell_of_a_session() {
    let connack = |session_present| {
        Packet::ConnAck(ConnAck {
            session_present,
            code: 0,
            properties: Properties::EMPTY,
        })
    };
    refused(connack(true), V3_1, EncodeError::NotInVersion);
    assert_eq!(&connack(false).to_bytes(V3_1).unwrap()[..], [0x20, 2, 0, 0]);
    assert_eq!(
        &connack(true).to_bytes(V3_1_1).unwrap()[..],
        [0x20, 2, 1, 0]
    );
}

#[test]
fn a_buffer_too_small_is_not_overrun() {
    let packet = Packet::Publish(NOTHING);
    let mut memory = [0; 6];
    assert_eq!(packet.encode(V5_0, &mut &mut memory[..]), Ok(()));
    assert_eq!(memory, [0x30, 4, 0, 1, b't', 0]);
    let mut memory = [0; 5];
    assert_eq!(
        packet.encode(V5_0, &mut &mut memory[..]),
        Err(EncodeError::BufferTooSmall)
    );
    assert_eq!(memory, [0; 5]);
}

/// Tests of brokers send what no broker may take.
#[test]
fn what_decoding_refuses_can_be_encoded() {
    let list: PropertyList = [Property::TopicAlias(0), Property::ContentType("t")]
        .into_iter()
        .collect();
    let properties = list.as_properties();
    assert_eq!(
        (properties.topic_alias(), properties.content_type()),
        (Some(0), Some("t"))
    );
    let packet = Packet::Publish(Publish {
        topic: "a/#",
        properties,
        ..NOTHING
    });
    assert_eq!(
        &packet.to_bytes(V5_0).unwrap()[..],
        b"\x30\x0d\x00\x03a/#\x07\x23\x00\x00\x03\x00\x01t"
    );
}
