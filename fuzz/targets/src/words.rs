//! Few words and small numbers, so that what clients say meets: topics match filters, identifiers come again.

use arbitrary::{Result, Unstructured};
use quince_codec::{
    Acknowledgement, Connect, Disconnect, FilterList, Packet, PacketId, PacketType, Property,
    PropertyList, Publish, QoS, ReasonCode, RetainHandling, Subscribe, SubscriptionList,
    SubscriptionOptions, Unsubscribe, Version, Will,
};

use crate::specimen::Specimen;

const TOPICS: &[&str] = &["a", "a/b", "a/b/c", "b", "/", "a/", "$s", "$s/a", "b//c"];
const FILTERS: &[&str] = &[
    "#", "a", "a/b", "a/#", "a/+", "+", "+/b", "+/+", "+/#", "/", "/+", "b//c", "b/+/c", "$s/#",
    "$s", "$s/+", "a/+/c", "a/b/#", "#/a", "a+", "",
];
const SHARES: &[&str] = &["", "", "$share/g/", "$share/h/", "$share//"];
const LEVELS: &[&str] = &["a", "b", "c", "", "+", "+", "$s", "ab"];

/// A valid Topic Name.
pub(crate) fn topic(u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(3, 4)? {
        return Ok((*u.choose(TOPICS)?).to_owned());
    }
    let mut levels = Vec::new();
    for _ in 0..u.int_in_range(1..=4)? {
        levels.push(match *u.choose(LEVELS)? {
            "+" => "d",
            level => level,
        });
    }
    let topic = levels.join("/");
    Ok(if topic.is_empty() {
        "a".to_owned()
    } else {
        topic
    })
}

/// A Topic Filter, mostly a valid one, and now and then a Shared Subscription.
pub(crate) fn filter(u: &mut Unstructured<'_>) -> Result<String> {
    let share = *u.choose(SHARES)?;
    let filter = if u.ratio(3, 4)? {
        (*u.choose(FILTERS)?).to_owned()
    } else {
        let mut levels = Vec::new();
        for _ in 0..u.int_in_range(0..=4)? {
            levels.push(*u.choose(LEVELS)?);
        }
        if u.ratio(1, 3)? {
            levels.push("#");
        }
        levels.join("/")
    };
    Ok(format!("{share}{filter}"))
}

/// Subscription Options that the version has.
pub(crate) fn options(
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
        no_local: u.ratio(1, 4)? && !filter.starts_with("$share/"),
        retain_as_published: u.arbitrary()?,
        retain_handling: *u.choose(&[
            RetainHandling::SendAtSubscribe,
            RetainHandling::SendIfNew,
            RetainHandling::DoNotSend,
        ])?,
    })
}

fn qos(u: &mut Unstructured<'_>) -> Result<QoS> {
    Ok(*u.choose(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])?)
}

fn packet_id(u: &mut Unstructured<'_>) -> Result<PacketId> {
    PacketId::new(u.int_in_range(1..=4)?).ok_or(arbitrary::Error::IncorrectFormat)
}

/// The bytes of a CONNECT under one of two names, with terms that matter to what the server may send.
pub(crate) fn connect(u: &mut Unstructured<'_>, version: Version) -> Result<Vec<u8>> {
    let (mut properties, mut will_properties) = (PropertyList::new(), PropertyList::new());
    if version == Version::V5_0 {
        if u.arbitrary()? {
            let expiry = *u.choose(&[1, 100, u32::MAX])?;
            properties.push(Property::SessionExpiryInterval(expiry));
        }
        if u.arbitrary()? {
            properties.push(Property::ReceiveMaximum(u.int_in_range(1..=3)?));
        }
        if u.arbitrary()? {
            properties.push(Property::TopicAliasMaximum(u.int_in_range(0..=2)?));
        }
        if u.ratio(1, 4)? {
            properties.push(Property::MaximumPacketSize(u.int_in_range(1..=60)?));
        }
        if u.ratio(1, 4)? {
            properties.push(Property::RequestProblemInformation(false));
        }
        if u.arbitrary()? {
            will_properties.push(Property::WillDelayInterval(u.int_in_range(0..=200)?));
        }
    }
    let client_id = *u.choose(&["a", "b", "a", "b", ""])?;
    let clean_start = u.arbitrary()?;
    let keep_alive = *u.choose(&[0, 0, 2])?;
    let topic = topic(u)?;
    let will = if u.ratio(1, 3)? {
        Some(Will {
            qos: qos(u)?,
            retain: u.arbitrary()?,
            properties: will_properties.as_properties(),
            topic: &topic,
            payload: b"will",
        })
    } else {
        None
    };
    bytes(
        version,
        &Packet::Connect(Connect {
            version,
            clean_start,
            keep_alive,
            properties: properties.as_properties(),
            client_id,
            will,
            user_name: None,
            password: None,
        }),
    )
}

