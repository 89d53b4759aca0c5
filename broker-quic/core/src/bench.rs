//! The whole core in one thread and in virtual time, without sockets: a broker to be tried out.
//!
//! [`VirtualBroker`] is a driver that keeps the pump true for all of its connections after every step, in the order
//! in which they were made. Nothing in it depends on anything but the calls it gets.

use core::fmt;
use core::task::Waker;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use quince_codec::ReasonCode;

use crate::config::Config;
use crate::connection::{
    Answer, AuthenticationRequest, ClosedBy, Connection, FlowEnd, Output, READ_AT_MOST,
};
use crate::hub::Hub;
use crate::identifier::{ConnectionId, FlowId};
use crate::image::Image;
use crate::policy::{AllowAll, Policy, Principal};
use crate::time::Time;

/// Answers an authentication request, or leaves it open (`None`) for [`VirtualBroker::answer`].
pub type Authenticator = Box<dyn FnMut(&AuthenticationRequest) -> Option<Answer> + Send>;

/// A waker that remembers that it was called.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// One byte stream of a connection, as its client sees it.
#[derive(Debug, Default)]
struct Wire {
    /// Sent by the client, not yet read by the broker.
    sent: VecDeque<u8>,
    /// Whether the client has ended its side behind what it sent.
    finished: bool,
    /// Written by the broker, not yet read by the test.
    received: Vec<u8>,
    /// How many bytes the client still takes; `None` takes all.
    room: Option<usize>,
    /// How the broker has ended it.
    end: Option<FlowEnd>,
}

/// The two ends of one connection: the broker's state machine, and what its client has sent and can read.
struct Peer {
    connection: Connection,
    woken: Arc<Woken>,
    wires: BTreeMap<FlowId, Wire>,
    closed: Option<(ReasonCode, ClosedBy)>,
}

/// A broker and its clients' ends of their connections. See the module.
pub struct VirtualBroker {
    hub: Arc<Hub>,
    now: Time,
    next_id: u64,
    peers: BTreeMap<ConnectionId, Peer>,
    authenticator: Authenticator,
}

impl fmt::Debug for VirtualBroker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VirtualBroker")
            .field("now", &self.now)
            .field("connections", &self.peers.len())
            .finish_non_exhaustive()
    }
}

impl Default for VirtualBroker {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl VirtualBroker {
    /// A broker at time zero that lets everybody in.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_hub(Hub::new(config))
    }

    /// The same, with a policy.
    #[must_use]
    pub fn with_policy(config: Config, policy: Arc<dyn Policy>) -> Self {
        Self::with_hub(Hub::with_policy(config, policy))
    }

    /// The broker that made the records of `image`, started again at `now`.
    #[must_use]
    pub fn recover(config: Config, image: &Image, now: Time) -> Self {
        let hub = Hub::recover(config, Arc::new(AllowAll), image, now);
        let mut broker = Self::with_hub(hub);
        broker.now = now;
        broker.hub.handle_timeout(now);
        broker
    }

    fn with_hub(hub: Hub) -> Self {
        Self {
            hub: Arc::new(hub),
            now: Time::ZERO,
            next_id: 1,
            peers: BTreeMap::new(),
            authenticator: Box::new(|request| {
                let named = request.user_name.as_deref().map(Principal::named);
                Some(Ok(named.unwrap_or_else(Principal::anonymous)).into())
            }),
        }
    }

    /// From now on `authenticator` answers.
    pub fn set_authenticator(&mut self, authenticator: Authenticator) {
        self.authenticator = authenticator;
    }

    /// What the connections share.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Opens a network connection.
    pub fn connect(&mut self) -> ConnectionId {
        let id = ConnectionId::new(self.next_id);
        self.next_id += 1;
        let woken = Arc::new(Woken::default());
        let mut connection = Connection::new(Arc::clone(&self.hub), id, self.now);
        connection.set_waker(&Waker::from(Arc::clone(&woken)));
        let peer = Peer {
            connection,
            woken,
            wires: BTreeMap::from([(FlowId::CONTROL, Wire::default())]),
            closed: None,
        };
        self.peers.insert(id, peer);
        id
    }

    /// The client sends bytes on a flow that it has opened. What is sent after a close is lost, as on a network.
    pub fn write(&mut self, id: ConnectionId, flow: FlowId, bytes: &[u8]) {
        if let Some(wire) = self.open_wire(id, flow) {
            wire.sent.extend(bytes);
        }
        self.settle();
    }

    /// Takes what the broker has sent on the control flow since the last call; it can be read after a close too.
    pub fn read(&mut self, id: ConnectionId) -> Vec<u8> {
        self.read_flow(id, FlowId::CONTROL)
    }

