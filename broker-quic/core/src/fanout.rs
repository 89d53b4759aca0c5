//! One publish to all who subscribed: match the snapshot once, make room everywhere or nowhere, push.

use std::collections::BTreeMap;
use std::sync::Arc;

use quince_codec::QoS;

use crate::hub::Hub;
use crate::interleave::Seam;
use crate::mailbox::{Reservation, WhenFull};
use crate::message::{Delivery, Incoming, Message};
use crate::policy::{Action, Identity, InForce, Principal};
use crate::position::Position;
use crate::record::{Change, DeliveryId, Origin, Publication, Queued, Retention};
use crate::retained::Shard;
use crate::routes::{Matches, Routes, Subscriber, SubscriberKey};
use crate::time::Time;

/// Who publishes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publisher<'a> {
    pub(crate) client_id: &'a Arc<str>,
    pub(crate) principal: &'a Principal,
    /// The policy under which this publish was allowed; who may receive it is asked of the same one.
    pub(crate) in_force: &'a InForce,
    /// Picks the members of shared subscriptions.
    pub(crate) turn: u64,
    /// What the publish uses up, in its record. The deliveries of a QoS 2 message whose identifier is stored leave when that
    /// record is durable.
    pub(crate) origin: Origin,
    /// Deliveries leave when the log is durable up to here.
    pub(crate) after: Position,
}

impl<'a> Publisher<'a> {
    /// The broker itself, which has no Client Identifier; `nobody` is empty.
    pub(crate) fn broker(nobody: &'a Arc<str>, in_force: &'a InForce) -> Self {
        static ANONYMOUS: Principal = Principal::anonymous();
        Self {
            client_id: nobody,
            principal: &ANONYMOUS,
            in_force,
            turn: 0,
            origin: Origin::Nothing,
            after: Position::START,
        }
    }

    /// Who answers for a retained message: nobody does for what the broker says itself.
    fn identity(&self) -> Option<Identity> {
        (!self.client_id.is_empty()).then(|| Identity {
            client_id: Arc::clone(self.client_id),
            principal: self.principal.clone(),
        })
    }
}

/// A publish that the broker has taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// Whether any subscription matched.
    pub(crate) matched: bool,
    /// The last record that it made in any Session.
    pub(crate) after: Position,
}

/// A publish that must not be acknowledged as taken: a queue it may not drop from, the retained store or the
/// process is full. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotaExceeded;

/// What the matching subscriptions of one Session and flow come to.
struct Target<'a> {
    subscriber: &'a Subscriber,
    qos: QoS,
    retain: bool,
    identifiers: Vec<u32>,
}

impl<'a> Target<'a> {
    fn of(subscriber: &'a Subscriber, incoming: &Incoming<'_>) -> Self {
        Self {
            subscriber,
            qos: subscriber.options.qos.min(incoming.qos),
            // [MQTT5-3.3.1-12] [MQTT5-3.3.1-13] [MQTT3-3.3.1-9]
            retain: incoming.retain && subscriber.options.retain_as_published,
            identifiers: subscriber.identifier.into_iter().collect(),
        }
    }

    /// One copy per Session and flow, at the highest QoS and with all identifiers
    /// [MQTT5-3.3.4-2] [MQTT5-3.3.4-3] [MQTT5-3.3.4-4] [MQTT3-3.3.5-1].
    fn merge(&mut self, other: Self) {
        self.qos = self.qos.max(other.qos);
        self.retain |= other.retain;
        self.identifiers.extend(other.identifiers);
    }

    fn delivery(self, message: &Arc<Message>, publisher: Publisher<'_>) -> Delivery {
        Delivery {
            message: Arc::clone(message),
            qos: self.qos,
            retain: self.retain,
            identifiers: self.identifiers,
            after: publisher.after,
            authorized: publisher.in_force.epoch,
            may_repeat: false,
            shared: self.subscriber.shared.clone(),
            id: None,
        }
    }
}

/// A delivery with its room.
struct Planned<'a> {
    subscriber: &'a Subscriber,
    delivery: Delivery,
    reservation: Option<Reservation>,
}

impl Hub {
    /// Publishes one message. The caller has asked the policy and resolved Topic Aliases.
    pub(crate) fn publish(
        &self,
        now: Time,
        incoming: &Incoming<'_>,
        publisher: Publisher<'_>,
    ) -> Result<Published, QuotaExceeded> {
        if !incoming.retain {
            // The snapshot is taken before the push, so that a subscriber in it finds the message or is told later.
            return self.spread(now, incoming, publisher, None);
        }
        let published = self.spread(
            now,
            incoming,
            publisher,
            Some(&mut self.retained.shard(incoming.topic)),
        );
        if published.is_err() && self.retained.sweep(now) {
            return self.spread(
                now,
                incoming,
                publisher,
                Some(&mut self.retained.shard(incoming.topic)),
            );
        }
        published
    }

