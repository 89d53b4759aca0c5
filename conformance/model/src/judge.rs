//! The judge: takes a history event by event and refuses what no right server can have caused.

mod connect;
mod delivery;
mod finish;
mod received;
mod retained;
mod sent;
mod will;

use std::collections::BTreeMap;

use quince_codec::{Packet, QoS};

use crate::client::Client;
use crate::history::{Bounds, End, Moment};
use crate::link::Link;
use crate::message::{MessageId, Messages};
use crate::violation::{Rule, Violation};

/// What a judgement gives.
type Verdict = Result<(), Violation>;

/// Judges one history. See the crate's first page.
///
/// What it relies on: no two messages of a history have the same payload, Will Messages included; only an empty payload may
/// come again. A client numbers its connections; each number is used once. The client of an event that is not a
/// protocol error keeps the protocol, and keeps its side of the Session where the server does.
#[derive(Debug)]
pub struct Judge {
    bounds: Bounds,
    now: Moment,
    links: BTreeMap<u64, Link>,
    clients: BTreeMap<String, Client>,
    messages: Messages,
    /// Copies that came by a shared subscription and by nothing else, by its filter, message and QoS.
    shared: BTreeMap<(String, MessageId, QoS), usize>,
    /// When a shared subscription last lost a member with its Session.
    bereaved: BTreeMap<String, Moment>,
}

impl Judge {
    /// At the start of a history, with a server that holds nothing.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            now: Moment { index: 0, time: 0 },
            links: BTreeMap::new(),
            clients: BTreeMap::new(),
            messages: Messages::default(),
            shared: BTreeMap::new(),
            bereaved: BTreeMap::new(),
        }
    }

    /// A client sent a packet on a connection, at `time` in milliseconds. The first must be CONNECT.
    pub fn sent(&mut self, time: u64, connection: u64, packet: &Packet<'_>) {
        self.tick(time);
        self.on_sent(connection, packet);
    }

    /// A client received a packet.
    ///
    /// # Errors
    /// The rule that this breaks.
    pub fn received(&mut self, time: u64, connection: u64, packet: &Packet<'_>) -> Verdict {
        self.tick(time);
        self.on_received(connection, packet)
    }

    /// A connection has ended for its client. Nothing of it may follow.
    ///
    /// # Errors
    /// The rule that the end breaks.
    pub fn ended(&mut self, time: u64, connection: u64, end: End) -> Verdict {
        self.tick(time);
        self.on_ended(connection, end)
    }

    /// From now on a connection is not owed anything: its client breaks the protocol.
    pub fn excuse(&mut self, connection: u64) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.excused = true;
        }
    }

    /// The history is over, and every client has received all that the server had for it: judges what is missing.
    ///
    /// # Errors
    /// What is owed and did not come.
    pub fn finish(&mut self, time: u64) -> Verdict {
        self.tick(time);
        self.on_finish()
    }

    fn tick(&mut self, time: u64) {
        self.now = Moment {
            index: self.now.index + 1,
            time: time.max(self.now.time),
        };
    }

    fn refuse<T>(&self, rule: Rule, detail: String) -> Result<T, Violation> {
        Err(Violation {
            rule,
            at: self.now.index,
            detail,
        })
    }

    /// Refuses unless `holds`.
    fn demand(&self, holds: bool, rule: Rule, detail: impl FnOnce() -> String) -> Verdict {
        if holds {
            Ok(())
        } else {
            self.refuse(rule, detail())
        }
    }

    /// The client of a connection, which must exist.
    fn client_of(&mut self, connection: u64) -> Option<&mut Client> {
        let link = self.links.get(&connection)?;
        self.clients.get_mut(&link.client)
    }

    fn name_of(&self, connection: u64) -> String {
        self.links.get(&connection).map_or_else(
            || format!("connection {connection}"),
            |link| link.client.clone(),
        )
    }

    /// Other connections with the same Client Identifier that may still be alive for the server.
    fn has_rival(&self, connection: u64) -> bool {
        let Some(link) = self.links.get(&connection) else {
            return false;
        };
        self.clients.get(&link.client).is_some_and(|client| {
            client.links.iter().any(|other| {
                *other != connection
                    && self.links[other].end.is_none_or(|(at, end)| {
                        end == End::Vanished || at.time + self.bounds.patience >= link.connect.time
                    })
            })
        })
    }
}

/// A payload for people.
fn text(payload: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(payload))
}
