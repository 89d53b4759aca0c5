//! Packets of every type and version, drawn from the bytes of the fuzzer by `arbitrary`: each of them is valid.

use arbitrary::{Arbitrary as _, Result, Unstructured};
use quince_codec::property::{Place, TABLE};
use quince_codec::{
    Acknowledgement, Auth, ConnAck, Connect, Disconnect, FilterList, Packet, PacketId, PacketType,
    Property, PropertyList, Publish, QoS, ReasonCode, RetainHandling, SubAck, Subscribe,
    SubscriptionList, SubscriptionOptions, UnsubAck, Unsubscribe, Version, Will,
};

/// What a packet is put together from; each packet type takes what it needs. Texts borrow from the fuzzer's bytes.
#[derive(Debug)]
pub(crate) struct Specimen<'a> {
    pub(crate) version: Version,
    packet_type: PacketType,
    packet_id: PacketId,
    number: u16,
    code: u8,
    flags: (bool, bool),
    qos: QoS,
    topic: &'a str,
    text: &'a str,
    user_name: Option<&'a str>,
    payload: &'a [u8],
    password: Option<&'a [u8]>,
    properties: PropertyList,
    will: Option<(QoS, bool, PropertyList)>,
    subscriptions: SubscriptionList,
    filters: FilterList,
    codes: Vec<u8>,
}

impl<'a> Specimen<'a> {
    /// Draws a packet of any type that the version has.
    pub(crate) fn draw(u: &mut Unstructured<'a>) -> Result<Self> {
        let version = *u.choose(&Version::ALL)?;
        let packet_type = *u.choose(&PacketType::ALL)?;
        if packet_type == PacketType::Auth && version != Version::V5_0 {
            return Err(arbitrary::Error::IncorrectFormat);
        }
        Self::draw_as(u, version, packet_type)
    }

    /// Draws a packet of that type, which the version must have.
    pub(crate) fn draw_as(
        u: &mut Unstructured<'a>,
        version: Version,
        packet_type: PacketType,
    ) -> Result<Self> {
        let allowed = codes(version, packet_type);
        let properties = properties(u, version, Place::Packet(packet_type))?;
        let will = if packet_type == PacketType::Connect && u.arbitrary()? {
            Some((
                qos(u)?,
                u.arbitrary()?,
                self::properties(u, version, Place::Will)?,
            ))
        } else {
            None
        };
        let user_name = optional(u, text)?;
        let password = optional(u, <&[u8]>::arbitrary)?;
        let mut subscriptions = SubscriptionList::new();
        let mut filters = FilterList::new();
        let mut codes = Vec::new();
        for _ in 0..u.int_in_range(1..=3)? {
            let filter = text(u)?;
            match packet_type {
                PacketType::Subscribe => subscriptions.push(filter, options(u, version, filter)?),
                PacketType::Unsubscribe => filters.push(filter),
                _ => codes.push(*u.choose(&allowed)?),
            }
        }
        Ok(Self {
            version,
            packet_type,
            packet_id: PacketId::new(u.arbitrary()?).ok_or(arbitrary::Error::IncorrectFormat)?,
            number: u.arbitrary()?,
            code: *u.choose(&allowed)?,
            flags: u.arbitrary()?,
            qos: qos(u)?,
            topic: topic_name(u)?,
            text: text(u)?,
            user_name,
            payload: u.arbitrary()?,
            // Only version 5.0 has a password without a user name.
            password: password.filter(|_| version == Version::V5_0 || user_name.is_some()),
            properties,
            will,
            subscriptions,
            filters,
            codes,
        })
    }

