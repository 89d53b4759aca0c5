//! The sending side of one network connection: what was agreed at CONNECT, and packets into the outbox of a stream.

use std::sync::Arc;

use quince_codec::{
    Acknowledgement, Auth, ConnAck, Disconnect, Packet, PacketId, Properties, Property,
    PropertyList, Publish, ReasonCode, SubAck, UnsubAck, Version,
};

use super::ending::Ending;
use super::stream::Stream;
use crate::outbox::{Gate, Lane};
use crate::policy::InForce;

/// Which packet of a message's handshake is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// PUBACK.
    Ack,
    /// PUBREC.
    Received,
    /// PUBREL.
    Release,
    /// PUBCOMP.
    Complete,
}

impl Step {
    fn packet(self, acknowledgement: Acknowledgement<'_>) -> Packet<'_> {
        match self {
            Self::Ack => Packet::PubAck(acknowledgement),
            Self::Received => Packet::PubRec(acknowledgement),
            Self::Release => Packet::PubRel(acknowledgement),
            Self::Complete => Packet::PubComp(acknowledgement),
        }
    }

    fn lane(self) -> Lane {
        match self {
            Self::Ack | Self::Received | Self::Complete => Lane::Acknowledgement,
            Self::Release => Lane::ExactlyOnce,
        }
    }
}

/// The packet does not fit the client's Maximum Packet Size, so it must not be sent [MQTT5-3.1.2-24].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) version: Version,
    /// The policy in force when something last happened here.
    pub(crate) in_force: InForce,
    /// The client's Maximum Packet Size.
    pub(crate) maximum_packet_size: u32,
    /// How many QoS 1 and 2 messages may be in flight to the client.
    pub(crate) window: usize,
    /// Whether a Reason String may go with every packet [MQTT5-3.1.2-29].
    pub(crate) problem_information: bool,
    /// What goes with CONNACK 0x9C or 0x9D.
    pub(crate) server_reference: Option<Arc<str>>,
    /// The Authentication Method of CONNECT, which holds for the life of the connection.
    pub(crate) authentication_method: Option<Arc<str>>,
    /// Topic Aliases that the client takes from us, on each stream.
    pub(crate) outgoing_aliases: u16,
    /// Where packets are encoded before they enter the outbox.
    scratch: Vec<u8>,
}

impl Link {
    pub(crate) fn new(in_force: InForce) -> Self {
        Self {
            in_force,
            version: Version::V5_0,
            maximum_packet_size: u32::MAX,
            window: 0,
            problem_information: true,
            server_reference: None,
            authentication_method: None,
            outgoing_aliases: 0,
            scratch: Vec::new(),
        }
    }

    /// Encodes a packet into `scratch`, unless the client would not take it.
    fn encode(&mut self, packet: &Packet<'_>) -> Result<(), TooLarge> {
        self.scratch.clear();
        let length = packet.encoded_len(self.version).map_err(|_| TooLarge)?;
        if u32::try_from(length).is_ok_and(|length| length <= self.maximum_packet_size) {
            packet
                .encode(self.version, &mut self.scratch)
                .map_err(|_| TooLarge)
        } else {
            Err(TooLarge)
        }
    }

    /// Encodes the packet with a Reason String, or the one without where it does not fit.
    fn encode_either(&mut self, full: &Packet<'_>, bare: &Packet<'_>) -> Result<(), TooLarge> {
        self.encode(full).or_else(|TooLarge| self.encode(bare))
    }

    /// A Reason String for an error, where the client takes one with this packet.
    fn reason(&self, code: ReasonCode, always: bool) -> PropertyList {
        let mut properties = PropertyList::new();
        if self.version == Version::V5_0 && code.is_error() && (always || self.problem_information)
        {
            properties.push(Property::ReasonString(code.name()));
        }
        properties
    }

    /// An acknowledgement or PUBREL.
    pub(crate) fn send_step(
        &mut self,
        stream: &mut Stream,
        step: Step,
        packet_id: PacketId,
        reason_code: ReasonCode,
        gate: Gate,
    ) -> Result<(), Ending> {
        let reason_code = match self.version {
            Version::V5_0 => reason_code,
            // It has no Reason Codes.
            Version::V3_1 | Version::V3_1_1 => ReasonCode::SUCCESS,
        };
        let reason = self.reason(reason_code, false);
        let packet = |properties| {
            step.packet(Acknowledgement {
                packet_id,
                reason_code,
                properties,
            })
        };
        self.encode_either(&packet(reason.as_properties()), &packet(Properties::EMPTY))
            .map_err(too_large)?;
        stream.outbox.push_after(&self.scratch, step.lane(), gate);
        Ok(())
    }

    /// SUBACK.
    pub(crate) fn send_sub_ack(
        &mut self,
        stream: &mut Stream,
        packet_id: PacketId,
        codes: &[u8],
        gate: Gate,
    ) -> Result<(), Ending> {
        let worst = ReasonCode(codes.iter().copied().max().unwrap_or(0));
        let reason = self.reason(worst, false);
        let packet = |properties| {
            Packet::SubAck(SubAck {
                packet_id,
                properties,
                codes,
            })
        };
        self.encode_either(&packet(reason.as_properties()), &packet(Properties::EMPTY))
            .map_err(too_large)?;
        stream
            .outbox
            .push_after(&self.scratch, Lane::Acknowledgement, gate);
        Ok(())
    }

