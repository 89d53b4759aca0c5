//! The only writer of what Sessions share: attach, takeover, subscriptions, expiry, delayed wills, dormant Sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quince_codec::{QoS, ReasonCode};

use crate::attach::{AttachRequest, Attached, Slot};
use crate::flow::Flow;
use crate::hub::Hub;
use crate::identifier::{FlowId, SessionId};
use crate::mailbox::Mailbox;
use crate::message::Delivery;
use crate::policy::Principal;
use crate::position::Position;
use crate::record::Change;
use crate::routes::{Route, Subscriber};
use crate::seed::Seed;
use crate::session::{NEVER, Session, SessionWill, Subscription, Will};
use crate::time::Time;

/// A Will Message whose time has come; published when the registry is unlocked.
#[derive(Debug)]
pub(crate) struct DueWill {
    pub(crate) will: Arc<Will>,
    /// The record that stored it.
    pub(crate) record: Option<u64>,
    pub(crate) client_id: Arc<str>,
    pub(crate) principal: Principal,
    pub(crate) turn: u64,
}

/// What the end of a connection or Session leaves to be published, once the registry is unlocked.
#[derive(Debug, Default)]
#[must_use = "wills would be lost"]
pub(crate) struct Aftermath {
    pub(crate) wills: Vec<DueWill>,
    /// QoS 1 messages of shared subscriptions that their receiver never acknowledged.
    pub(crate) orphans: Vec<Delivery>,
}

/// The answer to an attach request.
#[derive(Debug)]
pub(crate) enum Attach {
    /// The Session is here.
    Ready(Attached),
    /// The Session's owner was asked to yield it; the slot will be filled.
    Waiting,
    /// There is no room for one more stored Session.
    Full,
    /// The Session is another principal's.
    Foreign,
}

#[derive(Debug)]
struct Waiting {
    slot: Arc<Slot>,
    request: AttachRequest,
}

#[derive(Debug)]
struct Dormant {
    session: Box<Session>,
    ends: Option<Time>,
    will: Option<Time>,
}

impl Dormant {
    fn deadline(&self) -> Option<Time> {
        [self.ends, self.will].into_iter().flatten().min()
    }
}

#[derive(Debug)]
enum Owner {
    /// A connection has the Session; another may wait for it.
    Connection { waiting: Option<Waiting> },
    /// Nobody has it.
    Registry(Dormant),
}

#[derive(Debug)]
struct Entry {
    /// Whose Session it is: nobody else takes it over, resumes or ends it.
    principal: Principal,
    mailbox: Arc<Mailbox>,
    stored: bool,
    owner: Owner,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Registry {
    entries: BTreeMap<Arc<str>, Entry>,
    deadlines: BTreeSet<(Time, Arc<str>)>,
    stored: usize,
    next_session: u64,
    seed: Seed,
}

impl Registry {
    pub(crate) fn new(seed: [u64; 2]) -> Self {
        Self {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            stored: 0,
            next_session: 1,
            seed: Seed::new(seed),
        }
    }

    /// Sessions, and those of them that are stored.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.entries.len(), self.stored)
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A Client Identifier that no Session has [MQTT5-3.1.3-6] [MQTT3-3.1.3-6].
    pub(crate) fn assign_client_id(&mut self) -> Arc<str> {
        loop {
            let client_id = self.seed.next_client_id();
            if !self.entries.contains_key(&*client_id) {
                return client_id;
            }
        }
    }

    /// Gives a connection its Session, makes one, or asks the Session's owner to yield it.
    pub(crate) fn attach(
        &mut self,
        hub: &Hub,
        request: AttachRequest,
        slot: &Arc<Slot>,
        aftermath: &mut Aftermath,
    ) -> Attach {
        let known = self.entries.get_mut(&request.client_id);
        if known
            .as_ref()
            .is_some_and(|entry| !entry.principal.is_same_as(&request.principal))
        {
            return Attach::Foreign;
        }
        let already_stored = known.as_ref().is_some_and(|entry| entry.stored);
        if request.expiry > 0 && !already_stored && self.stored >= hub.config.stored_sessions {
            return Attach::Full;
        }
        if (request.expiry > 0 || already_stored) && hub.log.is_full() {
            return Attach::Full;
        }
        let Some(entry) = known else {
            return Attach::Ready(self.create(hub, &request, Position::START));
        };
        match &mut entry.owner {
            Owner::Connection { waiting } => {
                let displaced = waiting.replace(Waiting {
                    slot: Arc::clone(slot),
                    request,
                });
                entry.mailbox.request_yield();
                if let Some(displaced) = displaced {
                    displaced.slot.fill(Err(ReasonCode::SERVER_BUSY));
                }
                Attach::Waiting
            }
            Owner::Registry(_) => {
                let Some(dormant) = self.take_dormant(&request.client_id) else {
                    return Attach::Full;
                };
                Attach::Ready(self.succeed(hub, dormant.session, &request, aftermath))
            }
        }
    }

