//! Session State of one client: the value that moves from connection to registry to the next connection.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use quince_codec::{Properties, PropertyList, QoS, SubscriptionOptions};

use crate::flow::Flow;
use crate::identifier::{FlowId, SessionId};
use crate::mailbox::Mailbox;
use crate::message::{Charge, Incoming};
use crate::policy::{Principal, Subject};
use crate::retained::Cursor;
use crate::routes::SubscriberKey;

/// The Session Expiry Interval that means "never".
pub(crate) const NEVER: u32 = u32::MAX;

/// A Will Message, stored with the Session [MQTT5-3.1.2-7] [MQTT3-3.1.2-8].
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) topic: Box<str>,
    pub(crate) properties: PropertyList,
    pub(crate) payload: Box<[u8]>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Will Delay Interval in seconds.
    pub(crate) delay: u32,
    /// Keeps the will on the account of the process.
    pub(crate) _charge: Charge,
}

impl Will {
    /// Bytes that a will of these parts occupies.
    pub(crate) fn size(topic: &str, properties: Properties<'_>, payload: &[u8]) -> usize {
        size_of::<Self>() + topic.len() + payload.len() + properties.raw().len()
    }

    /// The message as it is published; its Message Expiry Interval starts then.
    pub(crate) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            topic: &self.topic,
            properties: self.properties.as_properties(),
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
        }
    }
}

/// The Will Message of a Session, and the record that stored it.
#[derive(Clone, Debug)]
pub(crate) struct SessionWill {
    pub(crate) will: Arc<Will>,
    pub(crate) record: Option<u64>,
}

/// A subscription as its Session knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) options: SubscriptionOptions,
    pub(crate) identifier: Option<u32>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) client_id: Arc<str>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Boxed, because a map has room for eleven, and nearly every Session has one.
    pub(crate) flows: BTreeMap<FlowId, Box<Flow>>,
    pub(crate) subscriptions: BTreeMap<(FlowId, Arc<str>), Subscription>,
    /// Retained messages still to be read for new subscriptions.
    pub(crate) cursors: VecDeque<Cursor>,
    /// Session Expiry Interval in seconds; [`NEVER`] has no end.
    pub(crate) expiry: u32,
    pub(crate) will: Option<SessionWill>,
    pub(crate) principal: Principal,
    /// Counts the publishes of this Session: picks the member of a shared subscription.
    pub(crate) turn: u64,
    /// Whether the store knows it: what happens to it makes records.
    pub(crate) is_recorded: bool,
}

impl Session {
    pub(crate) fn new(id: SessionId, client_id: Arc<str>, mailbox: Arc<Mailbox>) -> Self {
        Self {
            id,
            client_id,
            mailbox,
            flows: BTreeMap::from([(FlowId::CONTROL, Box::default())]),
            subscriptions: BTreeMap::new(),
            cursors: VecDeque::new(),
            expiry: 0,
            will: None,
            principal: Principal::anonymous(),
            turn: 0,
            is_recorded: false,
        }
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            client_id: &self.client_id,
            principal: &self.principal,
        }
    }

    /// Whether it outlives its network connection.
    pub(crate) fn is_stored(&self) -> bool {
        self.expiry > 0
    }

    pub(crate) fn key(&self, flow: FlowId) -> SubscriberKey {
        (self.id, flow)
    }

    /// The control flow, which every Session has.
    pub(crate) fn flow(&mut self, flow: FlowId) -> &mut Flow {
        self.flows.entry(flow).or_default()
    }
}
