//! What comes and goes leaves nothing behind: after a warm-up the heap is the same after any number of rounds.
//!
//! The rounds of `ROUNDS` are for every day; `GROWTH_ROUNDS=1000000 cargo test --release -p quince-core --test growth`
//! plays as many as one likes.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use core::time::Duration;

use allocation_counter::measure;
use quince_codec::{
    Acknowledgement, Connect, Disconnect, FilterList, Packet, PacketId, Properties, Property,
    PropertyList, Publish, QoS, ReasonCode, Subscribe, SubscriptionList, SubscriptionOptions,
    Unsubscribe, Version, Will,
};
use quince_core::bench::VirtualBroker;
use quince_core::{Config, ConnectionId, FlowEnd, FlowId};

const ROUNDS: u32 = 10_000;
/// Rounds until buffers and tables have the size that they keep.
const WARM_UP: u32 = 1_000;
const VERSION: Version = Version::V5_0;

fn rounds() -> u32 {
    std::env::var("GROWTH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number of rounds"))
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    let bytes = packet.to_bytes(VERSION);
    bytes.expect("it can be encoded").to_vec()
}

fn id() -> PacketId {
    PacketId::new(7).expect("not zero")
}

fn expiry(seconds: u32) -> PropertyList {
    let mut list = PropertyList::new();
    list.push(Property::SessionExpiryInterval(seconds));
    list
}

/// The session is stored for `seconds`.
fn hello(name: &str, keep_alive: u16, seconds: u32, will: bool) -> Vec<u8> {
    let properties = expiry(seconds);
    bytes(&Packet::Connect(Connect {
        version: VERSION,
        clean_start: false,
        keep_alive,
        properties: properties.as_properties(),
        client_id: name,
        will: will.then_some(Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::EMPTY,
            topic: "will",
            payload: b"gone",
        }),
        user_name: None,
        password: None,
    }))
}

fn publish(topic: &str, qos: QoS, retain: bool, payload: &[u8]) -> Vec<u8> {
    bytes(&Packet::Publish(Publish {
        dup: false,
        qos,
        retain,
        topic,
        packet_id: (qos > QoS::AtMostOnce).then(id),
        properties: Properties::EMPTY,
        payload,
    }))
}

fn subscribe(filters: &[&str]) -> Vec<u8> {
    let mut subscriptions = SubscriptionList::new();
    for filter in filters {
        let options = SubscriptionOptions {
            qos: QoS::ExactlyOnce,
            ..SubscriptionOptions::default()
        };
        subscriptions.push(filter, options);
    }
    bytes(&Packet::Subscribe(Subscribe {
        packet_id: id(),
        properties: Properties::EMPTY,
        subscriptions: subscriptions.as_ref(),
    }))
}

fn unsubscribe(filters: &[&str]) -> Vec<u8> {
    let mut list = FilterList::new();
    for filter in filters {
        list.push(filter);
    }
    bytes(&Packet::Unsubscribe(Unsubscribe {
        packet_id: id(),
        properties: Properties::EMPTY,
        filters: list.as_ref(),
    }))
}

fn acknowledgement() -> Acknowledgement<'static> {
    Acknowledgement {
        packet_id: id(),
        reason_code: ReasonCode::SUCCESS,
        properties: Properties::EMPTY,
    }
}

/// A client that has connected, with an answer to `bytes` demanded each time.
struct Client(ConnectionId);

impl Client {
    fn connect(broker: &mut VirtualBroker, hello: &[u8]) -> Self {
        let client = Self(broker.connect());
        assert_eq!(client.ask(broker, hello)[0] >> 4, 2, "no CONNACK");
        client
    }

    fn send(&self, broker: &mut VirtualBroker, bytes: &[u8]) {
        broker.write(self.0, FlowId::CONTROL, bytes);
    }

