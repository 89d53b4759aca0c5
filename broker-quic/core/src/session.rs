//! Session State of one client: the value that moves from connection to registry to the next connection.

use core::task::Waker;
use std::collections::BTreeMap;
use std::sync::Arc;

use quince_codec::{Properties, PropertyList, QoS, SubscriptionOptions};

use crate::flow::Flow;
use crate::identifier::{FlowId, SessionId};
use crate::mailbox::Mailbox;
use crate::message::{Charge, Incoming};
use crate::policy::{Principal, Subject};
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
    /// The flow that carries CONNECT, which every Session has: its queue is how others get the Session's attention.
    pub(crate) control: Flow,
    /// Flows that live as long as the streams that carry them: no store knows them.
    data: BTreeMap<FlowId, Box<Flow>>,
    pub(crate) subscriptions: BTreeMap<(FlowId, Arc<str>), Subscription>,
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
            control: Flow::new(mailbox),
            data: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
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

    /// The queue of the control flow, which every Session has.
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.control.mailbox
    }

    /// The queue of a flow that has state.
    pub(crate) fn mailbox_of(&self, flow: FlowId) -> &Arc<Mailbox> {
        let data = self.data.get(&flow).map(Box::as_ref);
        &data.unwrap_or(&self.control).mailbox
    }

    /// The state of a flow. That of a data flow begins when it is first asked for.
    pub(crate) fn flow(&mut self, flow: FlowId) -> &mut Flow {
        if flow == FlowId::CONTROL {
            return &mut self.control;
        }
        let mailbox = &self.control.mailbox;
        self.data
            .entry(flow)
            .or_insert_with(|| Box::new(Flow::new(Arc::new(mailbox.another()))))
    }

    /// Whether a data flow has state.
    pub(crate) fn has_data_flow(&self, flow: FlowId) -> bool {
        self.data.contains_key(&flow)
    }

    /// Takes the state of a data flow out.
    pub(crate) fn take_data_flow(&mut self, flow: FlowId) -> Option<Box<Flow>> {
        self.data.remove(&flow)
    }

    /// The first data flow that has state.
    pub(crate) fn first_data_flow(&self) -> Option<FlowId> {
        self.data.keys().next().copied()
    }

    /// Sets who is woken when something waits in any of its queues.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.control.mailbox.set_waker(waker);
        for flow in self.data.values() {
            flow.mailbox.set_waker(waker);
        }
    }

    /// Whether the store knows what happens on this flow.
    pub(crate) fn is_recorded_on(&self, flow: FlowId) -> bool {
        self.is_recorded && flow == FlowId::CONTROL
    }
}
