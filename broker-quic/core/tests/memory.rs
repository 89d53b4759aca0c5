//! What a message costs that outlives the batch it came in: at most twice its own size.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use allocation_counter::measure;
use quince_codec::{
    Connect, Packet, PacketId, Properties, Publish, QoS, Subscribe, SubscriptionList,
    SubscriptionOptions, Version,
};
use quince_core::bench::VirtualBroker;
use quince_core::{Config, ConnectionId, FlowId, Hub};

/// Bytes of a batch, as a driver reads them.
const BATCH: usize = 64 * 1024;
const BATCHES: usize = 400;
const VERSION: Version = Version::V5_0;

fn bytes(packet: Packet<'_>) -> Vec<u8> {
    packet
        .to_bytes(VERSION)
        .expect("it can be encoded")
        .to_vec()
}

fn publish(topic: &str, retain: bool, payload: &[u8]) -> Vec<u8> {
    bytes(Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain,
        topic,
        packet_id: None,
        properties: Properties::EMPTY,
        payload,
    }))
}

fn connect(broker: &mut VirtualBroker, client_id: &str, version: Version) -> ConnectionId {
    let id = broker.connect();
    let hello = Packet::Connect(Connect {
        version,
        clean_start: false,
        keep_alive: 0,
        properties: Properties::EMPTY,
        client_id,
        will: None,
        user_name: None,
        password: None,
    });
    let hello = hello.to_bytes(version).expect("it can be encoded");
    broker.write(id, FlowId::CONTROL, &hello);
    assert!(!broker.read(id).is_empty(), "no CONNACK");
    id
}

/// The small message first, then messages that nobody wants.
fn batch(topic: &str, retain: bool) -> Vec<u8> {
    let mut batch = publish(topic, retain, b"0123456789abcdef");
    let filler = publish("nobody/listens", false, &[b'x'; 1000]);
    while batch.len() + filler.len() <= BATCH {
        batch.extend_from_slice(&filler);
    }
    batch
}

/// What the heap grew by when the batches had gone through, and what the broker says that the messages occupy.
///
/// The growth has the publisher's receive buffer in it, once: as much as a batch.
fn cost(broker: &mut VirtualBroker, topics: &[String], retain: bool) -> (usize, usize) {
    let publisher = connect(broker, "publisher", VERSION);
    // Buffers and tables have their size after this.
    broker.write(publisher, FlowId::CONTROL, &batch("warm/up", false));
    let hub: Arc<Hub> = Arc::clone(broker.hub());
    let before = hub.figures().buffered_bytes;
    let counted = measure(|| {
        for topic in topics {
            broker.write(publisher, FlowId::CONTROL, &batch(topic, retain));
        }
        broker.read(publisher);
    });
    let grown = usize::try_from(counted.bytes_current).expect("it has grown");
    (grown, hub.figures().buffered_bytes - before)
}

fn topics() -> Vec<String> {
    (0..BATCHES)
        .map(|number| format!("kept/{number}"))
        .collect()
}

#[test]
fn a_retained_message_costs_at_most_twice_its_own_size() {
    let mut broker = VirtualBroker::new(Config::default());
    let (grown, own) = cost(&mut broker, &topics(), true);
    assert_eq!(broker.hub().figures().retained_messages, BATCHES);
    // Message, topic and payload are there, and nothing of the batches.
    assert!(own >= BATCHES * (16 + 6), "{own}");
    assert!(
        grown <= 2 * own + BATCH,
        "{grown} bytes for messages of {own}"
    );
}

#[test]
fn a_queued_message_costs_at_most_twice_its_own_size() {
    let mut broker = VirtualBroker::new(Config::default());
    let stored = connect(&mut broker, "stored", Version::V3_1_1);
    let mut list = SubscriptionList::new();
    list.push("kept/+", SubscriptionOptions::default());
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(1).expect("not zero"),
        properties: Properties::EMPTY,
        subscriptions: list.as_ref(),
    });
    let subscribe = subscribe.to_bytes(Version::V3_1_1).expect("encodes");
    broker.write(stored, FlowId::CONTROL, &subscribe);
    broker.abort(stored);
    let (grown, own) = cost(&mut broker, &topics(), false);
    assert!(own >= BATCHES * (16 + 6), "{own}");
    // The queue is a table that doubles, with an entry of up to 128 bytes for each message.
    let queue = 128 * BATCHES.next_power_of_two();
    assert!(
        grown <= 2 * own + BATCH + queue,
        "{grown} bytes for messages of {own}"
    );
}
