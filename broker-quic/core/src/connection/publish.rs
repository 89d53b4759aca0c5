//! PUBLISH from the client.
//!
//! A QoS 2 message goes onward when its PUBLISH comes; its identifier is remembered until PUBREL, and a repeated
//! PUBLISH in between is acknowledged again and goes nowhere.

use std::sync::Arc;

use quince_codec::{PacketId, Publish, QoS, ReasonCode, Version};

use super::ending::Ending;
use super::exchange::{Exchange, Handled};
use super::link::Step;
use crate::delayed::{Destination, NoSuchDelay};
use crate::fanout::{Publisher, QuotaExceeded};
use crate::message::Incoming;
use crate::policy::Action;
use crate::position::Position;
use crate::record::Origin;

impl Exchange<'_> {
    pub(crate) fn on_publish(&mut self, publish: &Publish<'_>) -> Result<Handled, Ending> {
        let topic = self.resolve_topic(publish)?;
        let topic = topic.as_deref().unwrap_or(publish.topic);
        check_properties(publish, self.hub.config.user_properties)?;
        self.hub
            .config
            .check_message(publish.qos, publish.retain)
            .map_err(Ending::error)?;
        match (publish.qos, publish.packet_id) {
            (QoS::AtMostOnce, _) => self.on_at_most_once(publish, topic),
            (QoS::AtLeastOnce, Some(packet_id)) => self.on_at_least_once(publish, topic, packet_id),
            (QoS::ExactlyOnce, Some(packet_id)) => self.on_exactly_once(publish, topic, packet_id),
            // The codec gives no such packet.
            (_, None) => Err(Ending::error(ReasonCode::MALFORMED_PACKET)),
        }
    }

    fn resolve_topic(&mut self, publish: &Publish<'_>) -> Result<Option<Arc<str>>, Ending> {
        match publish.properties.topic_alias() {
            Some(alias) => self
                .stream
                .incoming_aliases
                .resolve(alias, publish.topic)
                .map(Some)
                .map_err(Ending::error),
            None if publish.topic.is_empty() => Err(Ending::error(ReasonCode::PROTOCOL_ERROR)),
            None => Ok(None),
        }
    }

    fn on_at_most_once(&mut self, publish: &Publish<'_>, topic: &str) -> Result<Handled, Ending> {
        match self.publish(publish, topic, Origin::Nothing) {
            // It has no acknowledgement to say this with.
            Err(Refused::Topic) => Err(Ending::error(ReasonCode::TOPIC_NAME_INVALID)),
            Ok(_) | Err(Refused::NotAuthorized) => Ok(Handled::Done),
            // Another subscriber's full queue may refuse a message only where the copy is above QoS 0.
            Err(Refused::Quota) => Ok(Handled::Done),
        }
    }

    fn on_at_least_once(
        &mut self,
        publish: &Publish<'_>,
        topic: &str,
        packet_id: PacketId,
    ) -> Result<Handled, Ending> {
        match self.publish(publish, topic, Origin::Nothing) {
            Ok((code, after)) => self.acknowledge(Step::Ack, packet_id, code, after),
            Err(refused) => self.refuse(Step::Ack, packet_id, refused),
        }
    }

    fn on_exactly_once(
        &mut self,
        publish: &Publish<'_>,
        topic: &str,
        packet_id: PacketId,
    ) -> Result<Handled, Ending> {
        let maximum = usize::from(self.hub.config.receive_maximum);
        let flow = self.session.flow(self.flow);
        if flow.is_received(packet_id) {
            // Sent again: the message is published already [MQTT5-4.3.3-10] [MQTT3-4.3.3-2].
            flow.remember(packet_id);
            return self.acknowledge(
                Step::Received,
                packet_id,
                ReasonCode::SUCCESS,
                self.hub.log.end(),
            );
        }
        if self.link.version == Version::V5_0 && flow.received() >= maximum {
            return Err(Ending::error(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED));
        }
        // The identifier and the message are one record: a crash finds both or neither.
        let origin = if self.session.is_recorded_on(self.flow) {
            Origin::Received(self.exchanged(packet_id))
        } else {
            Origin::Nothing
        };
        match self.publish(publish, topic, origin) {
            Ok((code, after)) => {
                self.session.flow(self.flow).remember(packet_id);
                self.acknowledge(Step::Received, packet_id, code, after)
            }
            Err(refused) => self.refuse(Step::Received, packet_id, refused),
        }
    }

    fn acknowledge(
        &mut self,
        step: Step,
        packet_id: PacketId,
        code: ReasonCode,
        after: Position,
    ) -> Result<Handled, Ending> {
        self.send_step(step, packet_id, code, after)?;
        Ok(Handled::Done)
    }

    /// Tells the publisher that its message was not taken, as far as its version can say so.
    fn refuse(
        &mut self,
        step: Step,
        packet_id: PacketId,
        refused: Refused,
    ) -> Result<Handled, Ending> {
        let code = refused.code();
        match (self.link.version, refused) {
            (Version::V5_0, _) => self.acknowledge(step, packet_id, code, Position::START),
            (Version::V3_1 | Version::V3_1_1, Refused::Quota) => Ok(Handled::TryAgain),
            (Version::V3_1 | Version::V3_1_1, Refused::Topic) => Err(Ending::silent(code)),
            (Version::V3_1 | Version::V3_1_1, Refused::NotAuthorized) => {
                // It is acknowledged as if it had been taken [MQTT3-3.3.5-2].
                self.acknowledge(step, packet_id, ReasonCode::SUCCESS, Position::START)
            }
        }
    }

    /// The one way of a client's message into the broker: limits, policy, fan-out.
    fn publish(
        &mut self,
        publish: &Publish<'_>,
        topic: &str,
        origin: Origin,
    ) -> Result<(ReasonCode, Position), Refused> {
        if topic.split('/').count() > self.hub.config.topic_levels {
            return Err(Refused::Topic);
        }
        let destination = Destination::of(topic).map_err(|NoSuchDelay| Refused::Topic)?;
        if !self.is_allowed(Action::Publish(destination.topic)) {
            return Err(Refused::NotAuthorized);
        }
        let is_stored = publish.qos > QoS::AtMostOnce || publish.retain;
        if (is_stored || destination.delay.is_some()) && self.hub.log.is_full() {
            return Err(Refused::Quota);
        }
        let incoming = Incoming {
            topic,
            properties: publish.properties,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
        };
        self.session.turn = self.session.turn.wrapping_add(1);
        let publisher = Publisher {
            client_id: &self.session.client_id,
            principal: &self.session.principal,
            in_force: &self.link.in_force,
            turn: self.session.turn,
            origin,
            after: Position::START,
        };
        let published = self
            .hub
            .publish_when_due(self.now, &incoming, destination, publisher)
            .map_err(|QuotaExceeded| Refused::Quota)?;
        self.hub.counters.messages_received.add_one();
        let code = if published.matched {
            ReasonCode::SUCCESS
        } else {
            ReasonCode::NO_MATCHING_SUBSCRIBERS
        };
        Ok((code, published.after))
    }
}

/// Why a well-formed message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Topic,
    NotAuthorized,
    Quota,
}

impl Refused {
    const fn code(self) -> ReasonCode {
        match self {
            Self::Topic => ReasonCode::TOPIC_NAME_INVALID,
            Self::NotAuthorized => ReasonCode::NOT_AUTHORIZED,
            Self::Quota => ReasonCode::QUOTA_EXCEEDED,
        }
    }
}

/// What the bytes of a PUBLISH alone do not forbid, but its way from client to server does.
fn check_properties(publish: &Publish<'_>, user_properties: usize) -> Result<(), Ending> {
    // Only a server sends one [MQTT5-3.3.4-6].
    if publish
        .properties
        .subscription_identifiers()
        .next()
        .is_some()
    {
        return Err(Ending::error(ReasonCode::PROTOCOL_ERROR));
    }
    if publish.properties.user_properties().count() > user_properties {
        return Err(Ending::error(ReasonCode::QUOTA_EXCEEDED));
    }
    Ok(())
}
