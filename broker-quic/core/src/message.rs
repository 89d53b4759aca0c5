//! An Application Message as the broker holds it: one allocation of its own, shared by all who wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quince_codec::{Properties, Property, PropertyList, QoS};

use crate::policy::Identity;
use crate::position::Position;
use crate::record::DeliveryId;
use crate::time::Time;

/// The bytes that all messages of the process may occupy together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
        })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Takes `bytes`, or nothing and `None` when they are not there.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let take = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= self.limit);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .ok()?;
        Some(Charge {
            budget: Arc::clone(self),
            bytes,
        })
    }
}

impl Budget {
    /// Takes `bytes` whether or not they are there: for what was acknowledged by an earlier process.
    pub(crate) fn charge_anyway(self: &Arc<Self>, bytes: usize) -> Charge {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Charge {
            budget: Arc::clone(self),
            bytes,
        }
    }
}

/// Bytes taken from a [`Budget`], given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// A message on its way in, still borrowed from the packet that carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) topic: &'a str,
    pub(crate) properties: Properties<'a>,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// An Application Message, copied out of the bytes it came in.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: Arc<str>,
    /// What is forwarded unchanged, in the order in which it came: everything but what belongs to one hop
    /// (Topic Alias, Subscription Identifier, Will Delay Interval) and the Message Expiry Interval, which shrinks.
    pub(crate) properties: PropertyList,
    pub(crate) payload: Box<[u8]>,
    pub(crate) qos: QoS,
    /// RETAIN as it was published.
    pub(crate) retain: bool,
    pub(crate) expires: Option<Time>,
    /// Who published it, if it is to be retained: it is shown to new subscribers for as long as that one may publish it.
    pub(crate) retained_by: Option<Box<Identity>>,
    pub(crate) charge: Charge,
}

impl Message {
    /// Copies `incoming` into a message of its own; `None` when the process has no room for it.
    pub(crate) fn copy(
        budget: &Arc<Budget>,
        incoming: &Incoming<'_>,
        retained_by: Option<Identity>,
        now: Time,
    ) -> Option<Arc<Self>> {
        let bytes = Self::size(
            incoming.topic,
            incoming.properties,
            incoming.payload,
            retained_by.as_ref(),
        );
        let charge = budget.charge(bytes)?;
        let mut properties = PropertyList::new();
        for property in incoming.properties.iter() {
            if is_forwarded(&property) {
                properties.push(property);
            }
        }
        let expires = incoming
            .properties
            .message_expiry_interval()
            .map(|seconds| now.plus_secs(u64::from(seconds)));
        Some(Arc::new(Self {
            topic: Arc::from(incoming.topic),
            properties,
            payload: Box::from(incoming.payload),
            qos: incoming.qos,
            retain: incoming.retain,
            expires,
            retained_by: retained_by.map(Box::new),
            charge,
        }))
    }

    /// Bytes that a message of these parts occupies.
    pub(crate) fn size(
        topic: &str,
        properties: Properties<'_>,
        payload: &[u8],
        retained_by: Option<&Identity>,
    ) -> usize {
        size_of::<Self>()
            + topic.len()
            + properties.raw().len()
            + payload.len()
            + retained_by.map_or(0, |identity| {
                size_of::<Identity>() + identity.client_id.len()
            })
    }

    /// Bytes that this message occupies.
    pub(crate) fn allocated(&self) -> usize {
        self.charge.bytes
    }

    /// Whether its Message Expiry Interval has passed.
    pub(crate) fn is_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

fn is_forwarded(property: &Property<'_>) -> bool {
    !matches!(
        property,
        Property::TopicAlias(_)
            | Property::SubscriptionIdentifier(_)
            | Property::MessageExpiryInterval(_)
            | Property::WillDelayInterval(_)
    )
}

/// A message for one flow of a Session, in whose queue it is, with what its subscriptions make of it.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    /// Minimum of the published and the granted QoS [MQTT5-3.8.4-8] [MQTT3-3.8.4-6].
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) identifiers: Vec<u32>,
    /// The delivery leaves when the log is durable up to here.
    pub(crate) after: Position,
    /// The epoch of the policy that allowed it; 0 when none was asked yet.
    pub(crate) authorized: u64,
    /// The filter of the shared subscription that it came by.
    pub(crate) shared: Option<Arc<str>>,
    /// Its name in the store; `None` when it is not there.
    pub(crate) id: Option<DeliveryId>,
    /// It may have been sent before a crash, without a trace in the store.
    pub(crate) may_repeat: bool,
}

impl Delivery {
    /// Bytes charged for this delivery while it waits or is in flight; a shared message counts in full for each Session.
    pub(crate) fn allocated(&self) -> usize {
        size_of::<Self>()
            + self.identifiers.capacity() * size_of::<u32>()
            + self.message.allocated()
    }
}
