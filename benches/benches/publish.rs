//! A QoS 0 PUBLISH through the whole core in one thread, without sockets: from the publisher's bytes to those of each
//! subscriber.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quince_codec::{
    Connect, Packet, PacketId, Properties, Publish, QoS, Subscribe, SubscriptionList,
    SubscriptionOptions, Version,
};
use quince_core::bench::VirtualBroker;
use quince_core::{ConnectionId, FlowId};

const VERSION: Version = Version::V3_1_1;

fn send(broker: &mut VirtualBroker, id: ConnectionId, packet: Packet<'_>) {
    let bytes = packet.to_bytes(VERSION).expect("it can be encoded");
    broker.write(id, FlowId::CONTROL, &bytes);
}

fn client(broker: &mut VirtualBroker, client_id: &str) -> ConnectionId {
    let id = broker.connect();
    let connect = Connect {
        version: VERSION,
        clean_start: true,
        keep_alive: 0,
        properties: Properties::EMPTY,
        client_id,
        will: None,
        user_name: None,
        password: None,
    };
    send(broker, id, Packet::Connect(connect));
    id
}

fn subscriber(broker: &mut VirtualBroker, number: usize) -> ConnectionId {
    let id = client(broker, &format!("subscriber-{number}"));
    let mut list = SubscriptionList::new();
    list.push("sensors/+", SubscriptionOptions::default());
    let subscribe = Subscribe {
        packet_id: PacketId::new(1).expect("not zero"),
        properties: Properties::EMPTY,
        subscriptions: list.as_ref(),
    };
    send(broker, id, Packet::Subscribe(subscribe));
    broker.read(id);
    id
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out");
    let message = Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "sensors/one",
        packet_id: None,
        properties: Properties::EMPTY,
        payload: &[b'x'; 16],
    });
    let bytes = message.to_bytes(VERSION).expect("it can be encoded");
    for subscribers in [1, 100_usize] {
        let mut broker = VirtualBroker::default();
        let publisher = client(&mut broker, "publisher");
        let ids: Vec<_> = (0..subscribers)
            .map(|number| subscriber(&mut broker, number))
            .collect();
        group.throughput(Throughput::Elements(subscribers as u64));
        group.bench_function(BenchmarkId::from_parameter(subscribers), |bencher| {
            bencher.iter(|| {
                broker.write(publisher, FlowId::CONTROL, &bytes);
                for &id in &ids {
                    let heard = black_box(broker.read(id));
                    assert_eq!(heard.len(), bytes.len(), "every subscriber has the message");
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = publish;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20);
    targets = fan_out
}
criterion_main!(publish);