    /// The packet.
    pub(crate) fn packet(&self) -> Packet<'_> {
        let packet_id = self.packet_id;
        let properties = self.properties.as_properties();
        let reason_code = ReasonCode(self.code);
        let acknowledgement = Acknowledgement {
            packet_id,
            reason_code,
            properties,
        };
        match self.packet_type {
            PacketType::Connect => Packet::Connect(self.connect()),
            PacketType::ConnAck => Packet::ConnAck(ConnAck {
                // Only success goes with a session, and the oldest version has no such flag.
                session_present: self.flags.0 && self.code == 0 && self.version >= Version::V3_1_1,
                code: self.code,
                properties,
            }),
            PacketType::Publish => Packet::Publish(self.publish()),
            PacketType::PubAck => Packet::PubAck(acknowledgement),
            PacketType::PubRec => Packet::PubRec(acknowledgement),
            PacketType::PubRel => Packet::PubRel(acknowledgement),
            PacketType::PubComp => Packet::PubComp(acknowledgement),
            PacketType::Subscribe => Packet::Subscribe(Subscribe {
                packet_id,
                properties,
                subscriptions: self.subscriptions.as_ref(),
            }),
            PacketType::SubAck => Packet::SubAck(SubAck {
                packet_id,
                properties,
                codes: &self.codes,
            }),
            PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties,
                filters: self.filters.as_ref(),
            }),
            PacketType::UnsubAck => Packet::UnsubAck(UnsubAck {
                packet_id,
                properties,
                codes: if self.version == Version::V5_0 {
                    &self.codes
                } else {
                    &[]
                },
            }),
            PacketType::PingReq => Packet::PingReq,
            PacketType::PingResp => Packet::PingResp,
            PacketType::Disconnect => Packet::Disconnect(Disconnect {
                reason_code,
                properties,
            }),
            PacketType::Auth => Packet::Auth(Auth {
                reason_code,
                properties,
            }),
        }
    }

    fn connect(&self) -> Connect<'_> {
        // Where version 3.1 takes less than the others: 1 to 23 characters, ASCII, and a string.
        let is_3_1 = self.version == Version::V3_1;
        let is_short = (1..=23).contains(&self.text.chars().count());
        Connect {
            version: self.version,
            clean_start: self.flags.0,
            keep_alive: self.number,
            properties: self.properties.as_properties(),
            client_id: if is_3_1 && !is_short {
                "client"
            } else {
                self.text
            },
            will: self.will.as_ref().map(|(qos, retain, properties)| Will {
                qos: *qos,
                retain: *retain,
                properties: properties.as_properties(),
                topic: self.topic,
                payload: if is_3_1 && !self.payload.is_ascii() {
                    b"gone"
                } else {
                    self.payload
                },
            }),
            user_name: self.user_name,
            password: if is_3_1 {
                self.password.map(|_| self.text.as_bytes())
            } else {
                self.password
            },
        }
    }

    fn publish(&self) -> Publish<'_> {
        let has_id = self.qos > QoS::AtMostOnce;
        Publish {
            dup: self.flags.0 && has_id,
            qos: self.qos,
            retain: self.flags.1,
            // A Topic Alias may stand for the name.
            topic: if self.properties.as_properties().topic_alias().is_some() && self.code == 0 {
                self.text.split(['+', '#']).next().unwrap_or_default()
            } else {
                self.topic
            },
            packet_id: has_id.then_some(self.packet_id),
            properties: self.properties.as_properties(),
            payload: self.payload,
        }
    }
}

/// The codes that a packet may carry, or 0 where it carries none.
fn codes(version: Version, packet_type: PacketType) -> Vec<u8> {
    if version != Version::V5_0 {
        return match packet_type {
            PacketType::ConnAck => (0..=5).collect(),
            PacketType::SubAck if version == Version::V3_1 => vec![0, 1, 2],
            PacketType::SubAck => vec![0, 1, 2, 0x80],
            _ => vec![0],
        };
    }
    let allowed: Vec<u8> = ReasonCode::TABLE
        .iter()
        .filter(|row| row.code.allowed_in(packet_type))
        .map(|row| row.code.0)
        .collect();
    if allowed.is_empty() { vec![0] } else { allowed }
}

fn qos(u: &mut Unstructured<'_>) -> Result<QoS> {
    Ok(*u.choose(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])?)
}

fn optional<'a, T>(
    u: &mut Unstructured<'a>,
    value: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Option<T>> {
    u.arbitrary::<bool>()?.then(|| value(u)).transpose()
}

/// A text without U+0000, possibly empty.
fn text<'a>(u: &mut Unstructured<'a>) -> Result<&'a str> {
    let text = <&str>::arbitrary(u)?;
    Ok(text.split('\0').next().unwrap_or_default())
}

