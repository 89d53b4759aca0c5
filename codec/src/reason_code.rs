//! Reason Codes of MQTT 5.0: one table of code, name and the packets that may carry it (section 2.4).

use core::fmt;

use crate::PacketType;

/// A Reason Code of MQTT 5.0. Any byte can be one; [`ReasonCode::allowed_in`] tells what a packet may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonCode(pub u8);

/// One row of [`ReasonCode::TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonCodeDefinition {
    /// The code.
    pub code: ReasonCode,
    /// The specification's name.
    pub name: &'static str,
    /// The packets that may carry it.
    pub packets: &'static [PacketType],
}

impl ReasonCode {
    /// Success.
    pub const SUCCESS: Self = Self(0x00);
    /// Normal disconnection: what 0x00 is called in DISCONNECT.
    pub const NORMAL_DISCONNECTION: Self = Self(0x00);
    /// Granted QoS 0: what 0x00 is called in SUBACK.
    pub const GRANTED_QOS_0: Self = Self(0x00);
    /// Granted QoS 1.
    pub const GRANTED_QOS_1: Self = Self(0x01);
    /// Granted QoS 2.
    pub const GRANTED_QOS_2: Self = Self(0x02);
    /// Disconnect with Will Message.
    pub const DISCONNECT_WITH_WILL_MESSAGE: Self = Self(0x04);
    /// No matching subscribers.
    pub const NO_MATCHING_SUBSCRIBERS: Self = Self(0x10);
    /// No subscription existed.
    pub const NO_SUBSCRIPTION_EXISTED: Self = Self(0x11);
    /// Continue authentication.
    pub const CONTINUE_AUTHENTICATION: Self = Self(0x18);
    /// Re-authenticate.
    pub const RE_AUTHENTICATE: Self = Self(0x19);
    /// Unspecified error.
    pub const UNSPECIFIED_ERROR: Self = Self(0x80);
    /// Malformed Packet.
    pub const MALFORMED_PACKET: Self = Self(0x81);
    /// Protocol Error.
    pub const PROTOCOL_ERROR: Self = Self(0x82);
    /// Implementation specific error.
    pub const IMPLEMENTATION_SPECIFIC_ERROR: Self = Self(0x83);
    /// Unsupported Protocol Version.
    pub const UNSUPPORTED_PROTOCOL_VERSION: Self = Self(0x84);
    /// Client Identifier not valid.
    pub const CLIENT_IDENTIFIER_NOT_VALID: Self = Self(0x85);
    /// Bad User Name or Password.
    pub const BAD_USER_NAME_OR_PASSWORD: Self = Self(0x86);
    /// Not authorized.
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    /// Server unavailable.
    pub const SERVER_UNAVAILABLE: Self = Self(0x88);
    /// Server busy.
    pub const SERVER_BUSY: Self = Self(0x89);
    /// Banned.
    pub const BANNED: Self = Self(0x8a);
    /// Server shutting down.
    pub const SERVER_SHUTTING_DOWN: Self = Self(0x8b);
    /// Bad authentication method.
    pub const BAD_AUTHENTICATION_METHOD: Self = Self(0x8c);
    /// Keep Alive timeout.
    pub const KEEP_ALIVE_TIMEOUT: Self = Self(0x8d);
    /// Session taken over.
    pub const SESSION_TAKEN_OVER: Self = Self(0x8e);
    /// Topic Filter invalid.
    pub const TOPIC_FILTER_INVALID: Self = Self(0x8f);
    /// Topic Name invalid.
    pub const TOPIC_NAME_INVALID: Self = Self(0x90);
    /// Packet Identifier in use.
    pub const PACKET_IDENTIFIER_IN_USE: Self = Self(0x91);
    /// Packet Identifier not found.
    pub const PACKET_IDENTIFIER_NOT_FOUND: Self = Self(0x92);
    /// Receive Maximum exceeded.
    pub const RECEIVE_MAXIMUM_EXCEEDED: Self = Self(0x93);
    /// Topic Alias invalid.
    pub const TOPIC_ALIAS_INVALID: Self = Self(0x94);
    /// Packet too large.
    pub const PACKET_TOO_LARGE: Self = Self(0x95);
    /// Message rate too high.
    pub const MESSAGE_RATE_TOO_HIGH: Self = Self(0x96);
    /// Quota exceeded.
    pub const QUOTA_EXCEEDED: Self = Self(0x97);
    /// Administrative action.
    pub const ADMINISTRATIVE_ACTION: Self = Self(0x98);
    /// Payload format invalid.
    pub const PAYLOAD_FORMAT_INVALID: Self = Self(0x99);
    /// Retain not supported.
    pub const RETAIN_NOT_SUPPORTED: Self = Self(0x9a);
    /// QoS not supported.
    pub const QOS_NOT_SUPPORTED: Self = Self(0x9b);
    /// Use another server.
    pub const USE_ANOTHER_SERVER: Self = Self(0x9c);
    /// Server moved.
    pub const SERVER_MOVED: Self = Self(0x9d);
    /// Shared Subscriptions not supported.
    pub const SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: Self = Self(0x9e);
    /// Connection rate exceeded.
    pub const CONNECTION_RATE_EXCEEDED: Self = Self(0x9f);
    /// Maximum connect time.
    pub const MAXIMUM_CONNECT_TIME: Self = Self(0xa0);
    /// Subscription Identifiers not supported.
    pub const SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED: Self = Self(0xa1);
    /// Wildcard Subscriptions not supported.
    pub const WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED: Self = Self(0xa2);

