//! What clients receive, but for PUBLISH: every answer must answer something.

use quince_codec::{Acknowledgement, Packet, QoS, ReasonCode, SubAck, UnsubAck, Version};

use super::{Judge, Verdict, text};
use crate::history::Moment;
use crate::message::MessageId;
use crate::violation::Rule;

impl Judge {
    pub(super) fn on_received(&mut self, connection: u64, packet: &Packet<'_>) -> Verdict {
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        let early = link.connack.is_none() && !matches!(packet, Packet::ConnAck(_));
        self.demand(!early, Rule::Solicited, || {
            format!("{:?} came before CONNACK", packet.packet_type())
        })?;
        match packet {
            Packet::ConnAck(connack) => self.on_connack(connection, connack),
            Packet::Publish(publish) => self.on_delivery(connection, publish),
            Packet::PubAck(ack) => self.on_acknowledged(connection, ack, QoS::AtLeastOnce),
            Packet::PubRec(ack) => self.on_pub_rec(connection, ack),
            Packet::PubComp(ack) => self.on_pub_comp(connection, ack),
            Packet::SubAck(sub_ack) => self.on_sub_ack(connection, sub_ack),
            Packet::UnsubAck(unsub_ack) => self.on_unsub_ack(connection, unsub_ack),
            Packet::PingResp => self.on_ping_resp(connection),
            Packet::Disconnect(disconnect) => {
                self.on_disconnect(connection, disconnect.reason_code)
            }
            _ => Ok(()),
        }
    }

    fn unsolicited(&self, connection: u64, what: &str) -> Verdict {
        let name = self.name_of(connection);
        self.refuse(
            Rule::Solicited,
            format!("{name} got {what} that answers nothing"),
        )
    }

    /// A request that was sent at `at` is answered: this connection has the Session at some time after.
    fn on_served(&mut self, connection: u64, at: Moment) -> Verdict {
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        link.served = link.served.max(Some(at));
        let link = &self.links[&connection];
        let (Some(client), Some(accepted)) = (self.clients.get(&link.client), link.connack) else {
            return Ok(());
        };
        for other in client.links.iter().filter(|other| **other != connection) {
            let other = &self.links[other];
            let Some(other_accepted) = other.connack.filter(|connack| *connack < at) else {
                continue;
            };
            let both = accepted.max(other_accepted);
            let newer = accepted < other.connect;
            let served = other.served.is_some_and(|served| served > both);
            if newer || (served && at > both) {
                return self.refuse(
                    Rule::OneOwner,
                    format!("two connections of {} are served at once", link.client),
                );
            }
        }
        Ok(())
    }

    fn on_ping_resp(&mut self, connection: u64) -> Verdict {
        let ping = self
            .links
            .get_mut(&connection)
            .and_then(|link| link.pings.pop_front());
        match ping {
            Some(at) => self.on_served(connection, at),
            None => self.unsolicited(connection, "PINGRESP"),
        }
    }

    /// PUBACK, or PUBREC with an error.
    fn on_acknowledged(&mut self, connection: u64, ack: &Acknowledgement<'_>, qos: QoS) -> Verdict {
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        let packet_id = ack.packet_id.value();
        let sending = link.sending.get(&packet_id).copied();
        let Some(sending) = sending.filter(|sending| sending.qos == qos && !sending.released)
        else {
            return self.unsolicited(connection, "PUBACK or PUBREC");
        };
        link.sending.remove(&packet_id);
        if ack.reason_code.is_error() {
            self.on_refused(connection, sending.message);
        } else {
            self.on_taken(connection, sending.message);
        }
        self.judge_no_matching(sending.message, ack.reason_code)?;
        self.on_served(connection, sending.at)
    }

    fn on_pub_rec(&mut self, connection: u64, ack: &Acknowledgement<'_>) -> Verdict {
        if ack.reason_code.is_error() {
            return self.on_acknowledged(connection, ack, QoS::ExactlyOnce);
        }
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        let sending = link.sending.get_mut(&ack.packet_id.value());
        let Some(sending) = sending.filter(|sending| sending.qos == QoS::ExactlyOnce) else {
            return self.unsolicited(connection, "PUBREC");
        };
        sending.received = true;
        let (message, at) = (sending.message, sending.at);
        self.judge_no_matching(message, ack.reason_code)?;
        self.on_served(connection, at)
    }

    fn on_pub_comp(&mut self, connection: u64, ack: &Acknowledgement<'_>) -> Verdict {
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        let packet_id = ack.packet_id.value();
        let sending = link.sending.get(&packet_id).copied();
        let Some(sending) = sending.filter(|sending| sending.released) else {
            return self.unsolicited(connection, "PUBCOMP");
        };
        link.sending.remove(&packet_id);
        let forgotten = ack.reason_code == ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
        let payload = text(&self.messages.get(sending.message).payload);
        self.demand(!(forgotten && sending.received), Rule::TrueReason, || {
            format!("the server forgot the Packet Identifier of {payload} before PUBREL")
        })?;
        self.on_taken(connection, sending.message);
        self.on_served(connection, sending.at)
    }

    /// The server has taken a message.
    fn on_taken(&mut self, connection: u64, id: MessageId) {
        let now = self.now;
        self.messages.get_mut(id).accepted.get_or_insert(now);
        self.on_done(connection, id);
    }

