//! The tables as they are, so that a change to one is seen.

use std::fmt::Write as _;

use quince_codec::property::{Place, TABLE};
use quince_codec::{
    ConnectReturnCode, ConnectionState, DecodeError, DecodeErrorKind, PacketType, ReasonCode,
    Version, error_response,
};

fn names(places: &[Place]) -> String {
    let name = |place: &Place| match place {
        Place::Packet(packet_type) => packet_type.name(),
        Place::Will => "Will",
    };
    places.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn properties() {
    let mut text = String::new();
    for row in TABLE {
        let repeatable = match row.repeatable {
            [] => "nowhere".to_owned(),
            everywhere if everywhere == row.places => "everywhere".to_owned(),
            some => names(some),
        };
        let places = names(row.places);
        writeln!(
            text,
            "{:02x} {} | {:?} | {places} | repeatable {repeatable}",
            row.identifier, row.name, row.value_type
        )
        .unwrap();
    }
    assert_eq!(TABLE.len(), 27);
    insta::assert_snapshot!(text);
}

#[test]
fn reason_codes() {
    let mut text = String::new();
    for row in ReasonCode::TABLE {
        let packets = row
            .packets
            .iter()
            .map(|packet| packet.name())
            .collect::<Vec<_>>()
            .join(" ");
        let return_code = ConnectReturnCode::from_reason_code(row.code)
            .map_or_else(String::new, |code| format!(" | CONNACK in 3.1.1: {code}"));
        writeln!(
            text,
            "{:02x} {} | {packets}{return_code}",
            row.code.0, row.name
        )
        .unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_reason_code_is_allowed_where_the_table_says() {
    for code in 0..=u8::MAX {
        let row = ReasonCode::TABLE.iter().find(|row| row.code.0 == code);
        for packet_type in PacketType::ALL {
            let expected = row.is_some_and(|row| row.packets.contains(&packet_type));
            assert_eq!(
                ReasonCode(code).allowed_in(packet_type),
                expected,
                "{code:02x} in {packet_type}"
            );
        }
        let name = row.map_or("Unknown", |row| row.name);
        assert_eq!(
            (ReasonCode(code).name(), ReasonCode(code).is_error()),
            (name, code >= 0x80)
        );
    }
}

/// What each error leads to, in each version and state.
#[test]
fn error_responses() {
    let mut text = String::new();
    for &kind in DecodeErrorKind::ALL {
        writeln!(text, "{kind:?} ({:?}): {kind}", kind.class()).unwrap();
        for version in [
            None,
            Some(Version::V3_1),
            Some(Version::V3_1_1),
            Some(Version::V5_0),
        ] {
            let name = version.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
            let error = DecodeError {
                kind,
                packet_type: None,
                offset: 0,
            };
            let answer = |state| error_response(error, version, state);
            let before = answer(ConnectionState::AwaitingConnect);
            let after = answer(ConnectionState::Connected);
            writeln!(text, "    {name}: {before:?}, then {after:?}").unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn an_error_is_small_and_tells_where() {
    assert_eq!(size_of::<DecodeError>(), 8);
    let error = DecodeError {
        kind: DecodeErrorKind::PublishQoS3,
        packet_type: Some(PacketType::Publish),
        offset: 0,
    };
    assert_eq!(
        error.to_string(),
        "PUBLISH: the QoS of PUBLISH is 3 (at byte 0)"
    );
}

#[test]
fn versions_and_return_codes_by_name() {
    for version in Version::ALL {
        assert_eq!(version.to_string().parse(), Ok(version));
        assert_eq!(Version::from_level(version.level()), Some(version));
    }
    assert!("3.0".parse::<Version>().is_err());
    for code in 0..=5 {
        let code = ConnectReturnCode(code);
        assert_eq!(
            ConnectReturnCode::from_reason_code(code.to_reason_code()),
            Some(code)
        );
    }
}
