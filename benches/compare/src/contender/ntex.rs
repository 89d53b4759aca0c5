//! ntex-mqtt.

use std::hint::black_box;

use crate::packets::Sample;
use ntex_bytes::{BytePageSize, BytePages, BytesMut};
use ntex_codec::{Decoder, Encoder};
use ntex_mqtt::{v3, v5};
use quince_codec::Version;

use super::{BATCH, Contender, Form, batch, work};
use crate::meaning::assert_same;

const NAME: &str = "ntex-mqtt 9.0.0";

fn encoded5(decoded: v5::codec::Decoded) -> v5::codec::Encoded {
    match decoded {
        v5::codec::Decoded::Packet(packet, _) => v5::codec::Encoded::Packet(packet),
        v5::codec::Decoded::Publish(publish, payload, _) => {
            v5::codec::Encoded::Publish(publish, Some(payload))
        }
        v5::codec::Decoded::PayloadChunk(..) => panic!("no sample"),
    }
}

fn encoded3(decoded: v3::codec::Decoded) -> v3::codec::Encoded {
    match decoded {
        v3::codec::Decoded::Packet(packet, _) => v3::codec::Encoded::Packet(packet),
        v3::codec::Decoded::Publish(publish, payload, _) => {
            v3::codec::Encoded::Publish(publish, Some(payload))
        }
        v3::codec::Decoded::PayloadChunk(..) => panic!("no sample"),
    }
}

pub(super) fn decoder(sample: &Sample) -> Contender {
    match sample.version {
        Version::V5_0 => decoder_of(sample, v5::codec::Codec::new()),
        _ => decoder_of(sample, v3::codec::Codec::new()),
    }
}

pub(super) fn encoder(sample: &Sample) -> Contender {
    match sample.version {
        Version::V5_0 => encoder_of(sample, v5::codec::Codec::new(), encoded5),
        _ => encoder_of(sample, v3::codec::Codec::new(), encoded3),
    }
}

fn decoder_of<C: Decoder + 'static>(sample: &Sample, codec: C) -> Contender {
    let bytes = batch(sample);
    Contender {
        name: NAME,
        form: Form::Slices,
        work: work(
            move |_| BytesMut::copy_from_slice(&bytes),
            move |stream| {
                for _ in 0..BATCH {
                    let packet = codec
                        .decode(black_box(stream))
                        .expect("a packet")
                        .expect("it is whole");
                    black_box(&packet);
                }
                assert!(stream.is_empty());
            },
        ),
    }
}

/// The encoder takes a packet by value: clones of it are made beforehand.
fn encoder_of<C>(
    sample: &Sample,
    codec: C,
    to_encode: fn(<C as Decoder>::Item) -> <C as Encoder>::Item,
) -> Contender
where
    C: Decoder + Encoder + 'static,
    <C as Encoder>::Item: Clone,
{
    let decoded = codec
        .decode(&mut BytesMut::copy_from_slice(&sample.bytes))
        .expect("a packet")
        .expect("it is whole");
    let packet = to_encode(decoded);
    let mut encoded = BytePages::new(BytePageSize::Size64);
    codec
        .encodev(packet.clone(), &mut encoded)
        .expect("it can be encoded");
    assert_same(NAME, sample, &encoded.freeze());
    Contender {
        name: NAME,
        form: Form::Slices,
        work: work(
            move |old: Option<(BytePages, Vec<_>)>| {
                let (mut buffer, mut packets) = old.unwrap_or_else(|| {
                    (
                        BytePages::new(BytePageSize::Size64),
                        Vec::with_capacity(BATCH),
                    )
                });
                buffer.clear();
                packets.extend((0..BATCH).map(|_| packet.clone()));
                (buffer, packets)
            },
            move |(buffer, packets)| {
                for packet in packets.drain(..) {
                    codec.encodev(packet, buffer).expect("it can be encoded");
                }
                black_box(buffer);
            },
        ),
    }
}
