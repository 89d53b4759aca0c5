//! How connections begin and end, and what that does to Sessions.

use quince_codec::{ConnAck, Connect, Version};

use super::{Judge, Verdict};
use crate::client::Existence;
use crate::history::End;
use crate::link::Link;
use crate::message::{Message, MessageId, WillState, passed_on};
use crate::session::Session;
use crate::violation::Rule;

impl Judge {
    pub(super) fn on_connect(&mut self, connection: u64, connect: &Connect<'_>) {
        let now = self.now;
        let name = if connect.client_id.is_empty() {
            format!("(connection {connection})")
        } else {
            connect.client_id.to_owned()
        };
        let expiry = match connect.version {
            Version::V5_0 => connect.properties.session_expiry_interval().unwrap_or(0),
            _ if connect.clean_start => 0,
            _ => u32::MAX,
        };
        let expiry = (expiry != u32::MAX).then(|| u64::from(expiry) * 1000);
        self.before_connect(&name, connect.clean_start, expiry);
        let will = self.add_will(&name, connection, connect);
        let client = self.clients.entry(name.clone()).or_default();
        client.links.push(connection);
        let receive_maximum = connect.properties.receive_maximum().unwrap_or(u16::MAX);
        let link = Link {
            client: name,
            version: connect.version,
            clean_start: connect.clean_start,
            keep_alive: u64::from(connect.keep_alive) * 1000,
            expiry,
            receive_maximum: usize::from(receive_maximum),
            connect: now,
            connack: None,
            end: None,
            excused: false,
            told: false,
            goodbye: None,
            will,
            pings: std::collections::VecDeque::new(),
            sending: std::collections::BTreeMap::new(),
            subscribing: std::collections::BTreeMap::new(),
            unsubscribing: std::collections::BTreeMap::new(),
            unanswered: std::collections::BTreeMap::new(),
            aliases_sent: std::collections::BTreeMap::new(),
            aliases_received: std::collections::BTreeMap::new(),
            served: None,
            longest_silence: 0,
            silent_since: now.time,
        };
        self.links.insert(connection, link);
    }

    /// What a CONNECT may do to the older connections of its client.
    fn before_connect(&mut self, name: &str, clean_start: bool, expiry: Option<u64>) {
        let now = self.now;
        let patience = self.bounds.patience;
        let Some(client) = self.clients.get_mut(name) else {
            return;
        };
        let links = client.links.clone();
        let is_waiting = |number: &u64| {
            let link = &self.links[number];
            link.connack.is_none() && link.end.is_none()
        };
        let is_other = clean_start || expiry == Some(0) || expiry != client.expiry;
        let overtaken = client
            .given_up_until
            .filter(|until| *until >= now.time && is_other);
        if links.iter().any(is_waiting) {
            // Which of the two comes first, nobody knows.
            client.doubt_until(now.time + patience);
            self.doubt(name);
        } else if let Some(until) = overtaken {
            // The one that was given up may come behind this one, and then begins another Session.
            client.doubt_until(until);
            self.doubt(name);
        }
        for number in links {
            let link = &self.links[&number];
            // The server may see the new connection before it sees the end of the old one, and the DISCONNECT before it.
            let may_be_open = link
                .end
                .is_none_or(|(at, _)| at.time + patience >= now.time);
            let will = link.will;
            if may_be_open {
                self.cause_will(will, now);
            }
            self.disturb_will(will, clean_start);
        }
    }

    fn add_will(
        &mut self,
        name: &str,
        connection: u64,
        connect: &Connect<'_>,
    ) -> Option<MessageId> {
        let will = connect.will?;
        let delay = will.properties.will_delay_interval().unwrap_or(0);
        let expiry = will.properties.message_expiry_interval();
        Some(self.messages.add(Message {
            publisher: name.to_owned(),
            topic: will.topic.to_owned(),
            payload: will.payload.to_vec(),
            qos: will.qos,
            retain: will.retain,
            expiry: expiry.map(|seconds| u64::from(seconds) * 1000),
            properties: passed_on(will.properties),
            will: Some(WillState {
                delay: u64::from(delay) * 1000,
                unexplained: None,
                certain: false,
                latest: None,
                earliest: None,
                cancelled: false,
            }),
            starts: None,
            sends: 1,
            link: connection,
            accepted: None,
            refused: false,
            done: None,
            doubtful: false,
        }))
    }

    /// What the client has under way is in doubt from now on.
    pub(super) fn doubt(&mut self, name: &str) {
        if let Some(client) = self.clients.get(name) {
            for id in &client.sending {
                self.messages.get_mut(*id).doubtful = true;
            }
            for link in &client.links {
                if let Some(will) = self.links[link].will
                    && let Some(state) = &mut self.messages.get_mut(will).will
                {
                    state.certain = false;
                }
            }
        }
    }

