//! Sessions belong to a principal, and a policy that is replaced counts for everything from then on.

use std::collections::BTreeSet;
use std::sync::Arc;

use quince_codec::{Packet, ReasonCode};
use quince_core::bench::VirtualBroker;
use quince_core::{Action, Answer, Config, Policy, Principal, Subject, Time};

use crate::net::{BOTH, Client, Hello, Net, Q0, Q1, V3, V5, ack, farewell, hello, publish};

/// Forbids some users some topics, and some users everything.
#[derive(Clone, Debug, Default)]
struct Forbidden {
    publish: BTreeSet<(&'static str, &'static str)>,
    receive: BTreeSet<(&'static str, &'static str)>,
    users: BTreeSet<&'static str>,
}

impl Policy for Forbidden {
    fn allows(&self, subject: Subject<'_>, action: Action<'_>) -> bool {
        let name = subject.principal.name().unwrap_or_default();
        match action {
            Action::Publish(topic) => !self.publish.contains(&(name, topic)),
            Action::Receive(topic) => !self.receive.contains(&(name, topic)),
            Action::Subscribe(_) => true,
        }
    }

    fn admits(&self, subject: Subject<'_>) -> bool {
        !subject
            .principal
            .name()
            .is_some_and(|name| self.users.contains(name))
    }
}

fn forbid_receive(user: &'static str, topic: &'static str) -> Forbidden {
    Forbidden {
        receive: BTreeSet::from([(user, topic)]),
        ..Forbidden::default()
    }
}

fn net(policy: Forbidden) -> Net {
    Net::over(VirtualBroker::with_policy(
        Config::default(),
        Arc::new(policy),
    ))
}

fn set(net: &mut Net, policy: Forbidden) {
    net.broker.hub().set_policy(Arc::new(policy));
    net.broker.settle();
}

fn user<'a>(mut hello: Hello<'a>, name: &'a str) -> Hello<'a> {
    hello.user_name = Some(name);
    hello
}

fn login(net: &mut Net, name: &'static str) -> Client {
    net.client(&user(hello(V5, name), name))
}

#[test]
fn a_client_identifier_cannot_be_stolen() {
    for version in BOTH {
        for clean in [false, true] {
            let mut net = net(Forbidden::default());
            let alice = net.client(&user(hello(version, "sensor"), "alice").stored(1000));
            net.subscribe(alice, &[("secret", Q1)]);
            let code = if version == V5 { "87" } else { "05" };
            let theft = |net: &mut Net, name| {
                let mut thief = hello(version, "sensor").stored(1000);
                thief.clean = clean;
                thief.user_name = name;
                let thief = net.dial(&thief);
                assert_eq!(
                    net.read_without_reason(thief),
                    [format!("CONNACK {code}")],
                    "{version} {name:?}"
                );
                assert!(net.broker.is_closed(thief));
            };
            // Neither by taking over a live Session ...
            theft(&mut net, Some("mallory"));
            theft(&mut net, None);
            net.assert_quiet(alice);
            // ... nor by resuming or ending a dormant one.
            net.abort(alice);
            let bob = login(&mut net, "bob");
            net.publish(bob, publish(Q1, 1, "secret", "canary"));
            net.read(bob);
            theft(&mut net, Some("mallory"));
            theft(&mut net, None);
            let alice = net.dial(&user(hello(version, "sensor"), "alice").stored(1000));
            assert_eq!(
                net.read(alice),
                ["CONNACK 00 present", "PUBLISH q1 id=1 secret=canary"]
            );
        }
    }
}

#[test]
fn an_identifier_is_free_again_when_its_session_has_ended() {
    let mut net = net(Forbidden::default());
    let alice = net.client(&user(hello(V5, "sensor"), "alice"));
    net.disconnect(alice, 0, &[]);
    net.client(&user(hello(V5, "sensor"), "bob"));
}

#[test]
fn a_revoked_right_stops_live_delivery_at_once() {
    let mut net = net(Forbidden::default());
    let alice = login(&mut net, "alice");
    let bob = login(&mut net, "bob");
    net.subscribe(alice, &[("#", Q0)]);
    net.publish(bob, publish(Q0, 0, "secret", "1"));
    assert_eq!(net.read(alice), ["PUBLISH q0 secret=1"]);
    set(&mut net, forbid_receive("alice", "secret"));
    net.publish(bob, publish(Q0, 0, "secret", "2"));
    net.publish(bob, publish(Q0, 0, "open", "3"));
    assert_eq!(net.read(alice), ["PUBLISH q0 open=3"]);
    set(&mut net, Forbidden::default());
    net.publish(bob, publish(Q0, 0, "secret", "4"));
    assert_eq!(net.read(alice), ["PUBLISH q0 secret=4"]);
}

