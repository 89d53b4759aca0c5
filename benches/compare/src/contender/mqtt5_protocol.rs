//! mqtt5-protocol.

use std::hint::black_box;

use crate::packets::Sample;
use ::mqtt5_protocol::packet::{MqttPacket, Packet};
use ::mqtt5_protocol::{FixedHeader, Result};
use bytes::{Buf, Bytes, BytesMut};

use super::{BATCH, Contender, Form, batch, work};
use crate::meaning::assert_same;

const NAME: &str = "mqtt5-protocol 0.16.2";

#[inline]
fn read(stream: &mut Bytes, level: u8) -> Packet {
    let header = FixedHeader::decode(stream).expect("a header");
    let mut body = stream.split_to(header.remaining_length as usize);
    let packet =
        Packet::decode_from_body_with_version(header.packet_type, &header, &mut body, level)
            .expect("a packet");
    assert!(!body.has_remaining());
    packet
}

#[inline]
fn write(packet: &Packet, buffer: &mut BytesMut) -> Result<()> {
    match packet {
        Packet::Connect(packet) => packet.encode(buffer),
        Packet::Publish(packet) => packet.encode(buffer),
        Packet::Subscribe(packet) => packet.encode(buffer),
        _ => panic!("no sample"),
    }
}

pub(super) fn decoder(sample: &Sample) -> Contender {
    let level = sample.version.level();
    let bytes = batch(sample);
    Contender {
        name: NAME,
        form: Form::Owns,
        work: work(
            move |_| Bytes::from(bytes.clone()),
            move |stream| {
                for _ in 0..BATCH {
                    let packet = read(black_box(stream), level);
                    black_box(&packet);
                }
                assert!(stream.is_empty());
            },
        ),
    }
}

pub(super) fn encoder(sample: &Sample) -> Contender {
    let packet = read(
        &mut Bytes::from(sample.bytes.clone()),
        sample.version.level(),
    );
    let mut encoded = BytesMut::new();
    write(&packet, &mut encoded).expect("it can be encoded");
    assert_same(NAME, sample, &encoded);
    let room = sample.bytes.len() * BATCH;
    Contender {
        name: NAME,
        form: Form::Owns,
        work: work(
            move |old: Option<BytesMut>| {
                let mut buffer = old.unwrap_or_else(|| BytesMut::with_capacity(room));
                buffer.clear();
                buffer
            },
            move |buffer| {
                for _ in 0..BATCH {
                    write(black_box(&packet), buffer).expect("it can be encoded");
                }
                black_box(buffer);
            },
        ),
    }
}
