//! What an established connection does with each packet of its client.

use std::sync::Arc;

use quince_codec::{Acknowledgement, Disconnect, Packet, PacketId, QoS, ReasonCode, Version};

use super::ending::Ending;
use super::link::{Link, Step};
use super::stream::Stream;
use crate::flow::{Progress, Settled};
use crate::hub::Hub;
use crate::identifier::FlowId;
use crate::mailbox::Mailbox;
use crate::outbox::Gate;
use crate::policy::Action;
use crate::position::Position;
use crate::record::{Change, Exchanged};
use crate::session::Session;
use crate::time::Time;

/// One packet's worth of work on a Session: all that it may touch.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) hub: &'a Arc<Hub>,
    pub(crate) link: &'a mut Link,
    /// What carries the flow.
    pub(crate) stream: &'a mut Stream,
    pub(crate) session: &'a mut Session,
    pub(crate) flow: FlowId,
    pub(crate) now: Time,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    Done,
    /// A queue is full and the publisher can't be told: the same packet is tried again later.
    TryAgain,
}

impl Exchange<'_> {
    /// Handles one packet. An error ends the connection, or the data flow that it came on.
    pub(crate) fn handle(&mut self, packet: &Packet<'_>) -> Result<Handled, Ending> {
        match packet {
            Packet::Publish(publish) => return self.on_publish(publish),
            Packet::PubAck(ack) => self.on_finish(ack, QoS::AtLeastOnce)?,
            Packet::PubRec(ack) => self.on_pub_rec(ack)?,
            Packet::PubRel(ack) => self.on_pub_rel(ack)?,
            Packet::PubComp(ack) => self.on_pub_comp(ack.packet_id)?,
            Packet::Subscribe(subscribe) => self.on_subscribe(subscribe)?,
            Packet::Unsubscribe(unsubscribe) => self.on_unsubscribe(unsubscribe)?,
            Packet::PingReq => self.link.send_ping_resp(self.stream)?,
            Packet::Disconnect(disconnect) => return Err(self.on_disconnect(disconnect)),
            // A second CONNECT [MQTT5-3.1.0-2] [MQTT3-3.1.0-2], and what only a server sends. AUTH does not come here.
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Auth(_) => return Err(Ending::error(ReasonCode::PROTOCOL_ERROR)),
        }
        Ok(Handled::Done)
    }

    pub(crate) fn is_allowed(&self, action: Action<'_>) -> bool {
        self.link.in_force.authorize(self.session.subject(), action)
    }

    pub(crate) fn gate(&self, after: Position) -> Gate {
        Gate {
            after,
            durable: self.hub.log.durable(),
        }
    }

    /// The queue of this flow.
    pub(crate) fn mailbox(&self) -> &Mailbox {
        self.session.mailbox_of(self.flow)
    }

    /// Makes a record when the store knows the Session, and the flow.
    pub(crate) fn record(&self, change: impl FnOnce(u64) -> Change) -> Position {
        if self.session.is_recorded_on(self.flow) {
            self.hub.log.append(change)
        } else {
            Position::START
        }
    }

    /// A packet identifier of this flow, as records name it.
    pub(crate) fn exchanged(&self, packet_id: PacketId) -> Exchanged {
        Exchanged {
            session: self.session.id,
            flow: self.flow,
            packet_id,
        }
    }

    /// A delivery is acknowledged or dropped: it leaves the account of the mailbox, and the store.
    pub(crate) fn settle(&self, settled: Settled) {
        if let Some(delivery) = settled.id {
            let session = self.session.id;
            self.record(|_| Change::Settled { session, delivery });
        }
        self.mailbox().settle(settled.bytes);
    }

    pub(crate) fn send_step(
        &mut self,
        step: Step,
        packet_id: PacketId,
        code: ReasonCode,
        after: Position,
    ) -> Result<(), Ending> {
        let gate = self.gate(after);
        self.link
            .send_step(self.stream, step, packet_id, code, gate)
    }

    /// PUBACK, or PUBREC with an error.
    fn on_finish(&mut self, ack: &Acknowledgement<'_>, qos: QoS) -> Result<(), Ending> {
        match self.session.flow(self.flow).finish(ack.packet_id, qos) {
            Progress::Done { settle } => {
                settle.into_iter().for_each(|settled| self.settle(settled));
                Ok(())
            }
            Progress::Mismatch => Err(Ending::error(ReasonCode::PROTOCOL_ERROR)),
            Progress::Unknown | Progress::Release { .. } => Ok(()),
        }
    }

    fn on_pub_rec(&mut self, ack: &Acknowledgement<'_>) -> Result<(), Ending> {
        if ack.reason_code.is_error() {
            return self.on_finish(ack, QoS::ExactlyOnce);
        }
        match self.session.flow(self.flow).release(ack.packet_id) {
            Progress::Release { settle } => {
                let exchanged = self.exchanged(ack.packet_id);
                let after = self.record(|_| Change::Released(exchanged));
                if let Some(settled) = settle {
                    // Its record is that of the release.
                    self.mailbox().settle(settled.bytes);
                }
                self.send_step(Step::Release, ack.packet_id, ReasonCode::SUCCESS, after)
            }
            Progress::Mismatch => Err(Ending::error(ReasonCode::PROTOCOL_ERROR)),
            // The client remembers a message that we do not: PUBREL lets it go.
            Progress::Unknown | Progress::Done { .. } => self.send_step(
                Step::Release,
                ack.packet_id,
                ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
                Position::START,
            ),
        }
    }

    /// PUBREL is answered with PUBCOMP, also for an identifier that is not known [MQTT5-4.3.3-11] [MQTT3-4.3.3-2].
    fn on_pub_rel(&mut self, ack: &Acknowledgement<'_>) -> Result<(), Ending> {
        let known = self.session.flow(self.flow).forget(ack.packet_id);
        let exchanged = self.exchanged(ack.packet_id);
        let (code, after) = if known {
            let after = self.record(|_| Change::Forgotten(exchanged));
            (ReasonCode::SUCCESS, after)
        } else {
            (ReasonCode::PACKET_IDENTIFIER_NOT_FOUND, Position::START)
        };
        self.send_step(Step::Complete, ack.packet_id, code, after)
    }

    fn on_pub_comp(&mut self, packet_id: PacketId) -> Result<(), Ending> {
        match self.session.flow(self.flow).complete(packet_id) {
            Progress::Done { .. } => {
                let exchanged = self.exchanged(packet_id);
                self.record(|_| Change::Completed(exchanged));
                Ok(())
            }
            Progress::Mismatch => Err(Ending::error(ReasonCode::PROTOCOL_ERROR)),
            Progress::Unknown | Progress::Release { .. } => Ok(()),
        }
    }

    /// DISCONNECT: the will goes with code 0x00 [MQTT5-3.14.4-3] [MQTT3-3.14.4-3], and is published with any other.
    fn on_disconnect(&mut self, disconnect: &Disconnect<'_>) -> Ending {
        if self.link.version == Version::V5_0
            && let Some(expiry) = disconnect.properties.session_expiry_interval()
        {
            if self.session.expiry == 0 && expiry > 0 {
                return Ending::error(ReasonCode::PROTOCOL_ERROR);
            }
            self.session.expiry = expiry.min(self.hub.config.session_expiry_maximum);
        }
        if disconnect.reason_code == ReasonCode::NORMAL_DISCONNECTION {
            self.session.will = None;
        }
        Ending::by_client(disconnect.reason_code)
    }
}
