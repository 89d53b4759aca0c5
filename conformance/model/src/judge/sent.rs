//! What clients send.

use quince_codec::{Packet, PacketId, Publish, QoS, Subscribe, Unsubscribe};

use super::Judge;
use crate::link::Sending;
use crate::message::{Message, MessageId, passed_on};
use crate::session::Subscription;

impl Judge {
    pub(super) fn on_sent(&mut self, connection: u64, packet: &Packet<'_>) {
        let now = self.now;
        if let Packet::Connect(connect) = packet {
            self.on_connect(connection, connect);
            return;
        }
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        link.longest_silence = link.longest_silence.max(now.time - link.silent_since);
        link.silent_since = now.time;
        match packet {
            Packet::Publish(publish) => self.publish(connection, publish),
            Packet::PubRel(ack) => self.release(connection, ack.packet_id),
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.answer(connection, ack.packet_id.value());
            }
            Packet::PubRec(ack) if ack.reason_code.is_error() => {
                self.answer(connection, ack.packet_id.value());
            }
            Packet::Subscribe(subscribe) => self.subscribe(connection, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(connection, unsubscribe),
            Packet::PingReq => link.pings.push_back(now),
            Packet::Disconnect(disconnect) => {
                link.goodbye = Some(disconnect.reason_code.0);
                let expiry = disconnect.properties.session_expiry_interval();
                let will = link.will;
                if let Some(seconds) = expiry {
                    self.change_expiry(connection, seconds);
                }
                if disconnect.reason_code.0 != 0 {
                    self.cause_will(will, now);
                }
            }
            _ => {}
        }
    }

    /// A Session Expiry Interval in DISCONNECT: from now on the older or the newer one holds.
    fn change_expiry(&mut self, connection: u64, seconds: u32) {
        if let Some(client) = self.client_of(connection) {
            let expiry = (seconds != u32::MAX).then(|| u64::from(seconds) * 1000);
            if expiry != client.expiry {
                client.expiry = expiry;
                client.stored = expiry != Some(0);
                client.session.always_stored &= client.stored;
            }
        }
    }

    fn publish(&mut self, connection: u64, publish: &Publish<'_>) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        let topic = match publish.properties.topic_alias() {
            Some(alias) if publish.topic.is_empty() => link.aliases_sent.get(&alias).cloned(),
            Some(alias) => {
                let topic = publish.topic.to_owned();
                link.aliases_sent.insert(alias, topic.clone());
                Some(topic)
            }
            None => Some(publish.topic.to_owned()),
        };
        let Some(topic) = topic else { return };
        let name = link.client.clone();
        let again = self.repeated(&name, publish);
        let doubtful = self.clients.get(&name).is_some_and(|one| one.is_in_doubt());
        let id = again.unwrap_or_else(|| {
            let expiry = publish.properties.message_expiry_interval();
            self.messages.add(Message {
                publisher: name.clone(),
                topic,
                payload: publish.payload.to_vec(),
                qos: publish.qos,
                retain: publish.retain,
                expiry: expiry.map(|seconds| u64::from(seconds) * 1000),
                properties: passed_on(publish.properties),
                will: None,
                starts: Some(now),
                sends: 0,
                link: connection,
                accepted: None,
                refused: false,
                done: None,
                doubtful: false,
            })
        });
        let message = self.messages.get_mut(id);
        message.sends += 1;
        message.link = connection;
        message.doubtful |= doubtful;
        message.done = None;
        let Some(client) = self.clients.get_mut(&name) else {
            return;
        };
        client.sending.insert(id);
        if let (Some(packet_id), Some(link)) = (publish.packet_id, self.links.get_mut(&connection))
        {
            client.by_packet_id.insert(packet_id.value(), id);
            let sending = Sending {
                message: id,
                qos: publish.qos,
                at: now,
                received: false,
                released: false,
            };
            link.sending.insert(packet_id.value(), sending);
        }
    }

    /// The message that a PUBLISH sends again.
    fn repeated(&self, name: &str, publish: &Publish<'_>) -> Option<MessageId> {
        if !publish.payload.is_empty() {
            return self.messages.find(publish.payload);
        }
        let packet_id = publish.packet_id.filter(|_| publish.dup)?;
        let client = self.clients.get(name)?;
        client.by_packet_id.get(&packet_id.value()).copied()
    }

    fn release(&mut self, connection: u64, packet_id: PacketId) {
        let now = self.now;
        let id = packet_id.value();
        let known = self
            .client_of(connection)
            .and_then(|client| client.by_packet_id.get(&id).copied());
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        match link.sending.get_mut(&id) {
            Some(sending) => {
                sending.released = true;
                sending.at = now;
            }
            None => {
                if let Some(message) = known {
                    let sending = Sending {
                        message,
                        qos: QoS::ExactlyOnce,
                        at: now,
                        received: false,
                        released: true,
                    };
                    link.sending.insert(id, sending);
                }
            }
        }
    }

    /// The last answer to a delivery.
    fn answer(&mut self, connection: u64, packet_id: u16) {
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        link.unanswered.remove(&packet_id);
        if let Some(client) = self.clients.get_mut(&link.client)
            && client.current == Some(connection)
        {
            client.session.in_flight.remove(&packet_id);
        }
    }

    fn subscribe(&mut self, connection: u64, subscribe: &Subscribe<'_>) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        let packet_id = subscribe.packet_id.value();
        let count = subscribe.subscriptions.iter().count();
        link.subscribing.insert(packet_id, (now, count));
        let Some(client) = self.clients.get_mut(&link.client) else {
            return;
        };
        for one in subscribe.subscriptions.iter() {
            let mut may_be_new = true;
            for older in &mut client.session.subscriptions {
                if older.filter == one.filter && older.ended.is_none() {
                    may_be_new &= older.granted.is_none() || older.revoked.is_some();
                    older.revoked.get_or_insert(now);
                }
            }
            client.session.subscriptions.push(Subscription {
                filter: one.filter.to_owned(),
                options: one.options,
                identifier: subscribe.properties.subscription_identifiers().next(),
                request: (connection, packet_id),
                may_be_new,
                asked: now,
                granted: None,
                revoked: None,
                revoked_by: Vec::new(),
                ended: None,
            });
        }
    }

    fn unsubscribe(&mut self, connection: u64, unsubscribe: &Unsubscribe<'_>) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        let packet_id = unsubscribe.packet_id.value();
        let count = unsubscribe.filters.iter().count();
        link.unsubscribing.insert(packet_id, (now, count));
        let Some(client) = self.clients.get_mut(&link.client) else {
            return;
        };
        for filter in unsubscribe.filters.iter() {
            let active = client.session.subscriptions.iter_mut();
            for one in active.filter(|one| one.filter == filter && one.ended.is_none()) {
                one.revoked.get_or_insert(now);
                one.revoked_by.push((connection, packet_id));
            }
        }
    }
}
