//! What a client may hear from a server, given what it has said: the rules of both specifications that one connection
//! shows, whatever the broker makes of the bytes.
//!
//! The broker may have read any part of what was said, so every rule is an upper bound: nothing allowed is reported.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quince_codec::{
    ConnAck, Connect, Framer, Packet, PacketId, Properties, Publish, QoS, ReasonCode, SubAck,
    Version,
};

use crate::topic::{matches, plain_filter};

/// What the client announced in CONNECT.
#[derive(Clone, Copy, Debug)]
struct Terms {
    version: Version,
    clean_start: bool,
    has_client_id: bool,
    maximum_packet_size: usize,
    receive_maximum: usize,
    topic_alias_maximum: u16,
    problem_information: bool,
}

impl Terms {
    fn of(connect: &Connect<'_>) -> Self {
        let properties = connect.properties;
        Self {
            version: connect.version,
            clean_start: connect.clean_start,
            has_client_id: !connect.client_id.is_empty(),
            maximum_packet_size: properties
                .maximum_packet_size()
                .map_or(usize::MAX, |size| size as usize),
            receive_maximum: usize::from(properties.receive_maximum().unwrap_or(u16::MAX)),
            topic_alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
            problem_information: properties.request_problem_information().unwrap_or(true),
        }
    }
}

/// Where the connection stands, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    AwaitingConnAck,
    Connected {
        resumed: bool,
    },
    /// On a data flow of a connection that is connected.
    DataFlow,
    Over,
}

/// Answers that are owed, by Packet Identifier.
#[derive(Debug, Default)]
struct Owed(BTreeMap<PacketId, usize>);

impl Owed {
    fn add(&mut self, packet_id: PacketId) {
        *self.0.entry(packet_id).or_default() += 1;
    }

    /// Takes one; false when none is owed.
    fn take(&mut self, packet_id: PacketId) -> bool {
        match self.0.get_mut(&packet_id) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn total(&self) -> usize {
        self.0.values().sum()
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Hearing {
    said: Framer,
    heard: Framer,
    stage: Stage,
    terms: Option<Terms>,
    /// The version that the first packet names, even if it is no good CONNECT.
    named: Option<Version>,
    /// Nothing more is understood: the client broke the rules.
    babbles: bool,
    pub_acks: Owed,
    pub_recs: Owed,
    pub_comps: Owed,
    pub_rels: Owed,
    pings: usize,
    subscribes: BTreeMap<PacketId, VecDeque<Vec<QoS>>>,
    unsubscribes: BTreeMap<PacketId, VecDeque<usize>>,
    filters: BTreeSet<String>,
    identifiers: BTreeSet<u32>,
    /// Messages from the server that the client has not acknowledged to the end.
    in_flight: BTreeSet<PacketId>,
    /// Ends of handshakes that the client has said before there was a message.
    ahead: Owed,
    aliases: BTreeMap<u16, String>,
}

impl Hearing {
    pub(crate) fn new() -> Self {
        Self {
            said: Framer::new(u32::MAX),
            heard: Framer::new(u32::MAX),
            stage: Stage::AwaitingConnAck,
            terms: None,
            named: None,
            babbles: false,
            pub_acks: Owed::default(),
            pub_recs: Owed::default(),
            pub_comps: Owed::default(),
            pub_rels: Owed::default(),
            pings: 0,
            subscribes: BTreeMap::new(),
            unsubscribes: BTreeMap::new(),
            filters: BTreeSet::new(),
            identifiers: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            ahead: Owed::default(),
            aliases: BTreeMap::new(),
        }
    }

    /// What a client may hear on a data flow, on which nothing was said yet: its state is its own. `None` before CONNECT.
    pub(crate) fn on_data_flow(control: &Self) -> Option<Self> {
        let terms = control.terms?;
        Some(Self {
            stage: Stage::DataFlow,
            terms: Some(terms),
            ..Self::new()
        })
    }

    /// The client sends bytes.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.said.push(bytes);
        while !self.babbles {
            match self.said.next_frame() {
                Ok(Some(frame)) => {
                    if self.terms.is_none() {
                        self.named = frame.connect_version();
                    }
                    let version = self.terms.map_or(Version::V5_0, |terms| terms.version);
                    match frame.decode(version) {
                        Ok(packet) => self.say_packet(&packet),
                        Err(_) if self.terms.is_none() => self.babbles = true,
                        // It may stay behind a publish that waits for room, and what comes after it be answered first.
                        Err(_) => {}
                    }
                }
                Ok(None) => break,
                Err(_) => self.babbles = true,
            }
        }
    }

    fn say_packet(&mut self, packet: &Packet<'_>) {
        if self.terms.is_none() {
            match packet {
                Packet::Connect(connect) => self.terms = Some(Terms::of(connect)),
                _ => self.babbles = true,
            }
            return;
        }
        match packet {
            Packet::Publish(publish) => match (publish.qos, publish.packet_id) {
                (QoS::AtLeastOnce, Some(packet_id)) => self.pub_acks.add(packet_id),
                (QoS::ExactlyOnce, Some(packet_id)) => self.pub_recs.add(packet_id),
                _ => {}
            },
            Packet::PubRel(ack) => self.pub_comps.add(ack.packet_id),
            Packet::PubRec(ack) if !ack.reason_code.is_error() => self.pub_rels.add(ack.packet_id),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack)
                if !self.in_flight.remove(&ack.packet_id) =>
            {
                self.ahead.add(ack.packet_id);
            }
            Packet::Subscribe(subscribe) => {
                let wanted = subscribe.subscriptions.iter();
                let qos = wanted
                    .map(|subscription| subscription.options.qos)
                    .collect();
                let waiting = self.subscribes.entry(subscribe.packet_id).or_default();
                waiting.push_back(qos);
                let filters = subscribe.subscriptions.iter();
                self.filters
                    .extend(filters.map(|subscription| subscription.filter.to_owned()));
                self.identifiers
                    .extend(subscribe.properties.subscription_identifiers());
            }
            Packet::Unsubscribe(unsubscribe) => {
                let waiting = self.unsubscribes.entry(unsubscribe.packet_id).or_default();
                waiting.push_back(unsubscribe.filters.iter().count());
            }
            Packet::PingReq => self.pings += 1,
            _ => {}
        }
    }

    /// The client hears bytes.
    ///
    /// # Panics
    /// If a server may not send them.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.heard.push(bytes);
        while let Some(frame) = self.heard.next_frame().expect("packets") {
            let terms = self.terms;
            let version = terms.map(|terms| terms.version).or(self.named);
            let decoded = match version {
                Some(version) => frame.decode(version),
                // A version that nobody speaks is answered in the form of any.
                None => frame
                    .decode(Version::V3_1_1)
                    .or_else(|_| frame.decode(Version::V5_0)),
            };
            let packet = decoded
                .unwrap_or_else(|error| panic!("{error} in {version:?}: {:02x?}", frame.bytes()));
            // [MQTT5-3.1.2-24]
            assert!(
                frame.bytes().len() <= terms.map_or(usize::MAX, |terms| terms.maximum_packet_size),
                "larger than the client takes: {packet:?}"
            );
            self.hear_packet(&packet);
        }
    }

