//! rmqtt-codec.

use std::hint::black_box;

use crate::packets::Sample;
use bytes::BytesMut;
use quince_codec::Version;
use rmqtt_codec::{MqttCodec, MqttPacket, v3, v5};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::{BATCH, Contender, Form, batch, work};
use crate::meaning::assert_same;

const NAME: &str = "rmqtt-codec 0.3.1";

fn codec(version: Version) -> MqttCodec {
    match version {
        Version::V5_0 => MqttCodec::V5(v5::Codec::new(0, 0)),
        _ => MqttCodec::V3(v3::Codec::new(0)),
    }
}

#[inline]
fn read(codec: &mut MqttCodec, stream: &mut BytesMut) -> MqttPacket {
    codec
        .decode(stream)
        .expect("a packet")
        .expect("it is whole")
        .0
}

fn clone(packet: &MqttPacket) -> MqttPacket {
    match packet {
        MqttPacket::V3(packet) => MqttPacket::V3(packet.clone()),
        MqttPacket::V5(packet) => MqttPacket::V5(packet.clone()),
        MqttPacket::Version(_) => panic!("no sample"),
    }
}

pub(super) fn decoder(sample: &Sample) -> Contender {
    let mut codec = codec(sample.version);
    let bytes = batch(sample);
    Contender {
        name: NAME,
        form: Form::Slices,
        work: work(
            move |_| BytesMut::from(&bytes[..]),
            move |stream| {
                for _ in 0..BATCH {
                    let packet = read(&mut codec, black_box(stream));
                    black_box(&packet);
                }
                assert!(stream.is_empty());
            },
        ),
    }
}

/// The encoder takes a packet by value: clones of it are made beforehand.
pub(super) fn encoder(sample: &Sample) -> Contender {
    let mut codec = codec(sample.version);
    let packet = read(&mut codec, &mut BytesMut::from(&sample.bytes[..]));
    let mut encoded = BytesMut::new();
    codec
        .encode(clone(&packet), &mut encoded)
        .expect("it can be encoded");
    assert_same(NAME, sample, &encoded);
    let room = sample.bytes.len() * BATCH + 64;
    Contender {
        name: NAME,
        form: Form::Slices,
        work: work(
            move |old: Option<(BytesMut, Vec<MqttPacket>)>| {
                let (mut buffer, mut packets) = old
                    .unwrap_or_else(|| (BytesMut::with_capacity(room), Vec::with_capacity(BATCH)));
                buffer.clear();
                packets.extend((0..BATCH).map(|_| clone(&packet)));
                (buffer, packets)
            },
            move |(buffer, packets)| {
                for packet in packets.drain(..) {
                    codec.encode(packet, buffer).expect("it can be encoded");
                }
                black_box(buffer);
            },
        ),
    }
}