    fn spread(
        &self,
        now: Time,
        incoming: &Incoming<'_>,
        publisher: Publisher<'_>,
        shard: Option<&mut Shard<'_>>,
    ) -> Result<Published, QuotaExceeded> {
        let routes = self.routes();
        let matches = receivers(&routes, incoming.topic, publisher.in_force);
        let targets = merge_plain(&matches, incoming, publisher);
        let matched = !targets.is_empty() || !matches.shared.is_empty();
        if !matched && shard.is_none() {
            return Ok(Published {
                matched,
                after: self.use_up(publisher.origin),
            });
        }
        let retained_by = incoming.retain.then(|| publisher.identity()).flatten();
        let Some(message) = Message::copy(&self.budget, incoming, retained_by, now) else {
            // QoS 0 may be lost; the others are the publisher's until they are acknowledged.
            return if incoming.qos == QoS::AtMostOnce {
                Ok(Published {
                    matched,
                    after: self.use_up(publisher.origin),
                })
            } else {
                Err(QuotaExceeded)
            };
        };
        self.interleaving.at(Seam::Push);
        let mut planned =
            plan(targets, &matches, incoming, publisher, &message).ok_or(QuotaExceeded)?;
        let retention = match shard.map(|shard| retain(shard, &message)) {
            None => Retention::Untouched,
            Some(Ok(retention)) => retention,
            Some(Err(full)) => {
                planned.into_iter().for_each(cancel);
                return Err(full);
            }
        };
        let mut after = self.record(&mut planned, retention, publisher.origin, &message);
        let mut missed = Vec::new();
        for planned in planned {
            missed.extend(self.push(planned).err());
        }
        // A member of a shared subscription whose Session has ended since it was chosen never had the message: another
        // one gets it.
        for delivery in missed.iter().filter(|delivery| delivery.shared.is_some()) {
            after = after.max(self.offer(now, delivery, incoming.qos));
        }
        Ok(Published { matched, after })
    }

    /// Queues a delivery; gives it back if its Session has ended meanwhile.
    fn push(&self, planned: Planned<'_>) -> Result<(), Delivery> {
        let Planned {
            subscriber,
            delivery,
            reservation,
        } = planned;
        self.interleaving.at(Seam::Push);
        match reservation {
            Some(reservation) => subscriber.mailbox.push_reserved(delivery, reservation),
            None => subscriber.mailbox.push_droppable(delivery),
        }
    }
}

/// Stores, replaces or removes the retained message of a topic [MQTT5-3.3.1-5] [MQTT5-3.3.1-6] [MQTT5-3.3.1-7]
/// [MQTT3-3.3.1-5] [MQTT3-3.3.1-7] [MQTT3-3.3.1-10] [MQTT3-3.3.1-11].
fn retain(shard: &mut Shard<'_>, message: &Arc<Message>) -> Result<Retention, QuotaExceeded> {
    if !message.payload.is_empty() {
        if shard.replace(message).is_ok() {
            return Ok(Retention::Kept);
        }
        if message.qos > QoS::AtMostOnce {
            return Err(QuotaExceeded);
        }
        // It may be forgotten, but what was there before must go.
    }
    Ok(match shard.remove(&message.topic) {
        Some(_) => Retention::Removed,
        None => Retention::Untouched,
    })
}

impl Hub {
    /// Makes the one record of a publish, which names every queue of a stored Session that the message goes to.
    fn record(
        &self,
        planned: &mut [Planned<'_>],
        retention: Retention,
        origin: Origin,
        message: &Arc<Message>,
    ) -> Position {
        let kept = planned
            .iter_mut()
            .filter(|planned| planned.reservation.is_some());
        let mut queued = Vec::new();
        for (place, planned) in (0..).zip(kept) {
            queued.push(Queued::of(&planned.delivery, planned.subscriber.key, place));
        }
        let after = if queued.is_empty() && retention == Retention::Untouched {
            self.use_up(origin)
        } else {
            self.log.append(|number| {
                Change::Published(Box::new(Publication {
                    number,
                    message: Arc::clone(message),
                    retention,
                    queued,
                    origin,
                }))
            })
        };
        if after == Position::START {
            return after;
        }
        let mut places = 0..;
        for planned in planned {
            if planned.reservation.is_some() {
                planned.delivery.id = places.next().map(|place| DeliveryId {
                    record: after.records(),
                    place,
                });
            }
            if matches!(origin, Origin::Received(_)) {
                planned.delivery.after = after;
            }
        }
        after
    }

    /// Makes the record that something stored is used up, and nothing came of it.
    pub(crate) fn use_up(&self, origin: Origin) -> Position {
        if origin == Origin::Nothing {
            Position::START
        } else {
            self.log.append(|_| Change::Done(origin))
        }
    }

    /// Offers a QoS 1 message, whose receiver's Session ended before it acknowledged, to another member of the shared
    /// subscription, as section 4.8.2 advises. At QoS 2 that is forbidden [MQTT5-4.8.2-5].
    pub(crate) fn offer_again(&self, now: Time, orphan: &Delivery) {
        self.offer(now, orphan, orphan.qos);
    }

    /// Gives a message of a shared subscription, published at `qos`, to one of those who are its members now. The position is
    /// that of its record.
    fn offer(&self, now: Time, orphan: &Delivery, qos: QoS) -> Position {
        let message = &orphan.message;
        let in_force = self.in_force();
        let nobody = Arc::from("");
        let publisher = Publisher {
            after: orphan.after,
            ..Publisher::broker(&nobody, &in_force)
        };
        let incoming = Incoming {
            topic: &message.topic,
            properties: message.properties.as_properties(),
            payload: &message.payload,
            qos,
            retain: message.retain,
        };
        let mut origin = Origin::of_orphan(orphan.id);
        while !message.is_expired(now) {
            let routes = self.routes();
            let groups = receivers(&routes, &message.topic, &in_force).shared;
            let group = groups.iter().find(|members| {
                members
                    .first()
                    .is_some_and(|member| member.shared == orphan.shared)
            });
            let chosen = group.and_then(|members| pick(members, &incoming, publisher, message));
            let Some(mut chosen) = chosen else { break };
            // Before a crash it may have been given to this member already, without a trace in the store.
            chosen.delivery.may_repeat = orphan.may_repeat;
            let mut chosen = [chosen];
            let record = self.record(&mut chosen, Retention::Untouched, origin, message);
            let [chosen] = chosen;
            // A Session leaves the snapshot before it takes no more, so that the next turn does not choose it again.
            match self.push(chosen) {
                Ok(()) => return record,
                Err(missed) => origin = Origin::of_orphan(missed.id),
            }
        }
        self.use_up(origin)
    }
}

/// The subscriptions that match a topic and whose clients may receive it: nothing is queued for anybody else.
fn receivers<'a>(routes: &'a Routes, topic: &str, in_force: &InForce) -> Matches<'a> {
    let mut matches = routes.matches(topic);
    let may_receive =
        |subscriber: &&Subscriber| in_force.authorize(subscriber.subject(), Action::Receive(topic));
    matches.plain.retain(may_receive);
    for members in &mut matches.shared {
        members.retain(may_receive);
    }
    matches.shared.retain(|members| !members.is_empty());
    matches
}

