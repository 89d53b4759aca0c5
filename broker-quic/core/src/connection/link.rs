//! The sending side of one network connection: what was agreed at CONNECT, and packets into the outbox.

use quince_codec::{
    Acknowledgement, ConnAck, Disconnect, Packet, PacketId, Properties, Property, PropertyList, ReasonCode, SubAck,
    UnsubAck, Version,
};

use super::ending::Ending;
use crate::aliases::{IncomingAliases, OutgoingAliases};
use crate::outbox::{Lane, Outbox};
use crate::position::{Log, Position};

/// Which acknowledgement a message's handshake is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    PubAck,
    PubRec,
    PubRel,
    PubComp,
}

impl Step {
    fn packet(self, acknowledgement: Acknowledgement<'_>) -> Packet<'_> {
        match self {
            Self::PubAck => Packet::PubAck(acknowledgement),
            Self::PubRec => Packet::PubRec(acknowledgement),
            Self::PubRel => Packet::PubRel(acknowledgement),
            Self::PubComp => Packet::PubComp(acknowledgement),
        }
    }

    fn lane(self) -> Lane {
        match self {
            Self::PubAck | Self::PubRec | Self::PubComp => Lane::Acknowledgement,
            Self::PubRel => Lane::ExactlyOnce,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) version: Version,
    /// The client's Maximum Packet Size.
    pub(crate) maximum_packet_size: u32,
    /// How many QoS 1 and 2 messages may be in flight to the client.
    pub(crate) window: usize,
    /// Whether Reason Strings may go with every packet [MQTT5-3.1.2-29].
    pub(crate) problem_information: bool,
    pub(crate) incoming_aliases: IncomingAliases,
    pub(crate) outgoing_aliases: OutgoingAliases,
    pub(crate) outbox: Outbox,
    /// Where packets are encoded before they enter the outbox.
    scratch: Vec<u8>,
}

impl Link {
    pub(crate) fn new(outbox_bytes: usize) -> Self {
        Self {
            version: Version::V5_0,
            maximum_packet_size: u32::MAX,
            window: 0,
            problem_information: true,
            incoming_aliases: IncomingAliases::new(0),
            outgoing_aliases: OutgoingAliases::new(0),
            outbox: Outbox::new(outbox_bytes),
            scratch: Vec::new(),
        }
    }

    /// Encodes a packet into `scratch`; false when the client would not take one of this size [MQTT5-3.1.2-24].
    fn encode(&mut self, packet: &Packet<'_>) -> bool {
        self.scratch.clear();
        let fits = |length: usize| u32::try_from(length).is_ok_and(|length| length <= self.maximum_packet_size);
        packet.encoded_len(self.version).is_ok_and(fits) && packet.encode(self.version, &mut self.scratch).is_ok()
    }

    /// Encodes what `make` makes with a Reason String, or without one where it is not wanted or does not fit.
    fn encode_with_reason(
        &mut self,
        code: ReasonCode,
        allowed: bool,
        make: &dyn for<'a> Fn(Properties<'a>) -> Packet<'a>,
    ) -> bool {
        if self.version == Version::V5_0 && allowed && code.is_error() {
            let mut properties = PropertyList::new();
            properties.push(Property::ReasonString(code.name()));
            if self.encode(&make(properties.as_properties())) {
                return true;
            }
        }
        self.encode(&make(Properties::EMPTY))
    }

    /// An acknowledgement or PUBREL.
    pub(crate) fn send_step(
        &mut self,
        log: &Log,
        step: Step,
        packet_id: PacketId,
        reason_code: ReasonCode,
        after: Position,
    ) -> Result<(), Ending> {
        let make = |properties| step.packet(Acknowledgement { packet_id, reason_code, properties });
        if !self.encode_with_reason(reason_code, self.problem_information, &make) {
            return Err(Ending::error(ReasonCode::PACKET_TOO_LARGE));
        }
        self.outbox.push_after(&self.scratch, step.lane(), after, log.durable());
        Ok(())
    }

    /// SUBACK.
    pub(crate) fn send_sub_ack(
        &mut self,
        log: &Log,
        packet_id: PacketId,
        codes: &[u8],
        after: Position,
    ) -> Result<(), Ending> {
        let worst = ReasonCode(codes.iter().copied().max().unwrap_or(0));
        let make = |properties| Packet::SubAck(SubAck { packet_id, properties, codes });
        self.send_codes(log, worst, &make, after)
    }

    /// UNSUBACK.
    pub(crate) fn send_unsub_ack(
        &mut self,
        log: &Log,
        packet_id: PacketId,
        codes: &[u8],
        after: Position,
    ) -> Result<(), Ending> {
        // Version 3.1.1 has no codes here.
        let codes = if self.version == Version::V5_0 { codes } else { &[] };
        let make = |properties| Packet::UnsubAck(UnsubAck { packet_id, properties, codes });
        self.send_codes(log, ReasonCode::SUCCESS, &make, after)
    }

    fn send_codes<'c>(
        &mut self,
        log: &Log,
        worst: ReasonCode,
        make: &dyn Fn(Properties<'c>) -> Packet<'c>,
        after: Position,
    ) -> Result<(), Ending> {
        let _ = (log, worst, make, after);
        Ok(())
    }
}
