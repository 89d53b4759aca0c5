//! One network connection: bytes in, bytes, questions and a close out.
//!
//! # What a driver does
//!
//! - [`Connection::set_waker`] once, and again when its task moves. A wake means: call [`Connection::advance`].
//!   The waker must only schedule; it is called while the broker holds a lock.
//! - After every call that takes `now`, the pump of the crate's first page: [`Connection::poll_output`] until `None`,
//!   then [`Connection::writable`] for each of [`Connection::flows_with_output`]. It writes what the transport takes
//!   at that moment and reports it by [`Connection::written`], which may bring more to write.
//! - It reads only while [`Connection::wants_input`], and at most [`READ_AT_MOST`] bytes at a time.
//! - It keeps one timer at [`Connection::next_timeout`].
//! - [`Output::Close`] comes when the last bytes have left, or their time is up. The driver then closes the network
//!   connection and drops this value. When the network connection goes away first, it calls
//!   [`Connection::transport_closed`].

mod authentication;
mod deliver;
mod ending;
mod exchange;
mod handshake;
mod lifecycle;
mod link;
mod publish;
mod pump;
mod subscribe;

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::Arc;

use quince_codec::{Frame, Framer, PacketType, ReasonCode};

pub use self::authentication::{Answer, AuthenticationRequest, Enhanced, Round};
use self::authentication::{Renewal, Turn};
pub use self::ending::ClosedBy;
use self::ending::Ending;
use self::handshake::{Pending, refusal};
use self::link::Link;
use crate::attach::Slot;
use crate::hub::Hub;
use crate::identifier::{ConnectionId, FlowId};
use crate::session::Session;
use crate::time::Time;

/// The most bytes that a driver passes to [`Connection::receive`] in one call.
pub const READ_AT_MOST: usize = 64 * 1024;

/// How long a packet that could not be taken rests before it is tried again, in milliseconds.
const TRY_AGAIN_AFTER: u64 = 50;

/// What a connection asks of its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Have these credentials judged and answer by [`Connection::authenticated`]; before CONNACK nothing more is read
    /// meanwhile.
    Authenticate(AuthenticationRequest),
    /// Close the network connection: everything that had to leave has left, or its time is up.
    Close {
        /// Why, as a Reason Code of version 5.0, whatever version the client speaks.
        code: ReasonCode,
        /// Who ended it.
        by: ClosedBy,
    },
}

#[derive(Debug)]
enum State {
    AwaitingConnect {
        deadline: Time,
    },
    Authenticating {
        pending: Box<Pending>,
        deadline: Time,
        turn: Turn,
    },
    /// Waits for the older connection of the Session to yield it.
    Attaching {
        pending: Box<Pending>,
        deadline: Time,
    },
    Connected(Box<Session>),
    /// The last bytes leave.
    Closing {
        deadline: Time,
        code: ReasonCode,
        by: ClosedBy,
    },
    Closed,
}

/// A packet that could not be taken because a queue is full, and what must stay behind it.
#[derive(Debug)]
struct Paused {
    frame: Frame,
    /// What came after it, in its order, without what [`Paused::passes`].
    behind: VecDeque<Frame>,
    /// Bytes in `behind`.
    held: usize,
    /// Nothing more will come.
    finished: bool,
    retry: Time,
    give_up: Time,
}

impl Paused {
    /// Whether a packet may overtake a PUBLISH. Acknowledgements must: the queue that is full may be this client's own, or that
    /// of a client whose own publish waits for this one's.
    fn passes(frame: &Frame) -> bool {
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

    fn hold(&mut self, frame: Frame) {
        self.held += frame.bytes().len();
        self.behind.push_back(frame);
    }
}

/// See the module.
#[derive(Debug)]
pub struct Connection {
    hub: Arc<Hub>,
    id: ConnectionId,
    slot: Arc<Slot>,
    waker: Option<Waker>,
    framer: Framer,
    link: Link,
    state: State,
    outputs: VecDeque<Output>,
    /// Keep Alive in seconds; 0 is none.
    keep_alive: u16,
    /// When the last packet was complete.
    last_packet: Time,
    paused: Option<Paused>,
    renewal: Option<Renewal>,
    /// The epoch of the policy that last admitted the client; 0 before it is connected.
    admitted: u64,
    /// The latest time that the driver told.
    now: Time,
}

impl Connection {
    /// A network connection that was just accepted, or whose transport handshake is just complete.
    ///
    /// `id` must differ from that of every connection of this hub that is still open.
    #[must_use]
    pub fn new(hub: Arc<Hub>, id: ConnectionId, now: Time) -> Self {
        let slot = Arc::new(Slot::default());
        hub.add_slot(id, &slot);
        Self {
            framer: Framer::new(hub.config.packet_before_connack),
            link: Link::new(hub.config.outbox_bytes, hub.in_force()),
            state: State::AwaitingConnect {
                deadline: now + hub.config.connect_timeout,
            },
            hub,
            id,
            slot,
            waker: None,
            outputs: VecDeque::new(),
            keep_alive: 0,
            last_packet: now,
            paused: None,
            renewal: None,
            admitted: 0,
            now,
        }
    }

