//! One flow of a Session: what waits for it, packet identifiers of both directions and what is in flight.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use quince_codec::PacketId;

use crate::mailbox::Mailbox;
use crate::message::Delivery;
use crate::record::DeliveryId;
use crate::retained::Cursor;

/// How far an outgoing QoS 1 or QoS 2 message has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// PUBLISH is sent (or due again): PUBACK or PUBREC is missing.
    Published(Delivery),
    /// PUBREL is sent (or due again): PUBCOMP is missing. PUBLISH is never sent again [MQTT5-4.3.3-6].
    Released,
}

#[derive(Debug)]
struct InFlight {
    packet_id: PacketId,
    stage: Stage,
    /// Sent on this network connection, so that it counts against the client's Receive Maximum.
    sent: bool,
}

/// A message that leaves the account of the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) bytes: usize,
    pub(crate) id: Option<DeliveryId>,
}

impl Settled {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        Self {
            bytes: delivery.allocated(),
            id: delivery.id,
        }
    }
}

/// What an acknowledgement from the client comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The message is done; its bytes leave the account of the mailbox.
    Done { settle: Option<Settled> },
    /// PUBREL is due; the message leaves the account of the mailbox if it is still there.
    Release { settle: Option<Settled> },
    /// No message in flight has this identifier.
    Unknown,
    /// The message in flight under this identifier does not get this packet.
    Mismatch,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Flow {
    /// What was published for the subscriptions made on it. Each flow has a queue of its own, so that one whose stream is
    /// slow holds up no other.
    pub(crate) mailbox: Arc<Mailbox>,
    /// Retained messages still to be read for new subscriptions.
    pub(crate) cursors: VecDeque<Cursor>,
    /// Outgoing messages in flight, in the order in which they are sent again.
    outgoing: BTreeMap<u64, InFlight>,
    by_packet_id: BTreeMap<PacketId, u64>,
    next_place: u64,
    last_packet_id: u16,
    /// What is still to be sent again on this connection.
    resend: VecDeque<u64>,
    sent: usize,
    /// Identifiers of QoS 2 messages received and not yet released; true when received on this connection.
    incoming: BTreeMap<PacketId, bool>,
    received: usize,
}

