//! mqtt-protocol-core.

use std::hint::black_box;
use std::sync::Arc;

use crate::packets::Sample;
use ::mqtt_protocol_core::mqtt::packet::{v3_1_1, v5_0};
use quince_codec::Version;

use super::{BATCH, Contender, Form, batch, work};
use crate::meaning::assert_same;

const NAME: &str = "mqtt-protocol-core 0.7.9";

enum Packet {
    Publish4(v3_1_1::Publish),
    Publish5(v5_0::Publish),
    Subscribe5(v5_0::Subscribe),
    Connect4(v3_1_1::Connect),
    Connect5(v5_0::Connect),
}

/// PUBLISH is decoded from an `Arc<[u8]>` of its own, as the crate's packet builder makes it.
#[inline]
fn read(bytes: &[u8], version: Version) -> Packet {
    let first = bytes[0];
    let header = 1
        + bytes[1..]
            .iter()
            .position(|byte| byte & 0x80 == 0)
            .expect("a length")
        + 1;
    let body = &bytes[header..];
    let v5 = version == Version::V5_0;
    let (packet, length) = match (first >> 4, v5) {
        (3, false) => {
            let (packet, length) =
                v3_1_1::Publish::parse(first & 0x0f, Arc::from(body)).expect("a packet");
            (Packet::Publish4(packet), length)
        }
        (3, true) => {
            let (packet, length) =
                v5_0::Publish::parse(first & 0x0f, Arc::from(body)).expect("a packet");
            (Packet::Publish5(packet), length)
        }
        (8, true) => {
            let (packet, length) = v5_0::Subscribe::parse(body).expect("a packet");
            (Packet::Subscribe5(packet), length)
        }
        (1, false) => {
            let (packet, length) = v3_1_1::Connect::parse(body).expect("a packet");
            (Packet::Connect4(packet), length)
        }
        (1, true) => {
            let (packet, length) = v5_0::Connect::parse(body).expect("a packet");
            (Packet::Connect5(packet), length)
        }
        _ => panic!("no sample"),
    };
    assert_eq!(length, body.len());
    packet
}

#[inline]
fn write(packet: &Packet) -> Vec<u8> {
    match packet {
        Packet::Publish4(packet) => packet.to_continuous_buffer(),
        Packet::Publish5(packet) => packet.to_continuous_buffer(),
        Packet::Subscribe5(packet) => packet.to_continuous_buffer(),
        Packet::Connect4(packet) => packet.to_continuous_buffer(),
        Packet::Connect5(packet) => packet.to_continuous_buffer(),
    }
}

pub(super) fn decoder(sample: &Sample) -> Contender {
    let version = sample.version;
    let length = sample.bytes.len();
    let bytes = batch(sample);
    Contender {
        name: NAME,
        form: Form::Owns,
        work: work(
            |_| (),
            move |()| {
                for bytes in bytes.chunks_exact(length) {
                    let packet = read(black_box(bytes), version);
                    black_box(&packet);
                }
            },
        ),
    }
}

pub(super) fn encoder(sample: &Sample) -> Contender {
    let packet = read(&sample.bytes, sample.version);
    assert_same(NAME, sample, &write(&packet));
    Contender {
        name: NAME,
        form: Form::Owns,
        work: work(
            |_| (),
            move |()| {
                for _ in 0..BATCH {
                    black_box(&write(black_box(&packet)));
                }
            },
        ),
    }
}