    /// A connection that waited for a Session is gone.
    pub(crate) fn abandon(
        &mut self,
        hub: &Hub,
        now: Time,
        client_id: &Arc<str>,
        slot: &Arc<Slot>,
        aftermath: &mut Aftermath,
    ) {
        if let Some(Entry {
            owner: Owner::Connection { waiting },
            ..
        }) = self.entries.get_mut(client_id)
        {
            waiting.take_if(|waiting| Arc::ptr_eq(&waiting.slot, slot));
        }
        if let Some(Ok(attached)) = slot.take() {
            self.release(hub, now, attached.session, aftermath);
        }
    }

    /// A connection lets its Session go. A will that is still in it is due, at once or after its delay.
    pub(crate) fn release(
        &mut self,
        hub: &Hub,
        now: Time,
        mut session: Box<Session>,
        aftermath: &mut Aftermath,
    ) {
        session.mailbox().detach();
        while let Some(flow) = session.first_data_flow() {
            self.end_flow(hub, &mut session, flow, aftermath);
        }
        let client_id = Arc::clone(&session.client_id);
        let Some(entry) = self.entries.get_mut(&client_id) else {
            return;
        };
        let Owner::Connection { waiting } = &mut entry.owner else {
            return;
        };
        let waiting = waiting.take();
        let stored = session.is_stored();
        let ends = (session.expiry != NEVER).then(|| now.plus_secs(u64::from(session.expiry)));
        let delay = session.will.as_ref().map(|will| will.will.delay);
        let will = delay.map(|delay| now.plus_secs(u64::from(delay)));
        if stored {
            record(hub, &session, |id| Change::SessionAway {
                session: id,
                expiry: session.expiry,
                ends,
                will,
            });
        }
        if delay == Some(0) {
            take_will(hub, &mut session, aftermath);
        }
        self.set_stored(&client_id, stored);
        if let Some(Waiting { slot, request }) = waiting {
            if request.expiry > 0 && !stored && self.stored >= hub.config.stored_sessions {
                slot.fill(Err(ReasonCode::QUOTA_EXCEEDED));
            } else {
                let attached = self.succeed(hub, session, &request, aftermath);
                slot.fill(Ok(attached));
                return;
            }
        }
        if !stored {
            self.end(hub, session, aftermath);
            return;
        }
        let will = will.filter(|_| session.will.is_some());
        self.make_dormant(
            hub,
            Dormant {
                session,
                ends,
                will,
            },
        );
    }

    /// Fires the earliest deadline that is due by `now`: its time and what it leaves.
    pub(crate) fn fire(&mut self, hub: &Hub, now: Time) -> Option<(Time, Aftermath)> {
        let (at, client_id) = self
            .deadlines
            .first()
            .filter(|(at, _)| *at <= now)
            .cloned()?;
        let mut aftermath = Aftermath::default();
        let Some(mut dormant) = self.take_dormant(&client_id) else {
            self.deadlines.remove(&(at, client_id));
            return Some((at, aftermath));
        };
        if dormant.will.is_some_and(|due| due <= at) {
            dormant.will = None;
            take_will(hub, &mut dormant.session, &mut aftermath);
        }
        if dormant.ends.is_some_and(|ends| ends <= at) {
            self.end(hub, dormant.session, &mut aftermath);
        } else {
            self.make_dormant(hub, dormant);
        }
        Some((at, aftermath))
    }

    /// Puts a subscription into the snapshot. The position is that of its record.
    pub(crate) fn subscribe(
        &mut self,
        hub: &Hub,
        session: &mut Session,
        (flow, filter): (FlowId, &Arc<str>),
        subscription: Subscription,
    ) -> Position {
        // Before the snapshot, so that no message for the subscription has a record before it.
        let position = record_on(hub, session, flow, |id| Change::Subscribed {
            session: id,
            flow,
            filter: Arc::clone(filter),
            subscription,
        });
        // Its queue is there before anybody can push to it.
        session.flow(flow);
        route(hub, session, (flow, filter), subscription);
        session
            .subscriptions
            .insert((flow, Arc::clone(filter)), subscription);
        position
    }

