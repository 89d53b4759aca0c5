//! The bytes that wait to leave on one flow, in order, behind the durability gate.
//!
//! A packet leaves when the log is durable up to the position it carries. Packets of one lane keep their order;
//! packets of different lanes may pass each other only while one of them is held. Every lane is bounded together:
//! above the limit the outbox has no room, and its connection makes no further packet.

use std::collections::VecDeque;

use quince_codec::QoS;

use crate::position::Position;

/// Which packets must keep their order behind the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK.
    Acknowledgement,
    /// PUBLISH at QoS 0.
    AtMostOnce,
    /// PUBLISH at QoS 1.
    AtLeastOnce,
    /// PUBLISH at QoS 2, and PUBREL.
    ExactlyOnce,
}

impl Lane {
    /// The lane of a PUBLISH.
    pub(crate) const fn of(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::AtMostOnce,
            QoS::AtLeastOnce => Self::AtLeastOnce,
            QoS::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

/// Where a packet stands to the durability gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// The packet leaves when the log is durable up to here.
    pub(crate) after: Position,
    /// How far the log is durable now.
    pub(crate) durable: Position,
}

impl Gate {
    fn is_open(self) -> bool {
        self.after <= self.durable
    }
}

const LANES: usize = 4;

#[derive(Debug)]
struct Held {
    after: Position,
    bytes: Box<[u8]>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Outbox {
    limit: usize,
    ready: Vec<u8>,
    /// How much of `ready` is already written.
    written: usize,
    /// A CONNACK that is not durable yet: nothing passes it.
    first: Option<Held>,
    held: [VecDeque<Held>; LANES],
    held_bytes: usize,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            ready: Vec::new(),
            written: 0,
            first: None,
            held: core::array::from_fn(|_| VecDeque::new()),
            held_bytes: 0,
        }
    }

    /// Whether one more packet may be put in. One packet may go beyond the limit, so that any packet can leave.
    pub(crate) fn has_room(&self) -> bool {
        self.len() < self.limit
    }

    /// Bytes that wait, held ones included.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() - self.written + self.held_bytes
    }

    /// Whether a packet of this lane would leave at once.
    pub(crate) fn is_free(&self, lane: Lane, gate: Gate) -> bool {
        gate.is_open() && self.held[lane as usize].is_empty()
    }

    /// Whether a CONNACK is held; until it leaves, no other packet may be put in.
    pub(crate) fn awaits_connack(&self) -> bool {
        self.first.is_some()
    }

    /// Puts the CONNACK in, which everything else waits behind.
    pub(crate) fn push_first(&mut self, bytes: &[u8], gate: Gate) {
        if gate.is_open() {
            self.push(bytes);
        } else {
            self.held_bytes += bytes.len();
            self.first = Some(Held {
                after: gate.after,
                bytes: Box::from(bytes),
            });
        }
    }

    /// Puts in a packet that waits for nothing: PINGRESP, DISCONNECT.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.ready.extend_from_slice(bytes);
    }

    /// Puts in a packet that leaves when its gate opens, and behind its lane.
    pub(crate) fn push_after(&mut self, bytes: &[u8], lane: Lane, gate: Gate) {
        if self.is_free(lane, gate) {
            self.push(bytes);
        } else {
            self.held_bytes += bytes.len();
            self.held[lane as usize].push_back(Held {
                after: gate.after,
                bytes: Box::from(bytes),
            });
        }
    }

    /// Lets go what is durable now.
    pub(crate) fn release(&mut self, durable: Position) {
        if let Some(first) = self.first.take_if(|first| first.after <= durable) {
            self.held_bytes -= first.bytes.len();
            self.ready.extend_from_slice(&first.bytes);
        }
        if self.first.is_some() {
            return;
        }
        for lane in &mut self.held {
            while let Some(held) = lane.pop_front_if(|held| held.after <= durable) {
                self.held_bytes -= held.bytes.len();
                self.ready.extend_from_slice(&held.bytes);
            }
        }
    }

    /// Drops what the gate still holds: the connection ends before it could be promised.
    pub(crate) fn drop_held(&mut self) {
        self.first = None;
        self.held.iter_mut().for_each(VecDeque::clear);
        self.held_bytes = 0;
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.drop_held();
        self.ready = Vec::new();
        self.written = 0;
    }

    /// What may leave now.
    pub(crate) fn writable(&self) -> &[u8] {
        &self.ready[self.written..]
    }

    /// The first `bytes` of [`Outbox::writable`] have left.
    pub(crate) fn mark_written(&mut self, bytes: usize) {
        self.written = (self.written + bytes).min(self.ready.len());
        if self.written == self.ready.len() {
            self.ready.clear();
            self.ready.shrink_to(self.limit);
            self.written = 0;
        } else if self.written >= self.limit {
            self.ready.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(records: u64) -> Gate {
        Gate {
            after: Position::new(records),
            durable: Position::START,
        }
    }

    #[test]
    fn acknowledgements_keep_their_order_behind_a_held_one() {
        let mut outbox = Outbox::new(100);
        outbox.push_after(b"a1", Lane::Acknowledgement, after(2));
        outbox.push_after(b"a2", Lane::Acknowledgement, after(1));
        outbox.push_after(b"a3", Lane::Acknowledgement, after(0));
        assert_eq!(outbox.writable(), b"");
        outbox.release(Position::new(1));
        assert_eq!(outbox.writable(), b"", "a2 is durable but must not pass a1");
        outbox.release(Position::new(2));
        assert_eq!(outbox.writable(), b"a1a2a3");
    }

    #[test]
    fn deliveries_and_pingresp_pass_held_acknowledgements() {
        let mut outbox = Outbox::new(100);
        outbox.push_after(b"ack", Lane::Acknowledgement, after(1));
        outbox.push_after(b"qos1", Lane::AtLeastOnce, after(0));
        outbox.push(b"pingresp");
        assert_eq!(outbox.writable(), b"qos1pingresp");
        outbox.release(Position::new(1));
        assert_eq!(outbox.writable(), b"qos1pingrespack");
    }

    #[test]
    fn nothing_passes_a_held_connack() {
        let mut outbox = Outbox::new(100);
        outbox.push_first(b"connack", after(3));
        assert!(outbox.awaits_connack());
        outbox.release(Position::new(2));
        assert_eq!(outbox.writable(), b"");
        outbox.release(Position::new(3));
        assert_eq!(outbox.writable(), b"connack");
        assert!(!outbox.awaits_connack());
    }

    #[test]
    fn room_ends_at_the_limit_and_counts_held_bytes() {
        let mut outbox = Outbox::new(4);
        outbox.push(b"abc");
        assert!(outbox.has_room());
        outbox.push_after(b"d", Lane::ExactlyOnce, after(1));
        assert!(!outbox.has_room());
        outbox.mark_written(1);
        assert!(outbox.has_room());
        assert_eq!(outbox.writable(), b"bc");
    }
}
