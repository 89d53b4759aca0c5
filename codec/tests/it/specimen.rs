//! Packets of every type and version by chance, for the property tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use quince_codec::property::{Place, TABLE};
use quince_codec::{
    Acknowledgement, Auth, ConnAck, Connect, Disconnect, FilterList, Packet, PacketId, PacketType,
    Property, PropertyList, Publish, QoS, ReasonCode, RetainHandling, SubAck, Subscribe,
    SubscriptionList, SubscriptionOptions, UnsubAck, Unsubscribe, Version, Will,
};

use crate::value::property;

/// What a packet is put together from; every field is there, and each packet type takes what it needs.
#[derive(Clone, Debug)]
pub(crate) struct Specimen {
    pub(crate) version: Version,
    packet_type: PacketType,
    numbers: (u16, u16, u8),
    flags: (bool, bool),
    qos: QoS,
    topic: String,
    text: String,
    user_name: Option<String>,
    payload: Vec<u8>,
    password: Option<Vec<u8>>,
    properties: PropertyList,
    will: Option<(QoS, bool, PropertyList)>,
    filters: Vec<(String, SubscriptionOptions)>,
    codes: Vec<u8>,
}

pub(crate) fn specimen() -> impl Strategy<Value = Specimen> {
    let kinds = (
        prop::sample::select(&Version::ALL[..]),
        prop::sample::select(&PacketType::ALL[..]),
    );
    kinds
        .prop_filter("AUTH came with 5.0", |kinds| {
            kinds.0 == Version::V5_0 || kinds.1 != PacketType::Auth
        })
        .prop_flat_map(|(version, packet_type)| {
            let texts = (topic_name(), text(), option::of(text()));
            let data = (vec(any::<u8>(), 0..300), option::of(vec(any::<u8>(), 0..9)));
            let properties = (
                properties(version, Place::Packet(packet_type)),
                option::of((qos(), any::<bool>(), properties(version, Place::Will))),
            );
            let lists = (
                vec((text(), options(version)), 1..4),
                vec(any::<prop::sample::Index>(), 1..4),
            );
            let numbers = (1..=u16::MAX, any::<u16>(), any::<prop::sample::Index>());
            (
                texts,
                data,
                properties,
                lists,
                numbers,
                any::<(bool, bool)>(),
                qos(),
            )
                .prop_map(
                    move |(texts, data, properties, lists, numbers, flags, qos)| {
                        let allowed = codes(version, packet_type);
                        let code = |index: prop::sample::Index| index.get(&allowed).to_owned();
                        Specimen {
                            version,
                            packet_type,
                            numbers: (numbers.0, numbers.1, code(numbers.2)),
                            flags,
                            qos,
                            topic: texts.0,
                            text: texts.1,
                            password: data
                                .1
                                .filter(|_| version.has_properties() || texts.2.is_some()),
                            user_name: texts.2,
                            payload: data.0,
                            properties: properties.0,
                            will: properties.1,
                            filters: lists.0,
                            codes: lists.1.into_iter().map(code).collect(),
                        }
                    },
                )
        })
}

/// The codes that a packet may carry, or 0 where it carries none.
fn codes(version: Version, packet_type: PacketType) -> Vec<u8> {
    let allowed = ReasonCode::TABLE
        .iter()
        .map(|row| row.code)
        .filter(|code| code.allowed_in(packet_type));
    match (version, packet_type) {
        (Version::V3_1 | Version::V3_1_1, PacketType::ConnAck) => (0..=5).collect(),
        (Version::V3_1, PacketType::SubAck) => vec![0, 1, 2],
        (Version::V3_1_1, PacketType::SubAck) => vec![0, 1, 2, 0x80],
        (Version::V3_1 | Version::V3_1_1, _) => vec![0],
        (Version::V5_0, _) => {
            let allowed: Vec<u8> = allowed.map(|code| code.0).collect();
            if allowed.is_empty() { vec![0] } else { allowed }
        }
    }
}

fn qos() -> impl Strategy<Value = QoS> {
    prop::sample::select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][..])
}

/// Texts without U+0000.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ -~]{0,12}", 1 => "[^\\x00]{0,40}"]
}

fn topic_name() -> impl Strategy<Value = String> {
    "[^\\x00+#]{1,12}"
}

fn options(version: Version) -> impl Strategy<Value = SubscriptionOptions> {
    (qos(), any::<(bool, bool)>(), 0_u8..3).prop_map(
        move |(qos, (no_local, retain_as_published), handling)| match version {
            Version::V3_1 | Version::V3_1_1 => SubscriptionOptions {
                qos,
                ..SubscriptionOptions::default()
            },
            Version::V5_0 => SubscriptionOptions {
                qos,
                no_local,
                retain_as_published,
                retain_handling: RetainHandling::try_from(handling).unwrap(),
            },
        },
    )
}

