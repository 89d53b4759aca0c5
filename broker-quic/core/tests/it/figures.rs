//! What the broker tells about itself below `$SYS/broker/`.

use core::time::Duration;

use quince_core::Config;

use crate::net::{Client, Net, Q0, V5, options, publish};

/// Subscribes; what is retained, in the order of the alphabet.
fn retained(net: &mut Net, client: Client, filters: &[&str]) -> Vec<String> {
    let filters: Vec<_> = filters
        .iter()
        .map(|filter| (*filter, options(Q0)))
        .collect();
    net.subscribe_with(client, 1, &[], &filters);
    let mut read = net.read(client);
    read.remove(0);
    read.sort();
    read
}

fn net() -> Net {
    let mut net = Net::with(Config {
        figures_interval: Some(Duration::from_secs(10)),
        ..Config::default()
    });
    net.wait(0);
    net
}

#[test]
fn figures_are_retained_and_come_again_when_they_have_changed() {
    let mut net = net();
    let sub = net.simple(V5, "s");
    let filters = ["$SYS/broker/clients/connected", "$SYS/broker/messages/+"];
    let retained = retained(&mut net, sub, &filters);
    assert_eq!(
        retained,
        [
            "PUBLISH q0 retain $SYS/broker/clients/connected=0",
            "PUBLISH q0 retain $SYS/broker/messages/delayed=0",
            "PUBLISH q0 retain $SYS/broker/messages/received=0",
            "PUBLISH q0 retain $SYS/broker/messages/sent=0",
        ]
    );
    net.publish(sub, publish(Q0, 0, "t", "x"));
    net.wait_millis(9_999);
    net.assert_quiet(sub);
    net.wait_millis(1);
    assert_eq!(
        net.read(sub),
        [
            "PUBLISH q0 $SYS/broker/clients/connected=1",
            "PUBLISH q0 $SYS/broker/messages/received=1",
            "PUBLISH q0 $SYS/broker/messages/sent=4",
        ]
    );
    // The copies of the figures themselves were sent.
    net.wait(10);
    assert_eq!(net.read(sub), ["PUBLISH q0 $SYS/broker/messages/sent=7"]);
}

#[test]
fn wildcards_at_the_root_do_not_show_figures_and_nobody_else_publishes_them() {
    let mut net = net();
    let sub = net.simple(V5, "s");
    net.subscribe(sub, &[("#", Q0), ("+/broker/#", Q0)]);
    net.publish(sub, publish(Q0, 0, "$SYS/broker/clients/connected", "99"));
    net.wait(20);
    net.assert_quiet(sub);
    let late = net.simple(V5, "l");
    assert_eq!(
        retained(&mut net, late, &["$SYS/broker/clients/connected"]),
        ["PUBLISH q0 retain $SYS/broker/clients/connected=1"]
    );
}

#[test]
fn without_an_interval_there_are_none() {
    let mut net = Net::new();
    net.wait(100);
    let sub = net.simple(V5, "s");
    net.subscribe(sub, &[("$SYS/#", Q0)]);
    net.assert_quiet(sub);
    assert_eq!(net.broker.next_timeout(), None);
}
