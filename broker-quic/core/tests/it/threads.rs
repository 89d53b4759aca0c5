//! The same values on several threads at once: nobody waits for ever, and nothing is lost or left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use quince_codec::{
    Acknowledgement, Connect, Framer, Packet, PacketId, Properties, Property, PropertyList,
    Publish, QoS, RetainHandling, Subscribe, SubscriptionList, SubscriptionOptions, Version,
};
use quince_core::{Config, Connection, ConnectionId, FlowId, Hub, Output, Principal, Time};

const CONTROL: FlowId = FlowId::CONTROL;

#[test]
fn connections_and_the_hub_may_move_between_threads() {
    fn sendable<T: Send>() {}
    fn shareable<T: Send + Sync>() {}
    sendable::<Connection>();
    shareable::<Hub>();
}

struct Unpark(Thread, AtomicBool);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::Release);
        self.0.unpark();
    }
}

/// A driver with a client in the same thread.
struct Peer {
    connection: Connection,
    woken: Arc<Unpark>,
    framer: Framer,
    closed: bool,
}

impl Peer {
    fn dial(hub: &Arc<Hub>, number: u64, client_id: &str) -> Self {
        let mut connection =
            Connection::new(Arc::clone(hub), ConnectionId::new(number), Time::ZERO);
        let woken = Arc::new(Unpark(thread::current(), AtomicBool::new(false)));
        connection.set_waker(&Waker::from(Arc::clone(&woken)));
        let mut peer = Self {
            connection,
            woken,
            framer: Framer::new(u32::MAX),
            closed: false,
        };
        let mut properties = PropertyList::new();
        properties.push(Property::SessionExpiryInterval(1000));
        peer.send(&Packet::Connect(Connect {
            version: Version::V5_0,
            clean_start: false,
            keep_alive: 0,
            properties: properties.as_properties(),
            client_id,
            will: None,
            user_name: None,
            password: None,
        }));
        peer
    }

    fn send(&mut self, packet: &Packet<'_>) {
        let bytes = packet.to_bytes(Version::V5_0).expect("encodes");
        self.connection.receive(Time::ZERO, CONTROL, &bytes);
        self.pump();
    }

    fn pump(&mut self) {
        if self.woken.1.swap(false, Ordering::AcqRel) {
            self.connection.advance(Time::ZERO);
        }
        loop {
            let bytes = self.connection.writable(CONTROL);
            let count = bytes.len();
            self.framer.push(bytes);
            self.connection.written(Time::ZERO, CONTROL, count);
            match self.connection.poll_output() {
                Some(Output::Authenticate(_)) => {
                    self.connection
                        .authenticated(Time::ZERO, Ok(Principal::anonymous()));
                }
                Some(Output::EndFlow { .. }) => panic!("there are no data flows here"),
                Some(Output::Close { .. }) => self.closed = true,
                None if count == 0 => return,
                None => {}
            }
        }
    }

    /// Waits until a packet comes for which `wanted` says yes; acknowledges what is delivered. `None` when closed.
    fn wait_for(&mut self, wanted: &mut dyn FnMut(&Packet<'_>) -> bool) -> Option<()> {
        loop {
            self.pump();
            let mut acknowledge = Vec::new();
            let mut found = false;
            while let Some(frame) = self.framer.next_frame().expect("frames") {
                let packet = frame.decode(Version::V5_0).expect("decodes");
                if let Packet::Publish(Publish {
                    packet_id: Some(packet_id),
                    ..
                }) = &packet
                {
                    acknowledge.push(*packet_id);
                }
                found |= wanted(&packet);
            }
            for packet_id in acknowledge {
                self.send(&Packet::PubAck(Acknowledgement::success(packet_id)));
            }
            if found {
                return Some(());
            }
            if self.closed {
                return None;
            }
            if !self.woken.1.load(Ordering::Acquire) {
                thread::park();
            }
        }
    }
}

#[test]
fn publishers_and_subscribers_on_all_threads_lose_nothing() {
    const THREADS: u64 = 4;
    const MESSAGES: u16 = 200;
    let hub = Arc::new(Hub::new(Config {
        queue_messages: 10_000,
        ..Config::default()
    }));
    let ready = std::sync::Barrier::new(usize::try_from(THREADS).expect("few"));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (hub, ready) = (&hub, &ready);
            scope.spawn(move || {
                let mut peer = Peer::dial(hub, number, &format!("c{number}"));
                peer.wait_for(&mut |packet| matches!(packet, Packet::ConnAck(_)))
                    .expect("accepted");
                let mut list = SubscriptionList::new();
                list.push(
                    "t/#",
                    SubscriptionOptions {
                        qos: QoS::AtLeastOnce,
                        no_local: false,
                        retain_as_published: false,
                        retain_handling: RetainHandling::DoNotSend,
                    },
                );
                peer.send(&Packet::Subscribe(Subscribe {
                    packet_id: PacketId::new(1).expect("one"),
                    properties: Properties::EMPTY,
                    subscriptions: list.as_ref(),
                }));
                peer.wait_for(&mut |packet| matches!(packet, Packet::SubAck(_)))
                    .expect("granted");
                ready.wait();
                let mut got = vec![0; usize::try_from(THREADS).expect("few")];
                let mut total = 0;
                let mut take = |packet: &Packet<'_>| {
                    if let Packet::Publish(publish) = packet {
                        let from: usize = publish.topic[2..].parse().expect("number");
                        let index =
                            u16::from_be_bytes(publish.payload.try_into().expect("two bytes"));
                        assert_eq!(index, got[from], "in the order of the publisher");
                        got[from] += 1;
                        total += 1;
                    }
                };
                let topic = format!("t/{number}");
                for index in 0..MESSAGES {
                    peer.send(&Packet::Publish(Publish {
                        dup: false,
                        qos: QoS::AtLeastOnce,
                        // Every topic has one publisher, so its order is one for all.
                        retain: true,
                        topic: &topic,
                        packet_id: PacketId::new(index + 1),
                        properties: Properties::EMPTY,
                        payload: &index.to_be_bytes(),
                    }));
                    peer.wait_for(&mut |packet| {
                        take(packet);
                        matches!(packet, Packet::PubAck(ack) if !ack.reason_code.is_error())
                    })
                    .expect("acknowledged");
                }
                let all = usize::from(MESSAGES) * usize::try_from(THREADS).expect("few");
                if total < all {
                    peer.wait_for(&mut |packet| {
                        if let Packet::Publish(publish) = packet {
                            let from: usize = publish.topic[2..].parse().expect("number");
                            got[from] += 1;
                            total += 1;
                        }
                        total == all
                    })
                    .expect("open");
                }
                assert!(got.iter().all(|count| *count == MESSAGES));
            });
        }
    });
    assert_eq!(hub.figures().connections, 0);
    assert_eq!(hub.figures().retained_messages, 4);
}

#[test]
fn takeovers_on_all_threads_end_with_one_dormant_session() {
    let hub = Arc::new(Hub::new(Config::default()));
    thread::scope(|scope| {
        for number in 0..4_u64 {
            let hub = &hub;
            scope.spawn(move || {
                for round in 0..100 {
                    let mut peer = Peer::dial(hub, number * 1000 + round, "one");
                    // Accepted, or displaced by a later one while it waited.
                    _ = peer.wait_for(&mut |packet| matches!(packet, Packet::ConnAck(_)));
                }
            });
        }
    });
    let figures = hub.figures();
    assert_eq!(
        (
            figures.connections,
            figures.sessions,
            figures.stored_sessions
        ),
        (0, 1, 1)
    );
}
