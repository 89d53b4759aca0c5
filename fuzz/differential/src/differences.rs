//! How other codecs differ from ours, and who is right: one row for each way, in the order of the packet.
//!
//! A row says which codecs in which versions differ so, and nobody else may: where another codec keeps the rule, it
//! would tell if we took the rule too far.

use quince_codec::DecodeErrorKind::{
    self, AuthenticationDataWithoutMethod, AuthenticationMethodMissing, DupWithQoS0,
    DuplicateProperty, InvalidFlagProperty, InvalidUtf8, MaximumPacketSizeZero,
    NoLocalOnSharedSubscription, NoReasonCodes, NoSubscriptions, NullCharacter,
    PacketIdentifierZero, PasswordWithoutUserName, PropertyNotAllowed, ReasonCodeNotAllowed,
    ReceiveMaximumZero, RemainingLengthNotMinimal, ReservedConnAckFlags, ReservedConnectFlag,
    ReservedFlags, ReservedPacketType, ReservedSubscriptionOptions, ResponseTopicInvalid,
    SessionPresentWithError, SubscriptionIdentifierZero, SubscriptionQoS3, TopicAliasZero,
    TopicNameEmpty, TopicNameWildcard, TrailingBytes, Truncated, UnknownProperty,
    UnsupportedProtocolVersion, VariableByteIntegerNotMinimal, WillFlagsWithoutWill, WillQoS3,
};
use quince_codec::Version::{self, V3_1_1, V5_0};
use quince_codec::topic::validate_topic_filter;
use quince_codec::{Packet, PacketType, ReasonCode};

use crate::Foreign::{self, Mqtt5Protocol, MqttProtocolCore, Rmqtt, Rumqttc};
use crate::meaning::same_but_defaults;
use crate::{Disagreement, Way};

/// Who is right about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// We are.
    Ours,
    /// The specification leaves it open.
    Open,
}

/// What the disagreement must be about.
#[derive(Clone, Copy, Debug)]
pub enum About {
    /// We refuse the packet for this.
    Rule(DecodeErrorKind),
    /// We take the packet, and it is one of these.
    Packet(fn(&Packet<'_>) -> bool),
    /// Both the packet, if we take it, and what the other says matter.
    All(fn(&Disagreement<'_>) -> bool),
}

/// A way in which codecs differ, settled.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// Its name.
    pub name: &'static str,
    /// How the others differ.
    pub way: Way,
    /// What it is about.
    pub about: About,
    /// Who differs, in which versions.
    pub who: &'static [(Foreign, &'static [Version])],
    /// Who is right.
    pub right: Right,
    /// By which statements, or sections where no statement has a number.
    pub by: &'static str,
    /// An example as the version and hex.
    pub example: (Version, &'static str),
}

impl Difference {
    /// Whether the disagreement is of this kind.
    #[must_use]
    pub fn covers(&self, found: &Disagreement<'_>) -> bool {
        let known = self.who.iter().any(|(foreign, versions)| {
            *foreign == found.foreign && versions.contains(&found.version)
        });
        known
            && self.way == found.way
            && match (self.about, &found.ours) {
                (About::Rule(kind), Err(error)) => error.kind == kind,
                (About::Packet(is), Ok(packet)) => is(packet),
                (About::All(is), _) => is(found),
                _ => false,
            }
    }
}

const OLD: &[Version] = &[V3_1_1];
const NEW: &[Version] = &[V5_0];
const BOTH: &[Version] = &[V3_1_1, V5_0];

/// They take what breaks a rule.
const fn takes(
    name: &'static str,
    rule: DecodeErrorKind,
    by: &'static str,
    who: &'static [(Foreign, &'static [Version])],
    example: (Version, &'static str),
) -> Difference {
    Difference {
        name,
        way: Way::Takes,
        about: About::Rule(rule),
        who,
        right: Right::Ours,
        by,
        example,
    }
}

/// They refuse or misread a packet that keeps the rules.
const fn fails(
    name: &'static str,
    way: Way,
    about: About,
    by: &'static str,
    who: &'static [(Foreign, &'static [Version])],
    example: (Version, &'static str),
) -> Difference {
    Difference {
        name,
        way,
        about,
        who,
        right: Right::Ours,
        by,
        example,
    }
}

