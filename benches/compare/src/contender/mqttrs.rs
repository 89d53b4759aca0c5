//! mqttrs, which knows 3.1.1 only.

use std::hint::black_box;

use crate::packets::Sample;
use ::mqttrs::{decode_slice, encode_slice};
use quince_codec::Version;

use super::{BATCH, Contender, Form, batch, leak, work};
use crate::meaning::assert_same;

const NAME: &str = "mqttrs 0.4.1";

pub(super) fn decoder(sample: &Sample) -> Option<Contender> {
    if sample.version != Version::V3_1_1 {
        return None;
    }
    let length = sample.bytes.len();
    let bytes = batch(sample);
    Some(Contender {
        name: NAME,
        form: Form::Borrows,
        work: work(
            |_| (),
            move |()| {
                for bytes in bytes.chunks_exact(length) {
                    let packet = decode_slice(black_box(bytes)).expect("a packet");
                    black_box(&packet);
                }
            },
        ),
    })
}

pub(super) fn encoder(sample: &Sample) -> Option<Contender> {
    if sample.version != Version::V3_1_1 {
        return None;
    }
    let packet = decode_slice(leak(sample))
        .expect("a packet")
        .expect("it is whole");
    let mut buffer = vec![0; sample.bytes.len() * BATCH];
    let length = encode_slice(&packet, &mut buffer).expect("it fits");
    assert_same(NAME, sample, &buffer[..length]);
    Some(Contender {
        name: NAME,
        form: Form::Borrows,
        work: work(
            |_| (),
            move |()| {
                let mut at = 0;
                for _ in 0..BATCH {
                    at += encode_slice(black_box(&packet), &mut buffer[at..]).expect("it fits");
                }
                black_box(&buffer);
            },
        ),
    })
}
