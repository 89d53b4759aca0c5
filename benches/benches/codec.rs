//! Decoding into the borrowed view, and encoding, in bytes per second.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quince_benches::samples;
use quince_codec::Frame;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for sample in samples() {
        let frame = Frame::parse(Bytes::from(sample.bytes)).expect("one packet");
        group.throughput(Throughput::Bytes(frame.bytes().len() as u64));
        group.bench_function(sample.name, |bencher| {
            bencher.iter(|| black_box(black_box(&frame).decode(sample.version).is_ok()));
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for sample in samples() {
        let frame = Frame::parse(Bytes::from(sample.bytes)).expect("one packet");
        let packet = frame.decode(sample.version).expect("a packet");
        let mut buffer = Vec::with_capacity(1024);
        group.throughput(Throughput::Bytes(frame.bytes().len() as u64));
        group.bench_function(sample.name, |bencher| {
            bencher.iter(|| {
                buffer.clear();
                black_box(&packet)
                    .encode(sample.version, &mut buffer)
                    .expect("it fits");
                black_box(buffer.as_slice());
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = codec;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20);
    targets = decode, encode
}
criterion_main!(codec);
