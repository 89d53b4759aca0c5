//! This codec.

use std::hint::black_box;

use crate::packets::Sample;
use quince_codec::{Framer, Packet, Property, PropertyList, Publish};

use super::{BATCH, Contender, Form, batch, cleared, leak, work};
use crate::meaning::assert_same;

/// From plain bytes into the borrowed view.
pub(super) fn view(sample: &Sample) -> Contender {
    let version = sample.version;
    let length = sample.bytes.len();
    let packet = Packet::decode(&sample.bytes, version).expect("a packet");
    let encoded = packet.to_bytes(version).expect("it can be encoded");
    assert_eq!(encoded, sample.bytes, "{}", sample.name);
    let bytes = batch(sample);
    Contender {
        name: "Quince, borrowed view",
        form: Form::Borrows,
        work: work(
            |_| (),
            move |()| {
                for bytes in bytes.chunks_exact(length) {
                    let packet = Packet::decode(black_box(bytes), version).expect("a packet");
                    black_box(&packet);
                }
            },
        ),
    }
}

/// From a stream, through the framer, into the owned form.
pub(super) fn owned(sample: &Sample) -> Contender {
    let name = "Quince, owned";
    let version = sample.version;
    let bytes = batch(sample);
    let mut framer = Framer::new(u32::MAX);
    framer.push(&sample.bytes);
    let frame = framer.next_frame().expect("a frame").expect("it is whole");
    let owned = frame.into_owned(version).expect("a packet");
    let encoded = owned.packet().to_bytes(version).expect("it can be encoded");
    assert_same(name, sample, &encoded);
    Contender {
        name,
        form: Form::Slices,
        work: work(
            move |_| {
                let mut framer = Framer::new(u32::MAX);
                framer.push(&bytes);
                framer
            },
            move |framer: &mut Framer| {
                for _ in 0..BATCH {
                    let frame = framer.next_frame().expect("a frame").expect("it is whole");
                    let owned = black_box(frame).into_owned(version).expect("a packet");
                    black_box(&owned);
                }
                assert_eq!(framer.buffered(), 0);
            },
        ),
    }
}

/// A packet that exists, its properties in a block.
pub(super) fn encoder(sample: &Sample) -> Contender {
    let version = sample.version;
    let packet = Packet::decode(leak(sample), version).expect("a packet");
    let mut encoded = Vec::new();
    packet.encode(version, &mut encoded).expect("it fits");
    assert_eq!(encoded, sample.bytes, "{}", sample.name);
    Contender {
        name: "Quince",
        form: Form::Borrows,
        work: work(cleared(sample), move |buffer: &mut Vec<u8>| {
            for _ in 0..BATCH {
                black_box(&packet).encode(version, buffer).expect("it fits");
            }
            black_box(buffer);
        }),
    }
}

/// A PUBLISH whose properties are put together for each packet, in a list that is used again.
pub(super) fn encoder_with_properties(sample: &Sample) -> Option<Contender> {
    let version = sample.version;
    let Ok(Packet::Publish(publish)) = Packet::decode(leak(sample), version) else {
        return None;
    };
    let properties: Vec<Property<'static>> = publish.properties.iter().collect();
    if properties.is_empty() {
        return None;
    }
    let mut list = PropertyList::new();
    let encode = move |buffer: &mut Vec<u8>| {
        list.clear();
        list.extend(black_box(&properties).iter().copied());
        let properties = list.as_properties();
        let packet = Packet::Publish(Publish {
            properties,
            ..publish
        });
        packet.encode(version, buffer).expect("it fits");
    };
    let mut encoded = Vec::new();
    encode.clone()(&mut encoded);
    assert_eq!(encoded, sample.bytes, "{}", sample.name);
    let mut encode = encode;
    Some(Contender {
        name: "Quince, properties put together each time",
        form: Form::Borrows,
        work: work(cleared(sample), move |buffer: &mut Vec<u8>| {
            for _ in 0..BATCH {
                encode(buffer);
            }
            black_box(buffer);
        }),
    })
}
