//! The suite's own tables say the same as the codec's: both were entered from the specification, and two do not err alike.

use std::collections::BTreeSet;

use quince_codec::{
    PacketType, ReasonCode, Version,
    property::{Place, TABLE, ValueType},
};
use quince_conformance::scenario::{
    field::{FIELDS, Kind, PacketName, property_field},
    reason::REASON_CODES,
};

/// The specification's name with hyphens.
fn hyphened(name: &str) -> String {
    name.to_lowercase().replace([' ', '_'], "-")
}

fn packet_name(packet: PacketType) -> PacketName {
    PacketName::parse(&packet.to_string()).expect("both know the packets")
}

#[test]
fn properties_have_the_same_names_types_and_packets() {
    let properties = FIELDS.iter().filter(|field| field.property.is_some());
    assert_eq!(properties.count(), TABLE.len());
    for definition in TABLE {
        let field = property_field(definition.identifier).expect("both know the property");
        assert_eq!(field.name, hyphened(definition.name));
        let kind = match definition.value_type {
            ValueType::Byte => Kind::Number(0xff),
            ValueType::TwoByteInteger => Kind::Number(0xffff),
            ValueType::FourByteInteger => Kind::Number(0xffff_ffff),
            ValueType::VariableByteInteger => Kind::Number(268_435_455),
            ValueType::Utf8EncodedString => Kind::Text,
            ValueType::BinaryData => Kind::Bytes,
            ValueType::Utf8StringPair => Kind::Pair,
        };
        assert_eq!(field.kind, kind, "{}", field.name);
        let theirs: BTreeSet<&str> = definition
            .places
            .iter()
            .map(|place| match place {
                Place::Will => PacketName::Will.name(),
                Place::Packet(packet) => packet_name(*packet).name(),
            })
            .collect();
        let ours: BTreeSet<&str> = field.in_5_0.iter().map(|packet| packet.name()).collect();
        assert_eq!(ours, theirs, "{}", field.name);
        assert_eq!(
            field.repeatable,
            !definition.repeatable.is_empty(),
            "{}",
            field.name
        );
        assert!(!field.belongs_to(PacketName::Publish, Version::V3_1_1));
    }
}

#[test]
fn reason_codes_have_the_same_names() {
    let ours: BTreeSet<(String, u8)> = REASON_CODES
        .iter()
        .map(|(name, code)| ((*name).to_owned(), *code))
        .collect();
    let codes: BTreeSet<u8> = ReasonCode::TABLE
        .iter()
        .map(|definition| definition.code.0)
        .collect();
    assert_eq!(
        ours.iter().map(|(_, code)| *code).collect::<BTreeSet<_>>(),
        codes
    );
    for definition in ReasonCode::TABLE {
        // 0x00 has three names, one for each kind of packet.
        if definition.code.0 != 0 {
            let theirs = (hyphened(definition.name), definition.code.0);
            assert!(ours.contains(&theirs), "{theirs:?}");
        }
    }
}