    /// UNSUBACK; versions before 5.0 have no codes in it.
    pub(crate) fn send_unsub_ack(
        &mut self,
        stream: &mut Stream,
        packet_id: PacketId,
        codes: &[u8],
        gate: Gate,
    ) -> Result<(), Ending> {
        let codes = match self.version {
            Version::V5_0 => codes,
            Version::V3_1 | Version::V3_1_1 => &[],
        };
        self.encode(&Packet::UnsubAck(UnsubAck {
            packet_id,
            properties: Properties::EMPTY,
            codes,
        }))
        .map_err(too_large)?;
        stream
            .outbox
            .push_after(&self.scratch, Lane::Acknowledgement, gate);
        Ok(())
    }

    /// PINGRESP, which waits for nothing.
    pub(crate) fn send_ping_resp(&mut self, stream: &mut Stream) -> Result<(), Ending> {
        self.encode(&Packet::PingResp).map_err(too_large)?;
        stream.outbox.push(&self.scratch);
        Ok(())
    }

    /// AUTH, which waits for nothing.
    pub(crate) fn send_auth(
        &mut self,
        stream: &mut Stream,
        reason_code: ReasonCode,
        properties: Properties<'_>,
    ) -> Result<(), TooLarge> {
        self.encode(&Packet::Auth(Auth {
            reason_code,
            properties,
        }))?;
        stream.outbox.push(&self.scratch);
        Ok(())
    }

    /// A CONNACK that accepts. Version 3.1 is not told of the Session.
    pub(crate) fn send_connack(
        &mut self,
        stream: &mut Stream,
        session_present: bool,
        properties: Properties<'_>,
        gate: Gate,
    ) -> Result<(), TooLarge> {
        self.encode(&Packet::ConnAck(ConnAck {
            session_present: session_present && self.version != Version::V3_1,
            code: 0,
            properties,
        }))?;
        stream.outbox.push_first(&self.scratch, gate);
        Ok(())
    }

    /// A CONNACK that refuses. It is left out when the client would not take it.
    pub(crate) fn send_refusal(&mut self, stream: &mut Stream, code: u8) {
        let mut reason = self.reason(ReasonCode(code), true);
        if self.version == Version::V5_0
            && let Some(server_reference) = &self.server_reference
        {
            reason.push(Property::ServerReference(server_reference));
        }
        let packet = |properties| {
            Packet::ConnAck(ConnAck {
                session_present: false,
                code,
                properties,
            })
        };
        if self
            .encode_either(&packet(reason.as_properties()), &packet(Properties::EMPTY))
            .is_ok()
        {
            stream.outbox.push(&self.scratch);
        }
    }

    /// DISCONNECT, which only version 5.0 has from the server. It is left out when the client would not take it.
    pub(crate) fn send_disconnect(&mut self, stream: &mut Stream, reason_code: ReasonCode) {
        if self.version != Version::V5_0 {
            return;
        }
        let reason = self.reason(reason_code, true);
        let packet = |properties| {
            Packet::Disconnect(Disconnect {
                reason_code,
                properties,
            })
        };
        if self
            .encode_either(&packet(reason.as_properties()), &packet(Properties::EMPTY))
            .is_ok()
        {
            stream.outbox.push(&self.scratch);
        }
    }

    /// PUBLISH, with a Topic Alias where that is allowed. `properties` are those of the message without an alias.
    pub(crate) fn send_publish(
        &mut self,
        stream: &mut Stream,
        publish: &Publish<'_>,
        topic: &Arc<str>,
        gate: Gate,
    ) -> Result<(), TooLarge> {
        let lane = Lane::of(publish.qos);
        // A packet that sets an alias and one that uses it must not be able to pass each other.
        if stream.outbox.is_free(lane, gate)
            && self.encode_with_alias(stream, publish, topic).is_ok()
        {
            stream.outbox.push(&self.scratch);
            return Ok(());
        }
        self.encode(&Packet::Publish(*publish))?;
        stream.outbox.push_after(&self.scratch, lane, gate);
        Ok(())
    }

    fn encode_with_alias(
        &mut self,
        stream: &mut Stream,
        publish: &Publish<'_>,
        topic: &Arc<str>,
    ) -> Result<(), TooLarge> {
        let known = stream.outgoing_aliases.find(topic);
        let alias = known
            .or_else(|| stream.outgoing_aliases.next())
            .ok_or(TooLarge)?;
        let mut properties = PropertyList::new();
        properties.push(Property::TopicAlias(alias));
        publish
            .properties
            .iter()
            .for_each(|property| properties.push(property));
        let topic_or_none = if known.is_some() { "" } else { publish.topic };
        let packet = Publish {
            topic: topic_or_none,
            properties: properties.as_properties(),
            ..*publish
        };
        self.encode(&Packet::Publish(packet))?;
        if known.is_none() {
            stream.outgoing_aliases.set_next(topic);
        }
        Ok(())
    }
}

fn too_large(_: TooLarge) -> Ending {
    Ending::error(ReasonCode::PACKET_TOO_LARGE)
}