fn properties(version: Version, place: Place) -> impl Strategy<Value = PropertyList> {
    let most = if version == Version::V5_0 { 8 } else { 0 };
    let value = (
        any::<prop::sample::Index>(),
        1..=268_435_455_u32,
        text(),
        topic_name(),
    );
    vec(value, 0..=most).prop_map(move |values| {
        let rows: Vec<_> = TABLE
            .iter()
            .filter(|row| row.places.contains(&place))
            .collect();
        let mut list = PropertyList::new();
        let mut used = Vec::new();
        for (index, number, text, topic) in values.iter().filter(|_| !rows.is_empty()) {
            let row = index.get(&rows);
            if !used.contains(&row.identifier) || row.repeatable.contains(&place) {
                used.push(row.identifier);
                list.push(property(row.identifier, *number, text, topic));
            }
        }
        // Where Authentication Data is allowed it needs a method, and AUTH always does.
        let needs_method = used.contains(&0x16) || place == Place::Packet(PacketType::Auth);
        if needs_method && !used.contains(&0x15) {
            list.push(Property::AuthenticationMethod("method"));
        }
        list
    })
}

impl Specimen {
    /// Hands out the packet.
    pub(crate) fn with<R>(&self, use_packet: impl FnOnce(Packet<'_>) -> R) -> R {
        let mut subscriptions = SubscriptionList::new();
        let mut filters = FilterList::new();
        for (filter, options) in &self.filters {
            subscriptions.push(filter, *options);
            filters.push(filter);
        }
        use_packet(self.packet(&subscriptions, &filters))
    }

    fn packet<'a>(
        &'a self,
        subscriptions: &'a SubscriptionList,
        filters: &'a FilterList,
    ) -> Packet<'a> {
        let packet_id = PacketId::new(self.numbers.0).unwrap();
        let properties = self.properties.as_properties();
        let reason_code = ReasonCode(self.numbers.2);
        let acknowledgement = Acknowledgement {
            packet_id,
            reason_code,
            properties,
        };
        let codes = &self.codes[..];
        match self.packet_type {
            PacketType::Connect => Packet::Connect(self.connect()),
            PacketType::ConnAck => Packet::ConnAck(ConnAck {
                session_present: self.flags.0
                    && self.version != Version::V3_1
                    && reason_code == ReasonCode::SUCCESS,
                code: reason_code.0,
                properties,
            }),
            PacketType::Publish => Packet::Publish(Publish {
                dup: self.flags.0 && self.qos != QoS::AtMostOnce,
                qos: self.qos,
                retain: self.flags.1,
                topic: if properties.topic_alias().is_some() && self.flags.1 {
                    ""
                } else {
                    &self.topic
                },
                packet_id: (self.qos != QoS::AtMostOnce).then_some(packet_id),
                properties,
                payload: &self.payload,
            }),
            PacketType::PubAck => Packet::PubAck(acknowledgement),
            PacketType::PubRec => Packet::PubRec(acknowledgement),
            PacketType::PubRel => Packet::PubRel(acknowledgement),
            PacketType::PubComp => Packet::PubComp(acknowledgement),
            PacketType::Subscribe => Packet::Subscribe(Subscribe {
                packet_id,
                properties,
                subscriptions: subscriptions.as_ref(),
            }),
            PacketType::SubAck => Packet::SubAck(SubAck {
                packet_id,
                properties,
                codes,
            }),
            PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties,
                filters: filters.as_ref(),
            }),
            PacketType::UnsubAck => {
                let codes = if self.version == Version::V5_0 {
                    codes
                } else {
                    &[]
                };
                Packet::UnsubAck(UnsubAck {
                    packet_id,
                    properties,
                    codes,
                })
            }
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
        let is_3_1 = self.version == Version::V3_1;
        Connect {
            version: self.version,
            clean_start: self.flags.0,
            keep_alive: self.numbers.1,
            properties: self.properties.as_properties(),
            // 1 to 23 characters there.
            client_id: if is_3_1 && !(1..=23).contains(&self.text.chars().count()) {
                "client"
            } else {
                &self.text
            },
            will: self.will.as_ref().map(|(qos, retain, properties)| Will {
                qos: *qos,
                retain: *retain,
                properties: properties.as_properties(),
                topic: &self.topic,
                // ASCII there.
                payload: if is_3_1 && !self.payload.is_ascii() {
                    &[0x7f]
                } else {
                    &self.payload
                },
            }),
            user_name: self.user_name.as_deref(),
            // A string there.
            password: if is_3_1 && self.password.is_some() {
                Some(self.text.as_bytes())
            } else {
                self.password.as_deref()
            },
        }
    }
}
