//! Packets and their fields as scenario files name them: one table, entered from the specification.

use std::fmt;

use quince_codec::Version;

/// A control packet, or a part of one that has fields of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketName {
    /// CONNECT
    Connect,
    /// CONNACK
    ConnAck,
    /// PUBLISH
    Publish,
    /// PUBACK
    PubAck,
    /// PUBREC
    PubRec,
    /// PUBREL
    PubRel,
    /// PUBCOMP
    PubComp,
    /// SUBSCRIBE
    Subscribe,
    /// SUBACK
    SubAck,
    /// UNSUBSCRIBE
    Unsubscribe,
    /// UNSUBACK
    UnsubAck,
    /// PINGREQ
    PingReq,
    /// PINGRESP
    PingResp,
    /// DISCONNECT
    Disconnect,
    /// AUTH (5.0)
    Auth,
    /// The Will Message inside CONNECT.
    Will,
    /// One filter inside SUBSCRIBE.
    SubscribeFilter,
}

use PacketName::{
    Auth, ConnAck, Connect, Disconnect, PingReq, PingResp, PubAck, PubComp, PubRec, PubRel,
    Publish, SubAck, Subscribe, SubscribeFilter, UnsubAck, Unsubscribe, Will,
};

impl PacketName {
    /// The fifteen control packets in the order of their type numbers, from 1.
    pub const PACKETS: [Self; 15] = [
        Connect,
        ConnAck,
        Publish,
        PubAck,
        PubRec,
        PubRel,
        PubComp,
        Subscribe,
        SubAck,
        Unsubscribe,
        UnsubAck,
        PingReq,
        PingResp,
        Disconnect,
        Auth,
    ];

    /// The name that the specification uses.
    pub const fn name(self) -> &'static str {
        match self {
            Connect => "CONNECT",
            ConnAck => "CONNACK",
            Publish => "PUBLISH",
            PubAck => "PUBACK",
            PubRec => "PUBREC",
            PubRel => "PUBREL",
            PubComp => "PUBCOMP",
            Subscribe => "SUBSCRIBE",
            SubAck => "SUBACK",
            Unsubscribe => "UNSUBSCRIBE",
            UnsubAck => "UNSUBACK",
            PingReq => "PINGREQ",
            PingResp => "PINGRESP",
            Disconnect => "DISCONNECT",
            Auth => "AUTH",
            Will => "will",
            SubscribeFilter => "filter",
        }
    }

    /// The packet of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::PACKETS
            .into_iter()
            .find(|packet| packet.name() == name)
    }

    /// The packet whose first byte this is, by its upper four bits.
    pub fn from_first_byte(first: u8) -> Option<Self> {
        usize::from(first >> 4)
            .checked_sub(1)
            .and_then(|index| Self::PACKETS.get(index))
            .copied()
    }

    /// Whether the packet exists in that version.
    pub fn exists_in(self, version: Version) -> bool {
        self != Auth || version == Version::V5_0
    }
}

impl fmt::Display for PacketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What values a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number up to this.
    Number(u64),
    /// True or false.
    Flag,
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Bytes,
    /// Two texts: a User Property.
    Pair,
}

impl Kind {
    /// What a value of this kind is called in a message.
    pub fn describe(self) -> String {
        match self {
            Self::Number(most) => format!("a whole number from 0 to {most}"),
            Self::Flag => "#true or #false".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Bytes => "text, (hex), (repeat) or (size)".to_owned(),
            Self::Pair => "two texts: name and value".to_owned(),
        }
    }
}

