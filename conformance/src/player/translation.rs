//! Between the suite's packets with named fields and the codec's packets.

use quince_codec::{
    Acknowledgement, Auth, ConnAck, Connect, Disconnect, FilterList, Frame, Packet, PacketId,
    Properties, Property, PropertyList, Publish, QoS, ReasonCode, RetainHandling, SubAck,
    Subscribe, SubscriptionList, SubscriptionOptions, UnsubAck, Unsubscribe, Version, Will,
};

use super::message::{Fields, Message, known, value_of};
use crate::scenario::{
    expression::Value,
    field::{PacketName, property_field},
};

/// The bytes of a packet.
pub(super) fn encode(message: &Message, version: Version) -> Result<Vec<u8>, String> {
    let source = Source {
        packet: message.packet,
        fields: &message.fields,
    };
    let properties = source.properties()?;
    let will = message.will.as_ref().map(|fields| Source {
        packet: PacketName::Will,
        fields,
    });
    let will_properties = will
        .as_ref()
        .map_or_else(|| Ok(PropertyList::new()), Source::properties)?;
    let subscriptions = subscriptions(message)?;
    let filters = filters(message)?;
    let properties = properties.as_properties();
    let packet = match message.packet {
        PacketName::Connect => Packet::Connect(Connect {
            version,
            clean_start: source.flag("clean-start"),
            keep_alive: source.two_bytes("keep-alive")?,
            properties,
            client_id: source.text("client-id"),
            will: will
                .as_ref()
                .map(|will| will_of(will, will_properties.as_properties()))
                .transpose()?,
            user_name: source.value("user-name").map(|_| source.text("user-name")),
            password: source.value("password").map(|_| source.bytes("password")),
        }),
        PacketName::ConnAck => Packet::ConnAck(ConnAck {
            session_present: source.flag("session-present"),
            code: source.byte("code")?,
            properties,
        }),
        PacketName::Publish => Packet::Publish(Publish {
            dup: source.flag("dup"),
            qos: source.qos()?,
            retain: source.flag("retain"),
            topic: source.text("topic"),
            packet_id: if source.qos()? == QoS::AtMostOnce {
                None
            } else {
                Some(source.id()?)
            },
            properties,
            payload: source.bytes("payload"),
        }),
        PacketName::PubAck => Packet::PubAck(source.acknowledgement(properties)?),
        PacketName::PubRec => Packet::PubRec(source.acknowledgement(properties)?),
        PacketName::PubRel => Packet::PubRel(source.acknowledgement(properties)?),
        PacketName::PubComp => Packet::PubComp(source.acknowledgement(properties)?),
        PacketName::Subscribe => Packet::Subscribe(Subscribe {
            packet_id: source.id()?,
            properties,
            subscriptions: subscriptions.as_ref(),
        }),
        PacketName::SubAck => Packet::SubAck(SubAck {
            packet_id: source.id()?,
            properties,
            codes: &message.codes,
        }),
        PacketName::Unsubscribe => Packet::Unsubscribe(Unsubscribe {
            packet_id: source.id()?,
            properties,
            filters: filters.as_ref(),
        }),
        PacketName::UnsubAck => Packet::UnsubAck(UnsubAck {
            packet_id: source.id()?,
            properties,
            codes: &message.codes,
        }),
        PacketName::PingReq => Packet::PingReq,
        PacketName::PingResp => Packet::PingResp,
        PacketName::Disconnect => Packet::Disconnect(Disconnect {
            reason_code: ReasonCode(source.byte("code")?),
            properties,
        }),
        PacketName::Auth => Packet::Auth(Auth {
            reason_code: ReasonCode(source.byte("code")?),
            properties,
        }),
        PacketName::Will | PacketName::SubscribeFilter => {
            return Err(format!("{} is no packet", message.packet));
        }
    };
    let bytes = packet
        .to_bytes(version)
        .map_err(|error| format!("{} cannot be written: {error}", message.packet))?;
    Ok(bytes.to_vec())
}

fn will_of<'a>(source: &Source<'a>, properties: Properties<'a>) -> Result<Will<'a>, String> {
    Ok(Will {
        qos: source.qos()?,
        retain: source.flag("retain"),
        properties,
        topic: source.text("topic"),
        payload: source.bytes("payload"),
    })
}