    /// The name that the driver gave it.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Sets who is woken when a message, a takeover, a Session, durability or a shutdown waits for
    /// [`Connection::advance`].
    pub fn set_waker(&mut self, waker: &Waker) {
        if self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            return;
        }
        self.waker = Some(waker.clone());
        self.slot.set_waker(waker);
        if let State::Connected(session) = &self.state {
            session.mailbox.set_waker(waker);
        }
    }

    /// Takes bytes that came in order on a flow. Only [`FlowId::CONTROL`] carries packets so far; bytes of another
    /// flow are dropped, as are bytes after the end.
    pub fn receive(&mut self, now: Time, flow: FlowId, bytes: &[u8]) {
        self.now = now;
        if flow != FlowId::CONTROL {
            return;
        }
        let held = self.framer.buffered().saturating_add(bytes.len());
        match &self.state {
            State::Closing { .. } | State::Closed => return,
            // A driver that heeds `wants_input` never comes near these limits.
            State::Authenticating { .. } | State::Attaching { .. }
                if held > self.hub.config.held_input =>
            {
                self.end(now, refusal(self.link.version, ReasonCode::QUOTA_EXCEEDED));
            }
            State::Connected(_) if !self.takes_packets() && held > self.most_held_by_session() => {
                self.end(now, Ending::error(ReasonCode::QUOTA_EXCEEDED));
            }
            _ => self.framer.push(bytes),
        }
        self.pump(now);
    }

    /// The client opened a flow. Flows other than [`FlowId::CONTROL`] are not served so far.
    pub fn flow_opened(&mut self, now: Time, _flow: FlowId) {
        self.now = now;
    }

    /// The client's side of a flow has ended. On [`FlowId::CONTROL`] the network connection is lost
    /// [MQTT5-3.1.2-8] [MQTT3-3.1.2-8], behind what was received: there may be a DISCONNECT in it.
    pub fn flow_finished(&mut self, now: Time, flow: FlowId) {
        if flow != FlowId::CONTROL {
            return;
        }
        match &mut self.paused {
            Some(paused) if !paused.behind.is_empty() => paused.finished = true,
            _ => self.transport_closed(now),
        }
    }

    /// The client has reset a flow with an application error code of its transport.
    pub fn flow_reset(&mut self, now: Time, flow: FlowId, _code: u64) {
        if flow == FlowId::CONTROL {
            self.transport_closed(now);
        }
    }

    /// The network connection is gone, whatever the cause. Nothing more can leave.
    pub fn transport_closed(&mut self, now: Time) {
        self.now = now;
        match self.state {
            State::Closed => {}
            State::Closing { .. } => self.close_now(),
            _ => {
                self.end(now, Ending::network());
                self.close_now();
            }
        }
    }

