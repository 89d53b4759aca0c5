//! What a store holds: the state that remains when all records are applied in order.
//!
//! It is what a broker recovers from, and what a store writes anew when it compacts. It believes nothing about the order of
//! records but what they say: a record about what is not there changes nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use quince_codec::{PacketId, QoS};

use crate::config::Config;
use crate::delayed::Waiting;
use crate::identifier::{FlowId, SessionId};
use crate::message::{Budget, Message};
use crate::policy::Principal;
use crate::position::Position;
use crate::record::{
    Change, DeliveryId, Exchanged, Origin, Publication, Queued, Record, RecordError, Retention,
};
use crate::session::{Subscription, Will};
use crate::time::Time;

/// What is in flight to a client, in the order in which it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Published(DeliveryId),
    Released,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FlowImage {
    pub(crate) outgoing: BTreeMap<u64, (PacketId, Outgoing)>,
    next_place: u64,
    pub(crate) incoming: BTreeSet<PacketId>,
}

impl FlowImage {
    fn put(&mut self, packet_id: PacketId, outgoing: Outgoing) {
        self.outgoing.insert(self.next_place, (packet_id, outgoing));
        self.next_place += 1;
    }

    fn take(&mut self, packet_id: PacketId) -> Option<Outgoing> {
        let place = self
            .outgoing
            .iter()
            .find(|(_, (known, _))| *known == packet_id)
            .map(|(place, _)| *place)?;
        self.outgoing.remove(&place).map(|(_, outgoing)| outgoing)
    }
}

/// Deadlines of a Session that no connection has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Away {
    pub(crate) ends: Option<Time>,
    pub(crate) will: Option<Time>,
}

/// Retained messages that a Session is still owed for a subscription.
#[derive(Clone, Debug)]
pub(crate) struct Owed {
    pub(crate) flow: FlowId,
    pub(crate) filter: Arc<str>,
    /// The topic that was read last.
    pub(crate) last: Option<Arc<str>>,
}

/// A delivery with its message.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    pub(crate) message: Arc<Message>,
    pub(crate) queued: Queued,
}

#[derive(Clone, Debug)]
pub(crate) struct SessionImage {
    pub(crate) client_id: Arc<str>,
    pub(crate) principal: Principal,
    pub(crate) expiry: u32,
    pub(crate) away: Option<Away>,
    pub(crate) will: Option<(u64, Arc<Will>)>,
    pub(crate) subscriptions: BTreeMap<(FlowId, Arc<str>), Subscription>,
    /// In the order in which they are read.
    pub(crate) owed: VecDeque<Owed>,
    /// What waits and what is in flight.
    pub(crate) deliveries: BTreeMap<DeliveryId, Waits>,
    pub(crate) flows: BTreeMap<FlowId, FlowImage>,
}

/// A Will Message that is to be published.
#[derive(Clone, Debug)]
pub(crate) struct WillImage {
    pub(crate) will: Arc<Will>,
    pub(crate) client_id: Arc<str>,
    pub(crate) principal: Principal,
}

/// How much an [`Image`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Stored Sessions.
    pub sessions: usize,
    /// Their subscriptions.
    pub subscriptions: usize,
    /// Messages that wait for them or are in flight to them.
    pub deliveries: usize,
    /// Identifiers of QoS 2 messages in either direction whose exchange is not over.
    pub exchanges: usize,
    /// Retained messages.
    pub retained: usize,
    /// Messages that wait for their time.
    pub delayed: usize,
    /// Will Messages, of Sessions and due.
    pub wills: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Image {
    pub(crate) budget: Arc<Budget>,
    pub(crate) position: Position,
    pub(crate) last_session: u64,
    pub(crate) sessions: BTreeMap<SessionId, SessionImage>,
    by_client_id: BTreeMap<Arc<str>, SessionId>,
    pub(crate) retained: BTreeMap<Arc<str>, (u64, Arc<Message>)>,
    pub(crate) delayed: BTreeMap<u64, (Time, Arc<Waiting>)>,
    pub(crate) wills: BTreeMap<u64, WillImage>,
    pub(crate) orphans: BTreeMap<DeliveryId, Waits>,
}

