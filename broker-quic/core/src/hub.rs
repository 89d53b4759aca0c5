//! What all connections share: the registry, the snapshot of routes, retained messages, limits and counters.

use core::task::Waker;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::attach::Slot;
use quince_codec::{Properties, PropertyList, QoS};

use crate::config::Config;
use crate::delayed::{Delayed, Destination, Entry};
use crate::fanout::{Published, Publisher, QuotaExceeded};
use crate::figures::{Counters, Figures};
use crate::identifier::ConnectionId;
use crate::interleave::{Interleave, Interleaving, Seam};
use crate::message::{Budget, Incoming};
use crate::policy::{Action, AllowAll, Identity, InForce, Policy, Subject};
use crate::position::{Batch, Log, Position};
use crate::record::{Change, Origin};
use crate::registry::{Aftermath, DueWill, Registry};
use crate::retained::Retained;
use crate::routes::Routes;
use crate::time::Time;

/// What every connection of a broker shares; the driver keeps it in an `Arc`.
///
/// Locks are taken in one order, each for one short step and none across a call into the driver:
/// registry, a shard of the retained store, then routes, a mailbox or a slot. A waker may be called under one of them and
/// must do no more than schedule its task.
#[derive(Debug)]
pub struct Hub {
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) budget: Arc<Budget>,
    pub(crate) retained: Retained,
    pub(crate) interleaving: Interleaving,
    registry: Mutex<Registry>,
    routes: RwLock<Arc<Routes>>,
    in_force: RwLock<InForce>,
    /// The epoch of `in_force`, to be looked at without its lock.
    policy_epoch: AtomicU64,
    /// One slot per connection that has not closed, so that shutdown reaches it.
    slots: Mutex<BTreeMap<ConnectionId, Arc<Slot>>>,
    shutting_down: AtomicBool,
    timer: Mutex<Option<Waker>>,
    pub(crate) delayed: Delayed,
    pub(crate) counters: Counters,
    /// When the figures are published next, and what was published last.
    reporting: Mutex<Reporting>,
}

/// When the figures are published, and what subscribers know of them.
#[derive(Debug, Default)]
struct Reporting {
    next: Option<Time>,
    published: BTreeMap<&'static str, u64>,
}

