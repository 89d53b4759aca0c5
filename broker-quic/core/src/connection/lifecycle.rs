//! From CONNECT to a Session, and from an end to the close.

use quince_codec::{
    ConnectionState, DecodeError, ErrorResponse, Framer, ReasonCode, Version, error_response,
};

use super::ending::{ClosedBy, Ending, LastWord};
use super::handshake::{Pending, refusal};
use super::{Connection, Output, State};
use crate::aliases::OutgoingAliases;
use crate::attach::Attached;
use crate::identifier::FlowId;
use crate::registry::{Aftermath, Attach};
use crate::time::Time;

impl Connection {
    pub(super) fn attach(&mut self, now: Time, pending: Box<Pending>) {
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
            // The identifier is a good one; what is missing is the right to this Session.
            Attach::Foreign => self.attached(now, Err(ReasonCode::NOT_AUTHORIZED)),
            // It may have been yielded already; a wake comes in any case.
            Attach::Waiting => {}
        }
    }

    /// The wait for the Session is over.
    pub(super) fn attached(&mut self, now: Time, outcome: Result<Attached, ReasonCode>) {
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
        for stream in self.streams.all_mut() {
            stream.outgoing_aliases = OutgoingAliases::new(self.link.outgoing_aliases);
        }
        let sending = (&mut self.link, &mut self.streams.control);
        match pending.accept(&self.hub, sending, attached) {
            Ok(session) => {
                session.mailbox().attach(self.waker.clone());
                self.streams
                    .control
                    .framer
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

    /// Ends the connection for a reason that lies outside of MQTT: a client that has said CONNECT is told `code`, 0x80 or
    /// above. It has no effect on a connection that has ended.
    pub fn turn_away(&mut self, now: Time, code: ReasonCode) {
        self.now = now;
        let ending = match self.state {
            State::AwaitingConnect { .. } => Ending::silent(code),
            State::Authenticating { .. } | State::Attaching { .. } => {
                refusal(self.link.version, code)
            }
            State::Connected(_) => Ending::error(code),
            State::Closing { .. } | State::Closed => return,
        };
        self.end(now, ending);
        self.pump(now);
    }

    /// Ends what an error on this flow ends: the connection, or the data flow alone [MQ-13].
    pub(super) fn fail(&mut self, now: Time, flow: FlowId, ending: Ending) {
        if flow == FlowId::CONTROL {
            self.end(now, ending);
        } else {
            self.abort_flow(now, flow, u64::from(ending.code.0));
        }
    }

    /// The same, because bytes on it are no packet. `asked` is the version that a broken CONNECT asks for.
    pub(super) fn fail_by_error(
        &mut self,
        now: Time,
        flow: FlowId,
        error: DecodeError,
        asked: Option<Version>,
    ) {
        if flow == FlowId::CONTROL {
            self.end_by_error(now, error, asked);
            return;
        }
        // What a stream is aborted with is a Reason Code of version 5.0 in all of them.
        let code = match error_response(error, Some(Version::V5_0), ConnectionState::Connected) {
            ErrorResponse::Disconnect(code) => code,
            ErrorResponse::ConnAck(_) | ErrorResponse::Close => ReasonCode::MALFORMED_PACKET,
        };
        self.abort_flow(now, flow, u64::from(code.0));
    }

    fn end_by_error(&mut self, now: Time, error: DecodeError, asked: Option<Version>) {
        let (version, state) = match self.state {
            State::AwaitingConnect { .. } => (asked, ConnectionState::AwaitingConnect),
            _ => (Some(self.link.version), ConnectionState::Connected),
        };
        // A version that is not spoken here is answered in the form of 3.1.1.
        self.link.version = version.unwrap_or(Version::V3_1_1);
        let before_connack = matches!(self.state, State::Authenticating { .. });
        let ending = match error_response(error, version, state) {
            // No DISCONNECT comes before CONNACK [MQTT5-3.14.0-1].
            ErrorResponse::Disconnect(code) if before_connack => refusal(self.link.version, code),
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
    pub(super) fn end(&mut self, now: Time, ending: Ending) {
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
        self.renewal = None;
        // What was to leave on data flows is not waited for: their state has ended.
        self.streams.drop_data_streams();
        let control = &mut self.streams.control;
        control.paused = None;
        control.framer = Framer::new(self.hub.config.packet_before_connack);
        // No DISCONNECT comes before CONNACK, not even where CONNACK is held [MQTT5-3.14.0-1].
        let last_word = if control.outbox.awaits_connack() {
            LastWord::Nothing
        } else {
            ending.last_word
        };
        // What the gate still holds was not promised yet.
        control.outbox.drop_held();
        match last_word {
            LastWord::ConnAck(code) => self.link.send_refusal(control, code),
            LastWord::Disconnect(code) => self.link.send_disconnect(control, code),
            LastWord::Nothing => {}
        }
        self.hub.settle(now, aftermath);
    }

    /// Gives out the close; nothing more leaves.
    pub(super) fn close_now(&mut self) {
        if let State::Closing { code, by, .. } = self.state {
            self.streams.control.outbox.clear();
            self.outputs.push_back(Output::Close { code, by });
            self.state = State::Closed;
        }
    }
}
