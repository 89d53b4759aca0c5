//! Decoding into the borrowed view, and encoding, in bytes per second; and the same of packets that grow, where the rate
//! must not fall.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quince_benches::samples;
use quince_codec::{
    Frame, Packet, PacketId, Properties, Property, PropertyList, Publish, QoS, Subscribe,
    SubscriptionList, SubscriptionOptions, Version,
};

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

/// A PUBLISH of 5.0 at QoS 0.
fn publish(properties: Properties<'_>, payload: &[u8]) -> Bytes {
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "sensors/one",
        packet_id: None,
        properties,
        payload,
    };
    let packet = Packet::Publish(publish);
    packet.to_bytes(Version::V5_0).expect("it can be encoded")
}

fn with_properties(property: Property<'_>, count: usize) -> Bytes {
    let properties: PropertyList = std::iter::repeat_n(property, count).collect();
    publish(properties.as_properties(), b"payload")
}

fn with_filters(count: usize) -> Bytes {
    let mut list = SubscriptionList::new();
    for _ in 0..count {
        list.push("sensors/+/temperature", SubscriptionOptions::default());
    }
    let packet = Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(7).expect("not zero"),
        properties: Properties::EMPTY,
        subscriptions: list.as_ref(),
    });
    packet.to_bytes(Version::V5_0).expect("it can be encoded")
}

/// A kind of packet with a number of parts.
type Growing = (&'static str, fn(usize) -> Bytes);

/// Packets of 10 to 100,000 parts: linear time is a rate that stays.
fn growing(criterion: &mut Criterion) {
    let kinds: [Growing; 4] = [
        ("User Properties", |count| {
            with_properties(Property::UserProperty("key", "value-of-a-key"), count)
        }),
        ("Subscription Identifiers", |count| {
            with_properties(Property::SubscriptionIdentifier(7), count)
        }),
        ("Topic Filters", with_filters),
        ("payload bytes", |count| {
            publish(Properties::EMPTY, &vec![b'x'; count])
        }),
    ];
    for (name, make) in kinds {
        let mut group = criterion.benchmark_group(format!("growing/{name}"));
        for count in [10, 100, 1_000, 10_000, 100_000] {
            let frame = Frame::parse(make(count)).expect("one packet");
            group.throughput(Throughput::Bytes(frame.bytes().len() as u64));
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                bencher.iter(|| black_box(black_box(&frame).decode(Version::V5_0).is_ok()));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = codec;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20);
    targets = decode, encode, growing
}
criterion_main!(codec);
