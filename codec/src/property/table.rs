//! The table of properties (section 2.2.2.2): what each is called, of which type, who may carry it, how often.

use crate::{PacketType, Property};

/// The data type of a property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PropertyType {
    /// Byte.
    Byte,
    /// Two Byte Integer.
    TwoByteInteger,
    /// Four Byte Integer.
    FourByteInteger,
    /// Variable Byte Integer.
    VariableByteInteger,
    /// UTF-8 Encoded String.
    String,
    /// UTF-8 String Pair.
    StringPair,
    /// Binary Data.
    BinaryData,
}

/// What carries properties: a packet, or the Will Message inside CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A packet of this type.
    Packet(PacketType),
    /// The Will Properties in the payload of CONNECT.
    Will,
}

impl Place {
    /// Its bit in [`PropertyDefinition::carriers`]; packet types count from 1, so bit 0 is free for the will.
    pub(crate) const fn bit(self) -> u16 {
        match self {
            Self::Packet(packet_type) => 1 << packet_type as u16,
            Self::Will => 1,
        }
    }
}

/// One row of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyDefinition {
    /// Property Identifier.
    pub identifier: u8,
    /// The specification's name.
    pub name: &'static str,
    /// Data type of the value.
    pub property_type: PropertyType,
    /// Whether one carrier may hold it more than once.
    pub repeatable: bool,
    carriers: u16,
}

impl PropertyDefinition {
    /// Whether `place` may hold it.
    #[must_use]
    pub const fn allowed_in(&self, place: Place) -> bool {
        self.carriers & place.bit() != 0
    }

    /// The row of `identifier`.
    #[must_use]
    #[inline]
    pub fn of(identifier: u8) -> Option<&'static Self> {
        let index = INDEX.get(usize::from(identifier))?;
        TABLE.get(usize::from(*index))
    }
}

/// Row of each identifier in [`TABLE`]; 255 where there is none.
const INDEX: [u8; 43] = {
    let mut index = [u8::MAX; 43];
    let mut row = 0;
    while row < TABLE.len() {
        #[expect(clippy::cast_possible_truncation, reason = "27 rows")]
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            index[TABLE[row].identifier as usize] = row as u8;
        }
        row += 1;
    }
    index
};

const fn row(
    identifier: u8,
    name: &'static str,
    property_type: PropertyType,
    carriers: u16,
) -> PropertyDefinition {
    PropertyDefinition {
        identifier,
        name,
        property_type,
        repeatable: false,
        carriers,
    }
}

const fn repeatable(definition: PropertyDefinition) -> PropertyDefinition {
    PropertyDefinition {
        repeatable: true,
        ..definition
    }
}

const WILL: u16 = Place::Will.bit();
const CONNECT: u16 = Place::Packet(PacketType::Connect).bit();
const CONNACK: u16 = Place::Packet(PacketType::ConnAck).bit();
const PUBLISH: u16 = Place::Packet(PacketType::Publish).bit();
const PUBACK: u16 = Place::Packet(PacketType::PubAck).bit();
const PUBREC: u16 = Place::Packet(PacketType::PubRec).bit();
const PUBREL: u16 = Place::Packet(PacketType::PubRel).bit();
const PUBCOMP: u16 = Place::Packet(PacketType::PubComp).bit();
const SUBSCRIBE: u16 = Place::Packet(PacketType::Subscribe).bit();
const SUBACK: u16 = Place::Packet(PacketType::SubAck).bit();
const UNSUBSCRIBE: u16 = Place::Packet(PacketType::Unsubscribe).bit();
const UNSUBACK: u16 = Place::Packet(PacketType::UnsubAck).bit();
const DISCONNECT: u16 = Place::Packet(PacketType::Disconnect).bit();
const AUTH: u16 = Place::Packet(PacketType::Auth).bit();
const ACKS: u16 = PUBACK | PUBREC | PUBREL | PUBCOMP | SUBACK | UNSUBACK;

/// Every property, in the order of identifiers.
pub const TABLE: [PropertyDefinition; 27] = {
    use PropertyType::{
        BinaryData, Byte, FourByteInteger, String, StringPair, TwoByteInteger, VariableByteInteger,
    };
    [
        row(0x01, "Payload Format Indicator", Byte, PUBLISH | WILL),
        row(
            0x02,
            "Message Expiry Interval",
            FourByteInteger,
            PUBLISH | WILL,
        ),
        row(0x03, "Content Type", String, PUBLISH | WILL),
        row(0x08, "Response Topic", String, PUBLISH | WILL),
        row(0x09, "Correlation Data", BinaryData, PUBLISH | WILL),
        // Repeatable in the PUBLISH of a server only; a client sends one in SUBSCRIBE [MQTT5-3.3.4-6].
        repeatable(row(
            0x0b,
            "Subscription Identifier",
            VariableByteInteger,
            PUBLISH | SUBSCRIBE,
        )),
        row(
            0x11,
            "Session Expiry Interval",
            FourByteInteger,
            CONNECT | CONNACK | DISCONNECT,
        ),
        row(0x12, "Assigned Client Identifier", String, CONNACK),
        row(0x13, "Server Keep Alive", TwoByteInteger, CONNACK),
        row(
            0x15,
            "Authentication Method",
            String,
            CONNECT | CONNACK | AUTH,
        ),
        row(
            0x16,
            "Authentication Data",
            BinaryData,
            CONNECT | CONNACK | AUTH,
        ),
        row(0x17, "Request Problem Information", Byte, CONNECT),
        row(0x18, "Will Delay Interval", FourByteInteger, WILL),
        row(0x19, "Request Response Information", Byte, CONNECT),
        row(0x1a, "Response Information", String, CONNACK),
        row(0x1c, "Server Reference", String, CONNACK | DISCONNECT),
        row(
            0x1f,
            "Reason String",
            String,
            CONNACK | ACKS | DISCONNECT | AUTH,
        ),
        row(0x21, "Receive Maximum", TwoByteInteger, CONNECT | CONNACK),
        row(
            0x22,
            "Topic Alias Maximum",
            TwoByteInteger,
            CONNECT | CONNACK,
        ),
        row(0x23, "Topic Alias", TwoByteInteger, PUBLISH),
        row(0x24, "Maximum QoS", Byte, CONNACK),
        row(0x25, "Retain Available", Byte, CONNACK),
        repeatable(row(
            0x26,
            "User Property",
            StringPair,
            CONNECT | CONNACK | PUBLISH | WILL | ACKS | SUBSCRIBE | UNSUBSCRIBE | DISCONNECT | AUTH,
        )),
        row(
            0x27,
            "Maximum Packet Size",
            FourByteInteger,
            CONNECT | CONNACK,
        ),
        row(0x28, "Wildcard Subscription Available", Byte, CONNACK),
        row(0x29, "Subscription Identifier Available", Byte, CONNACK),
        row(0x2a, "Shared Subscription Available", Byte, CONNACK),
    ]
};

impl Property<'_> {
    /// The row of this property.
    #[must_use]
    pub fn definition(&self) -> &'static PropertyDefinition {
        // The enum and the table have the same identifiers, which a test compares.
        PropertyDefinition::of(self.identifier()).unwrap_or(&TABLE[0])
    }
}