/// A valid Topic Name.
fn topic_name<'a>(u: &mut Unstructured<'a>) -> Result<&'a str> {
    let name = text(u)?.split(['+', '#']).next().unwrap_or_default();
    Ok(if name.is_empty() { "t" } else { name })
}

/// No Local is forbidden on a Shared Subscription [MQTT5-3.8.3-4].
fn options(
    u: &mut Unstructured<'_>,
    version: Version,
    filter: &str,
) -> Result<SubscriptionOptions> {
    let qos = qos(u)?;
    if version != Version::V5_0 {
        return Ok(SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        });
    }
    Ok(SubscriptionOptions {
        qos,
        no_local: u.arbitrary::<bool>()? && !filter.starts_with("$share/"),
        retain_as_published: u.arbitrary()?,
        retain_handling: *u.choose(&[
            RetainHandling::SendAtSubscribe,
            RetainHandling::SendIfNew,
            RetainHandling::DoNotSend,
        ])?,
    })
}

/// Properties that may stand there, with what they need beside them.
fn properties(u: &mut Unstructured<'_>, version: Version, place: Place) -> Result<PropertyList> {
    let mut list = PropertyList::new();
    if version != Version::V5_0 {
        return Ok(list);
    }
    let rows: Vec<_> = TABLE
        .iter()
        .filter(|row| row.places.contains(&place))
        .collect();
    let mut used = Vec::new();
    for _ in 0..u.int_in_range(0..=6)? {
        if rows.is_empty() {
            break;
        }
        let row = u.choose(&rows)?;
        if !used.contains(&row.identifier) || row.repeatable.contains(&place) {
            used.push(row.identifier);
            list.push(property(u, row.identifier)?);
        }
    }
    // Where Authentication Data is allowed it needs a method, and AUTH always does.
    let needs_method = used.contains(&0x16) || place == Place::Packet(PacketType::Auth);
    if needs_method && !used.contains(&0x15) {
        list.push(Property::AuthenticationMethod(text(u)?));
    }
    Ok(list)
}

/// The property of that identifier, with a value that is allowed.
fn property<'a>(u: &mut Unstructured<'a>, identifier: u8) -> Result<Property<'a>> {
    Ok(match identifier {
        0x01 => Property::PayloadFormatIndicator(u.arbitrary()?),
        0x02 => Property::MessageExpiryInterval(u.arbitrary()?),
        0x03 => Property::ContentType(text(u)?),
        0x08 => Property::ResponseTopic(topic_name(u)?),
        0x09 => Property::CorrelationData(u.arbitrary()?),
        0x0b => Property::SubscriptionIdentifier(u.int_in_range(1..=268_435_455)?),
        0x11 => Property::SessionExpiryInterval(u.arbitrary()?),
        0x12 => Property::AssignedClientIdentifier(text(u)?),
        0x13 => Property::ServerKeepAlive(u.arbitrary()?),
        0x15 => Property::AuthenticationMethod(text(u)?),
        0x16 => Property::AuthenticationData(u.arbitrary()?),
        0x17 => Property::RequestProblemInformation(u.arbitrary()?),
        0x18 => Property::WillDelayInterval(u.arbitrary()?),
        0x19 => Property::RequestResponseInformation(u.arbitrary()?),
        0x1a => Property::ResponseInformation(text(u)?),
        0x1c => Property::ServerReference(text(u)?),
        0x1f => Property::ReasonString(text(u)?),
        0x21 => Property::ReceiveMaximum(u.int_in_range(1..=u16::MAX)?),
        0x22 => Property::TopicAliasMaximum(u.arbitrary()?),
        0x23 => Property::TopicAlias(u.int_in_range(1..=u16::MAX)?),
        0x24 => Property::MaximumQoS(u.int_in_range(0..=1)?),
        0x25 => Property::RetainAvailable(u.arbitrary()?),
        0x26 => Property::UserProperty(text(u)?, text(u)?),
        0x27 => Property::MaximumPacketSize(u.int_in_range(1..=u32::MAX)?),
        0x28 => Property::WildcardSubscriptionAvailable(u.arbitrary()?),
        0x29 => Property::SubscriptionIdentifierAvailable(u.arbitrary()?),
        0x2a => Property::SharedSubscriptionAvailable(u.arbitrary()?),
        _ => panic!("property {identifier:02x} is not in the table"),
    })
}
