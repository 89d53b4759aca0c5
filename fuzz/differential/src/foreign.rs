//! Other codecs behind one question: what do you make of these bytes?
//!
//! A packet that they take is told in their own words, which is how its fields are compared: encoded by them, it must
//! mean the same to us as the bytes that they were given.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use bytes::{Buf, BytesMut};
use quince_codec::{Frame, Version};

/// A codec that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Foreign {
    /// The module `mqttbytes` of rumqttc, one for each version.
    Rumqttc,
    /// mqtt5-protocol.
    Mqtt5Protocol,
    /// mqtt-protocol-core: its packets; what it checks in its connection only is not asked for.
    MqttProtocolCore,
    /// rmqtt-codec, a descendant of ntex-mqtt.
    Rmqtt,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rumqttc => "rumqttc 0.25.1",
            Self::Mqtt5Protocol => "mqtt5-protocol 0.16.2",
            Self::MqttProtocolCore => "mqtt-protocol-core 0.7.9",
            Self::Rmqtt => "rmqtt-codec 0.3.1",
        })
    }
}

/// What a codec makes of the bytes of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It has no such packet or version, or leaves it to another part of it.
    NotAsked,
    /// It takes them, and this is the packet in its own bytes; `None` if it cannot encode what it took.
    Taken(Option<Vec<u8>>),
    /// It refuses them, in its words.
    Refused(String),
    /// It panics.
    Panicked,
}

impl Foreign {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Rumqttc,
        Self::Mqtt5Protocol,
        Self::MqttProtocolCore,
        Self::Rmqtt,
    ];

    /// What the codec makes of the packet in that version.
    #[must_use]
    pub fn read(self, frame: &Frame, version: Version) -> Reading {
        quietly(|| match (self, version) {
            (Self::Rumqttc, Version::V3_1_1) => rumqttc_4(frame),
            (Self::Rumqttc, Version::V5_0) => rumqttc_5(frame),
            (Self::Mqtt5Protocol, Version::V3_1_1 | Version::V5_0) => {
                mqtt5_protocol(frame, version)
            }
            (Self::MqttProtocolCore, Version::V3_1_1) => mqtt_protocol_core_4(frame),
            (Self::MqttProtocolCore, Version::V5_0) => mqtt_protocol_core_5(frame),
            (Self::Rmqtt, Version::V3_1_1) => rmqtt(frame, &mut rmqtt_codec::v3::Codec::new(0)),
            (Self::Rmqtt, Version::V5_0) => rmqtt(frame, &mut rmqtt_codec::v5::Codec::new(0, 0)),
            (_, Version::V3_1) => Reading::NotAsked,
        })
    }
}

thread_local! {
    static FOREIGN: Cell<bool> = const { Cell::new(false) };
}

/// Takes a panic of foreign code for its answer, though a fuzzer's hook would end the process.
fn quietly(read: impl FnOnce() -> Reading) -> Reading {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !FOREIGN.get() {
                usual(panic);
            }
        }));
    });
    FOREIGN.set(true);
    let reading = catch_unwind(AssertUnwindSafe(read));
    FOREIGN.set(false);
    reading.unwrap_or(Reading::Panicked)
}

fn refused(error: impl fmt::Debug) -> Reading {
    Reading::Refused(format!("{error:?}"))
}

fn rumqttc_4(frame: &Frame) -> Reading {
    use rumqttc::mqttbytes::v4::Packet;
    match Packet::read(&mut BytesMut::from(&frame.bytes()[..]), usize::MAX) {
        Ok(packet) => {
            let mut encoded = BytesMut::new();
            let written = packet.write(&mut encoded, usize::MAX);
            Reading::Taken(written.ok().map(|_| encoded.to_vec()))
        }
        Err(error) => refused(error),
    }
}

fn rumqttc_5(frame: &Frame) -> Reading {
    use rumqttc::v5::mqttbytes::v5::Packet;
    match Packet::read(&mut BytesMut::from(&frame.bytes()[..]), None) {
        Ok(packet) => {
            let mut encoded = BytesMut::new();
            let written = packet.write(&mut encoded, None);
            Reading::Taken(written.ok().map(|_| encoded.to_vec()))
        }
        Err(error) => refused(error),
    }
}

