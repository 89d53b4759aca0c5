//! A new connection with a Client Identifier that is in use.

use quince_codec::ReasonCode;
use quince_core::{ClosedBy, Config};

use crate::net::{BOTH, Net, Q1, V5, farewell, hello, publish};

#[test]
fn the_older_connection_is_closed_and_the_session_goes_on() {
    for version in BOTH {
        let mut net = Net::new();
        let old = net.client(&hello(version, "a").stored(100));
        net.subscribe(old, &[("t", Q1)]);
        let publisher = net.simple(version, "p");
        net.publish(publisher, publish(Q1, 1, "t", "one"));
        assert_eq!(net.read(old), ["PUBLISH q1 id=1 t=one"]);
        let new = net.dial(&hello(version, "a").stored(100));
        net.assert_refused(old, 0x8e);
        assert_eq!(
            net.closed(old),
            (ReasonCode::SESSION_TAKEN_OVER, ClosedBy::Server)
        );
        assert_eq!(
            net.read(new),
            ["CONNACK 00 present", "PUBLISH q1 id=1 dup t=one"]
        );
        net.assert_quiet(new);
        assert_eq!(net.broker.hub().figures().sessions, 2);
    }
}

#[test]
fn a_clean_takeover_ends_the_old_session() {
    for version in BOTH {
        let mut net = Net::new();
        let old = net.client(&hello(version, "a").stored(100));
        net.subscribe(old, &[("t", Q1)]);
        let new = net.dial(&hello(version, "a"));
        net.assert_refused(old, 0x8e);
        assert_eq!(net.read(new), ["CONNACK 00"]);
        net.publish(new, publish(Q1, 1, "t", "x"));
        let code = if version == V5 {
            "PUBACK 1 10"
        } else {
            "PUBACK 1"
        };
        assert_eq!(net.read(new), [code]);
    }
}

#[test]
fn a_takeover_works_though_the_old_client_does_not_read() {
    let mut net = Net::new();
    let old = net.client(&hello(V5, "a").stored(100));
    net.broker.set_room(old, Some(0));
    let new = net.dial(&hello(V5, "a").stored(100));
    assert_eq!(net.read(new), ["CONNACK 00 present"]);
    assert!(!net.broker.is_closed(old));
    net.wait(5);
    assert!(net.broker.is_closed(old));
    net.assert_quiet(new);
}

#[test]
fn many_takeovers_in_a_row_leave_one_owner() {
    let mut net = Net::new();
    let clients: Vec<_> = (0..10)
        .map(|_| net.dial(&hello(V5, "a").stored(100)))
        .collect();
    let (last, others) = clients.split_last().expect("ten");
    for client in others {
        assert_eq!(net.closed(*client).0, ReasonCode::SESSION_TAKEN_OVER);
    }
    assert!(net.read(*last)[0].starts_with("CONNACK 00"));
    net.assert_quiet(*last);
}

#[test]
fn the_will_of_a_connection_that_is_taken_over_is_published() {
    for version in BOTH {
        let mut net = Net::new();
        let watcher = net.simple(version, "w");
        net.subscribe(watcher, &[("w", Q1)]);
        let old = net.client(&hello(version, "a").stored(100).will(farewell("w", "gone")));
        net.dial(&hello(version, "a").stored(100));
        assert_eq!(net.read(watcher), ["PUBLISH q0 w=gone"]);
        assert!(net.broker.is_closed(old));
    }
}

/// Two drivers' tasks that run one after the other, as slow as they like.
mod apart {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use quince_codec::{Connect, Packet, Properties};
    use quince_core::{Connection, ConnectionId, FlowId, Hub, Output, Principal, Time};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn connect(hub: &Arc<Hub>, number: u64) -> (Connection, Arc<Count>) {
        let now = Time::ZERO;
        let mut connection = Connection::new(Arc::clone(hub), ConnectionId::new(number), now);
        let count = Arc::new(Count::default());
        connection.set_waker(&Waker::from(Arc::clone(&count)));
        let connect = Packet::Connect(Connect {
            version: V5,
            clean_start: true,
            keep_alive: 0,
            properties: Properties::EMPTY,
            client_id: "a",
            will: None,
            user_name: None,
            password: None,
        });
        connection.receive(
            now,
            FlowId::CONTROL,
            &connect.to_bytes(V5).expect("encodes"),
        );
        assert!(matches!(
            connection.poll_output(),
            Some(Output::Authenticate(_))
        ));
        connection.authenticated(now, Ok(Principal::anonymous()));
        (connection, count)
    }

    #[test]
    fn the_new_connection_waits_for_the_old_one_to_yield() {
        let hub = Arc::new(Hub::new(Config::default()));
        let (mut old, old_woken) = connect(&hub, 1);
        assert!(!old.writable(FlowId::CONTROL).is_empty());
        let (mut new, new_woken) = connect(&hub, 2);
        assert_eq!(
            old_woken.0.load(Ordering::Relaxed),
            1,
            "the old owner is woken"
        );
        assert!(
            new.writable(FlowId::CONTROL).is_empty(),
            "no CONNACK before the Session is there"
        );
        assert!(!new.wants_input(FlowId::CONTROL));
        old.advance(Time::ZERO);
        assert!(old.is_ended());
        assert_eq!(
            new_woken.0.load(Ordering::Relaxed),
            1,
            "the new owner is woken"
        );
        new.advance(Time::ZERO);
        assert_eq!(new.writable(FlowId::CONTROL)[0], 0x20);
        assert!(new.wants_input(FlowId::CONTROL));
    }

    #[test]
    fn an_owner_that_does_not_yield_in_time_costs_the_new_connection_its_connack() {
        let hub = Arc::new(Hub::new(Config::default()));
        let (mut old, _) = connect(&hub, 1);
        let (mut new, _) = connect(&hub, 2);
        assert_eq!(new.next_timeout(), Some(Time::from_millis(1000)));
        new.handle_timeout(Time::from_millis(1000));
        assert_eq!(new.writable(FlowId::CONTROL)[3], 0x89, "Server busy");
        // The Session is not lost by that.
        old.advance(Time::from_millis(1000));
        assert_eq!(
            hub.figures().sessions,
            0,
            "it was clean and its owner has yielded"
        );
    }

    #[test]
    fn a_third_connection_takes_the_place_of_the_second() {
        let hub = Arc::new(Hub::new(Config::default()));
        let (mut old, _) = connect(&hub, 1);
        let (mut second, _) = connect(&hub, 2);
        let (mut third, _) = connect(&hub, 3);
        second.advance(Time::ZERO);
        assert_eq!(second.writable(FlowId::CONTROL)[3], 0x89);
        old.advance(Time::ZERO);
        third.advance(Time::ZERO);
        assert_eq!(third.writable(FlowId::CONTROL)[3], 0x00);
    }

    #[test]
    fn a_connection_that_goes_while_it_waits_leaves_the_session_to_others() {
        let hub = Arc::new(Hub::new(Config::default()));
        let (mut old, _) = connect(&hub, 1);
        let (second, _) = connect(&hub, 2);
        old.advance(Time::ZERO);
        // The Session lies in the slot of the second, which never comes to take it.
        assert_eq!(hub.figures().sessions, 1);
        drop(second);
        assert_eq!(hub.figures().sessions, 0);
        assert_eq!(hub.figures().connections, 0);
    }
}