/// The bytes of a packet that a client may send, or now and then of any packet, or of none.
pub(crate) fn packet(u: &mut Unstructured<'_>, version: Version) -> Result<Vec<u8>> {
    let packet_type = *u.choose(&[
        PacketType::Publish,
        PacketType::Publish,
        PacketType::Publish,
        PacketType::PubAck,
        PacketType::PubRec,
        PacketType::PubRel,
        PacketType::PubComp,
        PacketType::Subscribe,
        PacketType::Subscribe,
        PacketType::Unsubscribe,
        PacketType::PingReq,
        PacketType::Disconnect,
    ])?;
    if u.ratio(1, 16)? {
        let specimen = Specimen::draw_as(u, version, packet_type)?;
        return bytes(version, &specimen.packet());
    }
    if u.ratio(1, 32)? {
        return Ok(<&[u8] as arbitrary::Arbitrary>::arbitrary(u)?.to_vec());
    }
    match packet_type {
        PacketType::Publish => publish(u, version),
        PacketType::Subscribe => subscribe(u, version),
        PacketType::Unsubscribe => unsubscribe(u, version),
        PacketType::PingReq => bytes(version, &Packet::PingReq),
        PacketType::Disconnect => disconnect(u, version),
        _ => acknowledgement(u, version, packet_type),
    }
}

fn publish(u: &mut Unstructured<'_>, version: Version) -> Result<Vec<u8>> {
    let qos = qos(u)?;
    let mut topic = topic(u)?;
    let mut properties = PropertyList::new();
    if version == Version::V5_0 {
        if u.ratio(1, 4)? {
            properties.push(Property::TopicAlias(u.int_in_range(1..=3)?));
            if u.arbitrary()? {
                topic.clear();
            }
        }
        if u.ratio(1, 4)? {
            properties.push(Property::MessageExpiryInterval(u.int_in_range(0..=60)?));
        }
        if u.ratio(1, 8)? {
            properties.push(Property::UserProperty("name", "value"));
        }
    }
    if !topic.is_empty() && u.ratio(1, 16)? {
        topic.insert_str(0, "$delayed/2/");
    }
    let has_id = qos > QoS::AtMostOnce;
    bytes(
        version,
        &Packet::Publish(Publish {
            dup: has_id && u.ratio(1, 8)?,
            qos,
            retain: u.ratio(1, 3)?,
            topic: &topic,
            packet_id: has_id.then(|| packet_id(u)).transpose()?,
            properties: properties.as_properties(),
            payload: &[b'p'; 300][..*u.choose(&[0, 1, 40, 300])?],
        }),
    )
}

/// SUBSCRIBE with up to three filters.
fn subscribe(u: &mut Unstructured<'_>, version: Version) -> Result<Vec<u8>> {
    let mut properties = PropertyList::new();
    if version == Version::V5_0 && u.ratio(1, 3)? {
        properties.push(Property::SubscriptionIdentifier(u.int_in_range(1..=3)?));
    }
    let mut list = SubscriptionList::new();
    for _ in 0..u.int_in_range(1..=3)? {
        let filter = filter(u)?;
        let options = options(u, version, &filter)?;
        list.push(&filter, options);
    }
    bytes(
        version,
        &Packet::Subscribe(Subscribe {
            packet_id: packet_id(u)?,
            properties: properties.as_properties(),
            subscriptions: list.as_ref(),
        }),
    )
}

fn unsubscribe(u: &mut Unstructured<'_>, version: Version) -> Result<Vec<u8>> {
    let mut list = FilterList::new();
    for _ in 0..u.int_in_range(1..=2)? {
        list.push(&filter(u)?);
    }
    bytes(
        version,
        &Packet::Unsubscribe(Unsubscribe {
            packet_id: packet_id(u)?,
            properties: quince_codec::Properties::EMPTY,
            filters: list.as_ref(),
        }),
    )
}

fn acknowledgement(
    u: &mut Unstructured<'_>,
    version: Version,
    packet_type: PacketType,
) -> Result<Vec<u8>> {
    let mut acknowledgement = Acknowledgement::success(packet_id(u)?);
    let may_fail = matches!(packet_type, PacketType::PubAck | PacketType::PubRec);
    if version == Version::V5_0 && may_fail && u.ratio(1, 4)? {
        acknowledgement.reason_code = ReasonCode::UNSPECIFIED_ERROR;
    }
    let packet = match packet_type {
        PacketType::PubAck => Packet::PubAck(acknowledgement),
        PacketType::PubRec => Packet::PubRec(acknowledgement),
        PacketType::PubRel => Packet::PubRel(acknowledgement),
        _ => Packet::PubComp(acknowledgement),
    };
    bytes(version, &packet)
}

fn disconnect(u: &mut Unstructured<'_>, version: Version) -> Result<Vec<u8>> {
    let mut properties = PropertyList::new();
    let mut reason_code = ReasonCode::NORMAL_DISCONNECTION;
    if version == Version::V5_0 {
        if u.arbitrary()? {
            reason_code = ReasonCode::DISCONNECT_WITH_WILL_MESSAGE;
        }
        if u.arbitrary()? {
            let expiry = *u.choose(&[0, 1, 100])?;
            properties.push(Property::SessionExpiryInterval(expiry));
        }
    }
    bytes(
        version,
        &Packet::Disconnect(Disconnect {
            reason_code,
            properties: properties.as_properties(),
        }),
    )
}

fn bytes(version: Version, packet: &Packet<'_>) -> Result<Vec<u8>> {
    packet
        .to_bytes(version)
        .map(|bytes| bytes.to_vec())
        .map_err(|_| arbitrary::Error::IncorrectFormat)
}