const fn open(difference: Difference) -> Difference {
    Difference {
        right: Right::Open,
        ..difference
    }
}

/// Whether the other took the packet that we took, but for properties at the value that their absence means.
fn loses_defaults(found: &Disagreement<'_>) -> bool {
    let again = found.again();
    let theirs = again.as_ref().map(|frame| frame.decode(found.version));
    match (&found.ours, theirs) {
        (Ok(ours), Some(Ok(theirs))) => same_but_defaults(ours, &theirs),
        _ => false,
    }
}

/// Every difference that is known.
pub const DIFFERENCES: &[Difference] = &[
    // Fixed header.
    takes(
        "flags of the fixed header are not looked at",
        ReservedFlags,
        "MQTT5-2.1.3-1, MQTT3-2.2.2-2",
        &[(Rumqttc, BOTH)],
        (V5_0, "c1 00"),
    ),
    takes(
        "the Remaining Length may be longer than it needs to be",
        RemainingLengthNotMinimal,
        "MQTT5-1.5.5-1",
        &[
            (Rumqttc, NEW),
            (Mqtt5Protocol, NEW),
            (MqttProtocolCore, NEW),
            (Rmqtt, NEW),
        ],
        (V5_0, "c0 8000"),
    ),
    takes(
        "AUTH exists in 3.1.1",
        ReservedPacketType,
        "MQTT3 table 2.1",
        &[(Mqtt5Protocol, OLD)],
        (V3_1_1, "f0 00"),
    ),
    takes(
        "bytes behind the last field are passed over",
        TrailingBytes,
        "the Remaining Length counts what the packet has: MQTT5 2.1.4, MQTT3 2.2.3",
        &[
            (Rumqttc, BOTH),
            (Mqtt5Protocol, BOTH),
            (MqttProtocolCore, BOTH),
            (Rmqtt, BOTH),
        ],
        (V5_0, "c0 01 00"),
    ),
    // Data types.
    takes(
        "a variable byte integer may be longer than it needs to be",
        VariableByteIntegerNotMinimal,
        "MQTT5-1.5.5-1",
        &[
            (Rumqttc, NEW),
            (Mqtt5Protocol, NEW),
            (MqttProtocolCore, NEW),
            (Rmqtt, NEW),
        ],
        (V5_0, "30 05 0001 74 8000"),
    ),
    takes(
        "texts are bytes",
        InvalidUtf8,
        "MQTT5-1.5.4-1",
        &[(Rumqttc, NEW)],
        (V5_0, "30 05 0002 c080 00"),
    ),
    takes(
        "texts may hold U+0000",
        NullCharacter,
        "MQTT5-1.5.4-2, MQTT3-1.5.3-2",
        &[(Rumqttc, BOTH), (MqttProtocolCore, BOTH), (Rmqtt, BOTH)],
        (V3_1_1, "30 03 0001 00"),
    ),
    takes(
        "the Packet Identifier may be 0",
        PacketIdentifierZero,
        "MQTT5-2.2.1-3, MQTT3-2.3.1-1; in an acknowledgement no identifier that was ever given",
        &[
            (Rumqttc, BOTH),
            (Mqtt5Protocol, BOTH),
            (MqttProtocolCore, BOTH),
        ],
        (V3_1_1, "a2 05 0000 0001 74"),
    ),
    // CONNECT.
    takes(
        "Protocol Name and level need not belong together",
        UnsupportedProtocolVersion,
        "MQTT5-3.1.2-2, MQTT3-3.1.2-2; level 3 goes with MQIsdp only",
        &[(Mqtt5Protocol, BOTH), (Rmqtt, OLD)],
        (V3_1_1, "10 0c 0004 4d515454 03 02 0000 0000"),
    ),
    takes(
        "the reserved bit of the Connect Flags may be set",
        ReservedConnectFlag,
        "MQTT5-3.1.2-3, MQTT3-3.1.2-3",
        &[(Rumqttc, BOTH), (MqttProtocolCore, BOTH)],
        (V3_1_1, "10 0c 0004 4d515454 04 03 0000 0000"),
    ),
    takes(
        "Will QoS or Will Retain stand without a will",
        WillFlagsWithoutWill,
        "MQTT5-3.1.2-11, MQTT5-3.1.2-13, MQTT3-3.1.2-13, MQTT3-3.1.2-15",
        &[(MqttProtocolCore, BOTH), (Rmqtt, NEW)],
        (V5_0, "10 0d 0004 4d515454 05 0a 0000 00 0000"),
    ),
    takes(
        "the Will QoS may be 3 where there is no will",
        WillQoS3,
        "MQTT5-3.1.2-11, MQTT5-3.1.2-12, MQTT3-3.1.2-13, MQTT3-3.1.2-14",
        &[(MqttProtocolCore, BOTH), (Rmqtt, NEW)],
        (V5_0, "10 0d 0004 4d515454 05 1a 0000 00 0000"),
    ),
    takes(
        "3.1.1 has a password without a user name",
        PasswordWithoutUserName,
        "MQTT3-3.1.2-22",
        &[(Rumqttc, OLD), (Rmqtt, OLD)],
        (V3_1_1, "10 0f 0004 4d515454 04 42 0000 0000 0001 70"),
    ),
    fails(
        "5.0 has no password without a user name",
        Way::Refuses,
        About::Packet(
            |packet| matches!(packet, Packet::Connect(c) if c.password.is_some() && c.user_name.is_none()),
        ),
        "MQTT5 3.1.2.9",
        &[(Mqtt5Protocol, NEW), (MqttProtocolCore, NEW)],
        (V5_0, "10 10 0004 4d515454 05 42 0000 00 0000 0001 70"),
    ),
    fails(
        "the password must be UTF-8",
        Way::Refuses,
        About::Packet(|packet| {
            matches!(packet, Packet::Connect(c)
                if c.password.is_some_and(|password| core::str::from_utf8(password).is_err()))
        }),
        "MQTT5 3.1.3.6, MQTT3 3.1.3.5: binary data",
        &[(Rumqttc, BOTH)],
        (
            V3_1_1,
            "10 12 0004 4d515454 04 c2 0000 0000 0001 75 0001 ff",
        ),
    ),
    fails(
        "an empty user name and an empty password are none",
        Way::Misreads,
        About::Packet(|packet| {
            matches!(packet, Packet::Connect(c)
                if c.user_name.unwrap_or_default().is_empty()
                    && c.password.unwrap_or_default().is_empty()
                    && (c.user_name.is_some() || c.password.is_some()))
        }),
        "MQTT5 3.1.2.8, MQTT3-3.1.2-19: the flag tells whether it is there",
        &[(Rumqttc, BOTH)],
        (V3_1_1, "10 0e 0004 4d515454 04 82 0000 0000 0000"),
    ),
    fails(
        "an empty user name beside a password is lost",
        Way::Misreads,
        About::Packet(|packet| {
            matches!(packet, Packet::Connect(c)
                if c.user_name == Some("") && c.password.is_some_and(|password| !password.is_empty()))
        }),
        "MQTT5 3.1.2.8, MQTT3-3.1.2-19: the flag tells whether it is there",
        &[(Rumqttc, BOTH)],
        (V3_1_1, "10 11 0004 4d515454 04 c2 0000 0000 0000 0001 30"),
    ),
    open(fails(
        "an empty Client Identifier needs Clean Start",
        Way::Refuses,
        About::Packet(
            |packet| matches!(packet, Packet::Connect(c) if c.client_id.is_empty() && !c.clean_start),
        ),
        "MQTT3-3.1.3-8 has the server answer CONNACK 0x02, so we leave it to the server; MQTT5-3.1.3-6 lets a server take it",
        &[(Rmqtt, BOTH)],
        (V5_0, "10 0d 0004 4d515454 05 00 0000 00 0000"),
    )),
    // CONNACK, and codes.
    takes(
        "reserved bits of the CONNACK flags may be set",
        ReservedConnAckFlags,
        "MQTT5-3.2.2-1, MQTT3 3.2.2.1",
        &[(Rumqttc, BOTH), (MqttProtocolCore, BOTH)],
        (V5_0, "20 03 02 00 00"),
    ),
    takes(
        "Session Present goes with a refusal",
        SessionPresentWithError,
        "MQTT5-3.2.2-6, MQTT3-3.2.2-4",
        &[
            (Rumqttc, BOTH),
            (Mqtt5Protocol, BOTH),
            (MqttProtocolCore, BOTH),
            (Rmqtt, BOTH),
        ],
        (V3_1_1, "20 02 01 05"),
    ),
    takes(
        "return codes of 3.1.1 may be any number",
        ReasonCodeNotAllowed,
        "MQTT3 table 3.1: 6 to 255 are reserved",
        &[(Rmqtt, OLD)],
        (V3_1_1, "20 02 00 06"),
    ),
    takes(
        "codes may be those of other packets or of none",
        ReasonCodeNotAllowed,
        "MQTT5-3.2.2-8, MQTT5-3.15.2-1, MQTT3-3.9.3-2, MQTT3 table 3.1",
        &[(Mqtt5Protocol, BOTH)],
        (V3_1_1, "90 03 0001 8f"),
    ),
    takes(
        "SUBACK and UNSUBACK may be without codes",
        NoReasonCodes,
        "MQTT5-3.8.4-6, MQTT5-3.11.3-1, MQTT3-3.8.4-5: one for each filter, of which there is at least one",
        &[(Rmqtt, BOTH)],
        (V3_1_1, "90 02 0001"),
    ),
    // PUBLISH.
    takes(
        "DUP may be set at QoS 0",
        DupWithQoS0,
        "MQTT5-3.3.1-2, MQTT3-3.3.1-2",
        &[(Rumqttc, BOTH), (MqttProtocolCore, BOTH), (Rmqtt, BOTH)],
        (V3_1_1, "38 03 0001 74"),
    ),
    takes(
        "the Topic Name may be empty",
        TopicNameEmpty,
        "MQTT5-4.7.3-1, MQTT3-4.7.3-1; MQTT5 3.3.2.1 without a Topic Alias",
        &[
            (Rumqttc, BOTH),
            (Mqtt5Protocol, BOTH),
            (MqttProtocolCore, BOTH),
            (Rmqtt, BOTH),
        ],
        (V5_0, "30 03 0000 00"),
    ),
    takes(
        "the Topic Name may have wildcards",
        TopicNameWildcard,
        "MQTT5-3.3.2-2, MQTT3-3.3.2-2, MQTT5-4.7.1-1",
        &[
            (Rumqttc, BOTH),
            (Mqtt5Protocol, BOTH),
            (MqttProtocolCore, BOTH),
            (Rmqtt, BOTH),
        ],
        (V3_1_1, "30 03 0001 23"),
    ),
    // SUBSCRIBE and UNSUBSCRIBE.
    takes(
        "UNSUBSCRIBE may be without filters",
        NoSubscriptions,
        "MQTT5-3.10.3-2, MQTT3-3.10.3-2",
        &[(Rumqttc, BOTH)],
        (V3_1_1, "a2 02 0001"),
    ),
    takes(
        "reserved bits of the Subscription Options may be set",
        ReservedSubscriptionOptions,
        "MQTT5-3.8.3-5, MQTT3-3.8.3-4",
        &[
            (Rumqttc, BOTH),
            (Mqtt5Protocol, OLD),
            (MqttProtocolCore, OLD),
            (Rmqtt, OLD),
        ],
        (V3_1_1, "82 06 0001 0001 74 04"),
    ),
    takes(
        "the QoS asked for may be 3",
        SubscriptionQoS3,
        "MQTT3-3.8.3-4",
        &[(Mqtt5Protocol, OLD)],
        (V3_1_1, "82 06 0001 0001 74 03"),
    ),
    takes(
        "No Local goes with a shared subscription",
        NoLocalOnSharedSubscription,
        "MQTT5-3.8.3-4",
        &[
            (Rumqttc, NEW),
            (Mqtt5Protocol, NEW),
            (MqttProtocolCore, NEW),
            (Rmqtt, NEW),
        ],
        (V5_0, "82 10 0001 00 000a 2473686172652f672f74 04"),
    ),
    open(fails(
        "an empty Topic Filter spoils the packet",
        Way::Refuses,
        About::Packet(|packet| match packet {
            Packet::Subscribe(packet) => packet.subscriptions.iter().any(|s| s.filter.is_empty()),
            Packet::Unsubscribe(packet) => packet.filters.iter().any(str::is_empty),
            _ => false,
        }),
        "MQTT5-4.7.3-1, MQTT3-4.7.3-1 forbid it; SUBACK has an answer for each filter, so we leave it to the server",
        &[(Rmqtt, OLD)],
        (V3_1_1, "82 05 0001 0000 00"),
    )),
    open(fails(
        "a Topic Filter that is no proper shared subscription spoils the packet",
        Way::Refuses,
        About::Packet(|packet| {
            let is_bad = |filter: &str| {
                filter.starts_with("$share/") && validate_topic_filter(filter, V5_0).is_err()
            };
            match packet {
                Packet::Subscribe(packet) => packet.subscriptions.iter().any(|s| is_bad(s.filter)),
                Packet::Unsubscribe(packet) => packet.filters.iter().any(is_bad),
                _ => false,
            }
        }),
        "MQTT5-4.8.2-1, MQTT5-4.8.2-2 forbid it; SUBACK has an answer for each filter, so we leave it to the server",
        &[(MqttProtocolCore, NEW)],
        (V5_0, "82 0d 0001 00 0007 2473686172652f 00"),
    )),
    // DISCONNECT and AUTH.
    fails(
        "DISCONNECT of 5.0 may not leave out its code or its properties",
        Way::Refuses,
        About::All(|found| {
            found.frame.packet_type() == Some(PacketType::Disconnect)
                && found.frame.body().len() < 2
        }),
        "MQTT5 3.14.2.1, 3.14.2.2.1",
        &[(Rumqttc, NEW)],
        (V5_0, "e0 01 04"),
    ),
    fails(
        "DISCONNECT with a code and no properties is encoded with a wrong length",
        Way::Misreads,
        About::Packet(
            |packet| matches!(packet, Packet::Disconnect(d) if d.reason_code.0 != 0 && d.properties.is_empty()),
        ),
        "MQTT5 2.1.4",
        &[(Rumqttc, NEW)],
        (V5_0, "e0 02 80 00"),
    ),
    open(fails(
        "DISCONNECT does not know Bad authentication method",
        Way::Refuses,
        About::Packet(|packet| {
            matches!(packet, Packet::Disconnect(d)
                if d.reason_code == ReasonCode::BAD_AUTHENTICATION_METHOD)
        }),
        "MQTT5 table 2.6 gives 0x8C to DISCONNECT, the table of 3.14.2.1 does not: we take it",
        &[
            (Mqtt5Protocol, NEW),
            (MqttProtocolCore, NEW),
            (Rumqttc, NEW),
        ],
        (V5_0, "e0 02 8c 00"),
    )),
    fails(
        "there is no AUTH",
        Way::Refuses,
        About::Packet(|packet| matches!(packet, Packet::Auth(_))),
        "MQTT5 3.15",
        &[(Rumqttc, NEW)],
        (V5_0, "f0 00"),
    ),
    open(fails(
        "an AUTH of nothing but its header is encoded with code and Property Length",
        Way::Misreads,
        About::Packet(
            |packet| matches!(packet, Packet::Auth(auth) if auth.reason_code.0 == 0 && auth.properties.is_empty()),
        ),
        "MQTT5 3.15.2.1 allows the short form without a method, 3.15.2.2.2 no other form without one",
        &[(Rmqtt, NEW)],
        (V5_0, "f0 00"),
    )),
    // Properties.
    open(fails(
        "a property at the value that its absence means is lost",
        Way::Misreads,
        About::All(loses_defaults),
        "MQTT5 3.1.2.11, 3.2.2.3, 3.3.2.3.2: it means the same",
        &[(Rmqtt, NEW)],
        (V5_0, "30 06 0001 74 02 0100"),
    )),
    fails(
        "a Message Expiry Interval may not be 0",
        Way::Refuses,
        About::Packet(|packet| {
            let properties = match packet {
                Packet::Publish(publish) => Some(publish.properties),
                Packet::Connect(connect) => connect.will.map(|will| will.properties),
                _ => None,
            };
            properties.is_some_and(|properties| properties.message_expiry_interval() == Some(0))
        }),
        "MQTT5 3.3.2.3.3, 3.1.3.2.4: a four byte integer, no value is forbidden",
        &[(Rmqtt, NEW)],
        (V5_0, "30 09 0001 74 05 0200000000"),
    ),
    fails(
        "behind Subscription Identifiers, properties are taken for what follows them",
        Way::Misreads,
        About::Packet(|packet| {
            let properties = match packet {
                Packet::Publish(packet) => packet.properties,
                Packet::Subscribe(packet) => packet.properties,
                _ => return false,
            };
            properties.subscription_identifiers().next().is_some()
        }),
        "MQTT5 2.2.2.1",
        &[(Rumqttc, NEW)],
        (V5_0, "30 0a 0001 74 06 0b01 0b02 0b03"),
    ),
    takes(
        "any property may stand anywhere",
        PropertyNotAllowed,
        "MQTT5 2.2.2.2",
        &[(Mqtt5Protocol, NEW)],
        (V5_0, "40 06 0001 00 02 0100"),
    ),
    takes(
        "a property may come twice, the last one counts",
        DuplicateProperty,
        "MQTT5 3.3.2.3, 3.8.2.1 and wherever a property is described",
        &[
            (Rumqttc, NEW),
            (Mqtt5Protocol, NEW),
            (MqttProtocolCore, NEW),
        ],
        (V5_0, "82 0b 0001 04 0b01 0b02 0001 74 00"),
    ),
    takes(
        "a property that is 0 or 1 may be 2",
        InvalidFlagProperty,
        "MQTT5 3.1.2.11.6, 3.1.2.11.7, 3.2.2.3, 3.3.2.3.2",
        &[(Rumqttc, NEW), (Mqtt5Protocol, NEW), (Rmqtt, NEW)],
        (V5_0, "20 05 00 00 02 2402"),
    ),
    takes(
        "Receive Maximum may be 0",
        ReceiveMaximumZero,
        "MQTT5 3.1.2.11.3",
        &[(Rumqttc, NEW), (Mqtt5Protocol, NEW)],
        (V5_0, "10 10 0004 4d515454 05 02 0000 03 210000 0000"),
    ),
    takes(
        "Maximum Packet Size may be 0",
        MaximumPacketSizeZero,
        "MQTT5 3.1.2.11.4",
        &[(Rumqttc, NEW), (Mqtt5Protocol, NEW)],
        (V5_0, "10 12 0004 4d515454 05 02 0000 05 2700000000 0000"),
    ),
    Difference {
        about: About::All(|found| {
            found.frame.packet_type() == Some(PacketType::ConnAck)
                && matches!(found.ours, Err(error) if error.kind == MaximumPacketSizeZero)
        }),
        ..takes(
            "Maximum Packet Size may be 0 in CONNACK",
            MaximumPacketSizeZero,
            "MQTT5 3.2.2.3.6",
            &[(Rmqtt, NEW)],
            (V5_0, "20 08 00 00 05 2700000000"),
        )
    },
    takes(
        "Topic Alias may be 0",
        TopicAliasZero,
        "MQTT5-3.3.2-8",
        &[(Rumqttc, NEW), (Mqtt5Protocol, NEW)],
        (V5_0, "30 07 0001 74 03 230000"),
    ),
    takes(
        "Subscription Identifier may be 0",
        SubscriptionIdentifierZero,
        "MQTT5 3.3.2.3.8, 3.8.2.1.2",
        &[(Rumqttc, NEW), (Mqtt5Protocol, NEW)],
        (V5_0, "82 09 0001 02 0b00 0001 74 00"),
    ),
    takes(
        "Response Topic may have wildcards",
        ResponseTopicInvalid,
        "MQTT5-3.3.2-14",
        &[
            (Rumqttc, NEW),
            (Mqtt5Protocol, NEW),
            (MqttProtocolCore, NEW),
            (Rmqtt, NEW),
        ],
        (V5_0, "30 08 0001 74 04 08000123"),
    ),
    takes(
        "Authentication Data may be without a method",
        AuthenticationDataWithoutMethod,
        "MQTT5 3.1.2.11.10",
        &[
            (Rumqttc, NEW),
            (Mqtt5Protocol, NEW),
            (MqttProtocolCore, NEW),
            (Rmqtt, NEW),
        ],
        (V5_0, "10 10 0004 4d515454 05 02 0000 03 160000 0000"),
    ),
    takes(
        "AUTH may be without an Authentication Method",
        AuthenticationMethodMissing,
        "MQTT5 3.15.2.2.2; only where code and properties are left out altogether, 3.15.2.1 allows it",
        &[(Mqtt5Protocol, NEW), (MqttProtocolCore, NEW), (Rmqtt, NEW)],
        (V5_0, "f0 02 00 00"),
    ),
    // Lengths.
    Difference {
        about: About::All(|found| {
            found.frame.bytes()[..] == [0xf0, 1, found.frame.body()[0]]
                && matches!(found.ours, Err(error) if error.kind == Truncated)
        }),
        ..takes(
            "AUTH may leave out its properties but not its code",
            Truncated,
            "MQTT5 3.15.2.1 has both left out or none",
            &[(Mqtt5Protocol, NEW), (MqttProtocolCore, NEW), (Rmqtt, NEW)],
            (V5_0, "f0 01 00"),
        )
    },
    Difference {
        about: About::All(|found| {
            found.frame.packet_type() == Some(PacketType::ConnAck) && found.frame.body().len() == 2
        }),
        ..takes(
            "CONNACK of 5.0 may have the form of 3.1.1",
            Truncated,
            "MQTT5 3.2.2.3.1: there is a Property Length",
            &[(Mqtt5Protocol, NEW)],
            (V5_0, "20 02 01 00"),
        )
    },
    Difference {
        about: About::All(|found| {
            found.frame.packet_type() == Some(PacketType::Publish)
                && matches!(found.ours, Err(error) if error.kind == Truncated
                    && error.offset as usize == found.frame.bytes().len())
        }),
        ..takes(
            "PUBLISH of 5.0 may end behind the topic or identifier",
            Truncated,
            "MQTT5 3.3.2.3.1: there is a Property Length",
            &[(MqttProtocolCore, NEW)],
            (V5_0, "30 03 0001 74"),
        )
    },
    takes(
        "properties may reach beyond their length",
        Truncated,
        "MQTT5 2.2.2.1: the Property Length counts them",
        &[(Rumqttc, NEW)],
        (V5_0, "30 06 0001 74 01 0100"),
    ),
    Difference {
        about: About::All(|found| {
            let bytes = found.frame.bytes();
            let identifier = bytes.iter().position(|byte| *byte == 0x0b);
            matches!(
                found.frame.packet_type(),
                Some(PacketType::Publish | PacketType::Subscribe)
            ) && matches!((found.ours, identifier), (Err(error), Some(at))
                    if error.offset as usize > at)
        }),
        ..takes(
            "behind Subscription Identifiers, anything may stand",
            UnknownProperty,
            "MQTT5 3.3.2.3.8, 3.8.2.1.2",
            &[(Rumqttc, NEW)],
            (V5_0, "30 0a 0001 74 06 0b01 0b02 7f00"),
        )
    },
];