    fn ask(&self, broker: &mut VirtualBroker, bytes: &[u8]) -> Vec<u8> {
        self.send(broker, bytes);
        let answer = broker.read(self.0);
        assert!(!answer.is_empty(), "no answer");
        answer
    }
}

/// Plays `round` until nothing should grow any more, and then many times more: the heap must not have grown by a byte.
fn grows_by_nothing(broker: &mut VirtualBroker, mut round: impl FnMut(&mut VirtualBroker, u32)) {
    for number in 0..WARM_UP {
        round(broker, number);
    }
    let measured = measure(|| {
        for number in 0..rounds() {
            round(broker, number);
        }
    });
    assert_eq!(measured.bytes_current, 0, "bytes more than before");
    assert!(measured.count_total > 0, "nothing was played");
}

#[test]
fn subscriptions_that_come_and_go() {
    let mut broker = VirtualBroker::default();
    let client = Client::connect(&mut broker, &hello("a", 0, 0, false));
    let other = Client::connect(&mut broker, &hello("b", 0, 0, false));
    grows_by_nothing(&mut broker, |broker, number| {
        // New levels and new groups each time.
        let (deep, share) = (format!("t/{number}/+"), format!("$share/g{number}/t/#"));
        let filters = ["t/1", "t/+/x", "#", &deep, &share];
        let (on, off) = (subscribe(&filters), unsubscribe(&filters));
        for client in [&client, &other] {
            client.ask(broker, &on);
        }
        for client in [&client, &other] {
            client.ask(broker, &off);
        }
    });
}

#[test]
fn a_day_of_keep_alives() {
    let mut broker = VirtualBroker::default();
    let client = Client::connect(&mut broker, &hello("a", 60, 0, false));
    let ping = bytes(&Packet::PingReq);
    grows_by_nothing(&mut broker, |broker, _| {
        broker.advance(Duration::from_secs(50));
        client.ask(broker, &ping);
    });
    assert!(!broker.is_closed(client.0));
    // 50 seconds by 1,728 rounds are a day.
    assert!(broker.now().as_millis() > 24 * 60 * 60 * 1000);
}

#[test]
fn messages_of_every_qos() {
    let mut broker = VirtualBroker::default();
    let receiver = Client::connect(&mut broker, &hello("a", 0, 60, false));
    let sender = Client::connect(&mut broker, &hello("b", 0, 60, false));
    receiver.ask(&mut broker, &subscribe(&["t"]));
    grows_by_nothing(&mut broker, |broker, _| {
        sender.send(broker, &publish("t", QoS::AtMostOnce, false, b"0"));
        assert_eq!(broker.read(receiver.0)[0], 0x30);
        sender.ask(broker, &publish("t", QoS::AtLeastOnce, false, b"1"));
        // The receiver's identifier is the broker's to choose.
        let number = |message: &[u8]| PacketId::new(u16::from_be_bytes([message[5], message[6]]));
        let step = |number: Option<PacketId>| Acknowledgement {
            packet_id: number.expect("not zero"),
            ..acknowledgement()
        };
        let message = broker.read(receiver.0);
        assert_eq!(message[0], 0x32);
        receiver.send(broker, &bytes(&Packet::PubAck(step(number(&message)))));
        sender.ask(broker, &publish("t", QoS::ExactlyOnce, false, b"2"));
        sender.ask(broker, &bytes(&Packet::PubRel(acknowledgement())));
        let message = broker.read(receiver.0);
        assert_eq!(message[0], 0x34);
        let number = number(&message);
        receiver.ask(broker, &bytes(&Packet::PubRec(step(number))));
        receiver.send(broker, &bytes(&Packet::PubComp(step(number))));
    });
}

#[test]
fn retained_messages_that_are_set_and_removed() {
    let mut broker = VirtualBroker::default();
    let client = Client::connect(&mut broker, &hello("a", 0, 0, false));
    grows_by_nothing(&mut broker, |broker, number| {
        let topic = format!("kept/{number}");
        for payload in [b"something".as_slice(), b"else", b""] {
            client.ask(broker, &publish(&topic, QoS::AtLeastOnce, true, payload));
        }
    });
    assert_eq!(broker.hub().figures().retained_messages, 0);
}

