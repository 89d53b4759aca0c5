//! The packets that the benches measure: the kinds and sizes of a comparison of MQTT codecs, not the same bytes.

use quince_codec::{
    Connect, Packet, PacketId, Properties, Property, PropertyList, Publish, QoS, Subscribe,
    SubscriptionList, SubscriptionOptions, Version, Will,
};

/// A packet as bytes, with the name it has in the reports.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is.
    pub name: &'static str,
    /// Its version.
    pub version: Version,
    /// The whole packet.
    pub bytes: Vec<u8>,
}

/// Every sample, in the order of the reports.
///
/// # Panics
/// Never: the samples can be encoded.
#[must_use]
pub fn samples() -> Vec<Sample> {
    let properties: PropertyList = [
        Property::MessageExpiryInterval(60),
        Property::ContentType("text/plain"),
        Property::UserProperty("key", "value-of-a-key"),
        Property::PayloadFormatIndicator(true),
    ]
    .into_iter()
    .collect();
    let mut subscriptions = SubscriptionList::new();
    subscriptions.push("sensors/+/temperature", SubscriptionOptions::default());
    let subscribe = Subscribe {
        packet_id: id(),
        properties: Properties::EMPTY,
        subscriptions: subscriptions.as_ref(),
    };
    let q1 = publish(&[b'x'; 32], properties.as_properties());
    let bare = publish(&[b'x'; 32], Properties::EMPTY);
    let small = Publish {
        qos: QoS::AtMostOnce,
        packet_id: None,
        topic: "sensors/one",
        ..publish(&[b'x'; 16], Properties::EMPTY)
    };
    let session: PropertyList = [
        Property::SessionExpiryInterval(60),
        Property::ReceiveMaximum(100),
        Property::MaximumPacketSize(65_536),
    ]
    .into_iter()
    .collect();
    let v5 = connect(Version::V5_0, session.as_properties());
    let v3 = connect(Version::V3_1_1, Properties::EMPTY);
    [
        (
            "5.0 PUBLISH, 4 properties",
            Version::V5_0,
            Packet::Publish(q1),
        ),
        (
            "5.0 PUBLISH, no property",
            Version::V5_0,
            Packet::Publish(bare),
        ),
        (
            "3.1.1 PUBLISH, 16 B",
            Version::V3_1_1,
            Packet::Publish(small),
        ),
        (
            "5.0 SUBSCRIBE, 1 filter",
            Version::V5_0,
            Packet::Subscribe(subscribe),
        ),
        (
            "5.0 CONNECT, will and login",
            Version::V5_0,
            Packet::Connect(v5),
        ),
        (
            "3.1.1 CONNECT, will and login",
            Version::V3_1_1,
            Packet::Connect(v3),
        ),
    ]
    .into_iter()
    .map(|(name, version, packet)| {
        let bytes = packet.to_bytes(version).expect("samples can be encoded");
        Sample {
            name,
            version,
            bytes: bytes.to_vec(),
        }
    })
    .collect()
}

/// A QoS 1 PUBLISH to a topic of 32 bytes.
fn publish<'a>(payload: &'a [u8], properties: Properties<'a>) -> Publish<'a> {
    Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "buildings/seven/rooms/12/sensors",
        packet_id: Some(id()),
        properties,
        payload,
    }
}

fn connect<'a>(version: Version, properties: Properties<'a>) -> Connect<'a> {
    Connect {
        version,
        clean_start: true,
        keep_alive: 60,
        properties,
        client_id: "client-000001",
        will: Some(Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::EMPTY,
            topic: "clients/0001/gone",
            payload: b"gone",
        }),
        user_name: Some("user-name"),
        password: Some(b"password"),
    }
}

fn id() -> PacketId {
    PacketId::new(7).expect("not zero")
}

#[cfg(test)]
mod tests {
    use super::samples;

    /// The sizes of the comparison, SUBSCRIBE apart, whose size it does not tell.
    #[test]
    fn samples_are_as_long_as_those_of_the_comparison() {
        let sizes: Vec<_> = samples()
            .iter()
            .filter(|sample| !sample.name.contains("SUBSCRIBE"))
            .map(|sample| sample.bytes.len())
            .collect();
        assert_eq!(sizes, [113, 71, 31, 88, 73]);
    }
}