fn subscriptions(message: &Message) -> Result<SubscriptionList, String> {
    let mut list = SubscriptionList::new();
    if message.packet != PacketName::Subscribe {
        return Ok(list);
    }
    for fields in &message.filters {
        let source = Source {
            packet: PacketName::SubscribeFilter,
            fields,
        };
        let retain_handling = RetainHandling::try_from(source.byte("retain-handling")?)
            .map_err(|_| "retain-handling is 0, 1 or 2".to_owned())?;
        let options = SubscriptionOptions {
            qos: source.qos()?,
            no_local: source.flag("no-local"),
            retain_as_published: source.flag("retain-as-published"),
            retain_handling,
        };
        list.push(source.text("filter"), options);
    }
    Ok(list)
}

fn filters(message: &Message) -> Result<FilterList, String> {
    let mut list = FilterList::new();
    if message.packet == PacketName::Unsubscribe {
        for fields in &message.filters {
            list.push(
                Source {
                    packet: PacketName::SubscribeFilter,
                    fields,
                }
                .text("filter"),
            );
        }
    }
    Ok(list)
}

/// Fields from which a packet of the codec is made.
struct Source<'a> {
    packet: PacketName,
    fields: &'a Fields,
}

impl<'a> Source<'a> {
    fn value(&self, name: &str) -> Option<&'a Value> {
        value_of(self.fields, name)
    }

    fn number(&self, name: &str) -> u64 {
        match self.value(name) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    fn byte(&self, name: &str) -> Result<u8, String> {
        u8::try_from(self.number(name)).map_err(|_| format!("{name} does not fit into a byte"))
    }

    fn two_bytes(&self, name: &str) -> Result<u16, String> {
        u16::try_from(self.number(name)).map_err(|_| format!("{name} does not fit into two bytes"))
    }

    fn flag(&self, name: &str) -> bool {
        self.value(name) == Some(&Value::Flag(true))
    }

    fn text(&self, name: &str) -> &'a str {
        match self.value(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    fn bytes(&self, name: &str) -> &'a [u8] {
        match self.value(name) {
            Some(Value::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    fn qos(&self) -> Result<QoS, String> {
        QoS::try_from(self.byte("qos")?).map_err(|_| "qos is 0, 1 or 2".to_owned())
    }

    fn id(&self) -> Result<PacketId, String> {
        let id = self.two_bytes("id")?;
        PacketId::new(id).ok_or_else(|| {
            format!(
                "{} needs an id that is not 0; use an edit for 0",
                self.packet
            )
        })
    }

    fn acknowledgement(&self, properties: Properties<'a>) -> Result<Acknowledgement<'a>, String> {
        Ok(Acknowledgement {
            packet_id: self.id()?,
            reason_code: ReasonCode(self.byte("code")?),
            properties,
        })
    }

    /// The properties, in the order of the fields.
    fn properties(&self) -> Result<PropertyList, String> {
        let mut list = PropertyList::new();
        for (field, value) in self.fields {
            if let Some(identifier) = field.property {
                let property = property(identifier, value);
                list.push(
                    property
                        .ok_or_else(|| format!("{} cannot be {}", field.name, value.describe()))?,
                );
            }
        }
        Ok(list)
    }
}

/// The codec's property with that identifier; `None` if the value is of the wrong kind or too large.
fn property(identifier: u8, value: &Value) -> Option<Property<'_>> {
    let text = || match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    };
    let bytes = || match value {
        Value::Bytes(bytes) => Some(bytes.as_slice()),
        _ => None,
    };
    let number = || match value {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    let one = || number().and_then(|number| u8::try_from(number).ok());
    let flag = || {
        one()
            .filter(|number| *number <= 1)
            .map(|number| number == 1)
    };
    let two = || number().and_then(|number| u16::try_from(number).ok());
    let four = || number().and_then(|number| u32::try_from(number).ok());
    Some(match identifier {
        0x01 => Property::PayloadFormatIndicator(flag()?),
        0x02 => Property::MessageExpiryInterval(four()?),
        0x03 => Property::ContentType(text()?),
        0x08 => Property::ResponseTopic(text()?),
        0x09 => Property::CorrelationData(bytes()?),
        0x0b => Property::SubscriptionIdentifier(four()?),
        0x11 => Property::SessionExpiryInterval(four()?),
        0x12 => Property::AssignedClientIdentifier(text()?),
        0x13 => Property::ServerKeepAlive(two()?),
        0x15 => Property::AuthenticationMethod(text()?),
        0x16 => Property::AuthenticationData(bytes()?),
        0x17 => Property::RequestProblemInformation(flag()?),
        0x18 => Property::WillDelayInterval(four()?),
        0x19 => Property::RequestResponseInformation(flag()?),
        0x1a => Property::ResponseInformation(text()?),
        0x1c => Property::ServerReference(text()?),
        0x1f => Property::ReasonString(text()?),
        0x21 => Property::ReceiveMaximum(two()?),
        0x22 => Property::TopicAliasMaximum(two()?),
        0x23 => Property::TopicAlias(two()?),
        0x24 => Property::MaximumQoS(one()?),
        0x25 => Property::RetainAvailable(flag()?),
        0x26 => match value {
            Value::Pair(name, value) => Property::UserProperty(name, value),
            _ => return None,
        },
        0x27 => Property::MaximumPacketSize(four()?),
        0x28 => Property::WildcardSubscriptionAvailable(flag()?),
        0x29 => Property::SubscriptionIdentifierAvailable(flag()?),
        0x2a => Property::SharedSubscriptionAvailable(flag()?),
        _ => return None,
    })
}

/// The packet in exactly these bytes.
pub(super) fn decode(bytes: &[u8], version: Version) -> Result<Message, String> {
    let frame = Frame::parse(bytes.to_vec().into()).map_err(|error| error.to_string())?;
    let packet = frame.decode(version).map_err(|error| error.to_string())?;
    Ok(message(&packet, version))
}

fn message(packet: &Packet<'_>, version: Version) -> Message {
    match packet {
        Packet::Connect(connect) => connect_message(connect),
        Packet::ConnAck(connack) => {
            let mut message = Message::bare(PacketName::ConnAck);
            message.put("session-present", Value::Flag(connack.session_present));
            message.put("code", Value::Number(connack.code.into()));
            add_properties(&mut message.fields, connack.properties);
            message
        }
        Packet::Publish(publish) => publish_message(publish),
        Packet::PubAck(acknowledgement) => {
            acknowledgement_message(PacketName::PubAck, acknowledgement, version)
        }
        Packet::PubRec(acknowledgement) => {
            acknowledgement_message(PacketName::PubRec, acknowledgement, version)
        }
        Packet::PubRel(acknowledgement) => {
            acknowledgement_message(PacketName::PubRel, acknowledgement, version)
        }
        Packet::PubComp(acknowledgement) => {
            acknowledgement_message(PacketName::PubComp, acknowledgement, version)
        }
        Packet::Subscribe(subscribe) => {
            let mut message = with_id(
                PacketName::Subscribe,
                subscribe.packet_id,
                subscribe.properties,
            );
            for subscription in subscribe.subscriptions.iter() {
                let options = subscription.options;
                let mut fields: Fields = vec![
                    (known("filter"), Value::Text(subscription.filter.to_owned())),
                    (known("qos"), Value::Number(u64::from(options.qos as u8))),
                ];
                if version == Version::V5_0 {
                    fields.push((known("no-local"), Value::Flag(options.no_local)));
                    fields.push((
                        known("retain-as-published"),
                        Value::Flag(options.retain_as_published),
                    ));
                    let handling = u64::from(options.retain_handling as u8);
                    fields.push((known("retain-handling"), Value::Number(handling)));
                }
                message.filters.push(fields);
            }
            message
        }
        Packet::SubAck(suback) => {
            let mut message = with_id(PacketName::SubAck, suback.packet_id, suback.properties);
            message.codes = suback.codes.to_vec();
            message
        }
        Packet::Unsubscribe(unsubscribe) => {
            let mut message = with_id(
                PacketName::Unsubscribe,
                unsubscribe.packet_id,
                unsubscribe.properties,
            );
            let filter = |filter: &str| vec![(known("filter"), Value::Text(filter.to_owned()))];
            message.filters = unsubscribe.filters.iter().map(filter).collect();
            message
        }
        Packet::UnsubAck(unsuback) => {
            let mut message = with_id(
                PacketName::UnsubAck,
                unsuback.packet_id,
                unsuback.properties,
            );
            message.codes = unsuback.codes.to_vec();
            message
        }
        Packet::PingReq => Message::bare(PacketName::PingReq),
        Packet::PingResp => Message::bare(PacketName::PingResp),
        Packet::Disconnect(disconnect) => with_code(
            PacketName::Disconnect,
            disconnect.reason_code,
            disconnect.properties,
            version,
        ),
        Packet::Auth(auth) => {
            with_code(PacketName::Auth, auth.reason_code, auth.properties, version)
        }
    }
}

fn connect_message(connect: &Connect<'_>) -> Message {
    let mut message = Message::bare(PacketName::Connect);
    message.put("client-id", Value::Text(connect.client_id.to_owned()));
    message.put("clean-start", Value::Flag(connect.clean_start));
    message.put("keep-alive", Value::Number(connect.keep_alive.into()));
    if let Some(name) = connect.user_name {
        message.put("user-name", Value::Text(name.to_owned()));
    }
    if let Some(password) = connect.password {
        message.put("password", Value::Bytes(password.to_vec()));
    }
    add_properties(&mut message.fields, connect.properties);
    message.will = connect.will.as_ref().map(|will| {
        let mut fields: Fields = vec![
            (known("topic"), Value::Text(will.topic.to_owned())),
            (known("payload"), Value::Bytes(will.payload.to_vec())),
            (known("qos"), Value::Number(u64::from(will.qos as u8))),
            (known("retain"), Value::Flag(will.retain)),
        ];
        add_properties(&mut fields, will.properties);
        fields
    });
    message
}

fn publish_message(publish: &Publish<'_>) -> Message {
    let mut message = Message::bare(PacketName::Publish);
    message.put("topic", Value::Text(publish.topic.to_owned()));
    message.put("payload", Value::Bytes(publish.payload.to_vec()));
    message.put("qos", Value::Number(u64::from(publish.qos as u8)));
    if let Some(id) = publish.packet_id {
        message.put("id", Value::Number(id.value().into()));
    }
    message.put("retain", Value::Flag(publish.retain));
    message.put("dup", Value::Flag(publish.dup));
    add_properties(&mut message.fields, publish.properties);
    message
}

fn acknowledgement_message(
    packet: PacketName,
    acknowledgement: &Acknowledgement<'_>,
    version: Version,
) -> Message {
    let mut message = with_id(packet, acknowledgement.packet_id, Properties::EMPTY);
    if version == Version::V5_0 {
        message.put("code", Value::Number(acknowledgement.reason_code.0.into()));
    }
    add_properties(&mut message.fields, acknowledgement.properties);
    message
}

fn with_id(packet: PacketName, id: PacketId, properties: Properties<'_>) -> Message {
    let mut message = Message::bare(packet);
    message.put("id", Value::Number(id.value().into()));
    add_properties(&mut message.fields, properties);
    message
}

fn with_code(
    packet: PacketName,
    code: ReasonCode,
    properties: Properties<'_>,
    version: Version,
) -> Message {
    let mut message = Message::bare(packet);
    if version == Version::V5_0 {
        message.put("code", Value::Number(code.0.into()));
    }
    add_properties(&mut message.fields, properties);
    message
}

fn add_properties(fields: &mut Fields, properties: Properties<'_>) {
    for property in properties.iter() {
        let value = property_value(property);
        if let Some(field) = property_field(property.identifier()) {
            fields.push((field, value));
        }
    }
}

fn property_value(property: Property<'_>) -> Value {
    match property {
        Property::PayloadFormatIndicator(flag)
        | Property::RequestProblemInformation(flag)
        | Property::RequestResponseInformation(flag)
        | Property::RetainAvailable(flag)
        | Property::WildcardSubscriptionAvailable(flag)
        | Property::SubscriptionIdentifierAvailable(flag)
        | Property::SharedSubscriptionAvailable(flag) => Value::Number(flag.into()),
        Property::MaximumQoS(number) => Value::Number(number.into()),
        Property::ServerKeepAlive(number)
        | Property::ReceiveMaximum(number)
        | Property::TopicAliasMaximum(number)
        | Property::TopicAlias(number) => Value::Number(number.into()),
        Property::MessageExpiryInterval(number)
        | Property::SubscriptionIdentifier(number)
        | Property::SessionExpiryInterval(number)
        | Property::WillDelayInterval(number)
        | Property::MaximumPacketSize(number) => Value::Number(number.into()),
        Property::ContentType(text)
        | Property::ResponseTopic(text)
        | Property::AssignedClientIdentifier(text)
        | Property::AuthenticationMethod(text)
        | Property::ResponseInformation(text)
        | Property::ServerReference(text)
        | Property::ReasonString(text) => Value::Text(text.to_owned()),
        Property::CorrelationData(data) | Property::AuthenticationData(data) => {
            Value::Bytes(data.to_vec())
        }
        Property::UserProperty(name, value) => Value::Pair(name.to_owned(), value.to_owned()),
    }
}