impl Hub {
    /// A broker without connections that allows everybody everything.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_policy(config, Arc::new(AllowAll))
    }

    /// A broker without connections that asks `policy` about every publish, subscription and delivery.
    #[must_use]
    pub fn with_policy(config: Config, policy: Arc<dyn Policy>) -> Self {
        let budget = Budget::new(config.buffered_bytes);
        Self::empty(config, policy, budget, Position::START)
    }

    pub(crate) fn empty(
        config: Config,
        policy: Arc<dyn Policy>,
        budget: Arc<Budget>,
        log_end: Position,
    ) -> Self {
        Self {
            log: Log::new(&config, log_end),
            budget,
            retained: Retained::new(config.retained_messages, config.retained_bytes),
            interleaving: Interleaving::default(),
            registry: Mutex::new(Registry::new(config.seed)),
            routes: RwLock::default(),
            slots: Mutex::default(),
            shutting_down: AtomicBool::new(false),
            timer: Mutex::default(),
            delayed: Delayed::new(config.delayed_messages),
            counters: Counters::default(),
            reporting: Mutex::default(),
            in_force: RwLock::new(InForce { policy, epoch: 1 }),
            policy_epoch: AtomicU64::new(1),
            config,
        }
    }

    /// The same broker, with somebody who decides what other tasks do between the steps of a call.
    #[must_use]
    pub fn interleaved_by(mut self, listener: Arc<dyn Interleave>) -> Self {
        self.interleaving = Interleaving::by(listener);
        self.retained.interleave(self.interleaving.clone());
        self
    }

    /// What the broker is set to.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Fires what is due by `now`: ends of dormant Sessions, delayed Will Messages and delayed messages, in the order of
    /// their times, and the figures.
    pub fn handle_timeout(&self, now: Time) {
        loop {
            let next_delayed = self.delayed.next_timeout();
            // The registry's turn comes first at the same time.
            let until = next_delayed.filter(|at| *at <= now).unwrap_or(now);
            let fired = self.registry().fire(self, until);
            if let Some((at, aftermath)) = fired {
                self.settle(at, aftermath);
            } else if let Some((at, message)) = self.delayed.take(now) {
                self.publish_delayed(at, now, message);
            } else {
                break;
            }
        }
        self.report(now);
    }

    /// Sets who is woken when [`Hub::next_timeout`] has become earlier than it was.
    pub fn set_timer_waker(&self, waker: &Waker) {
        *self.timer.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    pub(crate) fn wake_timer(&self) {
        let waker = self
            .timer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// When [`Hub::handle_timeout`] is due next. It may become earlier whenever a connection ends; see
    /// [`Hub::set_timer_waker`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let sessions = self.registry().next_timeout();
        let report = self
            .config
            .figures_interval
            .map(|_| self.reporting().next.unwrap_or(Time::ZERO));
        [sessions, self.delayed.next_timeout(), report]
            .into_iter()
            .flatten()
            .min()
    }

    /// Asks every connection to send DISCONNECT 0x8B (Server shutting down) and to close; later ones are refused.
    pub fn shut_down(&self, _now: Time) {
        self.shutting_down.store(true, Ordering::Release);
        for slot in self.slots().values() {
            slot.wake();
        }
    }

    /// Whether [`Hub::shut_down`] was called.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }

    /// The end of the log of persistent records.
    #[must_use]
    pub fn log_end(&self) -> Position {
        self.log.end()
    }

    /// Takes the records that were made since the last call, in the order of their positions. A driver whose core keeps records
    /// ([`Durability::Store`](crate::Durability::Store)) takes them soon: they hold their messages.
    #[must_use]
    pub fn take_records(&self) -> Batch {
        self.log.take()
    }

    /// Sets who is woken when there are records to be taken.
    pub fn set_record_waker(&self, waker: &Waker) {
        self.log.set_waker(waker);
    }

    /// The store cannot write for now, as when its disk is full: until it says again how far it is durable, clients are refused
    /// what would have to be stored.
    pub fn store_is_stuck(&self) {
        self.log.set_stuck();
    }

    /// The store says that the log is durable up to `position`; what waited for that leaves.
    pub fn durable_up_to(&self, position: Position) {
        self.log.set_durable(position);
        for slot in self.slots().values() {
            slot.wake();
        }
    }

    /// Figures about the broker now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let (sessions, stored_sessions) = self.registry().counts();
        Figures {
            connections: self.slots().len(),
            sessions,
            stored_sessions,
            subscriptions: self.routes().subscriptions(),
            retained_messages: self.retained.messages(),
            delayed_messages: self.delayed.messages(),
            buffered_bytes: self.budget.used(),
            messages_received: self.counters.messages_received.value(),
            messages_sent: self.counters.messages_sent.value(),
            dropped_wills: self.counters.dropped_wills.value(),
        }
    }

    /// Puts another policy into force. Every connection is woken: one whose client is not admitted any more ends, and
    /// what the others may not receive any more is dropped, wherever it waits.
    pub fn set_policy(&self, policy: Arc<dyn Policy>) {
        {
            let mut in_force = self
                .in_force
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let epoch = in_force.epoch + 1;
            *in_force = InForce { policy, epoch };
            self.policy_epoch.store(epoch, Ordering::Release);
        }
        for slot in self.slots().values() {
            slot.wake();
        }
    }

    /// The policy in force.
    pub(crate) fn in_force(&self) -> InForce {
        self.in_force
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Brings a copy of the policy in force up to date.
    pub(crate) fn refresh(&self, known: &mut InForce) {
        if known.epoch != self.policy_epoch.load(Ordering::Acquire) {
            *known = self.in_force();
        }
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.interleaving.lock(&self.registry, Seam::Registry)
    }

    /// The current snapshot.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        self.interleaving.at(Seam::Routes);
        Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Publishes a changed snapshot. Only the registry calls this.
    pub(crate) fn change_routes<T>(&self, change: impl FnOnce(&mut Routes) -> T) -> T {
        self.interleaving.at(Seam::Routes);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut routes))
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_slot(&self, id: ConnectionId, slot: &Arc<Slot>) {
        self.slots().insert(id, Arc::clone(slot));
    }

    pub(crate) fn remove_slot(&self, id: ConnectionId) {
        self.slots().remove(&id);
    }

    /// Publishes what the end of a connection or Session leaves behind.
    pub(crate) fn settle(&self, now: Time, aftermath: Aftermath) {
        aftermath
            .wills
            .iter()
            .for_each(|will| self.publish_will(now, will));
        aftermath
            .orphans
            .iter()
            .for_each(|orphan| self.offer_again(now, orphan));
    }

    /// Publishes a Will Message; one that a full queue refuses is lost and counted.
    fn publish_will(&self, now: Time, due: &DueWill) {
        let subject = Subject {
            client_id: &due.client_id,
            principal: &due.principal,
        };
        let in_force = self.in_force();
        let incoming = due.will.incoming();
        let origin = due.record.map_or(Origin::Nothing, Origin::Will);
        // The topic was looked at when CONNECT came; the right may have gone since.
        let destination = Destination::of(incoming.topic)
            .ok()
            .filter(|to| in_force.authorize(subject, Action::Publish(to.topic)));
        let Some(destination) = destination else {
            self.use_up(origin);
            return;
        };
        let publisher = Publisher {
            client_id: &due.client_id,
            principal: &due.principal,
            in_force: &in_force,
            turn: due.turn,
            origin,
            after: Position::START,
        };
        if self
            .publish_when_due(now, &incoming, destination, publisher)
            .is_err()
        {
            self.use_up(origin);
            self.counters.dropped_wills.add_one();
        }
    }

    /// Publishes a message now, or keeps it until its time has come. The caller has asked the policy about the
    /// destination.
    pub(crate) fn publish_when_due(
        &self,
        now: Time,
        incoming: &Incoming<'_>,
        destination: Destination<'_>,
        publisher: Publisher<'_>,
    ) -> Result<Published, QuotaExceeded> {
        let incoming = Incoming {
            topic: destination.topic,
            ..*incoming
        };
        let Some(delay) = destination.delay else {
            return self.publish(now, &incoming, publisher);
        };
        let identity = Identity {
            client_id: Arc::clone(publisher.client_id),
            principal: publisher.principal.clone(),
        };
        let at = now.plus_secs(u64::from(delay));
        let by = (identity, publisher.turn);
        let record = |waiting: &Arc<_>| {
            self.log.append(|number| Change::Delayed {
                number,
                at,
                waiting: Arc::clone(waiting),
                origin: publisher.origin,
            })
        };
        let kept = self
            .delayed
            .keep(&self.budget, (now, at), &incoming, by, record);
        let (is_first, after) = kept?;
        if is_first {
            self.wake_timer();
        }
        Ok(Published {
            // Who will be there to receive it is not known yet.
            matched: true,
            after,
        })
    }

    fn publish_delayed(&self, at: Time, now: Time, entry: Entry) {
        let in_force = self.in_force();
        let mut properties = PropertyList::new();
        let message = Arc::clone(&entry.waiting);
        let origin = entry.record.map_or(Origin::Nothing, Origin::Delayed);
        // The right may have gone since it was taken.
        let incoming = message.incoming(at, &mut properties).filter(|incoming| {
            in_force.authorize(message.publisher.subject(), Action::Publish(incoming.topic))
        });
        let Some(incoming) = incoming else {
            self.use_up(origin);
            return;
        };
        let publisher = Publisher {
            client_id: &message.publisher.client_id,
            principal: &message.publisher.principal,
            in_force: &in_force,
            turn: message.turn,
            origin,
            after: Position::START,
        };
        // It was acknowledged, so it is not dropped because a receiver has no room at this moment. The next attempt counts from
        // `now`: when this call comes late, trying once for each second slept over would only fail as often.
        if self.publish(at, &incoming, publisher).is_err() {
            self.delayed.put_back(now, entry);
        }
    }

    fn reporting(&self) -> MutexGuard<'_, Reporting> {
        self.reporting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the figures that have changed, if it is time.
    fn report(&self, now: Time) {
        let Some(interval) = self.config.figures_interval else {
            return;
        };
        let mut changed = Vec::new();
        {
            let mut reporting = self.reporting();
            if reporting.next.is_some_and(|next| next > now) {
                return;
            }
            reporting.next = Some(now + interval);
            for (topic, value) in self.figures().topics() {
                if reporting.published.insert(topic, value) != Some(value) {
                    changed.push((topic, value));
                }
            }
        }
        let in_force = self.in_force();
        for (topic, value) in changed {
            let payload = value.to_string();
            let incoming = Incoming {
                topic,
                properties: Properties::EMPTY,
                payload: payload.as_bytes(),
                qos: QoS::AtMostOnce,
                retain: true,
            };
            // At QoS 0 a full queue drops it.
            _ = self.publish(now, &incoming, Publisher::broker(&Arc::from(""), &in_force));
        }
    }
}
