//! The durability gate, with a store that says so late.

use quince_codec::{Packet, Publish};
use quince_core::{Config, Durability, Position};

use crate::net::{Net, Q0, Q1, Q2, V5, ack, hello, publish};

fn net() -> Net {
    Net::with(Config {
        durability: Durability::Store,
        ..Config::default()
    })
}

fn catch_up(net: &mut Net) {
    let end = net.broker.hub().log_end();
    net.broker.hub().durable_up_to(end);
    net.broker.settle();
}

#[test]
fn connack_and_all_behind_it_wait_where_connect_changed_stored_state() {
    let mut net = net();
    let stored = net.dial(&hello(V5, "s").stored(100));
    net.send(stored, &Packet::PingReq);
    assert_eq!(net.read(stored), [""; 0]);
    catch_up(&mut net);
    assert_eq!(net.read(stored), ["CONNACK 00", "PINGRESP"]);
    net.abort(stored);
    // A clean start that discards a stored Session changes stored state too.
    let clean = net.dial(&hello(V5, "s"));
    assert_eq!(net.read(clean), [""; 0]);
    catch_up(&mut net);
    assert_eq!(net.read(clean), ["CONNACK 00"]);
    let other = net.dial(&hello(V5, "o"));
    assert_eq!(net.read(other), ["CONNACK 00"]);
}

#[test]
fn acknowledgements_keep_their_order_behind_a_held_one_and_pingresp_does_not_wait() {
    let mut net = net();
    let offline = net.dial(&hello(V5, "s").stored(100));
    catch_up(&mut net);
    net.subscribe_with(offline, 1, &[], &[("stored", crate::net::options(Q1))]);
    assert_eq!(net.read(offline), ["CONNACK 00"]);
    catch_up(&mut net);
    assert_eq!(net.read(offline), ["SUBACK 1 01"]);
    net.abort(offline);

    let client = net.simple(V5, "p");
    net.publish(client, publish(Q1, 1, "stored", "x"));
    // Nothing of this is stored, but PUBACK 1 comes first.
    net.publish(client, publish(Q1, 2, "nobody", "x"));
    net.subscribe_with(client, 3, &[], &[("t", crate::net::options(Q0))]);
    net.send(client, &Packet::PingReq);
    net.publish(client, publish(Q0, 0, "t", "delivered"));
    assert_eq!(net.read(client), ["PINGRESP", "PUBLISH q0 t=delivered"]);
    catch_up(&mut net);
    assert_eq!(net.read(client), ["PUBACK 1", "PUBACK 2 10", "SUBACK 3 00"]);
}

#[test]
fn a_puback_waits_for_the_record_of_its_fan_out_which_is_one() {
    let mut net = net();
    for name in ["a", "b"] {
        let client = net.dial(&hello(V5, name).stored(100));
        catch_up(&mut net);
        net.subscribe_with(client, 1, &[], &[("t", crate::net::options(Q1))]);
        catch_up(&mut net);
        net.abort(client);
    }
    let client = net.simple(V5, "p");
    let before = net.broker.hub().log_end().records();
    net.publish(client, publish(Q1, 1, "t", "x"));
    assert_eq!(net.broker.hub().log_end().records(), before + 1);
    net.broker.hub().durable_up_to(Position::new(before));
    net.broker.settle();
    assert_eq!(net.read(client), [""; 0]);
    catch_up(&mut net);
    assert_eq!(net.read(client), ["PUBACK 1"]);
}

#[test]
fn qos_2_waits_for_its_identifiers() {
    let mut net = net();
    let receiver = net.dial(&hello(V5, "r").stored(100));
    catch_up(&mut net);
    net.subscribe_with(receiver, 1, &[], &[("t", crate::net::options(Q2))]);
    catch_up(&mut net);
    net.read(receiver);
    let sender = net.dial(&hello(V5, "s").stored(100));
    catch_up(&mut net);
    net.read(sender);
    net.publish(sender, publish(Q2, 7, "t", "x"));
    assert_eq!(net.read(sender), [""; 0]);
    assert_eq!(
        net.read(receiver),
        [""; 0],
        "the publisher's identifier is not durable yet"
    );
    catch_up(&mut net);
    assert_eq!(net.read(sender), ["PUBREC 7"]);
    assert_eq!(net.read(receiver), ["PUBLISH q2 id=1 t=x"]);
    net.send(receiver, &Packet::PubRec(ack(1)));
    assert_eq!(net.read(receiver), [""; 0]);
    catch_up(&mut net);
    assert_eq!(net.read(receiver), ["PUBREL 1"]);
    net.send(sender, &Packet::PubRel(ack(7)));
    assert_eq!(net.read(sender), [""; 0]);
    catch_up(&mut net);
    assert_eq!(net.read(sender), ["PUBCOMP 7"]);
}

#[test]
fn the_onward_delivery_of_a_qos_2_message_waits_for_its_publishers_identifier() {
    let mut net = net();
    let sender = net.dial(&hello(V5, "s").stored(100));
    catch_up(&mut net);
    net.read(sender);
    let receiver = net.simple(V5, "r");
    net.subscribe(receiver, &[("t", Q0)]);
    net.publish(sender, publish(Q2, 7, "t", "x"));
    assert_eq!((net.read(sender), net.read(receiver)), (vec![], vec![]));
    catch_up(&mut net);
    assert_eq!(net.read(sender), ["PUBREC 7"]);
    assert_eq!(net.read(receiver), ["PUBLISH q0 t=x"]);
}

#[test]
fn an_outgoing_qos_2_message_waits_for_its_own_identifier() {
    let mut net = net();
    let receiver = net.dial(&hello(V5, "r").stored(100));
    catch_up(&mut net);
    net.subscribe_with(receiver, 1, &[], &[("t", crate::net::options(Q2))]);
    catch_up(&mut net);
    net.abort(receiver);
    let sender = net.simple(V5, "s");
    net.publish(sender, publish(Q2, 7, "t", "x"));
    catch_up(&mut net);
    assert_eq!(net.read(sender), ["PUBREC 7"]);
    let receiver = net.dial(&hello(V5, "r").stored(100));
    catch_up(&mut net);
    assert_eq!(net.read(receiver), ["CONNACK 00 present"]);
    catch_up(&mut net);
    assert_eq!(net.read(receiver), ["PUBLISH q2 id=1 t=x"]);
}

#[test]
fn a_retained_message_is_durable_before_it_is_acknowledged() {
    let mut net = net();
    let client = net.simple(V5, "p");
    net.publish(
        client,
        Publish {
            retain: true,
            ..publish(Q1, 1, "t", "x")
        },
    );
    assert_eq!(net.read(client), [""; 0]);
    catch_up(&mut net);
    assert_eq!(net.read(client), ["PUBACK 1 10"]);
}

#[test]
fn what_is_held_when_the_connection_ends_is_never_said() {
    let mut net = net();
    let client = net.dial(&hello(V5, "s").stored(100));
    catch_up(&mut net);
    net.read(client);
    net.broker.set_room(client, Some(0));
    net.subscribe_with(client, 1, &[], &[("t", crate::net::options(Q1))]);
    net.send(client, &Packet::PingResp);
    catch_up(&mut net);
    net.broker.set_room(client, None);
    net.assert_refused(client, 0x82);
}

#[test]
fn no_disconnect_comes_before_a_held_connack() {
    let mut net = net();
    let client = net.dial(&hello(V5, "s").stored(100));
    net.broker.shut_down();
    assert_eq!(net.read(client), [""; 0]);
    assert!(net.broker.is_closed(client));
}
