//! The subscription tree against a linear scan: after any sequence of SUBSCRIBE, UNSUBSCRIBE and ended sessions, a message
//! goes to exactly those whom a list and a naive matcher name.
//!
//! It is played through the broker, so that snapshots and whatever is remembered between two publishes are judged as well.

use arbitrary::{Result, Unstructured};
use quince_codec::{
    FilterList, Framer, Packet, PacketId, Properties, Property, PropertyList, Publish, QoS,
    ReasonCode, Subscribe, SubscriptionList, SubscriptionOptions, Unsubscribe, Version,
};
use quince_core::bench::VirtualBroker;
use quince_core::{ConnectionId, FlowId};

use crate::connection::greeting;
use crate::topic::{matches, plain_filter};
use crate::words;

const CLIENTS: usize = 4;

/// Takes `bytes` as choices of what four clients do one after the other.
///
/// # Panics
/// If the broker answers or delivers otherwise than the list says.
pub fn subscriptions(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok(mut scene) = Scene::new(&mut u) else {
        return;
    };
    while !u.is_empty() && scene.act(&mut u).is_ok() {}
}

/// One subscription in the list.
#[derive(Debug)]
struct Row {
    client: usize,
    filter: String,
    options: SubscriptionOptions,
    identifier: Option<u32>,
}

impl Row {
    fn matches(&self, topic: &str) -> bool {
        plain_filter(&self.filter, Version::V5_0).is_some_and(|plain| matches(plain, topic))
    }

    fn is_shared(&self) -> bool {
        self.filter.starts_with("$share/")
    }
}

/// What a client got of one message.
#[derive(Debug, Default)]
struct Copies {
    /// The Subscription Identifiers of each copy, and whether RETAIN is set.
    copies: Vec<(Vec<u32>, bool)>,
}

struct Scene {
    broker: VirtualBroker,
    clients: Vec<(ConnectionId, Version)>,
    rows: Vec<Row>,
}