#[test]
fn a_revoked_right_drops_what_waits_and_what_is_in_flight() {
    let mut net = net(Forbidden::default());
    let alice = net.client(&user(hello(V5, "alice"), "alice").stored(1000));
    let bob = login(&mut net, "bob");
    net.subscribe(alice, &[("#", Q1)]);
    net.publish(bob, publish(Q1, 1, "secret", "in flight"));
    assert_eq!(net.read(alice), ["PUBLISH q1 id=1 secret=in flight"]);
    net.abort(alice);
    net.publish(bob, publish(Q1, 2, "secret", "waits"));
    net.publish(bob, publish(Q1, 3, "open", "waits"));
    set(&mut net, forbid_receive("alice", "secret"));
    let alice = net.dial(&user(hello(V5, "alice"), "alice").stored(1000));
    assert_eq!(
        net.read(alice),
        ["CONNACK 00 present", "PUBLISH q1 id=2 open=waits"]
    );
    net.send(alice, &Packet::PubAck(ack(2)));
    assert_eq!(net.broker.hub().figures().buffered_bytes, 0);
}

#[test]
fn what_a_client_may_not_have_takes_no_room_in_its_queue() {
    let config = Config {
        queue_messages: 1,
        ..Config::default()
    };
    let policy = forbid_receive("alice", "secret");
    let mut net = Net::over(VirtualBroker::with_policy(config, Arc::new(policy)));
    let alice = net.client(&user(hello(V5, "alice"), "alice").stored(1000));
    net.subscribe(alice, &[("#", Q1)]);
    net.abort(alice);
    let bob = login(&mut net, "bob");
    for number in 1..=3 {
        net.publish(bob, publish(Q1, number, "secret", "x"));
        // No subscriber, as far as bob may know.
        assert_eq!(net.read(bob), [format!("PUBACK {number} 10")]);
    }
    assert_eq!(net.broker.hub().figures().buffered_bytes, 0);
}

#[test]
fn a_shared_subscription_gives_to_members_that_may_receive() {
    let mut net = net(forbid_receive("alice", "secret"));
    let alice = login(&mut net, "alice");
    let carol = login(&mut net, "carol");
    let bob = login(&mut net, "bob");
    net.subscribe(alice, &[("$share/g/#", Q0)]);
    net.subscribe(carol, &[("$share/g/#", Q0)]);
    for _ in 0..4 {
        net.publish(bob, publish(Q0, 0, "secret", "x"));
    }
    assert_eq!(net.read(carol), ["PUBLISH q0 secret=x"; 4]);
    net.assert_quiet(alice);
}

#[test]
fn a_retained_message_goes_with_its_publishers_right() {
    let mut net = net(Forbidden::default());
    let bob = login(&mut net, "bob");
    let mut message = publish(Q0, 0, "state", "canary");
    message.retain = true;
    net.publish(bob, message);
    net.disconnect(bob, 0, &[]);
    set(
        &mut net,
        Forbidden {
            publish: BTreeSet::from([("bob", "state")]),
            ..Forbidden::default()
        },
    );
    let alice = login(&mut net, "alice");
    net.subscribe(alice, &[("state", Q0)]);
    net.assert_quiet(alice);
    set(&mut net, Forbidden::default());
    net.subscribe_with(alice, 1, &[], &[("state", crate::net::options(Q0))]);
    assert_eq!(
        net.read(alice),
        ["SUBACK 1 00", "PUBLISH q0 retain state=canary"]
    );
}

#[test]
fn a_will_whose_right_has_gone_is_not_published() {
    let mut net = net(Forbidden::default());
    let alice = login(&mut net, "alice");
    net.subscribe(alice, &[("#", Q0)]);
    let bob = net.client(&user(hello(V5, "bob"), "bob").will(farewell("state", "canary")));
    set(
        &mut net,
        Forbidden {
            publish: BTreeSet::from([("bob", "state")]),
            ..Forbidden::default()
        },
    );
    net.abort(bob);
    net.assert_quiet(alice);
}

#[test]
fn a_revoked_user_is_disconnected_and_stays_out() {
    for version in [V5, V3] {
        let mut net = net(Forbidden::default());
        let bob = net.client(&user(hello(version, "bob"), "bob"));
        let alice = login(&mut net, "alice");
        let out = Forbidden {
            users: BTreeSet::from(["bob"]),
            ..Forbidden::default()
        };
        set(&mut net, out);
        net.assert_refused(bob, 0x87);
        net.assert_quiet(alice);
        let bob = net.dial(&user(hello(version, "bob"), "bob"));
        let code = if version == V5 { "87" } else { "05" };
        assert_eq!(net.read_without_reason(bob), [format!("CONNACK {code}")]);
    }
}

#[test]
fn a_connection_ends_with_the_proof_of_who_it_is() {
    for version in [V5, V3] {
        let mut broker = VirtualBroker::new(Config::default());
        broker.set_authenticator(Box::new(|_| {
            Some(Answer::from(Ok(
                Principal::named("alice").valid_until(Time::from_millis(5000))
            )))
        }));
        let mut net = Net::over(broker);
        let alice = net.simple(version, "alice");
        net.wait_millis(4999);
        net.assert_quiet(alice);
        net.wait_millis(1);
        net.assert_refused(alice, ReasonCode::MAXIMUM_CONNECT_TIME.0);
    }
}