    /// Everything that was sent has come: no packet is cut short.
    pub(crate) fn assert_complete(&self) {
        assert_eq!(self.heard.buffered(), 0, "an incomplete packet");
    }

    fn hear_packet(&mut self, packet: &Packet<'_>) {
        let (terms, resumed) = match (self.stage, self.terms) {
            (Stage::AwaitingConnAck, terms) => return self.hear_first(packet, terms),
            (Stage::Connected { resumed }, Some(terms)) => (terms, resumed),
            (Stage::DataFlow, Some(terms)) => (terms, false),
            _ => panic!("nothing comes after the end: {packet:?}"),
        };
        match packet {
            Packet::Publish(publish) => self.hear_publish(publish, terms, resumed),
            Packet::PubAck(ack) => assert!(self.pub_acks.take(ack.packet_id), "{packet:?}"),
            Packet::PubRec(ack) => assert!(self.pub_recs.take(ack.packet_id), "{packet:?}"),
            Packet::PubComp(ack) => assert!(self.pub_comps.take(ack.packet_id), "{packet:?}"),
            Packet::PubRel(ack) => {
                assert!(self.pub_rels.take(ack.packet_id) || resumed, "{packet:?}");
            }
            Packet::SubAck(sub_ack) => self.hear_sub_ack(sub_ack),
            Packet::UnsubAck(unsub_ack) => {
                let waiting = self.unsubscribes.get_mut(&unsub_ack.packet_id);
                let filters = waiting.and_then(VecDeque::pop_front);
                let codes = unsub_ack.codes.len();
                let enough = terms.version != Version::V5_0 || filters == Some(codes);
                assert!(filters.is_some() && enough, "{packet:?} for {filters:?}");
            }
            Packet::PingResp => {
                assert!(self.pings > 0, "PINGRESP without PINGREQ");
                self.pings -= 1;
            }
            Packet::Disconnect(_) if self.stage != Stage::DataFlow => {
                assert_eq!(terms.version, Version::V5_0, "{packet:?}");
                self.stage = Stage::Over;
            }
            _ => panic!("a server does not send {packet:?} now"),
        }
        // [MQTT5-3.1.2-29]
        let silent = terms.problem_information
            || matches!(packet, Packet::Publish(_) | Packet::Disconnect(_))
            || properties(packet).is_none_or(|properties| {
                properties.reason_string().is_none()
                    && properties.user_properties().next().is_none()
            });
        assert!(silent, "the client wants no such words: {packet:?}");
    }

