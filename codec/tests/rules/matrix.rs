//! Every property in every place, once and twice, and every code in every packet: decoding goes by the tables.

use quince_codec::property::{Place, TABLE};
use quince_codec::{
    DecodeErrorKind, Packet, PacketType, Properties, Property, PropertyList, ReasonCode, Version,
};

use crate::value::property;

/// The places that have properties.
fn places() -> Vec<Place> {
    let packets = PacketType::ALL
        .into_iter()
        .filter(|packet_type| !matches!(packet_type, PacketType::PingReq | PacketType::PingResp))
        .map(Place::Packet);
    packets.chain([Place::Will]).collect()
}

/// A packet of version 5.0 with this block of properties in that place, and this code where there is one.
fn packet(place: Place, block: &[u8], code: u8) -> Vec<u8> {
    let block = [&[u8::try_from(block.len()).unwrap()], block].concat();
    let (first, body): (u8, Vec<u8>) = match place {
        Place::Will => (
            0x10,
            [b"\0\x04MQTT\x05\x06\0\0\0\0\0", &block[..], b"\0\x01w\0\0"].concat(),
        ),
        Place::Packet(PacketType::Connect) => (
            0x10,
            [b"\0\x04MQTT\x05\x02\0\0", &block[..], b"\0\0"].concat(),
        ),
        Place::Packet(packet_type) => match packet_type {
            PacketType::ConnAck => (0x20, [&[0, code], &block[..]].concat()),
            PacketType::Publish => (0x30, [b"\0\x01t", &block[..]].concat()),
            PacketType::PubRel => (0x62, [&[0, 1, code], &block[..]].concat()),
            PacketType::PubAck | PacketType::PubRec | PacketType::PubComp => (
                (packet_type as u8) << 4,
                [&[0, 1, code], &block[..]].concat(),
            ),
            PacketType::Subscribe => (0x82, [&[0, 1], &block[..], b"\0\x01t\0"].concat()),
            PacketType::Unsubscribe => (0xa2, [&[0, 1], &block[..], b"\0\x01t"].concat()),
            PacketType::SubAck | PacketType::UnsubAck => (
                (packet_type as u8) << 4,
                [&[0, 1], &block[..], &[code]].concat(),
            ),
            PacketType::Disconnect | PacketType::Auth => {
                ((packet_type as u8) << 4, [&[code], &block[..]].concat())
            }
            PacketType::Connect | PacketType::PingReq | PacketType::PingResp => unreachable!(),
        },
    };
    [&[first, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

/// What becomes of this block in that place.
fn judge(place: Place, block: &[u8]) -> Result<(), DecodeErrorKind> {
    let bytes = packet(place, block, 0);
    let in_packet = Packet::decode(&bytes, Version::V5_0).map(|_| ());
    // Alone it is judged alike, but for what a packet must have beside it.
    let alone = Properties::parse(block, place).map(|_| ());
    if alone.is_err() {
        assert_eq!(
            alone.map_err(|error| error.kind),
            in_packet.map_err(|error| error.kind)
        );
    }
    in_packet.map_err(|error| error.kind)
}

/// A list with the property in it, after the method without which some places do not take it.
fn with_method(identifier: u8, place: Place) -> PropertyList {
    let mut list = PropertyList::new();
    let needs = identifier == 0x16 || place == Place::Packet(PacketType::Auth);
    if needs && identifier != 0x15 {
        list.push(Property::AuthenticationMethod("m"));
    }
    list.push(property(identifier, 1, "text", "topic"));
    list
}

#[test]
fn a_property_is_allowed_and_repeated_where_the_table_says() {
    for row in TABLE {
        for place in places() {
            let name = format!("{} in {place:?}", row.name);
            let is_allowed = row.places.contains(&place);
            let mut list = PropertyList::new();
            if is_allowed {
                list = with_method(row.identifier, place);
            } else {
                list.push(property(row.identifier, 1, "text", "topic"));
            }
            let once = judge(place, list.as_properties().raw());
            let expected = if is_allowed {
                Ok(())
            } else {
                Err(DecodeErrorKind::PropertyNotAllowed)
            };
            assert_eq!(once, expected, "{name}");
            if !is_allowed {
                continue;
            }
            list.push(property(row.identifier, 2, "other", "other"));
            let twice = judge(place, list.as_properties().raw());
            let expected = if row.repeatable.contains(&place) {
                Ok(())
            } else {
                Err(DecodeErrorKind::DuplicateProperty)
            };
            assert_eq!(twice, expected, "{name}, twice");
        }
    }
}

#[test]
fn an_identifier_without_a_row_is_unknown_everywhere() {
    for identifier in 0..0x80 {
        if TABLE.iter().any(|row| row.identifier == identifier) {
            continue;
        }
        for place in places() {
            assert_eq!(
                judge(place, &[identifier, 0]),
                Err(DecodeErrorKind::UnknownProperty),
                "{identifier:02x} in {place:?}"
            );
        }
    }
    // With more than seven bits, too.
    for block in [[0xff, 0x01, 0], [0xa6, 0x01, 0]] {
        let unknown = judge(Place::Will, &block);
        assert_eq!(
            unknown,
            Err(DecodeErrorKind::UnknownProperty),
            "{block:02x?}"
        );
    }
}

/// Values that a property may not have, wherever it is allowed.
const FAULTS: &[(&[u8], DecodeErrorKind)] = &[
    (&[0x01, 2], DecodeErrorKind::InvalidFlagProperty),
    (&[0x17, 2], DecodeErrorKind::InvalidFlagProperty),
    (&[0x19, 0xff], DecodeErrorKind::InvalidFlagProperty),
    (&[0x24, 2], DecodeErrorKind::InvalidFlagProperty),
    (&[0x25, 2], DecodeErrorKind::InvalidFlagProperty),
    (&[0x28, 2], DecodeErrorKind::InvalidFlagProperty),
    (&[0x29, 2], DecodeErrorKind::InvalidFlagProperty),
    (&[0x2a, 2], DecodeErrorKind::InvalidFlagProperty),
    (&[0x21, 0, 0], DecodeErrorKind::ReceiveMaximumZero),
    (&[0x27, 0, 0, 0, 0], DecodeErrorKind::MaximumPacketSizeZero),
    (&[0x23, 0, 0], DecodeErrorKind::TopicAliasZero),
    (&[0x0b, 0], DecodeErrorKind::SubscriptionIdentifierZero),
    (&[0x08, 0, 0], DecodeErrorKind::ResponseTopicInvalid),
    (&[0x08, 0, 1, b'+'], DecodeErrorKind::ResponseTopicInvalid),
    (&[0x08, 0, 1, b'#'], DecodeErrorKind::ResponseTopicInvalid),
];

#[test]
fn a_value_is_refused_wherever_the_property_is_allowed() {
    for (block, kind) in FAULTS {
        let row = TABLE.iter().find(|row| row.identifier == block[0]).unwrap();
        for place in row.places {
            assert_eq!(
                judge(*place, block),
                Err(*kind),
                "{} in {place:?}",
                row.name
            );
        }
    }
}

/// Every property cut off by one byte, everywhere.
#[test]
fn a_property_without_its_end_is_refused() {
    for row in TABLE {
        for place in row.places {
            let list = with_method(row.identifier, *place);
            let raw = list.as_properties().raw();
            let cut = judge(*place, &raw[..raw.len() - 1]);
            assert_eq!(
                cut,
                Err(DecodeErrorKind::Truncated),
                "{} in {place:?}",
                row.name
            );
        }
    }
}

#[test]
fn a_code_is_decoded_where_the_table_says() {
    let method = b"\x15\0\x01m";
    for packet_type in PacketType::ALL {
        let place = Place::Packet(packet_type);
        let has_code = ReasonCode::TABLE
            .iter()
            .any(|row| row.packets.contains(&packet_type));
        for code in (0..=u8::MAX).filter(|_| has_code) {
            let block = match packet_type {
                PacketType::Auth => &method[..],
                _ => &[],
            };
            let bytes = packet(place, block, code);
            let allowed = ReasonCode(code).allowed_in(packet_type);
            let decoded = Packet::decode(&bytes, Version::V5_0).map(|_| ());
            let expected = if allowed {
                Ok(())
            } else {
                Err(DecodeErrorKind::ReasonCodeNotAllowed)
            };
            assert_eq!(
                decoded.map_err(|error| error.kind),
                expected,
                "{code:02x} in {packet_type}"
            );
        }
    }
}
