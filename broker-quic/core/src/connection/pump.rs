//! What a connection does whenever anything may have changed: heed signals, take packets, deliver.

use std::collections::VecDeque;

use quince_codec::{Frame, Packet, PacketType, ReasonCode};

use super::ending::Ending;
use super::exchange::{Exchange, Handled};
use super::flows::is_for_control;
use super::handshake::refusal;
use super::stream::Paused;
use super::{Connection, State, TRY_AGAIN_AFTER};
use crate::identifier::FlowId;
use crate::time::Time;

impl Connection {
    /// Does all that can be done now.
    pub(super) fn pump(&mut self, now: Time) {
        let durable = self.hub.log.durable();
        for stream in self.streams.all_mut() {
            stream.outbox.release(durable);
        }
        self.heed_signals(now);
        let mut next = Some(FlowId::CONTROL);
        while let Some(flow) = next {
            self.retry_paused(now, flow);
            self.process_input(now, flow);
            next = self.streams.after(flow);
        }
        let mut next = Some(FlowId::CONTROL);
        while let Some(flow) = next {
            self.deliver(now, flow);
            next = self.streams.after(flow);
        }
    }

    /// What a flow of a connected client may touch; `None` where there is no Session or no such flow.
    fn exchange(&mut self, now: Time, flow: FlowId) -> Option<Exchange<'_>> {
        let State::Connected(session) = &mut self.state else {
            return None;
        };
        Some(Exchange {
            hub: &self.hub,
            link: &mut self.link,
            stream: self.streams.get_mut(flow)?,
            session,
            flow,
            now,
        })
    }

    /// Moves what waits for a flow into its outbox.
    fn deliver(&mut self, now: Time, flow: FlowId) {
        let exchange = self.exchange(now, flow);
        let has_state =
            |it: &Exchange<'_>| flow == FlowId::CONTROL || it.session.has_data_flow(flow);
        if let Some(mut exchange) = exchange.filter(has_state)
            && let Err(ending) = exchange.deliver()
        {
            self.fail(now, flow, ending);
        }
    }

    pub(super) fn heed_signals(&mut self, now: Time) {
        self.hub.refresh(&mut self.link.in_force);
        match &self.state {
            State::Attaching { .. } => {
                if let Some(outcome) = self.slot.take() {
                    self.attached(now, outcome);
                }
            }
            State::Connected(session) if session.mailbox().yield_requested() => {
                // [MQTT5-3.1.4-3] [MQTT3-3.1.4-2]
                self.end(now, Ending::error(ReasonCode::SESSION_TAKEN_OVER));
            }
            _ => {}
        }
        self.heed_policy(now);
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

    /// Ends the connection of a client that the policy in force does not admit.
    fn heed_policy(&mut self, now: Time) {
        let epoch = self.link.in_force.epoch;
        if let State::Connected(session) = &self.state
            && self.admitted != epoch
        {
            self.admitted = epoch;
            if !self.link.in_force.policy.admits(session.subject()) {
                self.end(now, Ending::error(ReasonCode::NOT_AUTHORIZED));
            }
        }
    }

    pub(super) fn retry_paused(&mut self, now: Time, flow: FlowId) {
        let stream = self.streams.get_mut(flow);
        let Some(paused) =
            stream.and_then(|stream| stream.paused.take_if(|paused| paused.retry <= now))
        else {
            return;
        };
        // The client may not have been heard meanwhile.
        self.last_packet = now;
        self.process_frame(now, flow, &paused.frame, Some(paused.give_up));
        let (mut behind, mut held, finished) = (paused.behind, paused.held, paused.finished);
        loop {
            let is_connected = matches!(self.state, State::Connected(_));
            let Some(stream) = self.streams.get_mut(flow).filter(|_| is_connected) else {
                return;
            };
            if let Some(paused) = &mut stream.paused {
                (paused.behind, paused.held) = (behind, held);
                paused.finished = finished;
                return;
            }
            let Some(frame) = behind.pop_front() else {
                if finished {
                    self.received_all(now, flow);
                }
                return;
            };
            held -= frame.bytes().len();
            if stream.outbox.has_room() {
                self.process_frame(now, flow, &frame, None);
            } else {
                self.pause(now, flow, frame, None);
            }
        }
    }

    /// Holds a packet up, and all that must stay behind it, until it is tried again.
    fn pause(&mut self, now: Time, flow: FlowId, frame: Frame, give_up: Option<Time>) {
        let Some(stream) = self.streams.get_mut(flow) else {
            return;
        };
        stream.paused = Some(Paused {
            frame,
            behind: VecDeque::new(),
            held: 0,
            finished: false,
            retry: now.plus_millis(TRY_AGAIN_AFTER),
            give_up: give_up.unwrap_or(now + self.hub.config.pause_limit),
        });
    }

    pub(super) fn process_input(&mut self, now: Time, flow: FlowId) {
        while self.wants_input(flow) {
            let Some(stream) = self.streams.get_mut(flow) else {
                return;
            };
            match stream.framer.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => {
                    self.last_packet = now;
                    match &mut stream.paused {
                        Some(paused) if !Paused::passes(&frame) => paused.hold(frame),
                        _ => self.process_frame(now, flow, &frame, None),
                    }
                }
                Err(error) => self.fail_by_error(now, flow, error, None),
            }
        }
    }

    /// Handles a packet, for the first time or again; `give_up` is set when it is tried again.
    pub(super) fn process_frame(
        &mut self,
        now: Time,
        flow: FlowId,
        frame: &Frame,
        give_up: Option<Time>,
    ) {
        if matches!(self.state, State::AwaitingConnect { .. })
            && frame.packet_type() != Some(PacketType::Connect)
        {
            // The first packet must be CONNECT; there is no version yet to say it in [MQTT5-3.1.0-1] [MQTT3-3.1.0-1].
            self.end(now, Ending::silent(ReasonCode::PROTOCOL_ERROR));
            return;
        }
        if flow != FlowId::CONTROL && is_for_control(frame.packet_type()) {
            self.fail(now, flow, Ending::error(ReasonCode::PROTOCOL_ERROR));
            return;
        }
        let packet = match frame.decode(self.link.version) {
            Ok(packet) => packet,
            Err(error) => {
                self.fail_by_error(now, flow, error, frame.connect_version());
                return;
            }
        };
        if let (State::Connected(_), Packet::Auth(auth)) = (&self.state, &packet) {
            self.on_auth(now, auth);
            return;
        }
        let Some(mut exchange) = self.exchange(now, flow) else {
            match (&self.state, &packet) {
                (State::AwaitingConnect { .. }, Packet::Connect(connect)) => {
                    self.on_connect(now, connect);
                }
                (State::Authenticating { .. }, packet) => {
                    self.on_packet_before_connack(now, packet)
                }
                _ => {}
            }
            return;
        };
        match exchange.handle(&packet) {
            Ok(Handled::Done) => {}
            Ok(Handled::TryAgain) => {
                self.pause(now, flow, frame.clone(), give_up);
            }
            Err(ending) => self.fail(now, flow, ending),
        }
    }
}
