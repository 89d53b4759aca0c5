//! What is known of a client over all of its connections: whether its Session exists, and until when.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Bounds, End, Moment};
use crate::link::Link;
use crate::message::MessageId;
use crate::session::Session;

/// Whether there is a Session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Existence {
    #[default]
    No,
    Perhaps,
    Yes,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// All of its connections, oldest first.
    pub(crate) links: Vec<u64>,
    /// The newest that was accepted.
    pub(crate) current: Option<u64>,
    pub(crate) session: Session,
    pub(crate) exists: Existence,
    /// Whether the Session outlives its connection, and for how long.
    pub(crate) stored: bool,
    pub(crate) expiry: Option<u64>,
    /// Between these times the Session ends, if no connection goes on with it.
    pub(crate) ends: Option<(u64, u64)>,
    /// Connections may have overtaken each other, so that nobody knows whose Session is whose. Holds at least until then.
    pub(crate) doubt: Option<u64>,
    /// Until then a CONNECT that was given up may still be taken.
    pub(crate) given_up_until: Option<u64>,
    /// What a Packet Identifier of the client names.
    pub(crate) by_packet_id: BTreeMap<u16, MessageId>,
    /// Messages that may still take effect.
    pub(crate) sending: BTreeSet<MessageId>,
}

impl Client {
    pub(crate) fn is_certainly_stored(&self, now: u64) -> bool {
        self.exists == Existence::Yes
            && self.stored
            && self.ends.is_none_or(|(earliest, _)| earliest > now)
    }

    pub(crate) fn is_certainly_gone(&self, at: u64) -> bool {
        self.exists == Existence::No || self.ends.is_some_and(|(_, latest)| latest < at)
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    pub(crate) fn doubt_until(&mut self, time: u64) {
        self.doubt = Some(self.doubt.map_or(time, |until| until.max(time)));
    }

    /// A connection has ended that had been accepted.
    pub(crate) fn lose(&mut self, link: &Link, now: Moment, end: End, bounds: &Bounds) {
        let noticed_earliest = match end {
            End::ByServer => now.time.saturating_sub(bounds.patience),
            End::Finished | End::Aborted | End::Vanished => now.time,
        };
        let noticed_latest = match end {
            End::Vanished if link.keep_alive == 0 => u64::MAX,
            End::Vanished => now.time + link.keep_alive * 3 / 2 + bounds.patience,
            End::Finished | End::Aborted | End::ByServer => now.time + bounds.patience,
        };
        self.ends = self.expiry.map(|expiry| {
            (
                noticed_earliest.saturating_add(expiry),
                noticed_latest.saturating_add(expiry),
            )
        });
    }

    /// A CONNECT was given up before its CONNACK came: the server may have accepted it, or will yet.
    pub(crate) fn give_up(&mut self, link: &Link, now: Moment, bounds: &Bounds) {
        let until = now.time + bounds.patience;
        self.given_up_until = Some(until);
        let outlived = self.ends.is_some_and(|(earliest, _)| until >= earliest);
        let same = self.stored == link.is_stored() && self.expiry == link.expiry;
        match self.exists {
            Existence::No => {
                self.exists = Existence::Perhaps;
                self.stored = link.is_stored();
                self.expiry = link.expiry;
                self.ends = link
                    .expiry
                    .map(|expiry| (now.time, until.saturating_add(expiry)));
                if link.clean_start || !link.is_stored() {
                    // It may yet end the Session of a connection that comes after it.
                    self.doubt_until(until);
                }
            }
            _ if link.clean_start || outlived || !same || !self.stored => {
                self.exists = Existence::Perhaps;
                self.ends = None;
                self.doubt_until(until);
            }
            // It can only have gone on with the same Session, which lives the longer for it.
            _ => {
                if let (Some((_, latest)), Some(expiry)) = (&mut self.ends, link.expiry) {
                    *latest = (*latest).max(until.saturating_add(expiry));
                }
            }
        }
    }
}
