//! What may be in a Session: subscriptions, what is in flight to the client, what the client has had.

use std::collections::{BTreeMap, BTreeSet};

use quince_codec::{QoS, RetainHandling, SubscriptionOptions};

use crate::history::Moment;
use crate::message::{Message, MessageId};
use crate::topic;

/// One SUBSCRIBE to one filter, as moments.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) options: SubscriptionOptions,
    pub(crate) identifier: Option<u32>,
    /// The connection and the Packet Identifier that asked for it.
    pub(crate) request: (u64, u16),
    /// Whether the filter may have been subscribed to before.
    pub(crate) may_be_new: bool,
    /// From here on it may exist.
    pub(crate) asked: Moment,
    /// From here on it certainly exists.
    pub(crate) granted: Option<(Moment, QoS)>,
    /// From here on it may have ended or been replaced, and by which request.
    pub(crate) revoked: Option<Moment>,
    pub(crate) revoked_by: Vec<(u64, u16)>,
    /// From here on it certainly takes no message.
    pub(crate) ended: Option<Moment>,
}

impl Subscription {
    pub(crate) fn is_shared(&self) -> bool {
        topic::is_shared(&self.filter)
    }

    /// Whether filter and No Local let the message through.
    fn fits(&self, client: &str, message: &Message) -> bool {
        topic::matches(&self.filter, &message.topic)
            && !(self.options.no_local && message.publisher == client)
    }

    /// Whether it may have taken the message when it was published.
    pub(crate) fn may_take_live(&self, client: &str, message: &Message) -> bool {
        self.fits(client, message)
            && message.may_act_after(self.asked)
            && self.ended.is_none_or(|ended| message.may_act_before(ended))
    }

    /// Whether it may have taken the message at any time: what a member of a shared subscription never acknowledged may be given
    /// to another when the first one's Session has ended.
    pub(crate) fn may_take(&self, client: &str, message: &Message) -> bool {
        let may_be_left_over = self.is_shared() && message.qos > QoS::AtMostOnce;
        if may_be_left_over {
            self.fits(client, message)
        } else {
            self.may_take_live(client, message)
        }
    }

    /// Whether it certainly took the message, at a QoS above 0.
    pub(crate) fn must_take(&self, client: &str, message: &Message) -> bool {
        let (Some((granted, qos)), Some(starts), Some(accepted)) =
            (self.granted, message.starts, message.accepted)
        else {
            return false;
        };
        qos > QoS::AtMostOnce
            && message.qos > QoS::AtMostOnce
            && !message.refused
            && self.fits(client, message)
            && granted < starts
            && self.revoked.is_none_or(|revoked| accepted < revoked)
    }

    /// Whether it asks for retained messages of the topic.
    pub(crate) fn may_read_retained(&self, topic: &str) -> bool {
        let wanted = match self.options.retain_handling {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendIfNew => self.may_be_new,
            RetainHandling::DoNotSend => false,
        };
        wanted && !self.is_shared() && topic::matches(&self.filter, topic)
    }

    /// Whether `qos` is what it makes of a message published at `published`.
    pub(crate) fn may_grant(&self, published: QoS, qos: QoS) -> bool {
        match self.granted {
            Some((_, granted)) => {
                let most = published.min(granted);
                // What was left over by another member may have been granted less there.
                most == qos || (self.is_shared() && qos == QoS::AtLeastOnce && qos < most)
            }
            // Not known yet: anything up to what was asked for.
            None => qos <= published.min(self.options.qos),
        }
    }
}

/// A delivery above QoS 0 that the client has not answered to the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    pub(crate) message: Option<MessageId>,
    pub(crate) qos: QoS,
    /// The connection on which it came last.
    pub(crate) connection: u64,
}

/// How often a message came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copies {
    /// With RETAIN 0.
    pub(crate) plain: usize,
    /// With RETAIN 1.
    pub(crate) retained: usize,
}

/// Publisher, topic, QoS published and QoS delivered: what keeps its order.
pub(crate) type Lane = (String, String, QoS, QoS);

/// One Session, from its CONNACK without Session Present on.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) in_flight: BTreeMap<u16, InFlight>,
    pub(crate) copies: BTreeMap<MessageId, Copies>,
    /// The latest message of each lane, by the moment of its first send.
    pub(crate) latest: BTreeMap<Lane, Moment>,
    /// Messages with RETAIN 1 as they came to subscriptions that were there, by topic, with the moment of their coming.
    pub(crate) sequence: BTreeMap<String, Vec<(MessageId, Moment)>>,
    /// What was published before is not judged: this Session was in doubt then.
    pub(crate) clear_since: usize,
    /// All connections that had it wanted it to be stored.
    pub(crate) always_stored: bool,
    /// When the CONNECT came that began it, as far as that is known; wills of connections before that are none of its own.
    pub(crate) begun: Moment,
}

impl Session {
    pub(crate) fn new(stored: bool, begun: Moment) -> Self {
        Self {
            always_stored: stored,
            begun,
            ..Self::default()
        }
    }

    /// It goes on, but nobody knows with what in it.
    pub(crate) fn begin_after_doubt(&mut self, now: Moment) {
        let subscriptions = core::mem::take(&mut self.subscriptions);
        *self = Self::new(false, now);
        self.clear_since = now.index;
        self.subscriptions = subscriptions
            .into_iter()
            .map(|one| Subscription {
                granted: None,
                may_be_new: true,
                ..one
            })
            .collect();
    }

    /// Whether a message is old enough to come from a time when this Session was in doubt.
    pub(crate) fn predates(&self, message: &Message) -> bool {
        message
            .starts
            .is_some_and(|starts| starts.index < self.clear_since)
    }

    /// How many filters may have taken the message.
    pub(crate) fn takers(&self, client: &str, message: &Message) -> usize {
        let taking = self.subscriptions.iter();
        taking
            .filter(|one| one.may_take(client, message))
            .map(|one| one.filter.as_str())
            .collect::<BTreeSet<_>>()
            .len()
    }
}