    /// Takes a subscription out of the snapshot; `None` when the Session does not have it.
    pub(crate) fn unsubscribe(
        &mut self,
        hub: &Hub,
        session: &mut Session,
        flow: FlowId,
        filter: &str,
    ) -> Option<Position> {
        let filter: Arc<str> = Arc::from(filter);
        session.subscriptions.remove(&(flow, Arc::clone(&filter)))?;
        session
            .flow(flow)
            .cursors
            .retain(|cursor| cursor.filter != filter);
        hub.change_routes(|routes| routes.remove(&filter, session.key(flow)));
        Some(record_on(hub, session, flow, |id| Change::Unsubscribed {
            session: id,
            flow,
            filter,
        }))
    }

    /// Ends a data flow of a Session: its subscriptions and all its state are gone.
    pub(crate) fn end_flow(
        &mut self,
        hub: &Hub,
        session: &mut Session,
        flow: FlowId,
        aftermath: &mut Aftermath,
    ) {
        let mut ended = Vec::new();
        session.subscriptions.retain(|(on, filter), _| {
            let goes = *on == flow;
            if goes {
                ended.push(Arc::clone(filter));
            }
            !goes
        });
        if !ended.is_empty() {
            hub.change_routes(|routes| {
                for filter in &ended {
                    routes.remove(filter, session.key(flow));
                }
            });
        }
        if let Some(state) = session.take_data_flow(flow) {
            leave_orphans(*state, aftermath);
        }
    }

    /// Makes a Session under a Client Identifier that has none.
    fn create(&mut self, hub: &Hub, request: &AttachRequest, after: Position) -> Attached {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let mailbox = Arc::new(Mailbox::new(
            hub.config.queue_messages,
            hub.config.queue_bytes,
        ));
        let mut session = Session::new(id, Arc::clone(&request.client_id), Arc::clone(&mailbox));
        session.expiry = request.expiry;
        session.principal = request.principal.clone();
        let entry = Entry {
            principal: request.principal.clone(),
            mailbox,
            stored: false,
            owner: Owner::Connection { waiting: None },
        };
        self.entries.insert(Arc::clone(&request.client_id), entry);
        self.set_stored(&request.client_id, session.is_stored());
        session.is_recorded = session.is_stored() && hub.log.is_kept();
        let began = record(hub, &session, |id| Change::SessionBegan {
            session: id,
            client_id: Arc::clone(&session.client_id),
            principal: session.principal.clone(),
            expiry: session.expiry,
        });
        let after = after.max(began);
        Attached {
            session: Box::new(session),
            present: false,
            after,
        }
    }

    /// Gives a Session that its owner let go to the next connection: the same one, or a new one in its place
    /// [MQTT5-3.1.2-4] [MQTT5-3.1.2-5] [MQTT3-3.1.2-6].
    fn succeed(
        &mut self,
        hub: &Hub,
        mut session: Box<Session>,
        request: &AttachRequest,
        aftermath: &mut Aftermath,
    ) -> Attached {
        if request.clean_start || !session.is_stored() {
            // A Session that ends here sends its will whatever the delay.
            let ended = self.end(hub, session, aftermath);
            return self.create(hub, request, ended);
        }
        // The Session goes on before the Will Delay Interval has passed [MQTT5-3.1.3-9].
        session.will = None;
        session.expiry = request.expiry;
        session.principal = request.principal.clone();
        self.set_stored(&request.client_id, session.is_stored());
        if let Some(entry) = self.entries.get_mut(&request.client_id) {
            entry.owner = Owner::Connection { waiting: None };
        }
        let after = if session.is_stored() {
            record(hub, &session, |id| Change::SessionResumed {
                session: id,
                principal: session.principal.clone(),
                expiry: session.expiry,
            })
        } else {
            let forgotten = record(hub, &session, |id| Change::SessionForgotten { session: id });
            session.is_recorded = false;
            forgotten
        };
        Attached {
            session,
            present: true,
            after,
        }
    }

    /// Ends a Session that nobody owns. The position is that of its record.
    fn end(&mut self, hub: &Hub, mut session: Box<Session>, aftermath: &mut Aftermath) -> Position {
        take_will(hub, &mut session, aftermath);
        self.set_stored(&session.client_id, false);
        self.entries.remove(&session.client_id);
        hub.change_routes(|routes| {
            for (flow, filter) in session.subscriptions.keys() {
                routes.remove(filter, session.key(*flow));
            }
        });
        let ended = record(hub, &session, |id| Change::SessionEnded { session: id });
        leave_orphans(session.control, aftermath);
        ended
    }