    fn on_refused(&mut self, connection: u64, id: MessageId) {
        self.messages.get_mut(id).refused = true;
        self.on_done(connection, id);
    }

    /// The server is done with a message, unless it was sent again on a newer connection.
    fn on_done(&mut self, connection: u64, id: MessageId) {
        let message = self.messages.get_mut(id);
        if message.link != connection {
            return;
        }
        message.done = Some(self.now);
        if let Some(client) = self.clients.get_mut(&message.publisher) {
            client.sending.remove(&id);
        }
    }

    /// No Matching Subscribers must be true.
    fn judge_no_matching(&self, id: MessageId, code: ReasonCode) -> Verdict {
        if code != ReasonCode::NO_MATCHING_SUBSCRIBERS {
            return Ok(());
        }
        let message = self.messages.get(id);
        let Some(starts) = message.starts else {
            return Ok(());
        };
        for (name, client) in &self.clients {
            let waiting = client.links.iter().any(|link| {
                let link = &self.links[link];
                link.connack.is_none() && link.end.is_none()
            });
            let certain = !client.is_in_doubt()
                && !waiting
                && client.session.always_stored
                && client.is_certainly_stored(self.now.time);
            let matching = client.session.subscriptions.iter().find(|one| {
                one.may_take(name, message)
                    && one.granted.is_some_and(|(granted, _)| granted < starts)
                    && one.revoked.is_none()
            });
            if let Some(one) = matching.filter(|_| certain) {
                return self.refuse(
                    Rule::TrueReason,
                    format!(
                        "nobody subscribes to {:?}, says the server, but {name} does with {:?}",
                        message.topic, one.filter
                    ),
                );
            }
        }
        Ok(())
    }

    fn on_sub_ack(&mut self, connection: u64, sub_ack: &SubAck<'_>) -> Verdict {
        let now = self.now;
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        let packet_id = sub_ack.packet_id.value();
        let Some((at, count)) = link.subscribing.remove(&packet_id) else {
            return self.unsolicited(connection, "SUBACK");
        };
        let name = link.client.clone();
        self.demand(count == sub_ack.codes.len(), Rule::Solicited, || {
            format!(
                "{} codes in SUBACK for {count} filters",
                sub_ack.codes.len()
            )
        })?;
        if let Some(client) = self.clients.get_mut(&name) {
            let in_doubt = client.is_in_doubt();
            let request = (connection, packet_id);
            let asked: Vec<usize> = client
                .session
                .subscriptions
                .iter()
                .enumerate()
                .filter(|(_, one)| one.request == request && one.granted.is_none())
                .map(|(index, _)| index)
                .collect();
            for (index, code) in asked.into_iter().zip(sub_ack.codes) {
                grant(
                    &mut client.session.subscriptions,
                    index,
                    *code,
                    now,
                    in_doubt,
                );
            }
        }
        self.on_served(connection, at)
    }

    fn on_unsub_ack(&mut self, connection: u64, unsub_ack: &UnsubAck<'_>) -> Verdict {
        let now = self.now;
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        let packet_id = unsub_ack.packet_id.value();
        let Some((at, count)) = link.unsubscribing.remove(&packet_id) else {
            return self.unsolicited(connection, "UNSUBACK");
        };
        let (name, version) = (link.client.clone(), link.version);
        let complete = version != Version::V5_0 || count == unsub_ack.codes.len();
        self.demand(complete, Rule::Solicited, || {
            format!(
                "{} codes in UNSUBACK for {count} filters",
                unsub_ack.codes.len()
            )
        })?;
        if let Some(client) = self.clients.get_mut(&name) {
            for one in &mut client.session.subscriptions {
                if one.revoked_by.contains(&(connection, packet_id)) {
                    one.ended.get_or_insert(now);
                }
            }
        }
        self.on_served(connection, at)
    }

    fn on_disconnect(&mut self, connection: u64, code: ReasonCode) -> Verdict {
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        link.told = true;
        let link = &self.links[&connection];
        let deserved = link.excused
            || match code {
                ReasonCode::SESSION_TAKEN_OVER => self.has_rival(connection),
                ReasonCode::KEEP_ALIVE_TIMEOUT => {
                    link.may_time_out(self.now.time, self.bounds.patience)
                }
                ReasonCode::QUOTA_EXCEEDED
                | ReasonCode::SERVER_BUSY
                | ReasonCode::SERVER_SHUTTING_DOWN => true,
                _ => false,
            };
        self.demand(deserved, Rule::Undeserved, || {
            format!("{} got DISCONNECT {code:?}", link.client)
        })
    }
}

/// One code of SUBACK. What was asked for before ends where the new one is granted.
fn grant(
    subscriptions: &mut [crate::session::Subscription],
    index: usize,
    code: u8,
    now: Moment,
    in_doubt: bool,
) {
    let Some(qos) = QoS::try_from(code).ok() else {
        subscriptions[index].ended = Some(subscriptions[index].asked);
        return;
    };
    if !in_doubt {
        subscriptions[index].granted = Some((now, qos));
    }
    let filter = subscriptions[index].filter.clone();
    for older in &mut subscriptions[..index] {
        if older.filter == filter {
            older.ended.get_or_insert(now);
        }
    }
}