fn mqtt5_protocol(frame: &Frame, version: Version) -> Reading {
    use mqtt5_protocol::FixedHeader;
    use mqtt5_protocol::packet::{MqttPacket, Packet, pingreq, pingresp};
    let mut body = &frame.bytes()[..];
    let decoded = FixedHeader::decode(&mut body).and_then(|header| {
        let level = version.level();
        Packet::decode_from_body_with_version(header.packet_type, &header, &mut body, level)
    });
    let packet = match decoded {
        Ok(packet) => packet,
        Err(error) => return refused(error),
    };
    let mut encoded = Vec::new();
    let written = match &packet {
        // It tells the version itself, and here it is judged as one of its own.
        Packet::Connect(packet) => packet.encode(&mut encoded),
        Packet::ConnAck(packet) => packet.encode(&mut encoded),
        Packet::Publish(packet) => packet.encode(&mut encoded),
        Packet::PubAck(packet) => packet.encode(&mut encoded),
        Packet::PubRec(packet) => packet.encode(&mut encoded),
        Packet::PubRel(packet) => packet.encode(&mut encoded),
        Packet::PubComp(packet) => packet.encode(&mut encoded),
        Packet::Subscribe(packet) => packet.encode(&mut encoded),
        Packet::SubAck(packet) => packet.encode(&mut encoded),
        Packet::Unsubscribe(packet) => packet.encode(&mut encoded),
        Packet::UnsubAck(packet) => packet.encode(&mut encoded),
        Packet::PingReq => pingreq::PingReqPacket::default().encode(&mut encoded),
        Packet::PingResp => pingresp::PingRespPacket::default().encode(&mut encoded),
        Packet::Disconnect(packet) => packet.encode(&mut encoded),
        Packet::Auth(packet) => packet.encode(&mut encoded),
    };
    Reading::Taken(written.ok().map(|()| encoded))
}

/// Parses the body of a frame as that packet.
macro_rules! parse {
    ($packet:ty, $body:expr) => {
        match <$packet>::parse($body) {
            Ok((packet, _)) => Reading::Taken(Some(packet.to_continuous_buffer())),
            Err(error) => refused(error),
        }
    };
    ($packet:ty, $flags:expr, $body:expr) => {
        match <$packet>::parse($flags, $body.into()) {
            Ok((packet, _)) => Reading::Taken(Some(packet.to_continuous_buffer())),
            Err(error) => refused(error),
        }
    };
}

fn mqtt_protocol_core_4(frame: &Frame) -> Reading {
    use mqtt_protocol_core::mqtt::packet::v3_1_1;
    let body = frame.body();
    let flags = frame.flags();
    match frame.bytes().first() {
        Some(0x10) => parse!(v3_1_1::Connect, body),
        Some(0x20) => parse!(v3_1_1::Connack, body),
        Some(0x30..=0x3f) => parse!(v3_1_1::Publish, flags, body),
        Some(0x40) => parse!(v3_1_1::Puback, body),
        Some(0x50) => parse!(v3_1_1::Pubrec, body),
        Some(0x62) => parse!(v3_1_1::Pubrel, body),
        Some(0x70) => parse!(v3_1_1::Pubcomp, body),
        Some(0x82) => parse!(v3_1_1::Subscribe, body),
        Some(0x90) => parse!(v3_1_1::Suback, body),
        Some(0xa2) => parse!(v3_1_1::Unsubscribe, body),
        Some(0xb0) => parse!(v3_1_1::Unsuback, body),
        Some(0xc0) => parse!(v3_1_1::Pingreq, body),
        Some(0xd0) => parse!(v3_1_1::Pingresp, body),
        Some(0xe0) => parse!(v3_1_1::Disconnect, body),
        _ => Reading::NotAsked,
    }
}

fn mqtt_protocol_core_5(frame: &Frame) -> Reading {
    use mqtt_protocol_core::mqtt::packet::v5_0;
    let body = frame.body();
    let flags = frame.flags();
    match frame.bytes().first() {
        Some(0x10) => parse!(v5_0::Connect, body),
        Some(0x20) => parse!(v5_0::Connack, body),
        Some(0x30..=0x3f) => parse!(v5_0::Publish, flags, body),
        Some(0x40) => parse!(v5_0::Puback, body),
        Some(0x50) => parse!(v5_0::Pubrec, body),
        Some(0x62) => parse!(v5_0::Pubrel, body),
        Some(0x70) => parse!(v5_0::Pubcomp, body),
        Some(0x82) => parse!(v5_0::Subscribe, body),
        Some(0x90) => parse!(v5_0::Suback, body),
        Some(0xa2) => parse!(v5_0::Unsubscribe, body),
        Some(0xb0) => parse!(v5_0::Unsuback, body),
        Some(0xc0) => parse!(v5_0::Pingreq, body),
        Some(0xd0) => parse!(v5_0::Pingresp, body),
        Some(0xe0) => parse!(v5_0::Disconnect, body),
        Some(0xf0) => parse!(v5_0::Auth, body),
        _ => Reading::NotAsked,
    }
}

/// Both codecs of rmqtt-codec by what they have in common.
fn rmqtt<C, P>(frame: &Frame, codec: &mut C) -> Reading
where
    C: tokio_util::codec::Decoder<Item = (P, u32), Error: fmt::Debug>
        + tokio_util::codec::Encoder<P>,
{
    let mut bytes = BytesMut::from(&frame.bytes()[..]);
    match codec.decode(&mut bytes) {
        Ok(Some((packet, _))) => {
            assert!(!bytes.has_remaining(), "it takes one whole packet");
            let mut encoded = BytesMut::new();
            let written = codec.encode(packet, &mut encoded);
            Reading::Taken(written.ok().map(|()| encoded.to_vec()))
        }
        Ok(None) => Reading::Refused("incomplete".to_owned()),
        Err(error) => refused(error),
    }
}
