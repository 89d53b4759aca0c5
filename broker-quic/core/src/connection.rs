//! One network connection: bytes in, bytes, questions and a close out.
//!
//! # What a driver does
//!
//! - [`Connection::set_waker`] once, and again when its task moves. A wake means: call [`Connection::advance`].
//!   The waker must only schedule; it is called while the broker holds a lock.
//! - After every call that takes `now`, the pump of the crate's first page: [`Connection::poll_output`] until `None`,
//!   then [`Connection::writable`] for each of [`Connection::flows_with_output`]. It writes what the transport takes
//!   at that moment and reports it by [`Connection::written`], which may bring more to write.
//! - It reads a flow only while [`Connection::wants_input`], and at most [`READ_AT_MOST`] bytes at a time.
//! - It keeps one timer at [`Connection::next_timeout`].
//! - [`Output::Close`] comes when the last bytes have left, or their time is up. The driver then closes the network
//!   connection and drops this value. When the network connection goes away first, it calls
//!   [`Connection::transport_closed`].

mod authentication;
mod deliver;
mod ending;
mod exchange;
mod flows;
mod handshake;
mod lifecycle;
mod link;
mod publish;
mod pump;
mod stream;
mod subscribe;

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::Arc;

use quince_codec::ReasonCode;

pub use self::authentication::{Answer, AuthenticationRequest, Enhanced, Round};
use self::authentication::{Renewal, Turn};
pub use self::ending::ClosedBy;
use self::ending::Ending;
pub use self::flows::FlowEnd;
use self::handshake::{Pending, refusal};
use self::link::Link;
use self::stream::{Stream, Streams};
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
    /// End the broker's side of a data flow; nothing more is taken or given on it.
    EndFlow {
        /// Which.
        flow: FlowId,
        /// How.
        end: FlowEnd,
    },
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

/// See the module.
#[derive(Debug)]
pub struct Connection {
    hub: Arc<Hub>,
    id: ConnectionId,
    slot: Arc<Slot>,
    waker: Option<Waker>,
    streams: Streams,
    link: Link,
    state: State,
    outputs: VecDeque<Output>,
    /// Keep Alive in seconds; 0 is none.
    keep_alive: u16,
    /// When the last packet was complete.
    last_packet: Time,
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
            streams: Streams::new(Stream::new(
                &hub.config,
                hub.config.packet_before_connack,
                0,
            )),
            link: Link::new(hub.in_force()),
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
            session.set_waker(waker);
        }
    }

    /// Takes bytes that came in order on a flow. Those of a flow that was not opened, or has ended, are dropped.
    ///
    /// What comes on a data flow before CONNACK is held; a driver that heeds [`Connection::wants_input`] leaves it in the
    /// transport.
    pub fn receive(&mut self, now: Time, flow: FlowId, bytes: &[u8]) {
        self.now = now;
        let takes_packets = self.takes_packets(flow);
        let most_held = match &self.state {
            State::Closing { .. } | State::Closed => return,
            // A driver that heeds `wants_input` never comes near these limits.
            State::Connected(_) if !takes_packets => self.most_held_by_session(),
            State::Authenticating { .. } | State::Attaching { .. } => self.hub.config.held_input,
            State::AwaitingConnect { .. } if flow != FlowId::CONTROL => self.hub.config.held_input,
            State::AwaitingConnect { .. } | State::Connected(_) => usize::MAX,
        };
        let Some(stream) = self.streams.get_mut(flow) else {
            return;
        };
        if stream.would_hold(bytes) > most_held {
            self.held_too_much(now, flow);
        } else {
            stream.framer.push(bytes);
        }
        self.pump(now);
    }

    fn held_too_much(&mut self, now: Time, flow: FlowId) {
        let code = ReasonCode::QUOTA_EXCEEDED;
        let ending = match self.state {
            State::Connected(_) => Ending::error(code),
            _ => refusal(self.link.version, code),
        };
        self.fail(now, flow, ending);
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

    /// Whether the driver should read a flow. While this is false it leaves bytes in the transport, which slows the client.
    /// No data flow is read before CONNACK has left [MQ-5].
    #[must_use]
    pub fn wants_input(&self, flow: FlowId) -> bool {
        match self.state {
            State::AwaitingConnect { .. }
            | State::Authenticating {
                turn: Turn::Client, ..
            } => flow == FlowId::CONTROL,
            State::Connected(_) => self.takes_packets(flow),
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
                } else if let Some(flow) = self.paused_too_long(now) {
                    self.fail(now, flow, Ending::error(ReasonCode::QUOTA_EXCEEDED));
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
                    .streams
                    .all()
                    .filter_map(|(_, stream)| stream.paused.as_ref())
                    .map(|paused| paused.retry.min(paused.give_up))
                    .min();
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
            && self.streams.control.outbox.writable().is_empty()
        {
            self.close_now();
        }
        self.finish_flows();
        self.outputs.pop_front()
    }

    /// The flows that have bytes which may leave now, the control flow first.
    pub fn flows_with_output(&self) -> impl Iterator<Item = FlowId> + Clone {
        let flows = self.streams.all();
        flows
            .filter(|(_, stream)| !stream.outbox.writable().is_empty())
            .map(|(flow, _)| flow)
    }

    /// The bytes that may leave now on a flow.
    #[must_use]
    pub fn writable(&self, flow: FlowId) -> &[u8] {
        let stream = self.streams.get(flow);
        stream.map_or(&[], |stream| stream.outbox.writable())
    }

    /// The first `bytes` of [`Connection::writable`] were handed to the transport.
    pub fn written(&mut self, now: Time, flow: FlowId, bytes: usize) {
        self.now = now;
        if let Some(stream) = self.streams.get_mut(flow) {
            stream.outbox.mark_written(bytes);
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
        let is_paused = || {
            self.streams
                .all()
                .any(|(_, stream)| stream.paused.is_some())
        };
        let counts = self.keep_alive > 0 && !is_paused();
        counts.then(|| {
            self.last_packet
                .plus_millis(u64::from(self.keep_alive) * 1500)
        })
    }

    /// The first flow whose packet was held up for as long as it may be.
    fn paused_too_long(&self, now: Time) -> Option<FlowId> {
        let mut streams = self.streams.all();
        streams.find_map(|(flow, stream)| {
            let paused = stream.paused.as_ref()?;
            (paused.give_up <= now).then_some(flow)
        })
    }

    /// Input that may lie unprocessed: the packet that is being received, and what was read with it.
    fn most_held_by_session(&self) -> usize {
        let packet = usize::try_from(self.hub.config.packet_after_connack).unwrap_or(usize::MAX);
        packet.saturating_add(self.hub.config.held_input)
    }

    fn takes_packets(&self, flow: FlowId) -> bool {
        let stream = self.streams.get(flow);
        stream.is_some_and(|stream| stream.takes_packets(&self.hub.config))
            && !self.streams.control.outbox.awaits_connack()
    }
}

impl Drop for Connection {
    /// A driver that forgets [`Connection::transport_closed`] loses no Session by it.
    fn drop(&mut self) {
        self.transport_closed(self.now);
        self.hub.remove_slot(self.id);
    }
}
