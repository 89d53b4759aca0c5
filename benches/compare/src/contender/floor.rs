//! The floor, and the copying of bytes that are already there.

use std::hint::black_box;

use crate::packets::Sample;
use quince_codec::Version;

use super::{BATCH, Contender, Form, batch, cleared, leak, work};
use crate::floor::{Packet, decode, encode};

fn packet(bytes: &[u8], version: Version) -> Packet<'_> {
    decode(bytes, version == Version::V5_0).expect("a packet")
}

pub(super) fn decoder(sample: &Sample) -> Contender {
    let version = sample.version;
    let length = sample.bytes.len();
    let mut encoded = Vec::new();
    encode(&packet(&sample.bytes, version), &mut encoded).expect("it can be encoded");
    assert_eq!(encoded, sample.bytes, "{}", sample.name);
    let bytes = batch(sample);
    Contender {
        name: "floor, by hand, borrowed",
        form: Form::Borrows,
        work: work(
            |_| (),
            move |()| {
                for bytes in bytes.chunks_exact(length) {
                    let packet = packet(black_box(bytes), version);
                    black_box(&packet);
                }
            },
        ),
    }
}

pub(super) fn encoder(sample: &Sample) -> Contender {
    let packet = packet(leak(sample), sample.version);
    Contender {
        name: "floor, by hand",
        form: Form::Borrows,
        work: work(cleared(sample), move |buffer: &mut Vec<u8>| {
            for _ in 0..BATCH {
                encode(black_box(&packet), buffer).expect("it can be encoded");
            }
            black_box(buffer);
        }),
    }
}

pub(super) fn copy(sample: &Sample) -> Contender {
    let bytes = leak(sample);
    Contender {
        name: "copy of the encoded bytes, for reference",
        form: Form::Borrows,
        work: work(cleared(sample), move |buffer: &mut Vec<u8>| {
            for _ in 0..BATCH {
                buffer.extend_from_slice(black_box(bytes));
            }
            black_box(buffer);
        }),
    }
}
