//! One network connection as its client knows it.

use std::collections::{BTreeMap, VecDeque};

use quince_codec::{QoS, Version};

use crate::history::{End, Moment};
use crate::message::MessageId;

/// A PUBLISH above QoS 0 that was sent and is not answered to the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) message: MessageId,
    pub(crate) qos: QoS,
    /// When its latest packet was sent.
    pub(crate) at: Moment,
    /// PUBREC came on this connection.
    pub(crate) received: bool,
    pub(crate) released: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: String,
    pub(crate) version: Version,
    pub(crate) clean_start: bool,
    /// Keep Alive in milliseconds; 0 is none.
    pub(crate) keep_alive: u64,
    /// Session Expiry Interval in milliseconds; `None` has no end.
    pub(crate) expiry: Option<u64>,
    pub(crate) receive_maximum: usize,
    pub(crate) connect: Moment,
    pub(crate) connack: Option<Moment>,
    pub(crate) end: Option<(Moment, End)>,
    /// Its client broke the protocol, or may have.
    pub(crate) excused: bool,
    /// The server sent DISCONNECT.
    pub(crate) told: bool,
    /// The Reason Code of the client's DISCONNECT.
    pub(crate) goodbye: Option<u8>,
    pub(crate) will: Option<MessageId>,
    pub(crate) pings: VecDeque<Moment>,
    pub(crate) sending: BTreeMap<u16, Sending>,
    /// SUBSCRIBE: when, and how many filters.
    pub(crate) subscribing: BTreeMap<u16, (Moment, usize)>,
    pub(crate) unsubscribing: BTreeMap<u16, (Moment, usize)>,
    /// Deliveries that came on this connection and are not answered on it.
    pub(crate) unanswered: BTreeMap<u16, QoS>,
    pub(crate) aliases_sent: BTreeMap<u16, String>,
    pub(crate) aliases_received: BTreeMap<u16, String>,
    /// When the youngest request that was answered here was sent.
    pub(crate) served: Option<Moment>,
    /// The longest that the client was silent so far, and since when it is, in milliseconds.
    pub(crate) longest_silence: u64,
    pub(crate) silent_since: u64,
}

impl Link {
    pub(crate) fn is_open(&self) -> bool {
        self.connack.is_some() && self.end.is_none()
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.expiry != Some(0)
    }

    /// Whether the server may have missed the client for longer than 1.5 times Keep Alive.
    pub(crate) fn may_time_out(&self, now: u64, patience: u64) -> bool {
        let silence = self.longest_silence.max(now - self.silent_since) + patience;
        self.keep_alive > 0 && silence >= self.keep_alive * 3 / 2
    }
}
