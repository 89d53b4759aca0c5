//! A client over all of its connections: its side of the Session.

use std::collections::{BTreeMap, BTreeSet};

use quince_codec::{QoS, Version};

use crate::random::Random;

/// A message above QoS 0 that the broker has not taken yet.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) topic: &'static str,
    pub(crate) payload: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) expiry: Option<u32>,
    /// PUBREC came, so that PUBREL is due and not PUBLISH.
    pub(crate) released: bool,
    /// In which order it was sent.
    pub(crate) place: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) version: Version,
    /// Session Expiry Interval, in version 5.0.
    pub(crate) expiry: u32,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) keep_alive: u16,
    pub(crate) aliases: u16,
    pub(crate) hostile: bool,
    /// The newest connection, accepted or not.
    pub(crate) current: Option<usize>,
    /// The newest connection that was accepted: the Session is there.
    pub(crate) owner: Option<usize>,
    /// What the broker takes unacknowledged.
    pub(crate) quota: usize,
    pub(crate) outgoing: BTreeMap<u16, Outgoing>,
    /// Identifiers of SUBSCRIBE and UNSUBSCRIBE that are not answered.
    pub(crate) asking: BTreeSet<u16>,
    /// Identifiers of QoS 2 messages that came and are not released.
    pub(crate) received: BTreeSet<u16>,
    pub(crate) filters: BTreeSet<&'static str>,
    last_packet_id: u16,
}

impl Device {
    pub(crate) fn new(index: usize, random: &mut Random) -> Self {
        let version = random.pick(&[Version::V5_0, Version::V5_0, Version::V3_1_1]);
        Self {
            name: format!("d{index}"),
            version,
            expiry: random.pick(&[0, 30, 300, u32::MAX, u32::MAX]),
            receive_maximum: random.pick(&[None, Some(1), Some(2), Some(3), Some(10)]),
            keep_alive: random.pick(&[0, 0, 30]),
            aliases: random.pick(&[0, 0, 2]),
            hostile: random.chance(30),
            current: None,
            owner: None,
            quota: 0,
            outgoing: BTreeMap::new(),
            asking: BTreeSet::new(),
            received: BTreeSet::new(),
            filters: BTreeSet::new(),
            last_packet_id: 0,
        }
    }

    /// A Packet Identifier that is not in use.
    pub(crate) fn packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id % 40 + 1;
            let id = self.last_packet_id;
            if !self.outgoing.contains_key(&id) && !self.asking.contains(&id) {
                return id;
            }
        }
    }

    /// The broker has no Session: the client's side of it is void.
    pub(crate) fn forget(&mut self) {
        self.outgoing.clear();
        self.received.clear();
        self.filters.clear();
    }

    /// What is to be sent again, in its order.
    pub(crate) fn unfinished(&self) -> Vec<(u16, Outgoing)> {
        let mut all: Vec<_> = self
            .outgoing
            .iter()
            .map(|(id, one)| (*id, one.clone()))
            .collect();
        all.sort_by_key(|(_, one)| one.place);
        all
    }
}