fn merge_plain<'a>(
    matches: &Matches<'a>,
    incoming: &Incoming<'_>,
    publisher: Publisher<'_>,
) -> BTreeMap<SubscriberKey, Target<'a>> {
    let mut targets: BTreeMap<SubscriberKey, Target<'a>> = BTreeMap::new();
    for subscriber in &matches.plain {
        // [MQTT5-3.8.3-3]
        if subscriber.options.no_local && subscriber.client_id == *publisher.client_id {
            continue;
        }
        let target = Target::of(subscriber, incoming);
        match targets.get_mut(&subscriber.key) {
            Some(merged) => merged.merge(target),
            None => _ = targets.insert(subscriber.key, target),
        }
    }
    targets
}

/// Makes room for every delivery, or for none.
fn plan<'a>(
    targets: BTreeMap<SubscriberKey, Target<'a>>,
    matches: &Matches<'a>,
    incoming: &Incoming<'_>,
    publisher: Publisher<'_>,
    message: &Arc<Message>,
) -> Option<Vec<Planned<'a>>> {
    let mut planned = Vec::with_capacity(targets.len() + matches.shared.len());
    let mut complete = true;
    for target in targets.into_values() {
        match make_room(target, message, publisher) {
            Some(delivery) => planned.push(delivery),
            None => {
                complete = false;
                break;
            }
        }
    }
    for members in &matches.shared {
        let member = complete
            .then(|| pick(members, incoming, publisher, message))
            .flatten();
        match member {
            Some(delivery) => planned.push(delivery),
            None => {
                complete = false;
                break;
            }
        }
    }
    if complete {
        return Some(planned);
    }
    planned.into_iter().for_each(cancel);
    None
}

/// The member of a shared subscription that gets the message: connected ones first, from the publisher's turn on.
fn pick<'a>(
    members: &[&'a Subscriber],
    incoming: &Incoming<'_>,
    publisher: Publisher<'_>,
    message: &Arc<Message>,
) -> Option<Planned<'a>> {
    let count = u64::try_from(members.len())
        .ok()
        .filter(|&count| count > 0)?;
    let first = usize::try_from(publisher.turn % count).unwrap_or(0);
    let in_turn = || members[first..].iter().chain(&members[..first]);
    let (connected, away): (Vec<&&Subscriber>, Vec<&&Subscriber>) =
        in_turn().partition(|member| member.mailbox.is_attached());
    connected
        .into_iter()
        .chain(away)
        .find_map(|member| make_room(Target::of(member, incoming), message, publisher))
}

fn make_room<'a>(
    target: Target<'a>,
    message: &Arc<Message>,
    publisher: Publisher<'_>,
) -> Option<Planned<'a>> {
    let subscriber = target.subscriber;
    let refuses = subscriber.mailbox.when_full(target.qos) == WhenFull::Refuse;
    let delivery = target.delivery(message, publisher);
    let reservation = if refuses {
        Some(subscriber.mailbox.reserve(delivery.allocated())?)
    } else {
        None
    };
    Some(Planned {
        subscriber,
        delivery,
        reservation,
    })
}

fn cancel(planned: Planned<'_>) {
    if let Some(reservation) = planned.reservation {
        planned.subscriber.mailbox.cancel(reservation);
    }
}