impl Image {
    /// Nothing. Messages will be charged to the room that `config` gives to all messages of the process.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            budget: Budget::new(config.buffered_bytes),
            position: Position::START,
            last_session: 0,
            sessions: BTreeMap::new(),
            by_client_id: BTreeMap::new(),
            retained: BTreeMap::new(),
            delayed: BTreeMap::new(),
            wills: BTreeMap::new(),
            orphans: BTreeMap::new(),
        }
    }

    /// How many records have come to this.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Says at which position the state is, where [`Image::apply`] was given a compacted log.
    pub fn set_position(&mut self, position: Position) {
        self.position = position;
    }

    /// Takes one record from the front of `bytes`.
    ///
    /// # Errors
    /// If they do not begin with one.
    pub fn decode(&self, bytes: &mut &[u8]) -> Result<Record, RecordError> {
        Record::decode(bytes, &self.budget)
    }

    /// How much there is.
    #[must_use]
    pub fn contents(&self) -> Contents {
        let sessions = || self.sessions.values();
        let flows = || sessions().flat_map(|session| session.flows.values());
        let released = |flow: &FlowImage| {
            flow.outgoing
                .values()
                .filter(|(_, outgoing)| *outgoing == Outgoing::Released)
                .count()
        };
        Contents {
            sessions: self.sessions.len(),
            subscriptions: sessions().map(|session| session.subscriptions.len()).sum(),
            deliveries: sessions().map(|session| session.deliveries.len()).sum(),
            exchanges: flows()
                .map(|flow| flow.incoming.len() + released(flow))
                .sum(),
            retained: self.retained.len(),
            delayed: self.delayed.len(),
            wills: self.wills.len() + sessions().filter(|session| session.will.is_some()).count(),
        }
    }

    /// Applies the next record.
    pub fn apply(&mut self, Record(change): Record) {
        self.position = Position::new(self.position.records() + 1);
        match change {
            Change::SessionBegan {
                session,
                client_id,
                principal,
                expiry,
            } => self.begin(session, client_id, principal, expiry),
            Change::Published(publication) => self.publish(*publication),
            Change::Delayed {
                number,
                at,
                waiting,
                origin,
            } => {
                self.use_up(origin);
                self.delayed.insert(number, (at, waiting));
            }
            Change::Done(origin) => self.use_up(origin),
            Change::SessionEnded { session } => self.end(session),
            Change::SessionForgotten { session } => _ = self.remove(session),
            Change::Sent {
                exchanged,
                delivery,
            } => {
                if let Some(flow) = self.flow(exchanged) {
                    flow.take(exchanged.packet_id);
                    flow.put(exchanged.packet_id, Outgoing::Published(delivery));
                }
            }
            Change::Released(exchanged) => self.release(exchanged),
            Change::Completed(exchanged) => {
                if let Some(flow) = self.flow(exchanged) {
                    flow.take(exchanged.packet_id);
                }
            }
            Change::Forgotten(exchanged) => {
                if let Some(flow) = self.flow(exchanged) {
                    flow.incoming.remove(&exchanged.packet_id);
                }
            }
            change => self.apply_to_session(change),
        }
    }

    /// What changes one Session that is there, and nothing else but the wills that are due.
    fn apply_to_session(&mut self, change: Change) {
        let session = match &change {
            Change::SessionResumed { session, .. }
            | Change::WillSet { session, .. }
            | Change::WillDue { session }
            | Change::SessionAway { session, .. }
            | Change::Subscribed { session, .. }
            | Change::Unsubscribed { session, .. }
            | Change::RetainedOwed { session, .. }
            | Change::RetainedRead { session }
            | Change::Settled { session, .. } => *session,
            _ => return,
        };
        let Some(state) = self.sessions.get_mut(&session) else {
            return;
        };
        match change {
            Change::SessionResumed {
                principal, expiry, ..
            } => {
                state.principal = principal;
                state.expiry = expiry;
                state.away = None;
                state.will = None;
            }
            Change::WillSet { number, will, .. } => state.will = Some((number, will)),
            Change::WillDue { .. } => {
                if let Some(away) = &mut state.away {
                    away.will = None;
                }
                if let Some(due) = take_will(state) {
                    self.wills.insert(due.0, due.1);
                }
            }
            Change::SessionAway {
                expiry, ends, will, ..
            } => {
                state.expiry = expiry;
                state.away = Some(Away { ends, will });
                if will.is_none() {
                    state.will = None;
                }
            }
            Change::Subscribed {
                flow,
                filter,
                subscription,
                ..
            } => _ = state.subscriptions.insert((flow, filter), subscription),
            Change::Unsubscribed { flow, filter, .. } => {
                state.forget_owed(flow, &filter);
                state.subscriptions.remove(&(flow, filter));
            }
            Change::RetainedOwed {
                flow, filter, last, ..
            } => {
                state.forget_owed(flow, &filter);
                state.owed.push_back(Owed { flow, filter, last });
            }
            Change::RetainedRead { .. } => _ = state.owed.pop_front(),
            Change::Settled { delivery, .. } => {
                if let Some(waits) = state.deliveries.remove(&delivery)
                    && let Some(flow) = state.flows.get_mut(&waits.queued.flow)
                {
                    flow.outgoing
                        .retain(|_, (_, known)| *known != Outgoing::Published(delivery));
                }
            }
            _ => {}
        }
    }

    fn begin(
        &mut self,
        session: SessionId,
        client_id: Arc<str>,
        principal: Principal,
        expiry: u32,
    ) {
        self.last_session = self.last_session.max(session.0);
        let older = self.by_client_id.insert(Arc::clone(&client_id), session);
        if let Some(older) = older.filter(|older| *older != session) {
            self.sessions.remove(&older);
        }
        let state = SessionImage {
            client_id,
            principal,
            expiry,
            away: None,
            will: None,
            subscriptions: BTreeMap::new(),
            owed: VecDeque::new(),
            deliveries: BTreeMap::new(),
            flows: BTreeMap::new(),
        };
        self.sessions.insert(session, state);
    }

    fn remove(&mut self, session: SessionId) -> Option<SessionImage> {
        let state = self.sessions.remove(&session)?;
        if self.by_client_id.get(&state.client_id) == Some(&session) {
            self.by_client_id.remove(&state.client_id);
        }
        Some(state)
    }

    fn end(&mut self, session: SessionId) {
        let Some(mut state) = self.remove(session) else {
            return;
        };
        if let Some(due) = take_will(&mut state) {
            self.wills.insert(due.0, due.1);
        }
        self.orphans
            .extend(state.deliveries.into_iter().filter(|(_, waits)| {
                waits.queued.shared.is_some() && waits.queued.qos == QoS::AtLeastOnce
            }));
    }

    fn flow(&mut self, exchanged: Exchanged) -> Option<&mut FlowImage> {
        let session = self.sessions.get_mut(&exchanged.session)?;
        Some(session.flows.entry(exchanged.flow).or_default())
    }

    fn release(&mut self, exchanged: Exchanged) {
        let Some(flow) = self.flow(exchanged) else {
            return;
        };
        let before = flow.take(exchanged.packet_id);
        flow.put(exchanged.packet_id, Outgoing::Released);
        if let (Some(Outgoing::Published(delivery)), Some(session)) =
            (before, self.sessions.get_mut(&exchanged.session))
        {
            session.deliveries.remove(&delivery);
        }
    }

    fn publish(&mut self, publication: Publication) {
        let Publication {
            number,
            message,
            retention,
            queued,
            origin,
        } = publication;
        if let Origin::Owed(session) = origin
            && let Some(session) = self.sessions.get_mut(&session)
            && let Some(owed) = session.owed.front_mut()
        {
            owed.last = Some(Arc::clone(&message.topic));
        }
        self.use_up(origin);
        match retention {
            Retention::Untouched => {}
            Retention::Kept => {
                let entry = (number, Arc::clone(&message));
                self.retained.insert(Arc::clone(&message.topic), entry);
            }
            Retention::Removed => _ = self.retained.remove(&message.topic),
        }
        for queued in queued {
            let delivery = DeliveryId {
                record: number,
                place: queued.place,
            };
            if let Some(session) = self.sessions.get_mut(&queued.session) {
                let message = Arc::clone(&message);
                session
                    .deliveries
                    .insert(delivery, Waits { message, queued });
            }
        }
    }

    fn use_up(&mut self, origin: Origin) {
        match origin {
            Origin::Nothing | Origin::Owed(_) => {}
            Origin::Received(exchanged) => {
                if let Some(flow) = self.flow(exchanged) {
                    flow.incoming.insert(exchanged.packet_id);
                }
            }
            Origin::Will(number) => _ = self.wills.remove(&number),
            Origin::Delayed(number) => _ = self.delayed.remove(&number),
            Origin::Orphan(delivery) => _ = self.orphans.remove(&delivery),
        }
    }

    /// Forgets retained messages that have expired by `now`; nobody would be shown them.
    pub fn sweep(&mut self, now: Time) {
        self.retained
            .retain(|_, (_, message)| !message.is_expired(now));
    }

    /// The fewest records that come to the same state, in the order in which they are to be applied.
    ///
    /// They do not come to the same [`Image::position`].
    pub fn records(&self) -> impl Iterator<Item = Record> + use<'_> {
        let sessions = self.sessions.iter().flat_map(|(&id, session)| {
            let began = Change::SessionBegan {
                session: id,
                client_id: Arc::clone(&session.client_id),
                principal: session.principal.clone(),
                expiry: session.expiry,
            };
            core::iter::once(began)
        });
        let ended = self.ended_sessions();
        let subscriptions = self
            .sessions
            .iter()
            .flat_map(|(&id, session)| session.changes(id));
        let messages = self.publications().into_values().map(Change::Published);
        let flows = self.sessions.iter().flat_map(|(&id, session)| {
            let flows = session.flows.iter();
            flows.flat_map(move |(&flow, state)| state.changes(id, flow))
        });
        let delayed = self
            .delayed
            .iter()
            .map(|(&number, (at, waiting))| Change::Delayed {
                number,
                at: *at,
                waiting: Arc::clone(waiting),
                origin: Origin::Nothing,
            });
        // Sessions that have ended come and go first, so that they push out none that goes on.
        ended
            .into_iter()
            .chain(sessions)
            .chain(subscriptions)
            .chain(messages)
            .chain(flows)
            .chain(delayed)
            .map(Record)
    }

    /// What Sessions that have ended left to be done, told as Sessions that end.
    fn ended_sessions(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        let wills = self.wills.iter().map(|(&number, due)| {
            let will = Some((number, due));
            (SessionId(0), will, None)
        });
        let orphans = self
            .orphans
            .iter()
            .map(|(&id, waits)| (waits.queued.session, None, Some((id, waits))));
        for (session, will, orphan) in wills.chain(orphans) {
            changes.push(Change::SessionBegan {
                session,
                client_id: will
                    .map_or_else(|| Arc::from(""), |(_, due)| Arc::clone(&due.client_id)),
                principal: will.map_or_else(Principal::anonymous, |(_, due)| due.principal.clone()),
                expiry: 0,
            });
            if let Some((number, due)) = will {
                let will = Arc::clone(&due.will);
                changes.push(Change::WillSet {
                    session,
                    number,
                    will,
                });
            }
            if let Some((id, waits)) = orphan {
                changes.push(Change::Published(waits.publication(id)));
            }
            changes.push(Change::SessionEnded { session });
        }
        changes
    }

    /// Every message once, with all queues that it waits in.
    fn publications(&self) -> BTreeMap<u64, Box<Publication>> {
        let mut publications: BTreeMap<u64, Box<Publication>> = BTreeMap::new();
        for (number, message) in self.retained.values() {
            let publication = Publication {
                number: *number,
                message: Arc::clone(message),
                retention: Retention::Kept,
                queued: Vec::new(),
                origin: Origin::Nothing,
            };
            publications.insert(*number, Box::new(publication));
        }
        let deliveries = self
            .sessions
            .values()
            .flat_map(|session| &session.deliveries);
        for (&id, waits) in deliveries {
            match publications.get_mut(&id.record) {
                Some(publication) => publication.queued.push(waits.queued.clone()),
                None => _ = publications.insert(id.record, waits.publication(id)),
            }
        }
        publications
    }
}

