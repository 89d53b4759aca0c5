//! One byte stream of a connection: what came on it and is not handled yet, and what waits to leave on it.

use std::collections::{BTreeMap, VecDeque};

use quince_codec::{Frame, Framer, PacketType};

use crate::aliases::{IncomingAliases, OutgoingAliases};
use crate::config::Config;
use crate::identifier::FlowId;
use crate::outbox::Outbox;
use crate::time::Time;

/// A packet that could not be taken because a queue is full, and what must stay behind it.
#[derive(Debug)]
pub(super) struct Paused {
    pub(super) frame: Frame,
    /// What came after it, in its order, without what [`Paused::passes`].
    pub(super) behind: VecDeque<Frame>,
    /// Bytes in `behind`.
    pub(super) held: usize,
    /// Nothing more will come.
    pub(super) finished: bool,
    pub(super) retry: Time,
    pub(super) give_up: Time,
}

impl Paused {
    /// Whether a packet may overtake a PUBLISH. Acknowledgements must: the queue that is full may be this client's own, or that
    /// of a client whose own publish waits for this one's.
    pub(super) fn passes(frame: &Frame) -> bool {
        matches!(
            frame.packet_type(),
            Some(
                PacketType::PubAck
                    | PacketType::PubRec
                    | PacketType::PubRel
                    | PacketType::PubComp
                    | PacketType::PingReq
            )
        )
    }

    pub(super) fn hold(&mut self, frame: Frame) {
        self.held += frame.bytes().len();
        self.behind.push_back(frame);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(super) framer: Framer,
    pub(super) paused: Option<Paused>,
    pub(crate) incoming_aliases: IncomingAliases,
    pub(crate) outgoing_aliases: OutgoingAliases,
    pub(crate) outbox: Outbox,
    /// The client's side has ended, and all of it is handled: only the outbox is left.
    pub(super) is_finishing: bool,
}

impl Stream {
    pub(super) fn new(config: &Config, largest_packet: u32, outgoing_aliases: u16) -> Self {
        Self {
            framer: Framer::new(largest_packet),
            paused: None,
            incoming_aliases: IncomingAliases::new(config.topic_alias_maximum),
            outgoing_aliases: OutgoingAliases::new(outgoing_aliases),
            outbox: Outbox::new(config.outbox_bytes),
            is_finishing: false,
        }
    }

    /// Whether a further packet may be handled.
    pub(super) fn takes_packets(&self, config: &Config) -> bool {
        let holds_little = self
            .paused
            .as_ref()
            .is_none_or(|paused| !paused.finished && paused.held < config.held_input);
        holds_little && self.outbox.has_room() && !self.is_finishing
    }

    /// Bytes that lie unhandled if `more` come.
    pub(super) fn would_hold(&self, more: &[u8]) -> usize {
        self.framer.buffered().saturating_add(more.len())
    }
}

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) control: Stream,
    /// What carries the data flows.
    data: BTreeMap<FlowId, Box<Stream>>,
}

impl Streams {
    pub(super) const fn new(control: Stream) -> Self {
        Self {
            control,
            data: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, flow: FlowId) -> Option<&Stream> {
        if flow == FlowId::CONTROL {
            return Some(&self.control);
        }
        self.data.get(&flow).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, flow: FlowId) -> Option<&mut Stream> {
        if flow == FlowId::CONTROL {
            return Some(&mut self.control);
        }
        self.data.get_mut(&flow).map(Box::as_mut)
    }

    /// How many there are besides the control stream.
    pub(super) fn data_streams(&self) -> usize {
        self.data.len()
    }

    /// Puts in the stream of a data flow that has none.
    pub(super) fn open(&mut self, flow: FlowId, stream: Stream) {
        self.data.insert(flow, Box::new(stream));
    }

    /// Takes the stream of a data flow out.
    pub(super) fn take(&mut self, flow: FlowId) -> Option<Box<Stream>> {
        self.data.remove(&flow)
    }

    /// Drops all but the control stream.
    pub(super) fn drop_data_streams(&mut self) {
        self.data.clear();
    }

    /// The flow behind `flow`, in the order in which flows are served: the control flow comes first.
    pub(super) fn after(&self, flow: FlowId) -> Option<FlowId> {
        let behind = (
            core::ops::Bound::Excluded(flow),
            core::ops::Bound::Unbounded,
        );
        self.data.range(behind).next().map(|(flow, _)| *flow)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (FlowId, &Stream)> + Clone {
        let data = self.data.iter().map(|(flow, stream)| (*flow, &**stream));
        core::iter::once((FlowId::CONTROL, &self.control)).chain(data)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        let data = self.data.values_mut().map(Box::as_mut);
        core::iter::once(&mut self.control).chain(data)
    }
}
