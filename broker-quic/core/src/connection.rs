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

mod deliver;
mod ending;
mod exchange;
mod handshake;
mod link;
mod publish;
mod subscribe;

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::Arc;

use quince_codec::{
    ConnectionState, DecodeError, ErrorResponse, Frame, Framer, Packet, PacketType, ReasonCode,
    Version, error_response,
};

pub use self::ending::ClosedBy;
use self::ending::{Ending, LastWord};
use self::exchange::{Exchange, Handled};
pub use self::handshake::AuthenticationRequest;
use self::handshake::{Pending, refusal};
use self::link::Link;
use crate::attach::{Attached, Slot};
use crate::hub::Hub;
use crate::identifier::{ConnectionId, FlowId};
use crate::policy::Principal;
use crate::registry::{Aftermath, Attach};
use crate::session::Session;
use crate::time::Time;

/// The most bytes that a driver passes to [`Connection::receive`] in one call.
pub const READ_AT_MOST: usize = 64 * 1024;

/// How long a packet that could not be taken rests before it is tried again, in milliseconds.
const TRY_AGAIN_AFTER: u64 = 50;

/// What a connection asks of its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Have these credentials judged and answer by [`Connection::authenticated`]; meanwhile nothing more is read.
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

/// A packet that could not be taken because a queue is full.
#[derive(Debug)]
struct Paused {
    frame: Frame,
    retry: Time,
    give_up: Time,
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
            link: Link::new(hub.config.outbox_bytes),
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
        match &self.state {
            State::AwaitingConnect { .. } | State::Connected(_) => self.framer.push(bytes),
            State::Authenticating { .. } | State::Attaching { .. } => {
                if self.framer.buffered() + bytes.len() > self.hub.config.held_input {
                    self.end(now, refusal(self.link.version, ReasonCode::QUOTA_EXCEEDED));
                    return;
                }
                self.framer.push(bytes);
            }
            State::Closing { .. } | State::Closed => return,
        }
        self.pump(now);
    }

    /// The client opened a flow. Flows other than [`FlowId::CONTROL`] are not served so far.
    pub fn flow_opened(&mut self, now: Time, _flow: FlowId) {
        self.now = now;
    }

    /// The client's side of a flow has ended. On [`FlowId::CONTROL`] the network connection is lost
    /// [MQTT5-3.1.2-8] [MQTT3-3.1.2-8].
    pub fn flow_finished(&mut self, now: Time, flow: FlowId) {
        if flow == FlowId::CONTROL {
            self.transport_closed(now);
        }
    }

    /// The client has reset a flow with an application error code of its transport.
    pub fn flow_reset(&mut self, now: Time, flow: FlowId, _code: u64) {
        self.flow_finished(now, flow);
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
            State::AwaitingConnect { .. } => true,
            State::Connected(_) => self.takes_packets(),
            _ => false,
        }
    }

    /// The answer to [`Output::Authenticate`]: who the client is, or the Reason Code of the refusal.
    ///
    /// It has no effect when the connection does not wait for it (any more).
    pub fn authenticated(&mut self, now: Time, answer: Result<Principal, ReasonCode>) {
        self.now = now;
        if !matches!(self.state, State::Authenticating { .. }) {
            return;
        }
        let State::Authenticating { mut pending, .. } =
            core::mem::replace(&mut self.state, State::Closed)
        else {
            return;
        };
        let verdict = answer
            .map_err(|code| refusal(self.link.version, code))
            .and_then(|principal| {
                pending.principal = principal;
                pending.check_will(&self.hub)
            });
        match verdict {
            Ok(()) => self.attach(now, pending),
            Err(ending) => self.end(now, ending),
        }
        self.pump(now);
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
            State::Authenticating { .. } => {
                self.end(
                    now,
                    refusal(self.link.version, ReasonCode::SERVER_UNAVAILABLE),
                );
            }
            State::Attaching { .. } => {
                self.end(now, refusal(self.link.version, ReasonCode::SERVER_BUSY))
            }
            State::Connected(_) => {
                if self
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
            State::Connected(_) => {
                let paused = self
                    .paused
                    .as_ref()
                    .map(|paused| paused.retry.min(paused.give_up));
                [paused, self.keep_alive_deadline()]
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
        // While reading is paused by us, the client's packets cannot be seen.
        let counts = self.keep_alive > 0 && self.paused.is_none();
        counts.then(|| {
            self.last_packet
                .plus_millis(u64::from(self.keep_alive) * 1500)
        })
    }

    fn takes_packets(&self) -> bool {
        self.paused.is_none() && self.link.outbox.has_room() && !self.link.outbox.awaits_connack()
    }

    /// Does all that can be done now.
    fn pump(&mut self, now: Time) {
        self.link.outbox.release(self.hub.log.durable());
        self.heed_signals(now);
        self.retry_paused(now);
        self.process_input(now);
        if let State::Connected(session) = &mut self.state {
            let mut exchange = Exchange {
                hub: &self.hub,
                link: &mut self.link,
                session,
                flow: FlowId::CONTROL,
                now,
            };
            if let Err(ending) = exchange.deliver() {
                self.end(now, ending);
            }
        }
    }

    fn heed_signals(&mut self, now: Time) {
        match &self.state {
            State::Attaching { .. } => {
                if let Some(outcome) = self.slot.take() {
                    self.attached(now, outcome);
                }
            }
            State::Connected(session) if session.mailbox.yield_requested() => {
                // [MQTT5-3.1.4-3] [MQTT3-3.1.4-2]
                self.end(now, Ending::error(ReasonCode::SESSION_TAKEN_OVER));
            }
            _ => {}
        }
        if self.hub.is_shutting_down() {
            match self.state {
                State::AwaitingConnect { .. } => {
                    self.end(now, Ending::silent(ReasonCode::SERVER_SHUTTING_DOWN))
                }
                State::Authenticating { .. } | State::Attaching { .. } => {
                    self.end(
                        now,
                        refusal(self.link.version, ReasonCode::SERVER_UNAVAILABLE),
                    );
                }
                State::Connected(_) => {
                    self.end(now, Ending::error(ReasonCode::SERVER_SHUTTING_DOWN))
                }
                State::Closing { .. } | State::Closed => {}
            }
        }
    }

    fn retry_paused(&mut self, now: Time) {
        if let Some(paused) = self.paused.take_if(|paused| paused.retry <= now) {
            self.process_frame(now, &paused.frame, Some(paused.give_up));
        }
    }

    fn process_input(&mut self, now: Time) {
        loop {
            let ready = match self.state {
                State::AwaitingConnect { .. } => true,
                State::Connected(_) => self.takes_packets(),
                _ => false,
            };
            if !ready {
                return;
            }
            match self.framer.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => {
                    self.last_packet = now;
                    self.process_frame(now, &frame, None);
                }
                Err(error) => self.end_by_error(now, error, None),
            }
        }
    }

    /// Handles a packet, for the first time or again; `give_up` is set when it is tried again.
    fn process_frame(&mut self, now: Time, frame: &Frame, give_up: Option<Time>) {
        if matches!(self.state, State::AwaitingConnect { .. })
            && frame.packet_type() != Some(PacketType::Connect)
        {
            // The first packet must be CONNECT; there is no version yet to say it in [MQTT5-3.1.0-1] [MQTT3-3.1.0-1].
            self.end(now, Ending::silent(ReasonCode::PROTOCOL_ERROR));
            return;
        }
        let packet = match frame.decode(self.link.version) {
            Ok(packet) => packet,
            Err(error) => {
                self.end_by_error(now, error, frame.connect_version());
                return;
            }
        };
        let State::Connected(session) = &mut self.state else {
            if let Packet::Connect(connect) = &packet {
                self.on_connect(now, connect);
            }
            return;
        };
        let mut exchange = Exchange {
            hub: &self.hub,
            link: &mut self.link,
            session,
            flow: FlowId::CONTROL,
            now,
        };
        match exchange.handle(&packet) {
            Ok(Handled::Done) => {}
            Ok(Handled::TryAgain) => {
                let give_up = give_up.unwrap_or(now + self.hub.config.pause_limit);
                let retry = now.plus_millis(TRY_AGAIN_AFTER);
                self.paused = Some(Paused {
                    frame: frame.clone(),
                    retry,
                    give_up,
                });
            }
            Err(ending) => self.end(now, ending),
        }
    }

    fn on_connect(&mut self, now: Time, connect: &quince_codec::Connect<'_>) {
        self.link.agree(&self.hub.config, connect);
        match Pending::of(&self.hub, connect) {
            Ok(pending) => {
                self.outputs.push_back(Output::Authenticate(
                    pending.authentication_request(self.id, connect),
                ));
                let deadline = now + self.hub.config.authentication_timeout;
                self.state = State::Authenticating {
                    pending: Box::new(pending),
                    deadline,
                };
            }
            Err(ending) => self.end(now, ending),
        }
    }

    fn attach(&mut self, now: Time, pending: Box<Pending>) {
        let mut aftermath = Aftermath::default();
        let answer = self.hub.registry().attach(
            &self.hub,
            pending.request.clone(),
            &self.slot,
            &mut aftermath,
        );
        self.hub.settle(now, aftermath);
        self.state = State::Attaching {
            pending,
            deadline: now + self.hub.config.yield_timeout,
        };
        match answer {
            Attach::Ready(attached) => self.attached(now, Ok(attached)),
            Attach::Full => self.attached(now, Err(ReasonCode::QUOTA_EXCEEDED)),
            // It may have been yielded already; a wake comes in any case.
            Attach::Waiting => {}
        }
    }

    /// The wait for the Session is over.
    fn attached(&mut self, now: Time, outcome: Result<Attached, ReasonCode>) {
        let State::Attaching { pending, .. } = core::mem::replace(&mut self.state, State::Closed)
        else {
            return;
        };
        let attached = match outcome {
            Ok(attached) => attached,
            Err(code) => {
                self.end(now, refusal(self.link.version, code));
                return;
            }
        };
        let keep_alive = pending.keep_alive;
        match pending.accept(&self.hub, &mut self.link, attached) {
            Ok(session) => {
                session.mailbox.attach(self.waker.clone());
                self.framer
                    .set_max_packet_size(self.hub.config.packet_after_connack);
                self.keep_alive = keep_alive;
                self.last_packet = now;
                self.state = State::Connected(session);
            }
            Err((ending, session)) => {
                self.state = State::Connected(session);
                self.end(now, ending);
            }
        }
    }

    /// `asked` is the version that a broken CONNECT asks for.
    fn end_by_error(&mut self, now: Time, error: DecodeError, asked: Option<Version>) {
        let (version, state) = match self.state {
            State::AwaitingConnect { .. } => (asked, ConnectionState::AwaitingConnect),
            _ => (Some(self.link.version), ConnectionState::Connected),
        };
        // A version that is not spoken here is answered in the form of 3.1.1.
        self.link.version = version.unwrap_or(Version::V3_1_1);
        let ending = match error_response(error, version, state) {
            ErrorResponse::ConnAck(code) => Ending {
                code: ReasonCode(code),
                by: ClosedBy::Server,
                last_word: LastWord::ConnAck(code),
            },
            ErrorResponse::Disconnect(code) => Ending::error(code),
            ErrorResponse::Close => Ending::silent(ReasonCode::MALFORMED_PACKET),
        };
        self.end(now, ending);
    }

    /// Ends the protocol life of the connection: lets the Session go, says the last word, and waits for the outbox.
    fn end(&mut self, now: Time, ending: Ending) {
        if matches!(self.state, State::Closing { .. }) {
            // The first end counts.
            return;
        }
        let deadline = now + self.hub.config.flush_timeout;
        let closing = State::Closing {
            deadline,
            code: ending.code,
            by: ending.by,
        };
        let mut aftermath = Aftermath::default();
        match core::mem::replace(&mut self.state, closing) {
            State::Connected(session) => {
                self.hub
                    .registry()
                    .release(&self.hub, now, session, &mut aftermath);
            }
            State::Attaching { pending, .. } => {
                let client_id = &pending.request.client_id;
                self.hub
                    .registry()
                    .abandon(&self.hub, now, client_id, &self.slot, &mut aftermath);
            }
            _ => {}
        }
        self.hub.remove_slot(self.id);
        self.paused = None;
        self.framer = Framer::new(self.hub.config.packet_before_connack);
        // What the gate still holds was not promised yet.
        self.link.outbox.drop_held();
        match ending.last_word {
            LastWord::ConnAck(code) => self.link.send_refusal(code),
            LastWord::Disconnect(code) => self.link.send_disconnect(code),
            LastWord::Nothing => {}
        }
        self.hub.settle(now, aftermath);
    }

    /// Gives out the close; nothing more leaves.
    fn close_now(&mut self) {
        if let State::Closing { code, by, .. } = self.state {
            self.link.outbox.clear();
            self.outputs.push_back(Output::Close { code, by });
            self.state = State::Closed;
        }
    }
}

impl Drop for Connection {
    /// A driver that forgets [`Connection::transport_closed`] loses no Session by it.
    fn drop(&mut self) {
        self.transport_closed(self.now);
        self.hub.remove_slot(self.id);
    }
}
