//! The life of flows: opened, finished, reset, stopped, and what the broker ends by itself.
//!
//! A data flow dies alone. What a client does wrong on one ends it, and neither the connection nor another flow.

use quince_codec::{PacketType, ReasonCode};

use super::stream::Stream;
use super::{Connection, Output, State};
use crate::identifier::FlowId;
use crate::registry::Aftermath;
use crate::time::Time;

/// How the broker ends its side of a data flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// In order: the client has ended its side, and the last bytes were taken by the transport.
    Finished,
    /// At once, in both directions, with this application error code of the transport: the client's own where it gave one,
    /// else a Reason Code of version 5.0, whatever version the client speaks.
    Aborted(u64),
}

impl Connection {
    /// The client opened a flow. One beyond [`Config::data_flows`](crate::Config::data_flows) is aborted at once with 0x97.
    ///
    /// A number is not used twice in the life of a connection.
    pub fn flow_opened(&mut self, now: Time, flow: FlowId) {
        self.now = now;
        if self.streams.get(flow).is_some() || self.is_ended() {
            return;
        }
        let config = &self.hub.config;
        if self.streams.data_streams() >= config.data_flows {
            self.outputs.push_back(Output::EndFlow {
                flow,
                end: FlowEnd::Aborted(u64::from(ReasonCode::QUOTA_EXCEEDED.0)),
            });
            return;
        }
        let aliases = self.link.outgoing_aliases;
        let stream = Stream::new(config, config.packet_after_connack, aliases);
        self.streams.open(flow, stream);
    }

    /// The client's side of a flow has ended. On [`FlowId::CONTROL`] the network connection is lost
    /// [MQTT5-3.1.2-8] [MQTT3-3.1.2-8], behind what was received: there may be a DISCONNECT in it. A data flow ends when what
    /// was received is handled, and the answers to that have left.
    pub fn flow_finished(&mut self, now: Time, flow: FlowId) {
        self.now = now;
        let Some(stream) = self.streams.get_mut(flow) else {
            return;
        };
        match &mut stream.paused {
            // With the connection, a lone packet that is not acknowledged is lost; nobody waits for its answer.
            Some(paused) if flow != FlowId::CONTROL || !paused.behind.is_empty() => {
                paused.finished = true;
            }
            _ => self.received_all(now, flow),
        }
    }

    /// The client has reset a flow with an application error code of its transport.
    pub fn flow_reset(&mut self, now: Time, flow: FlowId, code: u64) {
        self.now = now;
        if flow == FlowId::CONTROL {
            self.transport_closed(now);
        } else {
            self.abort_flow(now, flow, code);
        }
    }

    /// The client takes nothing more on a flow, for this application error code of its transport.
    pub fn flow_stopped(&mut self, now: Time, flow: FlowId, code: u64) {
        self.flow_reset(now, flow, code);
    }

    /// All that the client has sent on a flow is handled.
    pub(super) fn received_all(&mut self, now: Time, flow: FlowId) {
        if flow == FlowId::CONTROL {
            self.transport_closed(now);
        } else if let Some(stream) = self.streams.get_mut(flow) {
            stream.is_finishing = true;
            self.end_flow_state(now, flow);
        }
    }

    /// Ends a data flow at once; the connection and all others go on.
    pub(super) fn abort_flow(&mut self, now: Time, flow: FlowId, code: u64) {
        if self.streams.take(flow).is_some() {
            self.outputs.push_back(Output::EndFlow {
                flow,
                end: FlowEnd::Aborted(code),
            });
            self.end_flow_state(now, flow);
        }
    }

    /// Gives out the ends of the data flows from which everything has left.
    pub(super) fn finish_flows(&mut self) {
        let mut next = self.streams.after(FlowId::CONTROL);
        while let Some(flow) = next {
            next = self.streams.after(flow);
            let is_done = self
                .streams
                .get(flow)
                .is_some_and(|stream| stream.is_finishing && stream.outbox.len() == 0);
            if is_done {
                self.streams.take(flow);
                self.outputs.push_back(Output::EndFlow {
                    flow,
                    end: FlowEnd::Finished,
                });
            }
        }
    }

    /// What a data flow means to the Session ends with it: its subscriptions, and what is in flight on it.
    fn end_flow_state(&mut self, now: Time, flow: FlowId) {
        let State::Connected(session) = &mut self.state else {
            return;
        };
        if session.has_data_flow(flow) {
            let mut aftermath = Aftermath::default();
            self.hub
                .registry()
                .end_flow(&self.hub, session, flow, &mut aftermath);
            self.hub.settle(now, aftermath);
        }
    }
}

/// Whether a packet belongs on the control flow alone.
pub(super) const fn is_for_control(packet_type: Option<PacketType>) -> bool {
    matches!(
        packet_type,
        Some(PacketType::Connect | PacketType::Disconnect | PacketType::Auth)
    )
}