impl Scene {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let mut scene = Self {
            broker: VirtualBroker::default(),
            clients: Vec::new(),
            rows: Vec::new(),
        };
        for client in 0..CLIENTS {
            let version = *u.choose(&Version::ALL)?;
            let connected = scene.connect(client, version);
            scene.clients.push(connected);
        }
        Ok(scene)
    }

    fn connect(&mut self, client: usize, version: Version) -> (ConnectionId, Version) {
        let id = self.broker.connect();
        let hello = greeting(version, ["a", "b", "c", "d"][client]);
        self.broker.write(id, FlowId::CONTROL, &hello);
        assert!(!self.broker.read(id).is_empty(), "no CONNACK");
        (id, version)
    }

    fn act(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let client = u.choose_index(CLIENTS)?;
        match u.int_in_range(0..=9)? {
            0..=3 => self.subscribe(u, client),
            4 | 5 => self.unsubscribe(u, client),
            6 => {
                // The session ends with the connection, and all its subscriptions with it.
                self.broker.abort(self.clients[client].0);
                self.rows.retain(|row| row.client != client);
                let version = *u.choose(&Version::ALL)?;
                self.clients[client] = self.connect(client, version);
                Ok(())
            }
            _ => self.publish(u, client),
        }
    }

    fn subscribe(&mut self, u: &mut Unstructured<'_>, client: usize) -> Result<()> {
        let version = self.clients[client].1;
        let mut properties = PropertyList::new();
        let mut identifier = None;
        if version == Version::V5_0 && u.arbitrary()? {
            let number = u.int_in_range(1..=3)?;
            identifier = Some(number);
            properties.push(Property::SubscriptionIdentifier(number));
        }
        let mut list = SubscriptionList::new();
        let mut wanted = Vec::new();
        for _ in 0..u.int_in_range(1..=2)? {
            let filter = words::filter(u)?;
            let options = words::options(u, version, &filter)?;
            // Version 3.1 has no way to refuse one: it would end the connection.
            if version == Version::V3_1 && plain_filter(&filter, Version::V5_0).is_none() {
                continue;
            }
            list.push(&filter, options);
            wanted.push((filter, options));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.send(
            client,
            &Packet::Subscribe(Subscribe {
                packet_id: PacketId::new(1).expect("not zero"),
                properties: properties.as_properties(),
                subscriptions: list.as_ref(),
            }),
        );
        let mut codes = Vec::new();
        self.hear(client, |packet| match packet {
            Packet::SubAck(sub_ack) => codes.extend(sub_ack.codes),
            _ => panic!("{packet:?}"),
        });
        assert_eq!(codes.len(), wanted.len());
        for ((filter, options), code) in wanted.into_iter().zip(codes) {
            // Shared Subscriptions work in every version, so that a Session can change version.
            let valid = plain_filter(&filter, Version::V5_0).is_some();
            assert_eq!(!ReasonCode(code).is_error(), valid, "{filter:?}");
            if valid {
                self.rows
                    .retain(|row| row.client != client || row.filter != filter);
                self.rows.push(Row {
                    client,
                    filter,
                    options,
                    identifier,
                });
            }
        }
        Ok(())
    }

    fn unsubscribe(&mut self, u: &mut Unstructured<'_>, client: usize) -> Result<()> {
        let held: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| row.client == client)
            .collect();
        // Mostly something that is there.
        let filter = if !held.is_empty() && u.ratio(7, 8)? {
            u.choose(&held)?.filter.clone()
        } else {
            words::filter(u)?
        };
        let existed = held.iter().any(|row| row.filter == filter);
        let mut list = FilterList::new();
        list.push(&filter);
        self.send(
            client,
            &Packet::Unsubscribe(Unsubscribe {
                packet_id: PacketId::new(2).expect("not zero"),
                properties: Properties::EMPTY,
                filters: list.as_ref(),
            }),
        );
        let version = self.clients[client].1;
        self.hear(client, |packet| match packet {
            Packet::UnsubAck(unsub_ack) if version == Version::V5_0 => {
                assert_eq!(unsub_ack.codes.first() == Some(&0), existed, "{filter:?}");
            }
            Packet::UnsubAck(_) => {}
            _ => panic!("{packet:?}"),
        });
        self.rows
            .retain(|row| row.client != client || row.filter != filter);
        Ok(())
    }

    fn publish(&mut self, u: &mut Unstructured<'_>, client: usize) -> Result<()> {
        let topic = words::topic(u)?;
        let retain: bool = u.arbitrary()?;
        self.send(
            client,
            &Packet::Publish(Publish {
                dup: false,
                qos: QoS::AtMostOnce,
                retain,
                topic: &topic,
                packet_id: None,
                properties: Properties::EMPTY,
                // It removes what is retained, so that no subscription ever brings any.
                payload: b"",
            }),
        );
        let mut got = Vec::new();
        for client in 0..CLIENTS {
            got.push(self.copies(client, &topic));
        }
        self.judge(client, &topic, retain, &got);
        Ok(())
    }

    /// What came to a client, all of it on that topic.
    fn copies(&mut self, client: usize, topic: &str) -> Copies {
        let mut copies = Copies::default();
        self.hear(client, |packet| match packet {
            Packet::Publish(publish) => {
                assert_eq!(publish.topic, topic);
                let identifiers = publish.properties.subscription_identifiers().collect();
                copies.copies.push((identifiers, publish.retain));
            }
            _ => panic!("{packet:?}"),
        });
        copies
    }

    /// One copy to each with a plain subscription, and one for each shared subscription to one of its members.
    fn judge(&self, publisher: usize, topic: &str, retain: bool, got: &[Copies]) {
        let hits = || self.rows.iter().filter(|row| row.matches(topic));
        let mut groups: Vec<(&str, Vec<&Row>)> = Vec::new();
        for row in hits().filter(|row| row.is_shared()) {
            match groups.iter_mut().find(|(filter, _)| *filter == row.filter) {
                Some((_, members)) => members.push(row),
                None => groups.push((&row.filter, vec![row])),
            }
        }
        let mut left: Vec<Vec<(Vec<u32>, bool)>> = Vec::new();
        for (client, Copies { copies }) in got.iter().enumerate() {
            let mut copies = copies.clone();
            let plain: Vec<&Row> = hits()
                .filter(|row| row.client == client && !row.is_shared())
                .filter(|row| !(row.options.no_local && client == publisher))
                .collect();
            if !plain.is_empty() {
                let mut identifiers: Vec<u32> =
                    plain.iter().filter_map(|row| row.identifier).collect();
                identifiers.sort_unstable();
                let kept = retain && plain.iter().any(|row| row.options.retain_as_published);
                take(&mut copies, &identifiers, kept).unwrap_or_else(|| {
                    panic!(
                        "client {client} misses {topic:?}, got {got:?} of {:#?}",
                        self.rows
                    )
                });
            }
            left.push(copies);
        }
        assert!(
            can_be_shared(&groups, retain, &mut left),
            "{topic:?} came beyond plain subscriptions as {left:?} for {groups:#?}"
        );
    }

    fn send(&mut self, client: usize, packet: &Packet<'_>) {
        let (id, version) = self.clients[client];
        let bytes = packet.to_bytes(version).expect("it can be encoded");
        self.broker.write(id, FlowId::CONTROL, &bytes);
    }

    fn hear(&mut self, client: usize, mut each: impl FnMut(&Packet<'_>)) {
        let (id, version) = self.clients[client];
        let mut framer = Framer::new(u32::MAX);
        framer.push(&self.broker.read(id));
        while let Some(frame) = framer.next_frame().expect("packets") {
            each(&frame.decode(version).expect("a packet"));
        }
        assert!(!self.broker.is_closed(id), "client {client} was closed");
    }
}

/// Takes a copy with these identifiers, in any order, out of the list.
fn take(copies: &mut Vec<(Vec<u32>, bool)>, identifiers: &[u32], retain: bool) -> Option<()> {
    let found = copies.iter().position(|(others, kept)| {
        let mut others = others.clone();
        others.sort_unstable();
        others == identifiers && *kept == retain
    })?;
    copies.remove(found);
    Some(())
}

/// Whether the copies that are left are one for each group, to one of its members each.
fn can_be_shared(
    groups: &[(&str, Vec<&Row>)],
    retain: bool,
    left: &mut Vec<Vec<(Vec<u32>, bool)>>,
) -> bool {
    let [(_, members), groups @ ..] = groups else {
        return left.iter().all(Vec::is_empty);
    };
    members.iter().any(|member| {
        let before = left[member.client].clone();
        let identifiers: Vec<u32> = member.identifier.into_iter().collect();
        let kept = retain && member.options.retain_as_published;
        let fits = take(&mut left[member.client], &identifiers, kept).is_some()
            && can_be_shared(groups, retain, left);
        if !fits {
            left[member.client] = before;
        }
        fits
    })
}