    /// Takes what the broker has sent on a flow since the last call; it can be read after its end too.
    pub fn read_flow(&mut self, id: ConnectionId, flow: FlowId) -> Vec<u8> {
        let peer = self.peers.get_mut(&id);
        peer.and_then(|peer| peer.wires.get_mut(&flow))
            .map(|wire| core::mem::take(&mut wire.received))
            .unwrap_or_default()
    }

    /// The client opens a data flow.
    pub fn open_flow(&mut self, id: ConnectionId, flow: FlowId) {
        let now = self.now;
        if let Some(peer) = self.open_peer(id) {
            peer.wires.entry(flow).or_default();
            peer.connection.flow_opened(now, flow);
        }
        self.settle();
    }

    /// The client ends its side of the control flow behind what it sent.
    pub fn finish(&mut self, id: ConnectionId) {
        self.finish_flow(id, FlowId::CONTROL);
    }

    /// The client ends its side of a flow behind what it sent.
    pub fn finish_flow(&mut self, id: ConnectionId, flow: FlowId) {
        if let Some(wire) = self.open_wire(id, flow) {
            wire.finished = true;
        }
        self.settle();
    }

    /// The client resets a flow; what the broker has not read of it is lost.
    pub fn reset_flow(&mut self, id: ConnectionId, flow: FlowId, code: u64) {
        let now = self.now;
        if let Some(wire) = self.open_wire(id, flow) {
            wire.sent.clear();
        }
        if let Some(peer) = self.open_peer(id) {
            peer.connection.flow_reset(now, flow, code);
        }
        self.settle();
    }

    /// The client says that it takes nothing more on a flow.
    pub fn stop_flow(&mut self, id: ConnectionId, flow: FlowId, code: u64) {
        let now = self.now;
        if let Some(peer) = self.open_peer(id) {
            peer.connection.flow_stopped(now, flow, code);
        }
        self.settle();
    }

    /// How the broker has ended its side of a data flow; `None` while it has not.
    #[must_use]
    pub fn flow_end(&self, id: ConnectionId, flow: FlowId) -> Option<FlowEnd> {
        self.peers.get(&id)?.wires.get(&flow)?.end
    }

    /// The network connection breaks; what the broker has not read is lost.
    pub fn abort(&mut self, id: ConnectionId) {
        let now = self.now;
        if let Some(peer) = self.open_peer(id) {
            peer.wires.values_mut().for_each(|wire| wire.sent.clear());
            peer.connection.transport_closed(now);
        }
        self.settle();
    }

    /// The client takes only `bytes` more of the control flow from the network; `None` takes everything again.
    pub fn set_room(&mut self, id: ConnectionId, bytes: Option<usize>) {
        self.set_flow_room(id, FlowId::CONTROL, bytes);
    }

    /// The client takes only `bytes` more of a flow from the network; `None` takes everything again.
    pub fn set_flow_room(&mut self, id: ConnectionId, flow: FlowId, bytes: Option<usize>) {
        if let Some(wire) = self.open_wire(id, flow) {
            wire.room = bytes;
        }
        self.settle();
    }

    /// Answers an authentication request that the authenticator left open.
    pub fn answer(&mut self, id: ConnectionId, answer: impl Into<Answer>) {
        let now = self.now;
        if let Some(peer) = self.open_peer(id) {
            peer.connection.authenticated(now, answer);
        }
        self.settle();
    }

    /// The driver has a reason of its own to end the connection.
    pub fn turn_away(&mut self, id: ConnectionId, code: ReasonCode) {
        let now = self.now;
        if let Some(peer) = self.open_peer(id) {
            peer.connection.turn_away(now, code);
        }
        self.settle();
    }

    /// Bytes that the client has sent on all flows and the broker has not read.
    #[must_use]
    pub fn unread(&self, id: ConnectionId) -> usize {
        let wires = self.peers.get(&id).map(|peer| peer.wires.values());
        wires
            .into_iter()
            .flatten()
            .map(|wire| wire.sent.len())
            .sum()
    }

    /// Whether the broker has closed the network connection, or it broke.
    #[must_use]
    pub fn is_closed(&self, id: ConnectionId) -> bool {
        self.closed(id).is_some()
    }

    /// Why and by whom it was closed.
    #[must_use]
    pub fn closed(&self, id: ConnectionId) -> Option<(ReasonCode, ClosedBy)> {
        self.peers.get(&id).and_then(|peer| peer.closed)
    }

    /// The client drops its end of a connection, which breaks it if it is still up: nothing more can be read of it.
    pub fn forget(&mut self, id: ConnectionId) {
        self.abort(id);
        self.peers.remove(&id);
    }