    /// Whether the driver should read. While this is false it leaves bytes in the transport, which slows the client.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.state {
            State::AwaitingConnect { .. }
            | State::Authenticating {
                turn: Turn::Client, ..
            } => true,
            State::Connected(_) => self.takes_packets(),
            _ => false,
        }
    }

    /// Fires what is due by `now`: CONNECT, authentication and yield limits, Keep Alive, retries, the flush limit.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        if self.next_timeout().is_none_or(|at| at > now) {
            return;
        }
        match &self.state {
            // There is no version yet to say it in.
            State::AwaitingConnect { .. } => {
                self.end(now, Ending::silent(ReasonCode::KEEP_ALIVE_TIMEOUT))
            }
            State::Authenticating { turn, .. } => {
                let code = match turn {
                    Turn::Broker => ReasonCode::SERVER_UNAVAILABLE,
                    Turn::Client => ReasonCode::NOT_AUTHORIZED,
                };
                self.end(now, refusal(self.link.version, code));
            }
            State::Attaching { .. } => {
                self.end(now, refusal(self.link.version, ReasonCode::SERVER_BUSY))
            }
            State::Connected(session) => {
                if session.principal.ends().is_some_and(|at| at <= now) {
                    self.end(now, Ending::error(ReasonCode::MAXIMUM_CONNECT_TIME));
                } else if self.renewal.is_some_and(|renewal| renewal.deadline <= now) {
                    // [MQTT5-4.12.1-2]
                    self.end(now, Ending::error(ReasonCode::NOT_AUTHORIZED));
                } else if self
                    .paused
                    .as_ref()
                    .is_some_and(|paused| paused.give_up <= now)
                {
                    self.end(now, Ending::error(ReasonCode::QUOTA_EXCEEDED));
                } else if self.keep_alive_deadline().is_some_and(|at| at <= now) {
                    // [MQTT5-3.1.2-22] [MQTT3-3.1.2-24]
                    self.end(now, Ending::error(ReasonCode::KEEP_ALIVE_TIMEOUT));
                }
            }
            State::Closing { .. } => self.close_now(),
            State::Closed => {}
        }
        self.pump(now);
    }

    /// When [`Connection::handle_timeout`] is due next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.state {
            State::AwaitingConnect { deadline }
            | State::Authenticating { deadline, .. }
            | State::Attaching { deadline, .. }
            | State::Closing { deadline, .. } => Some(*deadline),
            State::Connected(session) => {
                let paused = self
                    .paused
                    .as_ref()
                    .map(|paused| paused.retry.min(paused.give_up));
                let renewal = self.renewal.map(|renewal| renewal.deadline);
                let keep_alive = self.keep_alive_deadline();
                [paused, renewal, keep_alive, session.principal.ends()]
                    .into_iter()
                    .flatten()
                    .min()
            }
            State::Closed => None,
        }
    }

    /// Goes on after a wake: takes a Session it waited for, yields its own, or moves messages into the outbox as far
    /// as room, Receive Maximum and expiry allow.
    pub fn advance(&mut self, now: Time) {
        self.now = now;
        self.pump(now);
    }

    /// The next thing the driver must do; `None` when there is nothing more for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let State::Closing { .. } = self.state
            && self.link.outbox.writable().is_empty()
        {
            self.close_now();
        }
        self.outputs.pop_front()
    }

    /// The flows that have bytes which may leave now.
    pub fn flows_with_output(&self) -> impl Iterator<Item = FlowId> + use<> {
        (!self.link.outbox.writable().is_empty())
            .then_some(FlowId::CONTROL)
            .into_iter()
    }

    /// The bytes that may leave now on a flow.
    #[must_use]
    pub fn writable(&mut self, flow: FlowId) -> &[u8] {
        if flow == FlowId::CONTROL {
            self.link.outbox.writable()
        } else {
            &[]
        }
    }

    /// The first `bytes` of [`Connection::writable`] were handed to the transport.
    pub fn written(&mut self, now: Time, flow: FlowId, bytes: usize) {
        self.now = now;
        if flow == FlowId::CONTROL {
            self.link.outbox.mark_written(bytes);
            self.pump(now);
        }
    }

    /// Whether [`Output::Close`] is on its way or was given.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Closing { .. } | State::Closed)
    }

    fn keep_alive_deadline(&self) -> Option<Time> {
        // While a packet is held up, those behind it may not be seen.
        let counts = self.keep_alive > 0 && self.paused.is_none();
        counts.then(|| {
            self.last_packet
                .plus_millis(u64::from(self.keep_alive) * 1500)
        })
    }

    /// Input that may lie unprocessed: the packet that is being received, and what was read with it.
    fn most_held_by_session(&self) -> usize {
        let packet = usize::try_from(self.hub.config.packet_after_connack).unwrap_or(usize::MAX);
        packet.saturating_add(self.hub.config.held_input)
    }

    fn takes_packets(&self) -> bool {
        let holds_little = self
            .paused
            .as_ref()
            .is_none_or(|paused| !paused.finished && paused.held < self.hub.config.held_input);
        holds_little && self.link.outbox.has_room() && !self.link.outbox.awaits_connack()
    }
}

impl Drop for Connection {
    /// A driver that forgets [`Connection::transport_closed`] loses no Session by it.
    fn drop(&mut self) {
        self.transport_closed(self.now);
        self.hub.remove_slot(self.id);
    }
}