/// One field that packets have.
#[derive(Debug)]
pub struct Field {
    /// As the files write it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The packets that have it in 3.1.1.
    pub in_3_1_1: &'static [PacketName],
    /// The packets that have it in 5.0.
    pub in_5_0: &'static [PacketName],
    /// The property identifier, if the field is a property.
    pub property: Option<u8>,
    /// Whether a packet may carry it more than once.
    pub repeatable: bool,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Field {
    /// Whether `packet` has this field in `version`.
    pub fn belongs_to(&self, packet: PacketName, version: Version) -> bool {
        match version {
            Version::V5_0 => self.in_5_0.contains(&packet),
            // No packet has more or fewer fields in 3.1, but for one.
            Version::V3_1 => self.name != "session-present" && self.in_3_1_1.contains(&packet),
            Version::V3_1_1 => self.in_3_1_1.contains(&packet),
        }
    }
}

const NO_PACKET: &[PacketName] = &[];
const WITH_ID: &[PacketName] = &[
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
];
const WITH_REASON: &[PacketName] = &[
    ConnAck, PubAck, PubRec, PubRel, PubComp, SubAck, UnsubAck, Disconnect, Auth,
];
const WITH_USER_PROPERTY: &[PacketName] = &[
    Connect,
    Will,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    Disconnect,
    Auth,
];

const fn plain(name: &'static str, kind: Kind, packets: &'static [PacketName]) -> Field {
    Field {
        name,
        kind,
        in_3_1_1: packets,
        in_5_0: packets,
        property: None,
        repeatable: false,
    }
}

const fn property(
    identifier: u8,
    name: &'static str,
    kind: Kind,
    packets: &'static [PacketName],
) -> Field {
    Field {
        name,
        kind,
        in_3_1_1: NO_PACKET,
        in_5_0: packets,
        property: Some(identifier),
        repeatable: false,
    }
}

const fn repeatable(field: Field) -> Field {
    Field {
        repeatable: true,
        ..field
    }
}

const fn since_5_0(field: Field, in_3_1_1: &'static [PacketName]) -> Field {
    Field { in_3_1_1, ..field }
}

const BYTE: Kind = Kind::Number(0xff);
const TWO_BYTES: Kind = Kind::Number(0xffff);
const FOUR_BYTES: Kind = Kind::Number(0xffff_ffff);
const VARIABLE_BYTES: Kind = Kind::Number(268_435_455);

/// Every field; properties in the order of their identifiers.
pub static FIELDS: [Field; 46] = [
    plain("client-id", Kind::Text, &[Connect]),
    plain("clean-start", Kind::Flag, &[Connect]),
    plain("keep-alive", TWO_BYTES, &[Connect]),
    plain("user-name", Kind::Text, &[Connect]),
    plain("password", Kind::Bytes, &[Connect]),
    plain("session-present", Kind::Flag, &[ConnAck]),
    since_5_0(plain("code", BYTE, WITH_REASON), &[ConnAck, SubAck]),
    plain("topic", Kind::Text, &[Publish, Will]),
    plain("payload", Kind::Bytes, &[Publish, Will]),
    plain("qos", Kind::Number(2), &[Publish, Will, SubscribeFilter]),
    plain("retain", Kind::Flag, &[Publish, Will]),
    plain("dup", Kind::Flag, &[Publish]),
    plain("id", TWO_BYTES, WITH_ID),
    plain("filter", Kind::Text, &[SubscribeFilter, Unsubscribe]),
    since_5_0(plain("no-local", Kind::Flag, &[SubscribeFilter]), NO_PACKET),
    since_5_0(
        plain("retain-as-published", Kind::Flag, &[SubscribeFilter]),
        NO_PACKET,
    ),
    since_5_0(
        plain("retain-handling", Kind::Number(2), &[SubscribeFilter]),
        NO_PACKET,
    ),
    // `codes` and `properties` stand for the whole list.
    since_5_0(plain("codes", Kind::Text, &[SubAck, UnsubAck]), &[SubAck]),
    since_5_0(
        plain("properties", Kind::Text, WITH_USER_PROPERTY),
        NO_PACKET,
    ),
    property(0x01, "payload-format-indicator", BYTE, &[Publish, Will]),
    property(
        0x02,
        "message-expiry-interval",
        FOUR_BYTES,
        &[Publish, Will],
    ),
    property(0x03, "content-type", Kind::Text, &[Publish, Will]),
    property(0x08, "response-topic", Kind::Text, &[Publish, Will]),
    property(0x09, "correlation-data", Kind::Bytes, &[Publish, Will]),
    repeatable(property(
        0x0b,
        "subscription-identifier",
        VARIABLE_BYTES,
        &[Publish, Subscribe],
    )),
    property(
        0x11,
        "session-expiry-interval",
        FOUR_BYTES,
        &[Connect, ConnAck, Disconnect],
    ),
    property(0x12, "assigned-client-identifier", Kind::Text, &[ConnAck]),
    property(0x13, "server-keep-alive", TWO_BYTES, &[ConnAck]),
    property(
        0x15,
        "authentication-method",
        Kind::Text,
        &[Connect, ConnAck, Auth],
    ),
    property(
        0x16,
        "authentication-data",
        Kind::Bytes,
        &[Connect, ConnAck, Auth],
    ),
    property(0x17, "request-problem-information", BYTE, &[Connect]),
    property(0x18, "will-delay-interval", FOUR_BYTES, &[Will]),
    property(0x19, "request-response-information", BYTE, &[Connect]),
    property(0x1a, "response-information", Kind::Text, &[ConnAck]),
    property(0x1c, "server-reference", Kind::Text, &[ConnAck, Disconnect]),
    property(0x1f, "reason-string", Kind::Text, WITH_REASON),
    property(0x21, "receive-maximum", TWO_BYTES, &[Connect, ConnAck]),
    property(0x22, "topic-alias-maximum", TWO_BYTES, &[Connect, ConnAck]),
    property(0x23, "topic-alias", TWO_BYTES, &[Publish]),
    property(0x24, "maximum-qos", BYTE, &[ConnAck]),
    property(0x25, "retain-available", BYTE, &[ConnAck]),
    repeatable(property(
        0x26,
        "user-property",
        Kind::Pair,
        WITH_USER_PROPERTY,
    )),
    property(0x27, "maximum-packet-size", FOUR_BYTES, &[Connect, ConnAck]),
    property(0x28, "wildcard-subscription-available", BYTE, &[ConnAck]),
    property(0x29, "subscription-identifier-available", BYTE, &[ConnAck]),
    property(0x2a, "shared-subscription-available", BYTE, &[ConnAck]),
];

/// The field of that name.
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// The property with that identifier.
pub fn property_field(identifier: u8) -> Option<&'static Field> {
    FIELDS
        .iter()
        .find(|field| field.property == Some(identifier))
}

/// The names of the fields of `packet` in any version, for messages.
pub fn names_for(packet: PacketName) -> String {
    let names: Vec<&str> = FIELDS
        .iter()
        .filter(|field| field.in_5_0.contains(&packet) || field.in_3_1_1.contains(&packet))
        .map(|field| field.name)
        .collect();
    if names.is_empty() {
        "no field at all".to_owned()
    } else {
        names.join(", ")
    }
}
