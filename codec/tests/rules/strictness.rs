//! Every rule by which one packet is refused: an example, its nearest twin that is accepted, and what follows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use quince_codec::{
    ConnectionState, DecodeError, DecodeErrorKind, ErrorResponse, Framer, Packet, PacketType,
    Properties, Publish, QoS,
    Version::{self, V3_1, V3_1_1, V5_0},
    error_response,
};

use crate::bytes_to::{frame, hex};

/// Limit of the framer in these tests.
const MAX_PACKET_SIZE: u32 = 64;

/// The rules, in columns that the file explains.
const RULES: &str = include_str!("strictness.txt");

pub(crate) struct Rule {
    /// The comment it stands below.
    pub(crate) section: &'static str,
    pub(crate) version: Version,
    pub(crate) refused: &'static str,
    pub(crate) twin: &'static str,
    /// Kind and offset.
    pub(crate) error: &'static str,
    pub(crate) answer: &'static str,
}

pub(crate) fn rules() -> impl Iterator<Item = Rule> {
    let mut section = "";
    RULES
        .lines()
        .filter(move |line| !line.is_empty())
        .filter_map(move |line| {
            if let Some(comment) = line.strip_prefix("# ") {
                section = comment;
                return None;
            }
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let [version, refused, twin, error, answer] = columns[..] else {
                panic!("not five columns: {line}")
            };
            Some(Rule {
                section,
                version: version.parse().unwrap(),
                refused,
                twin,
                error,
                answer,
            })
        })
}

