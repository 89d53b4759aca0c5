//! The properties of MQTT 5.0: one table of what they are, and where they may stand (section 2.2.2.2).

mod block;
mod value;

pub use block::{Properties, PropertyIter, PropertyList};
pub use value::{Property, Value};

use value::check_value;

use crate::PacketType;

/// What holds properties: a packet, or the will in CONNECT, which has properties of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The properties of a packet of that type.
    Packet(PacketType),
    /// The Will Properties of CONNECT.
    Will,
}

impl Place {
    /// One bit: that of the packet type's number, or the lowest, which no type has.
    const fn bit(self) -> u16 {
        match self {
            Self::Packet(packet_type) => 1 << packet_type as u16,
            Self::Will => 1,
        }
    }
}

/// How the value of a property is written (section 1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the specification's names say it")]
pub enum ValueType {
    Byte,
    TwoByteInteger,
    FourByteInteger,
    VariableByteInteger,
    Utf8EncodedString,
    BinaryData,
    Utf8StringPair,
}

/// One row of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Property Identifier.
    pub identifier: u8,
    /// The specification's name.
    pub name: &'static str,
    /// How the value is written.
    pub value_type: ValueType,
    /// Where the property may stand.
    pub places: &'static [Place],
    /// Where it may stand more than once.
    pub repeatable: &'static [Place],
}

const CONNECT: Place = Place::Packet(PacketType::Connect);
const CONNACK: Place = Place::Packet(PacketType::ConnAck);
const PUBLISH: Place = Place::Packet(PacketType::Publish);
const PUBACK: Place = Place::Packet(PacketType::PubAck);
const PUBREC: Place = Place::Packet(PacketType::PubRec);
const PUBREL: Place = Place::Packet(PacketType::PubRel);
const PUBCOMP: Place = Place::Packet(PacketType::PubComp);
const SUBSCRIBE: Place = Place::Packet(PacketType::Subscribe);
const SUBACK: Place = Place::Packet(PacketType::SubAck);
const UNSUBSCRIBE: Place = Place::Packet(PacketType::Unsubscribe);
const UNSUBACK: Place = Place::Packet(PacketType::UnsubAck);
const DISCONNECT: Place = Place::Packet(PacketType::Disconnect);
const AUTH: Place = Place::Packet(PacketType::Auth);
const WILL: Place = Place::Will;

const EVERYWHERE: &[Place] = &[
    CONNECT,
    CONNACK,
    PUBLISH,
    WILL,
    PUBACK,
    PUBREC,
    PUBREL,
    PUBCOMP,
    SUBSCRIBE,
    SUBACK,
    UNSUBSCRIBE,
    UNSUBACK,
    DISCONNECT,
    AUTH,
];
const ANSWERS: &[Place] = &[
    CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH,
];

/// Every property of the specification, by identifier.
pub const TABLE: &[Definition] = {
    use ValueType::{
        BinaryData, Byte, FourByteInteger, TwoByteInteger, Utf8EncodedString, Utf8StringPair,
        VariableByteInteger,
    };
    &[
        once(0x01, "Payload Format Indicator", Byte, &[PUBLISH, WILL]),
        once(
            0x02,
            "Message Expiry Interval",
            FourByteInteger,
            &[PUBLISH, WILL],
        ),
        once(0x03, "Content Type", Utf8EncodedString, &[PUBLISH, WILL]),
        once(0x08, "Response Topic", Utf8EncodedString, &[PUBLISH, WILL]),
        once(0x09, "Correlation Data", BinaryData, &[PUBLISH, WILL]),
        repeatable(
            0x0b,
            "Subscription Identifier",
            VariableByteInteger,
            &[PUBLISH, SUBSCRIBE],
            &[PUBLISH],
        ),
        once(
            0x11,
            "Session Expiry Interval",
            FourByteInteger,
            &[CONNECT, CONNACK, DISCONNECT],
        ),
        once(
            0x12,
            "Assigned Client Identifier",
            Utf8EncodedString,
            &[CONNACK],
        ),
        once(0x13, "Server Keep Alive", TwoByteInteger, &[CONNACK]),
        once(
            0x15,
            "Authentication Method",
            Utf8EncodedString,
            &[CONNECT, CONNACK, AUTH],
        ),
        once(
            0x16,
            "Authentication Data",
            BinaryData,
            &[CONNECT, CONNACK, AUTH],
        ),
        once(0x17, "Request Problem Information", Byte, &[CONNECT]),
        once(0x18, "Will Delay Interval", FourByteInteger, &[WILL]),
        once(0x19, "Request Response Information", Byte, &[CONNECT]),
        once(0x1a, "Response Information", Utf8EncodedString, &[CONNACK]),
        once(
            0x1c,
            "Server Reference",
            Utf8EncodedString,
            &[CONNACK, DISCONNECT],
        ),
        once(0x1f, "Reason String", Utf8EncodedString, ANSWERS),
        once(0x21, "Receive Maximum", TwoByteInteger, &[CONNECT, CONNACK]),
        once(
            0x22,
            "Topic Alias Maximum",
            TwoByteInteger,
            &[CONNECT, CONNACK],
        ),
        once(0x23, "Topic Alias", TwoByteInteger, &[PUBLISH]),
        once(0x24, "Maximum QoS", Byte, &[CONNACK]),
        once(0x25, "Retain Available", Byte, &[CONNACK]),
        repeatable(
            0x26,
            "User Property",
            Utf8StringPair,
            EVERYWHERE,
            EVERYWHERE,
        ),
        once(
            0x27,
            "Maximum Packet Size",
            FourByteInteger,
            &[CONNECT, CONNACK],
        ),
        once(0x28, "Wildcard Subscription Available", Byte, &[CONNACK]),
        once(0x29, "Subscription Identifier Available", Byte, &[CONNACK]),
        once(0x2a, "Shared Subscription Available", Byte, &[CONNACK]),
    ]
};

const fn once(
    identifier: u8,
    name: &'static str,
    value_type: ValueType,
    places: &'static [Place],
) -> Definition {
    repeatable(identifier, name, value_type, places, &[])
}

const fn repeatable(
    identifier: u8,
    name: &'static str,
    value_type: ValueType,
    places: &'static [Place],
    repeatable: &'static [Place],
) -> Definition {
    Definition {
        identifier,
        name,
        value_type,
        places,
        repeatable,
    }
}

/// Where a property may stand, and where more than once; one bit for each [`Place`].
#[derive(Clone, Copy)]
struct Permission {
    places: u16,
    repeatable: u16,
    value_type: ValueType,
}

/// [`TABLE`] by identifier; no place at all for those that are not defined.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static PERMISSIONS: [Permission; 0x2b] = {
    let mut permissions = [Permission {
        places: 0,
        repeatable: 0,
        value_type: ValueType::Byte,
    }; 0x2b];
    let mut row = 0;
    while row < TABLE.len() {
        let definition = &TABLE[row];
        permissions[definition.identifier as usize] = Permission {
            places: bits(definition.places),
            repeatable: bits(definition.repeatable),
            value_type: definition.value_type,
        };
        row += 1;
    }
    permissions
};

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn bits(places: &[Place]) -> u16 {
    let mut bits = 0;
    let mut index = 0;
    while index < places.len() {
        bits |= places[index].bit();
        index += 1;
    }
    bits
}
