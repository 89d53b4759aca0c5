//! Whatever clients send, nothing panics, nobody else suffers, and nothing is left behind.

use proptest::prelude::*;
use quince_codec::{Packet, Property, Publish, QoS, RetainHandling, SubscriptionOptions, Version};

use crate::net::{
    Client, Farewell, Net, Q0, Q1, Q2, V3, V5, ack_with, farewell, hello, options, publish,
};

/// Something that a client or the network does.
#[derive(Clone, Debug)]
enum Act {
    Dial {
        name: usize,
        version: Version,
        clean: bool,
        expiry: u32,
        will: bool,
    },
    Publish {
        qos: QoS,
        number: u16,
        topic: usize,
        retain: bool,
        dup: bool,
        alias: Option<u16>,
    },
    Acknowledge {
        kind: u8,
        number: u16,
        code: u8,
    },
    Subscribe {
        filter: usize,
        qos: QoS,
        no_local: bool,
    },
    Unsubscribe {
        filter: usize,
    },
    Bytes(Vec<u8>),
    Room(Option<usize>),
    Disconnect {
        code: u8,
    },
    Abort,
    Wait(u64),
}

const NAMES: [&str; 3] = ["a", "b", ""];
const TOPICS: [&str; 4] = ["t", "t/u", "$x", "v"];
const FILTERS: [&str; 6] = ["t", "t/#", "+", "$share/g/t", "#", "a/#/b"];

fn qos() -> impl Strategy<Value = QoS> {
    prop::sample::select(vec![Q0, Q1, Q2])
}

fn act() -> impl Strategy<Value = Act> {
    let version = prop::sample::select(vec![V3, V5]);
    prop_oneof![
        2 => (0..3_usize, version, any::<bool>(), 0..3_u32, any::<bool>())
            .prop_map(|(name, version, clean, expiry, will)| Act::Dial { name, version, clean, expiry, will }),
        6 => (qos(), 1..5_u16, 0..4_usize, any::<bool>(), any::<bool>(), prop::option::of(0..34_u16))
            .prop_map(|(qos, number, topic, retain, dup, alias)| Act::Publish {
                qos, number, topic, retain, dup: dup && qos > Q0, alias,
            }),
        6 => (0..4_u8, 1..5_u16, prop::sample::select(vec![0, 0x80]))
            .prop_map(|(kind, number, code)| Act::Acknowledge { kind, number, code }),
        4 => (0..6_usize, qos(), any::<bool>())
            .prop_map(|(filter, qos, no_local)| Act::Subscribe { filter, qos, no_local }),
        1 => (0..6_usize).prop_map(|filter| Act::Unsubscribe { filter }),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Act::Bytes),
        1 => prop::option::of(0..50_usize).prop_map(Act::Room),
        1 => prop::sample::select(vec![0, 4, 0x81]).prop_map(|code| Act::Disconnect { code }),
        1 => Just(Act::Abort),
        1 => (0..3_000_u64).prop_map(Act::Wait),
    ]
}

fn perform(net: &mut Net, clients: &mut Vec<(Client, Version)>, which: usize, act: Act) {
    if let Act::Dial {
        name,
        version,
        clean,
        expiry,
        will,
    } = act
    {
        let mut greeting = hello(version, NAMES[name]).expiry(expiry);
        greeting.clean = clean;
        greeting.keep_alive = 2;
        if will {
            greeting.will = Some(Farewell {
                qos: Q1,
                ..farewell("t", "will")
            });
        }
        clients.push((net.dial(&greeting), version));
        return;
    }
    if clients.is_empty() {
        return;
    }
    let (client, version) = clients[which % clients.len()];
    match act {
        Act::Dial { .. } => {}
        Act::Publish {
            qos,
            number,
            topic,
            retain,
            dup,
            alias,
        } => {
            let packet = Publish {
                retain,
                dup,
                ..publish(qos, number, TOPICS[topic], "x")
            };
            let alias = alias.filter(|_| version == V5).map(Property::TopicAlias);
            net.publish_with(client, packet, &alias.into_iter().collect::<Vec<_>>());
        }
        Act::Acknowledge { kind, number, code } => {
            let ack = ack_with(number, if version == V5 && kind < 2 { code } else { 0 });
            let packet = match kind {
                0 => Packet::PubAck(ack),
                1 => Packet::PubRec(ack),
                2 => Packet::PubRel(ack),
                _ => Packet::PubComp(ack),
            };
            net.send(client, &packet);
        }
        Act::Subscribe {
            filter,
            qos,
            no_local,
        } => {
            let options = match version {
                Version::V3_1 | Version::V3_1_1 => options(qos),
                Version::V5_0 => SubscriptionOptions {
                    no_local,
                    retain_handling: RetainHandling::SendIfNew,
                    ..options(qos)
                },
            };
            net.subscribe_with(client, 1, &[], &[(FILTERS[filter], options)]);
        }
        Act::Unsubscribe { filter } => net.unsubscribe(client, 2, &[FILTERS[filter]]),
        Act::Bytes(bytes) => net.raw(client, &bytes),
        Act::Room(room) => net.broker.set_room(client, room),
        Act::Disconnect { code } => {
            net.disconnect(client, if version == V5 { code } else { 0 }, &[])
        }
        Act::Abort => net.abort(client),
        Act::Wait(milliseconds) => net.wait_millis(milliseconds),
    }
}

proptest! {
    #[test]
    fn any_program_leaves_the_broker_whole(program in prop::collection::vec((any::<usize>(), act()), 1..120)) {
        let config = quince_core::Config { queue_messages: 5, outbox_bytes: 100, ..Default::default() };
        let mut net = Net::with(config);
        let healthy = net.simple(V5, "healthy");
        net.subscribe(healthy, &[("$mine", Q1)]);
        let mut clients = Vec::new();
        for (which, act) in program {
            perform(&mut net, &mut clients, which, act);
        }
        net.publish(healthy, publish(Q1, 1, "$mine", "x"));
        prop_assert_eq!(net.read(healthy), ["PUBACK 1", "PUBLISH q1 id=1 $mine=x"]);
        net.send(healthy, &Packet::PubAck(ack_with(1, 0)));
        for (client, _) in clients {
            net.abort(client);
        }
        // Sessions of version 3.1.1 live for ever: their owners clean them away.
        for name in NAMES {
            let cleaner = net.dial(&hello(V5, name));
            net.disconnect(cleaner, 0, &[]);
        }
        net.wait(10);
        for topic in TOPICS {
            net.publish(healthy, Publish { retain: true, ..publish(Q0, 0, topic, "") });
        }
        let figures = net.broker.hub().figures();
        prop_assert_eq!(figures.connections, 1);
        prop_assert_eq!((figures.sessions, figures.stored_sessions), (1, 0));
        prop_assert_eq!((figures.subscriptions, figures.retained_messages), (1, 0));
        prop_assert_eq!(figures.buffered_bytes, 0);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), connected in any::<bool>()) {
        for version in [V3, V5] {
            let mut net = Net::new();
            let client = if connected { net.simple(version, "a") } else { net.open(version) };
            net.raw(client, &bytes);
            net.wait(60);
            net.abort(client);
            prop_assert_eq!(net.broker.hub().figures().connections, 0);
        }
    }
}
