//! A policy is asked about every publish, subscription and delivery.

use std::sync::Arc;

use quince_codec::Packet;
use quince_core::bench::VirtualBroker;
use quince_core::{Action, Answer, Config, Policy, Principal, Subject};

use crate::net::{Net, Q0, Q1, V3, V5, farewell, hello, options, publish};

/// Nobody touches `secret`, but its reader may subscribe with a wildcard; only root may do everything.
#[derive(Debug)]
struct Secret;

impl Policy for Secret {
    fn allows(&self, subject: Subject<'_>, action: Action<'_>) -> bool {
        let named = match action {
            Action::Publish(name) | Action::Subscribe(name) | Action::Receive(name) => name,
        };
        named != "secret" || subject.principal.name() == Some("root")
    }
}

fn net() -> Net {
    let mut broker = VirtualBroker::with_policy(Config::default(), Arc::new(Secret));
    broker.set_authenticator(Box::new(|request| {
        let root = request.client_id.starts_with("root");
        Some(Answer::from(Ok(if root {
            Principal::named("root")
        } else {
            Principal::anonymous()
        })))
    }));
    Net::over(broker)
}

#[test]
fn a_forbidden_filter_is_refused_alone() {
    let mut net = net();
    for (version, code) in [(V5, "87"), (V3, "80")] {
        let client = net.simple(version, "a");
        let filters = [("secret", options(Q1)), ("open", options(Q1))];
        net.subscribe_with(client, 1, &[], &filters);
        assert_eq!(
            net.read_without_reason(client),
            [format!("SUBACK 1 {code} 01")]
        );
        net.disconnect(client, 0, &[]);
    }
}

#[test]
fn what_a_client_may_not_receive_is_dropped_for_it() {
    let mut net = net();
    let client = net.simple(V5, "a");
    net.subscribe(client, &[("#", Q1)]);
    let root = net.simple(V5, "root");
    net.subscribe(root, &[("#", Q0)]);
    net.publish(root, publish(Q1, 1, "secret", "x"));
    net.publish(root, publish(Q1, 2, "open", "x"));
    assert_eq!(
        net.read(root),
        [
            "PUBACK 1",
            "PUBLISH q0 secret=x",
            "PUBACK 2",
            "PUBLISH q0 open=x"
        ]
    );
    assert_eq!(net.read(client), ["PUBLISH q1 id=1 open=x"]);
    net.send(client, &Packet::PubAck(crate::net::ack(1)));
    assert_eq!(net.broker.hub().figures().buffered_bytes, 0);
}

#[test]
fn a_forbidden_will_refuses_its_connect() {
    let mut net = net();
    for (version, refusal) in [(V5, "CONNACK 87"), (V3, "CONNACK 05")] {
        let client = net.dial(&hello(version, "a").will(farewell("secret", "x")));
        assert_eq!(net.read_without_reason(client), [refusal]);
        assert!(net.broker.is_closed(client));
        let root = net.client(&hello(version, "root").will(farewell("secret", "x")));
        net.disconnect(root, 0, &[]);
    }
}