fn take_will(session: &mut SessionImage) -> Option<(u64, WillImage)> {
    let (number, will) = session.will.take()?;
    let due = WillImage {
        will,
        client_id: Arc::clone(&session.client_id),
        principal: session.principal.clone(),
    };
    Some((number, due))
}

impl Waits {
    fn publication(&self, id: DeliveryId) -> Box<Publication> {
        Box::new(Publication {
            number: id.record,
            message: Arc::clone(&self.message),
            retention: Retention::Untouched,
            queued: vec![self.queued.clone()],
            origin: Origin::Nothing,
        })
    }
}

impl SessionImage {
    fn forget_owed(&mut self, flow: FlowId, filter: &Arc<str>) {
        self.owed
            .retain(|owed| owed.flow != flow || owed.filter != *filter);
    }

    fn changes(&self, session: SessionId) -> impl Iterator<Item = Change> + use<'_> {
        let subscriptions = self
            .subscriptions
            .iter()
            .map(move |((flow, filter), subscription)| Change::Subscribed {
                session,
                flow: *flow,
                filter: Arc::clone(filter),
                subscription: *subscription,
            });
        let owed = self.owed.iter().map(move |owed| Change::RetainedOwed {
            session,
            flow: owed.flow,
            filter: Arc::clone(&owed.filter),
            last: owed.last.clone(),
        });
        let will = self.will.iter().map(move |(number, will)| Change::WillSet {
            session,
            number: *number,
            will: Arc::clone(will),
        });
        let away = self.away.iter().map(move |away| Change::SessionAway {
            session,
            expiry: self.expiry,
            ends: away.ends,
            will: away.will,
        });
        subscriptions.chain(owed).chain(will).chain(away)
    }
}

impl FlowImage {
    fn changes(&self, session: SessionId, flow: FlowId) -> impl Iterator<Item = Change> + use<'_> {
        let exchanged = move |packet_id| Exchanged {
            session,
            flow,
            packet_id,
        };
        let outgoing = self
            .outgoing
            .values()
            .map(move |&(packet_id, outgoing)| match outgoing {
                Outgoing::Published(delivery) => Change::Sent {
                    exchanged: exchanged(packet_id),
                    delivery,
                },
                Outgoing::Released => Change::Released(exchanged(packet_id)),
            });
        let incoming = self
            .incoming
            .iter()
            .map(move |&packet_id| Change::Done(Origin::Received(exchanged(packet_id))));
        outgoing.chain(incoming)
    }
}