    /// The client drops its end of a flow that has ended: nothing more can be read of it.
    pub fn forget_flow(&mut self, id: ConnectionId, flow: FlowId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.wires.remove(&flow);
        }
    }

    /// Sends DISCONNECT to everybody and closes.
    pub fn shut_down(&mut self) {
        self.hub.shut_down(self.now);
        self.settle();
    }

    /// Runs until nothing more happens at this moment. Needed only after a call on [`VirtualBroker::hub`].
    pub fn settle(&mut self) {
        while self.step() {}
    }

    /// When the next timer of the broker is due.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let connections = self
            .peers
            .values()
            .filter_map(|peer| peer.connection.next_timeout());
        connections.chain(self.hub.next_timeout()).min()
    }

    /// Goes on by `duration`, firing all timers in between in their order.
    pub fn advance(&mut self, duration: Duration) {
        self.advance_to(self.now + duration);
    }

    /// Goes on to `target`, firing all timers in between in their order.
    pub fn advance_to(&mut self, target: Time) {
        while let Some(due) = self.next_timeout().filter(|due| *due <= target) {
            self.now = self.now.max(due);
            self.hub.handle_timeout(self.now);
            for peer in self.peers.values_mut() {
                if peer
                    .connection
                    .next_timeout()
                    .is_some_and(|at| at <= self.now)
                {
                    peer.connection.handle_timeout(self.now);
                }
            }
            self.settle();
        }
        self.now = self.now.max(target);
        self.settle();
    }

    fn open_peer(&mut self, id: ConnectionId) -> Option<&mut Peer> {
        self.peers.get_mut(&id).filter(|peer| peer.closed.is_none())
    }

    fn open_wire(&mut self, id: ConnectionId, flow: FlowId) -> Option<&mut Wire> {
        let wire = self.open_peer(id)?.wires.get_mut(&flow)?;
        wire.end.is_none().then_some(wire)
    }

    /// One round over all connections; whether anything happened.
    fn step(&mut self) -> bool {
        let mut happened = false;
        for peer in self.peers.values_mut().filter(|peer| peer.closed.is_none()) {
            happened |= peer.step(self.now, &mut self.authenticator);
        }
        happened
    }
}

impl Peer {
    /// The pump for one connection.
    fn step(&mut self, now: Time, authenticator: &mut Authenticator) -> bool {
        let mut happened = false;
        if self.woken.0.swap(false, Ordering::AcqRel) {
            self.connection.advance(now);
            happened = true;
        }
        for (&flow, wire) in &mut self.wires {
            happened |= wire.deliver(now, flow, &mut self.connection);
        }
        happened |= self.transmit(now);
        while let Some(output) = self.connection.poll_output() {
            happened = true;
            match output {
                Output::Authenticate(request) => {
                    if let Some(answer) = authenticator(&request) {
                        self.connection.authenticated(now, answer);
                    }
                }
                Output::EndFlow { flow, end } => {
                    if let Some(wire) = self.wires.get_mut(&flow) {
                        wire.sent.clear();
                        wire.end = Some(end);
                    }
                }
                Output::Close { code, by } => self.closed = Some((code, by)),
            }
        }
        happened
    }

    fn transmit(&mut self, now: Time) -> bool {
        let mut happened = false;
        for (&flow, wire) in &mut self.wires {
            while wire.take(now, flow, &mut self.connection) {
                happened = true;
            }
        }
        happened
    }
}

impl Wire {
    /// Hands over what the client has sent, as far as the broker reads it.
    fn deliver(&mut self, now: Time, flow: FlowId, connection: &mut Connection) -> bool {
        let mut happened = false;
        if !self.sent.is_empty() && connection.wants_input(flow) {
            let count = self.sent.len().min(READ_AT_MOST);
            let bytes: Vec<u8> = self.sent.drain(..count).collect();
            connection.receive(now, flow, &bytes);
            happened = true;
        }
        if self.finished && self.sent.is_empty() && connection.wants_input(flow) {
            self.finished = false;
            connection.flow_finished(now, flow);
            happened = true;
        }
        happened
    }

    /// Takes what may leave, as far as the client has room.
    fn take(&mut self, now: Time, flow: FlowId, connection: &mut Connection) -> bool {
        let writable = connection.writable(flow);
        let count = self
            .room
            .map_or(writable.len(), |room| room.min(writable.len()));
        self.received.extend_from_slice(&writable[..count]);
        self.room = self.room.map(|room| room - count);
        if count > 0 {
            connection.written(now, flow, count);
        }
        count > 0
    }
}
