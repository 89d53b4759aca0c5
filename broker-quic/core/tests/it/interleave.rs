//! The seams of a call: who listens is asked between its steps, and hears of locks that are held over a seam.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use quince_codec::{
    Connect, Packet, PacketId, Properties, Publish, QoS, RetainHandling, Subscribe,
    SubscriptionList, SubscriptionOptions, Version,
};
use quince_core::{
    Config, Connection, ConnectionId, FlowId, Hub, Interleave, Output, Principal, Seam, Time,
};

/// Stops whoever comes to `seam` at the time that `countdown` says, until it is told to go on; reports contention.
#[derive(Debug)]
struct Gate {
    seam: Seam,
    countdown: AtomicUsize,
    stopped: Sender<()>,
    go_on: Mutex<Receiver<()>>,
    contended: Sender<()>,
}

impl Interleave for Gate {
    fn at(&self, seam: Seam) {
        let counts = |left: usize| left.checked_sub(1);
        let left = (seam == self.seam).then(|| {
            self.countdown
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, counts)
        });
        if left == Some(Ok(1)) {
            self.stopped.send(()).expect("the test waits");
            self.go_on.lock().expect("whole").recv().expect("told");
        }
        if seam == Seam::Contended {
            // The test may be over.
            _ = self.contended.send(());
            thread::yield_now();
        }
    }
}

fn send(connection: &mut Connection, packet: &Packet<'_>) {
    let bytes = packet.to_bytes(Version::V5_0).expect("encodes");
    connection.receive(Time::ZERO, FlowId::CONTROL, &bytes);
    while let Some(output) = connection.poll_output() {
        if let Output::Authenticate(_) = output {
            connection.authenticated(Time::ZERO, Ok(Principal::anonymous()));
        }
    }
}

fn dial(hub: &Arc<Hub>, number: u64) -> Connection {
    let mut connection = Connection::new(Arc::clone(hub), ConnectionId::new(number), Time::ZERO);
    let client_id = number.to_string();
    send(
        &mut connection,
        &Packet::Connect(Connect {
            version: Version::V5_0,
            clean_start: true,
            keep_alive: 0,
            properties: Properties::EMPTY,
            client_id: &client_id,
            will: None,
            user_name: None,
            password: None,
        }),
    );
    connection
}

fn subscribe(connection: &mut Connection) {
    subscribe_to(connection, "t", QoS::AtMostOnce);
}

fn subscribe_to(connection: &mut Connection, filter: &str, qos: QoS) {
    let mut list = SubscriptionList::new();
    let options = SubscriptionOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::SendAtSubscribe,
    };
    list.push(filter, options);
    send(
        connection,
        &Packet::Subscribe(Subscribe {
            packet_id: PacketId::new(1).expect("one"),
            properties: Properties::EMPTY,
            subscriptions: list.as_ref(),
        }),
    );
}

fn publish(connection: &mut Connection, payload: &[u8], retain: bool) {
    publish_at(connection, QoS::AtMostOnce, payload, retain);
}

fn publish_at(connection: &mut Connection, qos: QoS, payload: &[u8], retain: bool) {
    send(
        connection,
        &Packet::Publish(Publish {
            dup: false,
            qos,
            retain,
            topic: "t",
            packet_id: PacketId::new(7).filter(|_| qos > QoS::AtMostOnce),
            properties: Properties::EMPTY,
            payload,
        }),
    );
}

/// What has been written to the client, as far as it contains `payload`.
fn has(connection: &mut Connection, payload: &[u8]) -> bool {
    connection.advance(Time::ZERO);
    connection
        .writable(FlowId::CONTROL)
        .windows(payload.len())
        .any(|part| part == payload)
}

struct Stage {
    hub: Arc<Hub>,
    stopped: Receiver<()>,
    go_on: Sender<()>,
    contended: Receiver<()>,
}

fn stage(seam: Seam) -> Stage {
    stage_at(seam, 1)
}

fn stage_at(seam: Seam, countdown: usize) -> Stage {
    let (stopped, is_stopped) = channel();
    let (go_on, told) = channel();
    let (contended, is_contended) = channel();
    let gate = Gate {
        seam,
        countdown: AtomicUsize::new(countdown),
        stopped,
        go_on: Mutex::new(told),
        contended,
    };
    Stage {
        hub: Arc::new(Hub::new(Config::default()).interleaved_by(Arc::new(gate))),
        stopped: is_stopped,
        go_on,
        contended: is_contended,
    }
}

#[test]
fn a_subscription_made_between_match_and_push_is_not_in_the_match() {
    let stage = stage(Seam::Push);
    let (mut there, mut late) = (dial(&stage.hub, 1), dial(&stage.hub, 2));
    let mut publisher = dial(&stage.hub, 3);
    subscribe(&mut there);
    thread::scope(|scope| {
        scope.spawn(|| publish(&mut publisher, b"between", false));
        stage.stopped.recv().expect("stopped");
        // The publisher holds no lock here.
        subscribe(&mut late);
        stage.go_on.send(()).expect("listens");
    });
    assert!(has(&mut there, b"between"));
    assert!(!has(&mut late, b"between"));
}

#[test]
fn who_waits_for_a_lock_that_is_held_over_a_seam_says_so() {
    let stage = stage(Seam::Push);
    let (mut one, mut two) = (dial(&stage.hub, 1), dial(&stage.hub, 2));
    thread::scope(|scope| {
        scope.spawn(|| publish(&mut one, b"first", true));
        stage.stopped.recv().expect("stopped");
        scope.spawn(|| publish(&mut two, b"second", true));
        // A retained PUBLISH keeps its shard until all is pushed.
        let waits = stage.contended.recv_timeout(Duration::from_secs(60));
        stage.go_on.send(()).expect("listens");
        waits.expect("the second publisher waits for the first");
    });
    let mut reader = dial(&stage.hub, 3);
    subscribe(&mut reader);
    assert!(has(&mut reader, b"second"));
}

#[test]
fn a_message_for_a_shared_subscription_outlives_the_member_chosen_for_it() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        // One of the two is the one chosen.
        for leaves_first in [true, false] {
            // A publish comes to the seam once to make room and once to push.
            let stage = stage_at(Seam::Push, 2);
            let (mut leaves, mut stays) = (dial(&stage.hub, 1), dial(&stage.hub, 2));
            if !leaves_first {
                core::mem::swap(&mut leaves, &mut stays);
            }
            for member in [&mut leaves, &mut stays] {
                subscribe_to(member, "$share/g/t", qos);
            }
            let mut publisher = dial(&stage.hub, 3);
            thread::scope(|scope| {
                scope.spawn(|| publish_at(&mut publisher, qos, b"between", false));
                stage.stopped.recv().expect("stopped");
                leaves.transport_closed(Time::ZERO);
                stage.go_on.send(()).expect("listens");
            });
            assert!(has(&mut stays, b"between"), "{qos:?} {leaves_first}");
        }
    }
}