/// Whatever one byte more, less or other makes of an accepted twin, the table knows the error for that packet and version.
#[test]
fn no_error_is_missing_in_the_table() {
    let known: BTreeSet<(Version, Option<PacketType>, String)> = rules()
        .map(|rule| {
            let kind = rule.error.split(' ').next().unwrap_or_default();
            let first = hex(rule.refused)[0];
            let packet_type = PacketType::from_number(first >> 4);
            (rule.version, packet_type, kind.to_owned())
        })
        .collect();
    let mut missing = BTreeMap::new();
    for rule in rules() {
        for version in Version::ALL {
            for bytes in neighbours(&hex(rule.twin)) {
                let Err(error) = Packet::decode(&bytes, version) else {
                    continue;
                };
                // CONNECT tells its version itself, if it still does.
                let version = if bytes[0] >> 4 == 1 {
                    let frame = frame(&bytes);
                    frame.connect_version().unwrap_or(rule.version)
                } else {
                    version
                };
                let key = (version, error.packet_type, format!("{:?}", error.kind));
                if !known.contains(&key) {
                    missing
                        .entry(key)
                        .or_insert_with(|| format!("{} | {bytes:02x?} | {}", version, rule.twin));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The packets that differ from this one in one byte of the first byte or the body, with the Remaining Length set right.
fn neighbours(packet: &[u8]) -> Vec<Vec<u8>> {
    let [first, _, body @ ..] = packet else {
        panic!("a header has two bytes here: {packet:02x?}")
    };
    let mut bodies = Vec::new();
    for at in 0..body.len() {
        for byte in 0..=u8::MAX {
            let mut other = body.to_vec();
            other[at] = byte;
            bodies.push(other);
        }
        let mut shorter = body.to_vec();
        shorter.remove(at);
        bodies.push(shorter);
        let mut longer = body.to_vec();
        longer.insert(at, body[at]);
        bodies.push(longer);
    }
    bodies.push([body, &[0]].concat());
    let with_header = |first: u8, body: &[u8]| {
        let length = u8::try_from(body.len())
            .ok()
            .filter(|length| *length < 0x80);
        [&[first, length.unwrap()][..], body].concat()
    };
    let flags = (0..16).map(|flags| with_header(first & 0xf0 | flags, body));
    bodies
        .iter()
        .map(|body| with_header(*first, body))
        .chain(flags)
        .collect()
}

/// What differs between the versions: the same bytes, accepted in one and refused in the other.
const ONLY_IN: &[(&[Version], &str)] = &[
    (&[V3_1, V3_1_1], "c0 8000"),
    (&[V5_0], "f0 00"),
    (&[V5_0], "40 03 0001 10"),
    (&[V5_0], "e0 01 04"),
    (&[V5_0], "82 07 0001 00 0001 74 2c"),
    (&[V3_1, V3_1_1], "30 03 000174"),
    (&[V5_0], "30 06 0000 03 23 0001"),
    // Sent again, or with a flag that 3.1 does not use.
    (&[V3_1], "6a 02 0001"),
    (&[V3_1], "8a 06 0001 0001 74 00"),
    (&[V3_1], "aa 05 0001 0001 74"),
    (&[V3_1], "cf 00"),
    (&[V3_1], "4f 02 0001"),
    // The byte before the return code is not used in 3.1, and Session Present came with 3.1.1.
    (&[V3_1], "20 02 ff 05"),
    (&[V3_1_1], "90 03 0001 80"),
];

fn decode(bytes: &str, version: Version) -> Result<(), (DecodeError, Option<Version>)> {
    let mut framer = Framer::new(MAX_PACKET_SIZE);
    framer.push(&hex(bytes));
    let frame = framer
        .next_frame()
        .map_err(|error| (error, Some(version)))?
        .unwrap_or_else(|| panic!("{bytes} is short"));
    let known = if frame.packet_type() == Some(PacketType::Connect) {
        frame.connect_version()
    } else {
        Some(version)
    };
    frame
        .decode(version)
        .map(|_| ())
        .map_err(|error| (error, known))
}

fn answer(error: DecodeError, version: Option<Version>) -> String {
    let state = match error.packet_type {
        Some(PacketType::Connect) => ConnectionState::AwaitingConnect,
        _ => ConnectionState::Connected,
    };
    match error_response(error, version, state) {
        ErrorResponse::ConnAck(code) => format!("CONNACK {code:02x}"),
        ErrorResponse::Disconnect(code) => format!("DISCONNECT {:02x}", code.0),
        ErrorResponse::Close => "close".to_owned(),
    }
}

#[test]
fn every_rule_refuses_its_example_and_accepts_the_twin() {
    let mut words = String::new();
    for rule in rules() {
        let name = format!("{} in {}: {}", rule.error, rule.version, rule.refused);
        let Err((error, known)) = decode(rule.refused, rule.version) else {
            panic!("accepted: {name}")
        };
        assert_eq!(
            format!("{:?} {}", error.kind, error.offset),
            rule.error,
            "{name}"
        );
        assert_eq!(answer(error, known), rule.answer, "{name}");
        assert_eq!(
            decode(rule.twin, rule.version),
            Ok(()),
            "the twin of {name}"
        );
        writeln!(
            words,
            "{} | {} | {error} | {}",
            rule.version, rule.refused, rule.answer
        )
        .unwrap();
    }
    insta::assert_snapshot!(words);
}

#[test]
fn every_kind_of_error_has_a_rule() {
    for kind in DecodeErrorKind::ALL {
        let name = format!("{kind:?}");
        // An example of it is too long for the table.
        if *kind == DecodeErrorKind::TopicNameTooLong {
            continue;
        }
        assert!(
            rules().any(|rule| rule.error.split(' ').next() == Some(&name)),
            "{name}"
        );
    }
}

#[test]
fn the_versions_differ_where_they_should() {
    for &(versions, bytes) in ONLY_IN {
        for other in Version::ALL {
            assert_eq!(
                decode(bytes, other).is_ok(),
                versions.contains(&other),
                "{bytes} in {other}"
            );
        }
    }
}

/// CONNECT goes by its own version, and a password may stand alone from 5.0 on.
#[test]
fn connect_tells_its_version() {
    let alone = "10 0f 0004 4d515454 05 42 0000 00 0000 0000";
    for version in Version::ALL {
        assert_eq!(decode(alone, version), Ok(()));
        assert_eq!(
            decode("10 0c 0004 4d515454 04 02 0000 0000", version),
            Ok(())
        );
    }
}

/// The strings whose flags are set may be missing at the end in 3.1, and the flags of no will are passed over.
#[test]
fn what_3_1_disregards_in_connect() {
    for (bytes, canonical) in [
        (
            "10 0f 0006 4d5149736470 03 c0 0000 0001 63",
            "10 0f 0006 4d5149736470 03 00 0000 0001 63",
        ),
        (
            "10 12 0006 4d5149736470 03 c0 0000 0001 63 0001 75",
            "10 12 0006 4d5149736470 03 80 0000 0001 63 0001 75",
        ),
        (
            "10 0f 0006 4d5149736470 03 38 0000 0001 63",
            "10 0f 0006 4d5149736470 03 00 0000 0001 63",
        ),
        (
            "1f 0f 0006 4d5149736470 03 02 0000 0001 63",
            "10 0f 0006 4d5149736470 03 02 0000 0001 63",
        ),
    ] {
        let frame = frame(&hex(bytes));
        let packet = frame.decode(V5_0).unwrap();
        assert_eq!(packet.to_bytes(V3_1).unwrap(), hex(canonical), "{bytes}");
    }
}

/// Counted in characters, and only there.
#[test]
fn topic_names_of_3_1_have_at_most_32_767_characters() {
    for (character, version, length, good) in [
        ("t", V3_1, 32_767, true),
        ("t", V3_1, 32_768, false),
        ("\u{e9}", V3_1, 32_767, true),
        ("t", V3_1_1, 65_535, true),
    ] {
        let topic = character.repeat(length);
        let publish = Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: &topic,
            packet_id: None,
            properties: Properties::EMPTY,
            payload: b"",
        };
        let bytes = Packet::Publish(publish).to_bytes(version).unwrap();
        let decoded = Packet::decode(&bytes, version).map_err(|error| (error.kind, error.offset));
        let expected = if good {
            Ok(Packet::Publish(publish))
        } else {
            Err((DecodeErrorKind::TopicNameTooLong, 4))
        };
        assert_eq!(decoded, expected, "{length} times {character} in {version}");
    }
}

/// Bad Topic Filters are the server's to answer, one by one.
#[test]
fn bad_filters_are_left_to_the_caller() {
    for bytes in [
        "82 06 0001 00 0000 00",
        "82 08 0001 00 0002 2361 00",
        "a2 07 0001 00 0002 2b2b",
    ] {
        assert_eq!(decode(bytes, V5_0), Ok(()), "{bytes}");
    }
}

/// An empty Client Identifier without Clean Session too [MQTT3-3.1.3-8].
#[test]
fn an_empty_client_identifier_is_left_to_the_caller() {
    assert_eq!(
        decode("10 0c 0004 4d515454 04 00 0000 0000", V3_1_1),
        Ok(())
    );
}

/// Of two errors of one kind, the first is told.
#[test]
fn the_first_wrong_reason_code_is_named() {
    let offset = |bytes, version| {
        let (error, _) = decode(bytes, version).expect_err("two codes are wrong");
        assert_eq!(error.kind, DecodeErrorKind::ReasonCodeNotAllowed);
        error.offset
    };
    assert_eq!(offset("90 05 0001 00 03 04", V3_1_1), 5);
    assert_eq!(offset("90 06 0001 00 00 04 03", V5_0), 6);
    assert_eq!(offset("b0 06 0001 00 01 11 02", V5_0), 5);
}