#[test]
fn clients_that_come_and_go_with_and_without_wills() {
    let mut broker = VirtualBroker::default();
    let witness = Client::connect(&mut broker, &hello("witness", 0, 0, false));
    witness.ask(&mut broker, &subscribe(&["will"]));
    grows_by_nothing(&mut broker, |broker, number| {
        // Cut off, with a will.
        let cut = Client::connect(broker, &hello("cut", 0, 0, true));
        broker.forget(cut.0);
        let will = broker.read(witness.0);
        assert_eq!(will[0], 0x32);
        let mut ack = acknowledgement();
        let at = will.len() - 7;
        ack.packet_id = PacketId::new(u16::from_be_bytes([will[at], will[at + 1]])).expect("one");
        witness.send(broker, &bytes(&Packet::PubAck(ack)));
        // Gone in order.
        let tidy = Client::connect(broker, &hello("tidy", 0, 0, true));
        let bye = Packet::Disconnect(Disconnect {
            reason_code: ReasonCode::SUCCESS,
            properties: Properties::EMPTY,
        });
        tidy.send(broker, &bytes(&bye));
        broker.forget(tidy.0);
        assert!(broker.read(witness.0).is_empty());
        // A new client each time, whose session outlives it for a second.
        let passing = Client::connect(broker, &hello(&format!("passing {number}"), 0, 1, false));
        passing.ask(broker, &subscribe(&["t/#"]));
        broker.forget(passing.0);
        broker.advance(Duration::from_secs(2));
    });
    assert_eq!(broker.hub().figures().sessions, 1);
}

#[test]
fn sessions_that_are_resumed_before_they_end() {
    let mut broker = VirtualBroker::default();
    grows_by_nothing(&mut broker, |broker, _| {
        let client = Client::connect(broker, &hello("a", 0, u32::MAX - 1, true));
        broker.advance(Duration::from_secs(1));
        broker.forget(client.0);
        broker.advance(Duration::from_secs(1));
    });
    assert_eq!(broker.hub().figures().sessions, 1);
}

#[test]
fn takeovers() {
    let mut broker = VirtualBroker::default();
    let mut owner = Client::connect(&mut broker, &hello("a", 0, 60, false));
    owner.ask(&mut broker, &subscribe(&["t"]));
    grows_by_nothing(&mut broker, |broker, _| {
        let next = Client::connect(broker, &hello("a", 0, 60, false));
        assert!(broker.is_closed(owner.0));
        broker.forget(owner.0);
        owner = next;
    });
}

#[test]
fn data_flows_that_are_opened_and_reset() {
    let config = Config {
        data_flows: 15,
        ..Config::default()
    };
    let mut broker = VirtualBroker::new(config);
    let client = Client::connect(&mut broker, &hello("a", 0, 0, false));
    let mut next = 1;
    grows_by_nothing(&mut broker, |broker, number| {
        let flow = FlowId::new(next);
        next += 1;
        broker.open_flow(client.0, flow);
        broker.write(client.0, flow, &subscribe(&["t/#"]));
        assert_eq!(broker.read_flow(client.0, flow)[0], 0x90);
        broker.write(client.0, flow, &publish("u", QoS::ExactlyOnce, false, b"x"));
        if number % 2 == 0 {
            broker.reset_flow(client.0, flow, 0);
            assert!(matches!(
                broker.flow_end(client.0, flow),
                Some(FlowEnd::Aborted(_))
            ));
        } else {
            broker.finish_flow(client.0, flow);
            assert_eq!(broker.flow_end(client.0, flow), Some(FlowEnd::Finished));
        }
        broker.forget_flow(client.0, flow);
    });
    assert!(!broker.is_closed(client.0));
}
