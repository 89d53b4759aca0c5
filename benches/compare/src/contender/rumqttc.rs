//! rumqttc's codec, which is mqttbytes.

use std::hint::black_box;

use crate::packets::Sample;
use bytes::BytesMut;
use quince_codec::Version;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::{BATCH, Contender, Form, batch, work};
use crate::meaning::assert_same;

const NAME: &str = "rumqttc 0.25.1 (mqttbytes)";

#[derive(Clone)]
enum Packet {
    V4(v4::Packet),
    V5(v5::Packet),
}

#[inline]
fn read(stream: &mut BytesMut, version: Version) -> Packet {
    match version {
        Version::V5_0 => Packet::V5(v5::Packet::read(stream, None).expect("a packet")),
        _ => Packet::V4(v4::Packet::read(stream, usize::MAX).expect("a packet")),
    }
}

#[inline]
fn write(packet: &Packet, buffer: &mut BytesMut) {
    match packet {
        Packet::V5(packet) => packet.write(buffer, None).expect("it can be encoded"),
        Packet::V4(packet) => packet.write(buffer, usize::MAX).expect("it can be encoded"),
    };
}

pub(super) fn decoder(sample: &Sample) -> Contender {
    let version = sample.version;
    let bytes = batch(sample);
    Contender {
        name: NAME,
        form: Form::Slices,
        work: work(
            move |_| BytesMut::from(&bytes[..]),
            move |stream| {
                for _ in 0..BATCH {
                    let packet = read(black_box(stream), version);
                    black_box(&packet);
                }
                assert!(stream.is_empty());
            },
        ),
    }
}

pub(super) fn encoder(sample: &Sample) -> Contender {
    let packet = read(&mut BytesMut::from(&sample.bytes[..]), sample.version);
    let mut encoded = BytesMut::new();
    write(&packet, &mut encoded);
    assert_same(NAME, sample, &encoded);
    let room = sample.bytes.len() * BATCH;
    Contender {
        name: NAME,
        form: Form::Slices,
        work: work(
            move |old: Option<BytesMut>| {
                let mut buffer = old.unwrap_or_else(|| BytesMut::with_capacity(room));
                buffer.clear();
                buffer
            },
            move |buffer| {
                for _ in 0..BATCH {
                    write(black_box(&packet), buffer);
                }
                black_box(buffer);
            },
        ),
    }
}
