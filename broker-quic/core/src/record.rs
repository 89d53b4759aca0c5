//! What is written so that it outlives the process: one value for each change of stored state.
//!
//! A record is complete in itself: it names what it changes, and a reader needs no other record to understand it. The
//! state is what remains when all of them are applied in order ([`Image`](crate::Image)). What must happen together is one record: a
//! message, in every queue that it goes to and as the retained one, together with the packet identifier, Will Message or
//! delayed message that it came from. So a crash finds all of it or nothing.

mod encoding;

use std::sync::Arc;

use quince_codec::{PacketId, QoS};

pub use self::encoding::RecordError;
use crate::delayed::Waiting;
use crate::identifier::{FlowId, SessionId};
use crate::message::{Delivery, Message};
use crate::policy::Principal;
use crate::routes::SubscriberKey;
use crate::session::{Subscription, Will};
use crate::time::Time;

/// One change of stored state. See the module.
#[derive(Clone, Debug)]
pub struct Record(pub(crate) Change);

/// A message in one queue, named by the record that put it there and its place in that record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeliveryId {
    pub(crate) record: u64,
    pub(crate) place: u32,
}

/// A packet identifier of a stored Session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exchanged {
    pub(crate) session: SessionId,
    pub(crate) flow: FlowId,
    pub(crate) packet_id: PacketId,
}

/// What a publish uses up, in the same record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing that is stored.
    Nothing,
    /// A QoS 2 PUBLISH of a stored Session: its identifier is remembered from now on.
    Received(Exchanged),
    /// The Will Message that this record stored.
    Will(u64),
    /// The delayed message that this record stored.
    Delayed(u64),
    /// A message of a shared subscription whose receiver's Session has ended.
    Orphan(DeliveryId),
    /// A retained message that the Session was owed for the first of its new subscriptions.
    Owed(SessionId),
}

impl Origin {
    pub(crate) fn of_orphan(delivery: Option<DeliveryId>) -> Self {
        delivery.map_or(Self::Nothing, Self::Orphan)
    }
}

/// What becomes of the retained message of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    Untouched,
    Kept,
    Removed,
}

/// A delivery above QoS 0 to a stored Session.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) place: u32,
    pub(crate) session: SessionId,
    pub(crate) flow: FlowId,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) identifiers: Vec<u32>,
    pub(crate) shared: Option<Arc<str>>,
}

impl Queued {
    /// A delivery on its way to that flow of that Session.
    pub(crate) fn of(delivery: &Delivery, (session, flow): SubscriberKey, place: u32) -> Self {
        Self {
            place,
            session,
            flow,
            qos: delivery.qos,
            retain: delivery.retain,
            identifiers: delivery.identifiers.clone(),
            shared: delivery.shared.clone(),
        }
    }
}

/// A message with everything that it changes.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    /// The record that first told of it.
    pub(crate) number: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) retention: Retention,
    pub(crate) queued: Vec<Queued>,
    pub(crate) origin: Origin,
}

/// See [`Record`].
#[derive(Clone, Debug)]
pub(crate) enum Change {
    SessionBegan {
        session: SessionId,
        client_id: Arc<str>,
        principal: Principal,
        expiry: u32,
    },
    /// A connection has taken the Session; its will is gone.
    SessionResumed {
        session: SessionId,
        principal: Principal,
        expiry: u32,
    },
    WillSet {
        session: SessionId,
        number: u64,
        will: Arc<Will>,
    },
    /// The Will Message's time has come, whatever becomes of the Session; it is to be published.
    WillDue {
        session: SessionId,
    },
    /// The connection of the Session has let it go.
    SessionAway {
        session: SessionId,
        expiry: u32,
        ends: Option<Time>,
        will: Option<Time>,
    },
    SessionEnded {
        session: SessionId,
    },
    /// The Session ends with its connection from now on, so that nothing of it is stored any more.
    SessionForgotten {
        session: SessionId,
    },
    Subscribed {
        session: SessionId,
        flow: FlowId,
        filter: Arc<str>,
        subscription: Subscription,
    },
    Unsubscribed {
        session: SessionId,
        flow: FlowId,
        filter: Arc<str>,
    },
    /// The Session is owed the retained messages that a subscription matches: those behind topic `last`, in the order in which
    /// they are read.
    RetainedOwed {
        session: SessionId,
        flow: FlowId,
        filter: Arc<str>,
        last: Option<Arc<str>>,
    },
    /// It was given all that the first of these subscriptions matched.
    RetainedRead {
        session: SessionId,
    },
    Published(Box<Publication>),
    Delayed {
        number: u64,
        at: Time,
        waiting: Arc<Waiting>,
        origin: Origin,
    },
    /// It is used up, and nothing came of it.
    Done(Origin),
    /// A delivery was given a packet identifier.
    Sent {
        exchanged: Exchanged,
        delivery: DeliveryId,
    },
    /// A delivery is acknowledged, or dropped.
    Settled {
        session: SessionId,
        delivery: DeliveryId,
    },
    /// PUBREC has come for a delivery; PUBREL is due.
    Released(Exchanged),
    /// PUBCOMP has come.
    Completed(Exchanged),
    /// PUBREL has come for a QoS 2 message of the client.
    Forgotten(Exchanged),
}