    /// Every Reason Code of the specification, by number. 0x00 stands once, under its first name.
    pub const TABLE: &'static [ReasonCodeDefinition] = {
        use PacketType::{
            Auth, ConnAck, Disconnect, PubAck, PubComp, PubRec, PubRel, SubAck, UnsubAck,
        };
        &[
            define(
                Self::SUCCESS,
                "Success",
                &[
                    ConnAck, PubAck, PubRec, PubRel, PubComp, SubAck, UnsubAck, Disconnect, Auth,
                ],
            ),
            define(Self::GRANTED_QOS_1, "Granted QoS 1", &[SubAck]),
            define(Self::GRANTED_QOS_2, "Granted QoS 2", &[SubAck]),
            define(
                Self::DISCONNECT_WITH_WILL_MESSAGE,
                "Disconnect with Will Message",
                &[Disconnect],
            ),
            define(
                Self::NO_MATCHING_SUBSCRIBERS,
                "No matching subscribers",
                &[PubAck, PubRec],
            ),
            define(
                Self::NO_SUBSCRIPTION_EXISTED,
                "No subscription existed",
                &[UnsubAck],
            ),
            define(
                Self::CONTINUE_AUTHENTICATION,
                "Continue authentication",
                &[Auth],
            ),
            define(Self::RE_AUTHENTICATE, "Re-authenticate", &[Auth]),
            define(
                Self::UNSPECIFIED_ERROR,
                "Unspecified error",
                &[ConnAck, PubAck, PubRec, SubAck, UnsubAck, Disconnect],
            ),
            define(
                Self::MALFORMED_PACKET,
                "Malformed Packet",
                &[ConnAck, Disconnect],
            ),
            define(
                Self::PROTOCOL_ERROR,
                "Protocol Error",
                &[ConnAck, Disconnect],
            ),
            define(
                Self::IMPLEMENTATION_SPECIFIC_ERROR,
                "Implementation specific error",
                &[ConnAck, PubAck, PubRec, SubAck, UnsubAck, Disconnect],
            ),
            define(
                Self::UNSUPPORTED_PROTOCOL_VERSION,
                "Unsupported Protocol Version",
                &[ConnAck],
            ),
            define(
                Self::CLIENT_IDENTIFIER_NOT_VALID,
                "Client Identifier not valid",
                &[ConnAck],
            ),
            define(
                Self::BAD_USER_NAME_OR_PASSWORD,
                "Bad User Name or Password",
                &[ConnAck],
            ),
            define(
                Self::NOT_AUTHORIZED,
                "Not authorized",
                &[ConnAck, PubAck, PubRec, SubAck, UnsubAck, Disconnect],
            ),
            define(Self::SERVER_UNAVAILABLE, "Server unavailable", &[ConnAck]),
            define(Self::SERVER_BUSY, "Server busy", &[ConnAck, Disconnect]),
            define(Self::BANNED, "Banned", &[ConnAck]),
            define(
                Self::SERVER_SHUTTING_DOWN,
                "Server shutting down",
                &[Disconnect],
            ),
            define(
                Self::BAD_AUTHENTICATION_METHOD,
                "Bad authentication method",
                &[ConnAck, Disconnect],
            ),
            define(
                Self::KEEP_ALIVE_TIMEOUT,
                "Keep Alive timeout",
                &[Disconnect],
            ),
            define(
                Self::SESSION_TAKEN_OVER,
                "Session taken over",
                &[Disconnect],
            ),
            define(
                Self::TOPIC_FILTER_INVALID,
                "Topic Filter invalid",
                &[SubAck, UnsubAck, Disconnect],
            ),
            define(
                Self::TOPIC_NAME_INVALID,
                "Topic Name invalid",
                &[ConnAck, PubAck, PubRec, Disconnect],
            ),
            define(
                Self::PACKET_IDENTIFIER_IN_USE,
                "Packet Identifier in use",
                &[PubAck, PubRec, SubAck, UnsubAck],
            ),
            define(
                Self::PACKET_IDENTIFIER_NOT_FOUND,
                "Packet Identifier not found",
                &[PubRel, PubComp],
            ),
            define(
                Self::RECEIVE_MAXIMUM_EXCEEDED,
                "Receive Maximum exceeded",
                &[Disconnect],
            ),
            define(
                Self::TOPIC_ALIAS_INVALID,
                "Topic Alias invalid",
                &[Disconnect],
            ),
            define(
                Self::PACKET_TOO_LARGE,
                "Packet too large",
                &[ConnAck, Disconnect],
            ),
            define(
                Self::MESSAGE_RATE_TOO_HIGH,
                "Message rate too high",
                &[Disconnect],
            ),
            define(
                Self::QUOTA_EXCEEDED,
                "Quota exceeded",
                &[ConnAck, PubAck, PubRec, SubAck, Disconnect],
            ),
            define(
                Self::ADMINISTRATIVE_ACTION,
                "Administrative action",
                &[Disconnect],
            ),
            define(
                Self::PAYLOAD_FORMAT_INVALID,
                "Payload format invalid",
                &[ConnAck, PubAck, PubRec, Disconnect],
            ),
            define(
                Self::RETAIN_NOT_SUPPORTED,
                "Retain not supported",
                &[ConnAck, Disconnect],
            ),
            define(
                Self::QOS_NOT_SUPPORTED,
                "QoS not supported",
                &[ConnAck, Disconnect],
            ),
            define(
                Self::USE_ANOTHER_SERVER,
                "Use another server",
                &[ConnAck, Disconnect],
            ),
            define(Self::SERVER_MOVED, "Server moved", &[ConnAck, Disconnect]),
            define(
                Self::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
                "Shared Subscriptions not supported",
                &[SubAck, Disconnect],
            ),
            define(
                Self::CONNECTION_RATE_EXCEEDED,
                "Connection rate exceeded",
                &[ConnAck, Disconnect],
            ),
            define(
                Self::MAXIMUM_CONNECT_TIME,
                "Maximum connect time",
                &[Disconnect],
            ),
            define(
                Self::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
                "Subscription Identifiers not supported",
                &[SubAck, Disconnect],
            ),
            define(
                Self::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
                "Wildcard Subscriptions not supported",
                &[SubAck, Disconnect],
            ),
        ]
    };

    /// The specification's name; "Unknown" for a code it does not define.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::TABLE
            .iter()
            .find(|row| row.code == self)
            .map_or("Unknown", |row| row.name)
    }

    /// Whether it tells of a failure: 0x80 and above.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// Whether a packet of that type may carry it.
    #[must_use]
    pub const fn allowed_in(self, packet_type: PacketType) -> bool {
        #[expect(clippy::indexing_slicing, reason = "256 entries, indexed by a byte")]
        let packets = PACKETS_BY_CODE[self.0 as usize];
        packets & (1 << packet_type as u16) != 0
    }
}

const fn define(
    code: ReasonCode,
    name: &'static str,
    packets: &'static [PacketType],
) -> ReasonCodeDefinition {
    ReasonCodeDefinition {
        code,
        name,
        packets,
    }
}

/// For each code the packets that may carry it, one bit for each packet type.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static PACKETS_BY_CODE: [u16; 256] = {
    let mut masks = [0; 256];
    let mut row = 0;
    while row < ReasonCode::TABLE.len() {
        let definition = ReasonCode::TABLE[row];
        let mut packet = 0;
        while packet < definition.packets.len() {
            masks[definition.code.0 as usize] |= 1 << definition.packets[packet] as u16;
            packet += 1;
        }
        row += 1;
    }
    masks
};

impl From<ReasonCode> for u8 {
    fn from(code: ReasonCode) -> Self {
        code.0
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02x})", self.name(), self.0)
    }
}