    /// CONNACK comes first, and only in answer to CONNECT.
    fn hear_first(&mut self, packet: &Packet<'_>, terms: Option<Terms>) {
        let Packet::ConnAck(conn_ack) = packet else {
            panic!("{packet:?} before CONNACK");
        };
        let ConnAck {
            session_present,
            code,
            properties,
        } = *conn_ack;
        if code != 0 {
            self.stage = Stage::Over;
            return;
        }
        let Some(terms) = terms else {
            panic!("success without a CONNECT")
        };
        // [MQTT5-3.2.2-2] [MQTT3-3.2.2-1]
        assert!(!(terms.clean_start && session_present), "{packet:?}");
        let assigned = properties.assigned_client_identifier().is_some();
        // [MQTT5-3.2.2-16]
        assert_eq!(
            assigned,
            terms.version == Version::V5_0 && !terms.has_client_id,
            "{packet:?}"
        );
        self.stage = Stage::Connected {
            // Version 3.1 is not told.
            resumed: session_present || terms.version == Version::V3_1 && !terms.clean_start,
        };
    }

    fn hear_publish(&mut self, publish: &Publish<'_>, terms: Terms, resumed: bool) {
        // [MQTT5-3.3.1-1]: only what was sent before is sent again.
        assert!(!publish.dup || resumed, "{publish:?}");
        let topic = self.resolve(publish, terms.topic_alias_maximum);
        let subscribed = self.filters.iter().any(|filter| {
            plain_filter(filter, Version::V5_0).is_some_and(|plain| matches(plain, &topic))
        });
        assert!(subscribed || resumed, "{publish:?} on {topic:?}");
        for identifier in publish.properties.subscription_identifiers() {
            // [MQTT5-3.3.4-3]
            assert!(
                self.identifiers.contains(&identifier) || resumed,
                "{publish:?}"
            );
        }
        if let Some(packet_id) = publish.packet_id {
            // [MQTT5-2.2.1-4] [MQTT3-2.3.1-4]
            let free = self.in_flight.insert(packet_id) || self.ahead.take(packet_id);
            assert!(free, "the identifier is in use: {publish:?}");
            // [MQTT5-3.3.4-9]
            assert!(
                self.in_flight.len() <= terms.receive_maximum + self.ahead.total(),
                "more than Receive Maximum: {:?}",
                self.in_flight
            );
        }
    }

    /// [MQTT5-3.1.2-26] [MQTT5-3.3.2-8]
    fn resolve(&mut self, publish: &Publish<'_>, maximum: u16) -> String {
        let Some(alias) = publish.properties.topic_alias() else {
            return publish.topic.to_owned();
        };
        assert!(alias <= maximum, "{publish:?}");
        if publish.topic.is_empty() {
            let known = self.aliases.get(&alias).cloned();
            return known.unwrap_or_else(|| panic!("an alias without a topic: {publish:?}"));
        }
        self.aliases.insert(alias, publish.topic.to_owned());
        publish.topic.to_owned()
    }

    /// One code for each filter, none above what was asked for [MQTT5-3.8.4-6] [MQTT3-3.8.4-5].
    fn hear_sub_ack(&mut self, sub_ack: &SubAck<'_>) {
        let waiting = self.subscribes.get_mut(&sub_ack.packet_id);
        let Some(asked) = waiting.and_then(VecDeque::pop_front) else {
            panic!("{sub_ack:?} without SUBSCRIBE");
        };
        assert_eq!(asked.len(), sub_ack.codes.len(), "{sub_ack:?}");
        for (asked, &code) in asked.iter().zip(sub_ack.codes) {
            assert!(
                ReasonCode(code).is_error() || code <= u8::from(*asked),
                "{sub_ack:?}"
            );
        }
    }
}

fn properties<'a>(packet: &Packet<'a>) -> Option<Properties<'a>> {
    match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            Some(ack.properties)
        }
        Packet::SubAck(sub_ack) => Some(sub_ack.properties),
        Packet::UnsubAck(unsub_ack) => Some(unsub_ack.properties),
        _ => None,
    }
}