    pub(super) fn on_connack(&mut self, connection: u64, connack: &ConnAck<'_>) -> Verdict {
        let now = self.now;
        let present = connack.session_present;
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        let again = link.connack.is_some();
        if connack.code != 0 {
            return self.demand(!again && !present, Rule::Solicited, || {
                format!("connection {connection} got a second CONNACK, or one that refuses with a Session")
            });
        }
        link.connack = Some(now);
        let name = link.client.clone();
        self.demand(!again, Rule::Solicited, || {
            format!("{name} got a second CONNACK")
        })?;
        let link = &self.links[&connection];
        let Some(client) = self.clients.get(&name) else {
            return Ok(());
        };
        if client.is_in_doubt() {
            self.demand(!(present && link.clean_start), Rule::SessionPresent, || {
                format!("{name} asked for a clean start")
            })?;
            self.accept_in_doubt(&name, connection, present);
            return Ok(());
        }
        let refusal = if present && link.clean_start {
            Some("asked for a clean start")
        } else if present && client.is_certainly_gone(link.connect.time) {
            Some("had no Session")
        } else if !present && !link.clean_start && client.is_certainly_stored(now.time) {
            Some("had a Session")
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return self.refuse(
                Rule::SessionPresent,
                format!(
                    "{name} {refusal}, and got Session Present {}",
                    u8::from(present)
                ),
            );
        }
        self.accept(&name, connection, present);
        if present {
            self.cancel_wills(&name, connection);
        }
        Ok(())
    }

    /// A connection was accepted, and there is no doubt that it is the newest.
    fn accept(&mut self, name: &str, connection: u64, present: bool) {
        let now = self.now;
        let link = &self.links[&connection];
        let Some(client) = self.clients.get_mut(name) else {
            return;
        };
        let stored = link.is_stored();
        if present {
            if client.exists != Existence::Yes {
                // It comes from a CONNECT whose CONNACK never came.
                client.session.begin_after_doubt(now);
            }
            client.session.always_stored &= stored;
        } else {
            let older = core::mem::replace(&mut client.session, Session::new(stored, link.connect));
            client.by_packet_id.clear();
            let shared = older.subscriptions.into_iter();
            for one in shared.filter(|one| one.is_shared()) {
                self.bereaved.insert(one.filter, now);
            }
        }
        client.exists = Existence::Yes;
        client.current = Some(connection);
        client.stored = stored;
        client.expiry = link.expiry;
        client.ends = None;
        // Nothing that an older connection sent takes effect any more.
        let messages = &mut self.messages;
        client.sending.retain(|id| {
            let message = messages.get_mut(*id);
            let here = message.link == connection;
            if !here && message.done.is_none() {
                message.done = Some(now);
            }
            here
        });
    }

    fn accept_in_doubt(&mut self, name: &str, connection: u64, present: bool) {
        let link = &self.links[&connection];
        let Some(client) = self.clients.get_mut(name) else {
            return;
        };
        let alone = client.links.iter().all(|other| {
            let other = &self.links[other];
            other.connack.is_some() || other.end.is_some()
        });
        let clear = alone
            && client.doubt.is_some_and(|until| until < link.connect.time)
            && client.links.last() == Some(&connection);
        if clear {
            client.doubt = None;
            client.exists = Existence::Perhaps;
            self.accept(name, connection, present);
            return;
        }
        client.exists = Existence::Perhaps;
        client.stored = link.is_stored();
        client.expiry = link.expiry;
        client.ends = None;
        let newer = client
            .current
            .is_none_or(|current| self.links[&current].connect < link.connect);
        if newer {
            client.current = Some(connection);
        }
    }

    pub(super) fn on_ended(&mut self, connection: u64, end: End) -> Verdict {
        let now = self.now;
        let Some(link) = self.links.get_mut(&connection) else {
            return Ok(());
        };
        if link.end.is_some() {
            return Ok(());
        }
        link.end = Some((now, end));
        self.end_will(connection, end)?;
        let link = &self.links[&connection];
        let name = link.client.clone();
        let bounds = self.bounds;
        let deserved = self.may_be_closed(connection);
        let Some(client) = self.clients.get_mut(&name) else {
            return Ok(());
        };
        if link.connack.is_none() {
            client.give_up(link, now, &bounds);
            if client.is_in_doubt() {
                self.doubt(&name);
            }
            return Ok(());
        }
        if client.current == Some(connection) {
            client.lose(link, now, end, &bounds);
        }
        self.demand(end != End::ByServer || deserved, Rule::Undeserved, || {
            format!("the connection of {name} was closed")
        })
    }

    /// Whether a server may have had a reason to end this connection.
    fn may_be_closed(&self, connection: u64) -> bool {
        let link = &self.links[&connection];
        link.excused
            || link.told
            || link.goodbye.is_some()
            || link.connack.is_none()
            || self.has_rival(connection)
            || link.may_time_out(self.now.time, self.bounds.patience)
            // It cannot say otherwise that it has no room for a message.
            || (link.version != Version::V5_0 && !link.sending.is_empty())
    }
}
