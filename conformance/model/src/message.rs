//! Messages that were published, or may be as Will Messages, and when they took effect.

use std::collections::BTreeMap;

use quince_codec::{Properties, Property, QoS};

use crate::history::Moment;

/// A message by its place in [`Messages`].
pub(crate) type MessageId = usize;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) publisher: String,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Message Expiry Interval in milliseconds.
    pub(crate) expiry: Option<u64>,
    /// What is passed on unaltered, in its order.
    pub(crate) properties: Vec<String>,
    pub(crate) will: Option<WillState>,
    /// From here on it may take effect: first sent, or the cause of a Will Message, if there is one.
    pub(crate) starts: Option<Moment>,
    pub(crate) sends: usize,
    /// The connection that sent it last.
    pub(crate) link: u64,
    /// The server took it: PUBACK or PUBREC without an error.
    pub(crate) accepted: Option<Moment>,
    /// PUBACK or PUBREC with an error came for it.
    pub(crate) refused: bool,
    /// From here on it takes no further effect.
    pub(crate) done: Option<Moment>,
    /// The publisher's Session is in doubt: it may be lost, or come twice.
    pub(crate) doubtful: bool,
}

/// What is particular to a Will Message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WillState {
    /// Will Delay Interval in milliseconds.
    pub(crate) delay: u64,
    /// It was delivered before there was a cause that the client knows of.
    pub(crate) unexplained: Option<Moment>,
    /// The cause is certain: the connection broke, behind its CONNACK.
    pub(crate) certain: bool,
    /// The latest time at which it is published.
    pub(crate) latest: Option<u64>,
    /// The earliest time at which it may be published; only known where the client ended the connection.
    pub(crate) earliest: Option<u64>,
    /// It must not be published any more.
    pub(crate) cancelled: bool,
}

impl Message {
    /// Whether it may take effect after `moment`.
    pub(crate) fn may_act_after(&self, moment: Moment) -> bool {
        self.done.is_none_or(|done| done > moment)
    }

    /// Whether it may have taken effect before `moment`. A Will Message without a known cause may have had one.
    pub(crate) fn may_act_before(&self, moment: Moment) -> bool {
        self.starts.is_none_or(|starts| starts < moment)
    }

    /// Whether it took effect, and certainly after the server had taken `earlier` and before `moment`.
    pub(crate) fn overwrote(&self, earlier: &Self, moment: Moment) -> bool {
        let (Some(before), Some(starts), Some(accepted)) =
            (earlier.done, self.starts, self.accepted)
        else {
            return false;
        };
        before < starts && accepted < moment && !self.refused
    }
}

/// All messages of a history.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    all: Vec<Message>,
    by_payload: BTreeMap<Vec<u8>, MessageId>,
    /// Retained messages of each topic, deletions among them, in the order of their first send.
    retained: BTreeMap<String, Vec<MessageId>>,
}

impl Messages {
    pub(crate) fn add(&mut self, message: Message) -> MessageId {
        let id = self.all.len();
        if !message.payload.is_empty() {
            self.by_payload.insert(message.payload.clone(), id);
        }
        if message.retain {
            let topic = self.retained.entry(message.topic.clone()).or_default();
            topic.push(id);
        }
        self.all.push(message);
        id
    }

    pub(crate) fn find(&self, payload: &[u8]) -> Option<MessageId> {
        self.by_payload.get(payload).copied()
    }

    pub(crate) fn get(&self, id: MessageId) -> &Message {
        &self.all[id]
    }

    pub(crate) fn get_mut(&mut self, id: MessageId) -> &mut Message {
        &mut self.all[id]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (MessageId, &Message)> {
        self.all.iter().enumerate()
    }

    /// What was published to a topic with RETAIN 1.
    pub(crate) fn retained(&self, topic: &str) -> impl Iterator<Item = (MessageId, &Message)> {
        let ids = self.retained.get(topic).map_or(&[][..], Vec::as_slice);
        ids.iter().map(|id| (*id, &self.all[*id]))
    }

    /// Topics that were published to with RETAIN 1.
    pub(crate) fn retained_topics(&self) -> impl Iterator<Item = &str> {
        self.retained.keys().map(String::as_str)
    }

    /// Whether a topic may hold `message` at some time after `moment`.
    pub(crate) fn may_be_retained_after(&self, id: MessageId, moment: Moment) -> bool {
        let message = &self.all[id];
        message.retain
            && !self
                .retained(&message.topic)
                .any(|(_, later)| later.overwrote(message, moment))
    }
}

/// The properties that a server passes on unaltered [MQTT5-3.3.2-4] [MQTT5-3.3.2-15] [MQTT5-3.3.2-16] [MQTT5-3.3.2-18]
/// [MQTT5-3.3.2-20].
pub(crate) fn passed_on(properties: Properties<'_>) -> Vec<String> {
    let of_one_hop = |property: &Property<'_>| {
        matches!(
            property,
            Property::TopicAlias(_)
                | Property::SubscriptionIdentifier(_)
                | Property::MessageExpiryInterval(_)
                | Property::WillDelayInterval(_)
        )
    };
    properties
        .iter()
        .filter(|property| !of_one_hop(property))
        .map(|property| format!("{property:?}"))
        .collect()
}
