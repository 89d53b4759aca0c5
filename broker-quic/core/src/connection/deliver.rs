//! Messages to the client: first what is due again, then retained messages for new subscriptions, then the mailbox.

use std::sync::Arc;

use quince_codec::{
    PacketId, Properties, Property, PropertyList, Publish, QoS, ReasonCode, Version,
};

use super::ending::Ending;
use super::exchange::Exchange;
use super::link::{Step, TooLarge};
use crate::flow::{Settled, Stage};
use crate::interleave::Seam;
use crate::message::{Delivery, Message};
use crate::policy::Action;
use crate::position::Position;
use crate::record::{Change, DeliveryId, Exchanged, Origin, Publication, Queued, Retention};

/// Whether [`Exchange::deliver_next`] may have more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    More,
    Nothing,
}

impl Exchange<'_> {
    /// Moves as much into the outbox as it has room for, and as the client's Receive Maximum allows.
    pub(crate) fn deliver(&mut self) -> Result<(), Ending> {
        while self.stream.outbox.has_room() && !self.stream.outbox.awaits_connack() {
            self.hub.interleaving.at(Seam::Pop);
            if self.deliver_next()? == Delivered::Nothing {
                break;
            }
        }
        Ok(())
    }

    fn deliver_next(&mut self) -> Result<Delivered, Ending> {
        if let Some(delivered) = self.send_again()? {
            return Ok(delivered);
        }
        let flow = self.session.flow(self.flow);
        let window_open = flow.outstanding() < self.link.window;
        if let Some(cursor) = flow.cursors.front_mut() {
            if cursor.granted > QoS::AtMostOnce && !window_open {
                return Ok(Delivered::Nothing);
            }
            let (granted, identifier) = (cursor.granted, cursor.identifier);
            let least = cursor.least;
            match cursor.next(&self.hub.retained) {
                Some(message) if message.qos.min(granted) >= least => {
                    self.deliver_retained(message, granted, identifier);
                }
                Some(_) => {}
                None => {
                    flow.cursors.pop_front();
                    let session = self.session.id;
                    self.record(|_| Change::RetainedRead { session });
                }
            }
            return Ok(Delivered::More);
        }
        let highest = if window_open {
            QoS::ExactlyOnce
        } else {
            QoS::AtMostOnce
        };
        let Some(delivery) = flow.mailbox.pop_up_to(highest) else {
            return Ok(Delivered::Nothing);
        };
        self.deliver_first_time(delivery);
        Ok(Delivered::More)
    }

    /// PUBLISH with DUP and PUBREL of an earlier connection [MQTT5-4.4.0-1] [MQTT3-4.4.0-1]; `None` when none is left.
    fn send_again(&mut self) -> Result<Option<Delivered>, Ending> {
        let window = self.link.window;
        let flow = self.session.flow(self.flow);
        let outstanding = flow.outstanding();
        let Some((packet_id, stage)) = flow.next_resend() else {
            return Ok(None);
        };
        match stage {
            // The quota does not limit PUBREL.
            Stage::Released => {
                flow.mark_resent();
                let after = if self.session.is_stored() {
                    self.hub.log.end()
                } else {
                    Position::START
                };
                self.send_step(Step::Release, packet_id, ReasonCode::SUCCESS, after)?;
            }
            Stage::Published(_) if outstanding >= window => return Ok(Some(Delivered::Nothing)),
            Stage::Published(delivery) => {
                let delivery = delivery.clone();
                flow.mark_resent();
                if !self.may_receive(&delivery)
                    || self
                        .send_publish(&delivery, Some(packet_id), Sending::Again)
                        .is_err()
                {
                    self.count_as_done(packet_id, &delivery);
                }
            }
        }
        Ok(Some(Delivered::More))
    }

    fn deliver_retained(&mut self, message: Arc<Message>, granted: QoS, identifier: Option<u32>) {
        let may_publish = message.retained_by.as_ref().is_none_or(|publisher| {
            let action = Action::Publish(&message.topic);
            self.link.in_force.authorize(publisher.subject(), action)
        });
        if !may_publish {
            return;
        }
        let qos = message.qos.min(granted);
        let identifiers = identifier.into_iter().collect();
        // It is sent because of the subscription, so RETAIN is 1 whatever Retain As Published says [MQTT3-3.3.1-8].
        let after = Position::START;
        let delivery = Delivery {
            message,
            qos,
            retain: true,
            identifiers,
            after,
            authorized: 0,
            may_repeat: false,
            shared: None,
            id: None,
        };
        self.mailbox().charge(delivery.allocated());
        self.deliver_first_time(delivery);
    }

    /// Sends a delivery that is charged to the mailbox.
    fn deliver_first_time(&mut self, mut delivery: Delivery) {
        // Neither an expired message [MQTT5-3.3.2-5] nor one that the client may not see starts out.
        if delivery.message.is_expired(self.now) || !self.may_receive(&delivery) {
            self.settle(Settled::of(&delivery));
            return;
        }
        if delivery.qos == QoS::AtMostOnce {
            // Too large or not, it is done with [MQTT5-3.1.2-25].
            _ = self.send_publish(&delivery, None, Sending::First);
            self.mailbox().settle(delivery.allocated());
            return;
        }
        let Some(packet_id) = self.session.flow(self.flow).free_packet_id() else {
            self.settle(Settled::of(&delivery));
            return;
        };
        let sent = self.record_sending(&mut delivery, packet_id);
        if delivery.qos == QoS::ExactlyOnce {
            // Sent twice under two identifiers it would arrive twice.
            delivery.after = delivery.after.max(sent);
        }
        match self.send_publish(&delivery, Some(packet_id), Sending::First) {
            Ok(()) => self
                .session
                .flow(self.flow)
                .put_in_flight(packet_id, delivery),
            // As if it had been sent and acknowledged [MQTT5-3.1.2-25].
            Err(TooLarge) => self.settle(Settled::of(&delivery)),
        }
    }

    /// Makes the record that a delivery is given a packet identifier; a retained one, which came through no queue, is stored
    /// first.
    fn record_sending(&self, delivery: &mut Delivery, packet_id: PacketId) -> Position {
        let session = self.session.id;
        if delivery.id.is_none() {
            let stored = self.record(|number| {
                Change::Published(Box::new(Publication {
                    number,
                    message: Arc::clone(&delivery.message),
                    retention: Retention::Untouched,
                    queued: vec![Queued::of(delivery, (session, self.flow), 0)],
                    origin: Origin::Owed(session),
                }))
            });
            delivery.id = (stored > Position::START).then(|| DeliveryId {
                record: stored.records(),
                place: 0,
            });
        }
        let exchanged = Exchanged {
            session,
            flow: self.flow,
            packet_id,
        };
        delivery.id.map_or(Position::START, |delivery| {
            self.record(|_| Change::Sent {
                exchanged,
                delivery,
            })
        })
    }

    /// Whether the client may have this message now, whenever it was queued.
    fn may_receive(&self, delivery: &Delivery) -> bool {
        delivery.authorized >= self.link.in_force.epoch
            || self.is_allowed(Action::Receive(&delivery.message.topic))
    }

    fn count_as_done(&mut self, packet_id: PacketId, delivery: &Delivery) {
        self.session.flow(self.flow).finish(packet_id, delivery.qos);
        self.settle(Settled::of(delivery));
    }

    fn send_publish(
        &mut self,
        delivery: &Delivery,
        packet_id: Option<PacketId>,
        sending: Sending,
    ) -> Result<(), TooLarge> {
        let message = &delivery.message;
        let mut added = PropertyList::new();
        let properties = match self.link.version {
            Version::V3_1 | Version::V3_1_1 => Properties::EMPTY,
            Version::V5_0 if message.expires.is_none() && delivery.identifiers.is_empty() => {
                message.properties.as_properties()
            }
            Version::V5_0 => {
                message
                    .properties
                    .as_properties()
                    .iter()
                    .for_each(|property| added.push(property));
                if let Some(expires) = message.expires {
                    // What is left of it [MQTT5-3.3.2-6].
                    added.push(Property::MessageExpiryInterval(
                        self.now.seconds_until(expires),
                    ));
                }
                for identifier in &delivery.identifiers {
                    added.push(Property::SubscriptionIdentifier(*identifier));
                }
                added.as_properties()
            }
        };
        let publish = Publish {
            // DUP says only whether this very packet was sent before [MQTT5-3.3.1-3] [MQTT3-3.3.1-3].
            dup: sending == Sending::Again || delivery.may_repeat,
            qos: delivery.qos,
            retain: delivery.retain,
            topic: &message.topic,
            packet_id,
            properties,
            payload: &message.payload,
        };
        let gate = self.gate(delivery.after);
        self.link
            .send_publish(self.stream, &publish, &message.topic, gate)?;
        self.hub.counters.messages_sent.add_one();
        Ok(())
    }
}

/// Whether a PUBLISH goes out for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    First,
    Again,
}