impl Flow {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self {
            mailbox,
            cursors: VecDeque::new(),
            outgoing: BTreeMap::new(),
            by_packet_id: BTreeMap::new(),
            next_place: 0,
            last_packet_id: 0,
            resend: VecDeque::new(),
            sent: 0,
            incoming: BTreeMap::new(),
            received: 0,
        }
    }

    /// A new network connection takes the Session: what is in flight is due again, in its order
    /// [MQTT5-4.4.0-1] [MQTT3-4.4.0-1], and the quotas start anew.
    pub(crate) fn begin_connection(&mut self) {
        self.outgoing
            .values_mut()
            .for_each(|in_flight| in_flight.sent = false);
        self.resend = self.outgoing.keys().copied().collect();
        self.sent = 0;
        self.incoming.values_mut().for_each(|here| *here = false);
        self.received = 0;
    }

    /// How many messages count against the client's Receive Maximum.
    pub(crate) fn outstanding(&self) -> usize {
        self.sent
    }

    /// The next message to be sent again, without taking it.
    pub(crate) fn next_resend(&mut self) -> Option<(PacketId, &Stage)> {
        while let Some(place) = self.resend.front() {
            if self.outgoing.contains_key(place) {
                break;
            }
            self.resend.pop_front();
        }
        let in_flight = self.outgoing.get(self.resend.front()?)?;
        Some((in_flight.packet_id, &in_flight.stage))
    }

    /// The message of [`Flow::next_resend`] was sent.
    pub(crate) fn mark_resent(&mut self) {
        if let Some(place) = self.resend.pop_front()
            && let Some(in_flight) = self.outgoing.get_mut(&place)
        {
            in_flight.sent = true;
            self.sent += 1;
        }
    }

    /// An identifier that no message in flight has [MQTT5-2.2.1-4] [MQTT3-2.3.1-4]; `None` when all 65,535 are taken.
    pub(crate) fn free_packet_id(&self) -> Option<PacketId> {
        let mut candidate = self.last_packet_id;
        for _ in 0..=self.by_packet_id.len() {
            candidate = candidate.checked_add(1).unwrap_or(1);
            let packet_id = PacketId::new(candidate)?;
            if !self.by_packet_id.contains_key(&packet_id) {
                return Some(packet_id);
            }
        }
        None
    }

    /// Puts a message that was just sent in flight, under an identifier from [`Flow::free_packet_id`].
    pub(crate) fn put_in_flight(&mut self, packet_id: PacketId, delivery: Delivery) {
        self.last_packet_id = packet_id.value();
        self.insert(packet_id, Stage::Published(delivery), true);
    }

    /// Puts what a store held in flight, behind what is there already.
    pub(crate) fn restore(&mut self, packet_id: PacketId, stage: Stage) {
        self.last_packet_id = packet_id.value();
        self.insert(packet_id, stage, false);
    }

    fn insert(&mut self, packet_id: PacketId, stage: Stage, sent: bool) {
        let place = self.next_place;
        self.next_place += 1;
        self.sent += usize::from(sent);
        self.outgoing.insert(
            place,
            InFlight {
                packet_id,
                stage,
                sent,
            },
        );
        self.by_packet_id.insert(packet_id, place);
    }

    fn find(&self, packet_id: PacketId) -> Option<&InFlight> {
        self.outgoing.get(self.by_packet_id.get(&packet_id)?)
    }

    fn take(&mut self, packet_id: PacketId) -> Option<InFlight> {
        let place = self.by_packet_id.remove(&packet_id)?;
        let in_flight = self.outgoing.remove(&place)?;
        self.sent -= usize::from(in_flight.sent);
        Some(in_flight)
    }

    /// PUBACK, or PUBREC with an error: the message is done and not sent again [MQTT5-4.4.0-2].
    pub(crate) fn finish(&mut self, packet_id: PacketId, qos: quince_codec::QoS) -> Progress {
        match self.find(packet_id).map(|in_flight| &in_flight.stage) {
            None => Progress::Unknown,
            Some(Stage::Published(delivery)) if delivery.qos == qos => {
                let settle = Some(Settled::of(delivery));
                self.take(packet_id);
                Progress::Done { settle }
            }
            Some(_) => Progress::Mismatch,
        }
    }

    /// PUBREC without an error: PUBREL is due, in the order in which PUBRECs came [MQTT5-4.3.3-4].
    pub(crate) fn release(&mut self, packet_id: PacketId) -> Progress {
        match self.find(packet_id).map(|in_flight| &in_flight.stage) {
            None => Progress::Unknown,
            Some(Stage::Released) => Progress::Release { settle: None },
            Some(Stage::Published(delivery)) if delivery.qos == quince_codec::QoS::ExactlyOnce => {
                let settle = Some(Settled::of(delivery));
                self.take(packet_id);
                // PUBREL goes out now, so the message counts on this connection from here on.
                self.insert(packet_id, Stage::Released, true);
                Progress::Release { settle }
            }
            Some(Stage::Published(_)) => Progress::Mismatch,
        }
    }

    /// PUBCOMP.
    pub(crate) fn complete(&mut self, packet_id: PacketId) -> Progress {
        match self.find(packet_id).map(|in_flight| &in_flight.stage) {
            None => Progress::Unknown,
            Some(Stage::Released) => {
                self.take(packet_id);
                Progress::Done { settle: None }
            }
            Some(Stage::Published(_)) => Progress::Mismatch,
        }
    }

    /// Whether a QoS 2 message with this identifier was received and not released yet.
    pub(crate) fn is_received(&self, packet_id: PacketId) -> bool {
        self.incoming.contains_key(&packet_id)
    }

    /// How many received QoS 2 messages count against our Receive Maximum.
    pub(crate) fn received(&self) -> usize {
        self.received
    }

    /// Remembers the identifier of a QoS 2 message until PUBREL [MQTT5-4.3.3-10] [MQTT3-4.3.3-2].
    pub(crate) fn remember(&mut self, packet_id: PacketId) {
        let before = self.incoming.insert(packet_id, true);
        self.received += usize::from(before != Some(true));
    }

    /// PUBREL: forgets the identifier; false when there was none.
    pub(crate) fn forget(&mut self, packet_id: PacketId) -> bool {
        let before = self.incoming.remove(&packet_id);
        self.received -= usize::from(before == Some(true));
        before.is_some()
    }

    /// Ends the flow; gives out what was not acknowledged, then what waits.
    pub(crate) fn into_undelivered(self) -> impl Iterator<Item = Delivery> {
        let waiting = self.mailbox.close();
        self.outgoing
            .into_values()
            .filter_map(|in_flight| match in_flight.stage {
                Stage::Published(delivery) => Some(delivery),
                Stage::Released => None,
            })
            .chain(waiting)
    }
}