    /// Takes in a Session that a store held.
    pub(crate) fn restore(
        &mut self,
        hub: &Hub,
        session: Box<Session>,
        (ends, will): (Option<Time>, Option<Time>),
    ) {
        for ((flow, filter), subscription) in &session.subscriptions {
            route(hub, &session, (*flow, filter), *subscription);
        }
        self.next_session = self.next_session.max(session.id.0 + 1);
        let entry = Entry {
            principal: session.principal.clone(),
            mailbox: Arc::clone(session.mailbox()),
            stored: false,
            owner: Owner::Connection { waiting: None },
        };
        self.entries.insert(Arc::clone(&session.client_id), entry);
        self.set_stored(&session.client_id, true);
        self.make_dormant(
            hub,
            Dormant {
                session,
                ends,
                will,
            },
        );
    }

    /// Numbers Sessions behind `last` from now on.
    pub(crate) fn begin_behind(&mut self, last: u64) {
        self.next_session = self.next_session.max(last + 1);
    }

    fn make_dormant(&mut self, hub: &Hub, dormant: Dormant) {
        let client_id = Arc::clone(&dormant.session.client_id);
        if let Some(deadline) = dormant.deadline() {
            let is_first = self.next_timeout().is_none_or(|first| deadline < first);
            self.deadlines.insert((deadline, Arc::clone(&client_id)));
            if is_first {
                hub.wake_timer();
            }
        }
        if let Some(entry) = self.entries.get_mut(&client_id) {
            entry.owner = Owner::Registry(dormant);
        }
    }

    /// Takes a dormant Session out of its entry, which is left as if a connection had it.
    fn take_dormant(&mut self, client_id: &Arc<str>) -> Option<Dormant> {
        let entry = self.entries.get_mut(client_id)?;
        match core::mem::replace(&mut entry.owner, Owner::Connection { waiting: None }) {
            Owner::Registry(dormant) => {
                if let Some(deadline) = dormant.deadline() {
                    self.deadlines.remove(&(deadline, Arc::clone(client_id)));
                }
                Some(dormant)
            }
            owner @ Owner::Connection { .. } => {
                entry.owner = owner;
                None
            }
        }
    }

    fn set_stored(&mut self, client_id: &Arc<str>, stored: bool) {
        if let Some(entry) = self.entries.get_mut(client_id) {
            self.stored -= usize::from(entry.stored);
            self.stored += usize::from(stored);
            entry.stored = stored;
            entry.mailbox.set_stored(stored);
        }
    }
}

/// Makes a record about a Session that the store knows.
fn record(hub: &Hub, session: &Session, change: impl FnOnce(SessionId) -> Change) -> Position {
    if session.is_recorded {
        hub.log.append(|_| change(session.id))
    } else {
        Position::START
    }
}

/// The same, about something on one of its flows.
fn record_on(
    hub: &Hub,
    session: &Session,
    flow: FlowId,
    change: impl FnOnce(SessionId) -> Change,
) -> Position {
    if session.is_recorded_on(flow) {
        record(hub, session, change)
    } else {
        Position::START
    }
}

/// What a flow that ends leaves to other members of its shared subscriptions.
fn leave_orphans(flow: Flow, aftermath: &mut Aftermath) {
    let is_orphan =
        |delivery: &Delivery| delivery.shared.is_some() && delivery.qos == QoS::AtLeastOnce;
    aftermath
        .orphans
        .extend(flow.into_undelivered().filter(is_orphan));
}

/// Puts a subscription into the snapshot.
fn route(
    hub: &Hub,
    session: &Session,
    (flow, filter): (FlowId, &Arc<str>),
    subscription: Subscription,
) {
    let subscriber = Subscriber {
        key: session.key(flow),
        client_id: Arc::clone(&session.client_id),
        principal: session.principal.clone(),
        mailbox: Arc::clone(session.mailbox_of(flow)),
        options: subscription.options,
        identifier: subscription.identifier,
        shared: Route::of(filter).share.map(|_| Arc::clone(filter)),
    };
    hub.change_routes(|routes| routes.insert(filter, subscriber));
}

fn take_will(hub: &Hub, session: &mut Session, aftermath: &mut Aftermath) {
    if let Some(SessionWill {
        will,
        record: number,
    }) = session.will.take()
    {
        record(hub, session, |id| Change::WillDue { session: id });
        aftermath.wills.push(DueWill {
            will,
            record: number,
            client_id: Arc::clone(&session.client_id),
            principal: session.principal.clone(),
            turn: session.turn,
        });
    }
}
