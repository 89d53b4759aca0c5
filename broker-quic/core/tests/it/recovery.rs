//! What a broker that was killed finds again, from the records that had been written.

use std::collections::BTreeSet;

use quince_codec::{Packet, Property, Publish};
use quince_core::bench::VirtualBroker;
use quince_core::{Config, Durability, Image, Position, Record, Time};

use crate::net::{Net, Q0, Q1, Q2, V3, V5, ack, farewell, hello, options, publish};

fn config() -> Config {
    Config {
        durability: Durability::Store,
        ..Config::default()
    }
}

/// A store: bytes that outlive the broker.
struct Disk {
    records: Vec<Vec<u8>>,
}

/// A broker that writes, and its clients.
struct Written {
    net: Net,
    disk: Disk,
}

impl Written {
    fn new() -> Self {
        Self {
            net: Net::with(config()),
            disk: Disk {
                records: Vec::new(),
            },
        }
    }

    /// The store catches up.
    fn sync(&mut self) {
        loop {
            let batch = self.net.broker.hub().take_records();
            if batch.records.is_empty() {
                return;
            }
            for record in &batch.records {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                self.disk.records.push(bytes);
            }
            self.net.broker.hub().durable_up_to(batch.end);
            self.net.broker.settle();
        }
    }

    /// The broker is killed, and started again `seconds` later from what was written.
    fn killed_for(self, seconds: u64) -> Self {
        let now = self.net.broker.now().as_millis() + seconds * 1000;
        let image = self.disk.image(self.disk.records.len());
        let broker = VirtualBroker::recover(config(), &image, Time::from_millis(now));
        Self {
            net: Net::over(broker),
            disk: self.disk,
        }
    }
}

impl Disk {
    fn image(&self, count: usize) -> Image {
        let mut image = Image::new(&config());
        for bytes in &self.records[..count] {
            apply(&mut image, bytes);
        }
        image
    }
}

fn apply(image: &mut Image, mut bytes: &[u8]) {
    let record = image.decode(&mut bytes).expect("a record");
    assert!(bytes.is_empty(), "nothing behind it");
    image.apply(record);
}

fn encoded(records: impl Iterator<Item = Record>) -> Vec<Vec<u8>> {
    records
        .map(|record| {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            bytes
        })
        .collect()
}

fn session_with_subscription(store: &mut Written) {
    let client = store.net.dial(&hello(V5, "s").stored(100));
    store.sync();
    store.net.subscribe_with(
        client,
        1,
        &[Property::SubscriptionIdentifier(9)],
        &[("t/#", options(Q2))],
    );
    store.sync();
    assert_eq!(store.net.read(client), ["CONNACK 00", "SUBACK 1 02"]);
    store.net.abort(client);
}

#[test]
fn a_session_finds_its_subscriptions_and_its_queue_in_order() {
    let mut store = Written::new();
    session_with_subscription(&mut store);
    let publisher = store.net.simple(V5, "p");
    for number in 1..=5 {
        store
            .net
            .publish(publisher, publish(Q1, number, "t/a", &number.to_string()));
    }
    store.sync();
    assert_eq!(store.net.read(publisher).len(), 5);
    let mut store = store.killed_for(1);
    let client = store.net.dial(&hello(V5, "s").stored(100));
    store.sync();
    assert_eq!(
        store.net.read(client),
        [
            "CONNACK 00 present",
            "PUBLISH q1 id=1 dup t/a=1 SubscriptionIdentifier(9)",
            "PUBLISH q1 id=2 dup t/a=2 SubscriptionIdentifier(9)",
            "PUBLISH q1 id=3 dup t/a=3 SubscriptionIdentifier(9)",
            "PUBLISH q1 id=4 dup t/a=4 SubscriptionIdentifier(9)",
            "PUBLISH q1 id=5 dup t/a=5 SubscriptionIdentifier(9)",
        ]
    );
    // What is in flight is sent again under its identifiers, what is acknowledged is not.
    store.net.send(client, &Packet::PubAck(ack(1)));
    store.net.send(client, &Packet::PubAck(ack(3)));
    store.sync();
    let mut store = store.killed_for(1);
    let publisher = store.net.simple(V5, "p");
    store.net.publish(publisher, publish(Q1, 1, "t/b", "6"));
    store.sync();
    let client = store.net.dial(&hello(V5, "s").stored(100));
    store.sync();
    assert_eq!(
        store.net.read(client),
        [
            "CONNACK 00 present",
            "PUBLISH q1 id=2 dup t/a=2 SubscriptionIdentifier(9)",
            "PUBLISH q1 id=4 dup t/a=4 SubscriptionIdentifier(9)",
            "PUBLISH q1 id=5 dup t/a=5 SubscriptionIdentifier(9)",
            "PUBLISH q1 id=6 t/b=6 SubscriptionIdentifier(9)",
        ]
    );
}

#[test]
fn an_exchange_at_qos_2_goes_on_where_it_stood() {
    let mut store = Written::new();
    session_with_subscription(&mut store);
    let sender = store.net.dial(&hello(V5, "p").stored(100));
    store.sync();
    store.net.publish(sender, publish(Q2, 7, "t", "once"));
    store.sync();
    assert_eq!(store.net.read(sender), ["CONNACK 00", "PUBREC 7"]);

    let mut store = store.killed_for(1);
    // The PUBLISH sent again is known, and goes nowhere.
    let sender = store.net.dial(&hello(V5, "p").stored(100));
    store.sync();
    let again = Publish {
        dup: true,
        ..publish(Q2, 7, "t", "once")
    };
    store.net.publish(sender, again);
    let receiver = store.net.dial(&hello(V5, "s").stored(100));
    store.sync();
    assert_eq!(store.net.read(sender), ["CONNACK 00 present", "PUBREC 7"]);
    assert_eq!(
        store.net.read(receiver),
        [
            "CONNACK 00 present",
            "PUBLISH q2 id=1 t=once SubscriptionIdentifier(9)"
        ]
    );
    store.net.send(receiver, &Packet::PubRec(ack(1)));
    store.net.send(sender, &Packet::PubRel(ack(7)));
    store.sync();
    assert_eq!(store.net.read(receiver), ["PUBREL 1"]);
    assert_eq!(store.net.read(sender), ["PUBCOMP 7"]);

    let mut store = store.killed_for(1);
    let receiver = store.net.dial(&hello(V5, "s").stored(100));
    let sender = store.net.dial(&hello(V5, "p").stored(100));
    store.sync();
    assert_eq!(
        store.net.read(receiver),
        ["CONNACK 00 present", "PUBREL 1"],
        "the message itself is never sent again"
    );
    store.net.send(receiver, &Packet::PubComp(ack(1)));
    // The identifier is free: this is another message.
    store.net.publish(sender, publish(Q2, 7, "t", "another"));
    store.sync();
    assert_eq!(
        store.net.read(receiver),
        ["PUBLISH q2 id=2 t=another SubscriptionIdentifier(9)"]
    );
}

#[test]
fn retained_messages_are_found_and_those_removed_are_not() {
    let mut store = Written::new();
    let client = store.net.simple(V5, "p");
    for (number, topic, payload) in [
        (1, "a", "old"),
        (2, "a", "new"),
        (3, "b", "x"),
        (4, "b", ""),
    ] {
        let packet = Publish {
            retain: true,
            ..publish(Q1, number, topic, payload)
        };
        store.net.publish(client, packet);
    }
    store.sync();
    let mut store = store.killed_for(1);
    let client = store.net.simple(V3, "r");
    store
        .net
        .subscribe_with(client, 1, &[], &[("#", options(Q0))]);
    assert_eq!(
        store.net.read(client),
        ["SUBACK 1 00", "PUBLISH q0 retain a=new"]
    );
}

#[test]
fn the_time_spent_down_counts() {
    let mut store = Written::new();
    let watcher = store.net.dial(&hello(V5, "w").stored(1_000_000));
    store.sync();
    store
        .net
        .subscribe_with(watcher, 1, &[], &[("#", options(Q1))]);
    store.net.abort(watcher);
    let mut will = farewell("will", "gone");
    will.qos = Q1;
    will.properties = vec![Property::WillDelayInterval(50)];
    for name in ["stays", "goes"] {
        let seconds = if name == "goes" { 60 } else { 600 };
        let client = store
            .net
            .dial(&hello(V5, name).stored(seconds).will(will.clone()));
        store.sync();
        store.net.abort(client);
    }
    let publisher = store.net.simple(V5, "p");
    store
        .net
        .publish(publisher, publish(Q1, 1, "$delayed/30/later", "x"));
    store.net.publish_with(
        publisher,
        publish(Q1, 2, "short", "x"),
        &[Property::MessageExpiryInterval(10)],
    );
    store.sync();
    assert_eq!(store.net.broker.hub().figures().stored_sessions, 3);

    let mut store = store.killed_for(20);
    assert_eq!(store.net.broker.hub().figures().delayed_messages, 1);
    let watcher = store.net.dial(&hello(V5, "w").stored(1_000_000));
    store.sync();
    assert_eq!(store.net.read(watcher).len(), 1, "only CONNACK: it expired");
    store.net.abort(watcher);
    store.sync();

    let mut store = store.killed_for(100);
    assert_eq!(store.net.broker.hub().figures().stored_sessions, 2);
    store.sync();
    let mut store = store.killed_for(1);
    let watcher = store.net.dial(&hello(V5, "w").stored(1_000_000));
    store.sync();
    assert_eq!(
        store.net.read(watcher),
        [
            "CONNACK 00 present",
            "PUBLISH q1 id=1 dup later=x",
            "PUBLISH q1 id=2 dup will=gone",
            "PUBLISH q1 id=3 dup will=gone",
        ],
        "each once"
    );
}

#[test]
fn what_ended_stays_ended() {
    let mut store = Written::new();
    session_with_subscription(&mut store);
    let client = store.net.dial(&hello(V5, "s"));
    store.sync();
    store.net.abort(client);
    let other = store.net.dial(&hello(V5, "o").stored(10));
    store.sync();
    store.net.subscribe_with(
        other,
        1,
        &[],
        &[("stays", options(Q1)), ("goes", options(Q1))],
    );
    store.net.unsubscribe(other, 2, &["goes"]);
    let third = store.net.dial(&hello(V5, "x").stored(10));
    store.sync();
    store
        .net
        .disconnect(third, 0, &[Property::SessionExpiryInterval(0)]);
    store.sync();
    let store = store.killed_for(1);
    let figures = store.net.broker.hub().figures();
    assert_eq!((figures.stored_sessions, figures.subscriptions), (1, 1));
}

/// A broker's life with a bit of everything.
fn busy_life() -> Disk {
    let mut store = Written::new();
    session_with_subscription(&mut store);
    let mut will = farewell("t/will", "gone");
    will.properties = vec![Property::WillDelayInterval(1)];
    let sender = store.net.dial(&hello(V5, "p").stored(100).will(will));
    store.sync();
    let member = store.net.dial(&hello(V5, "m").stored(5));
    store.sync();
    store
        .net
        .subscribe_with(member, 1, &[], &[("$share/g/t/#", options(Q1))]);
    store.sync();
    let payload = "payload ".repeat(20);
    for number in 1..=4 {
        let qos = if number % 2 == 0 { Q1 } else { Q2 };
        let packet = Publish {
            retain: number == 4,
            ..publish(qos, number, "t/x", &payload)
        };
        store.net.publish(sender, packet);
    }
    store
        .net
        .publish(sender, publish(Q1, 9, "$delayed/2/t/d", "later"));
    store.sync();
    let receiver = store.net.dial(&hello(V5, "s").stored(100));
    store.sync();
    store.net.send(receiver, &Packet::PubRec(ack(1)));
    store.net.send(receiver, &Packet::PubAck(ack(2)));
    store.net.send(sender, &Packet::PubRel(ack(1)));
    store.sync();
    store.net.send(receiver, &Packet::PubComp(ack(1)));
    store.sync();
    store
        .net
        .subscribe_with(member, 2, &[], &[("t/x", options(Q1))]);
    store.sync();
    store.net.unsubscribe(member, 3, &["t/x"]);
    let short = store.net.dial(&hello(V5, "short").stored(5));
    store.sync();
    store
        .net
        .disconnect(short, 0, &[Property::SessionExpiryInterval(0)]);
    store.sync();
    for client in [member, sender, receiver] {
        store.net.abort(client);
        store.sync();
        store.net.wait_millis(3_000);
        store.sync();
    }
    store.net.wait_millis(200_000);
    store.sync();
    // A Session that a connection takes and does not want to be kept any more.
    for seconds in [5, 0] {
        let client = store.net.dial(&hello(V5, "kept no more").stored(seconds));
        store.sync();
        store.net.abort(client);
        store.sync();
    }
    store.disk
}

#[test]
fn a_compacted_log_comes_to_the_same_at_every_record() {
    let disk = busy_life();
    assert!(disk.records.len() > 30);
    for count in 0..=disk.records.len() {
        let image = disk.image(count);
        assert_eq!(image.position(), Position::new(count as u64));
        let compacted = encoded(image.records());
        let mut again = Image::new(&config());
        compacted.iter().for_each(|bytes| apply(&mut again, bytes));
        assert_eq!(again.contents(), image.contents(), "{count}");
        assert_eq!(encoded(again.records()), compacted, "{count}");
        // What follows means the same behind it.
        for bytes in &disk.records[count..] {
            apply(&mut again, bytes);
        }
        let end = disk.image(disk.records.len());
        assert_eq!(encoded(again.records()), encoded(end.records()), "{count}");
    }
}

#[test]
fn a_broker_comes_back_from_every_record_and_makes_records_that_fit() {
    let disk = busy_life();
    for count in 0..=disk.records.len() {
        let image = disk.image(count);
        let now = Time::from_millis(1_000_000);
        let broker = VirtualBroker::recover(config(), &image, now);
        let mut after = image.clone();
        let batch = broker.hub().take_records();
        for record in batch.records {
            after.apply(record);
        }
        assert_eq!(after.position(), batch.end, "{count}");
        let figures = broker.hub().figures();
        let contents = after.contents();
        assert_eq!(figures.stored_sessions, contents.sessions, "{count}");
        assert_eq!(figures.subscriptions, contents.subscriptions, "{count}");
        assert_eq!(figures.retained_messages, contents.retained, "{count}");
        assert_eq!(figures.delayed_messages, contents.delayed, "{count}");
    }
}

#[test]
fn bytes_that_are_no_record_are_refused_and_never_believed() {
    let disk = busy_life();
    let image = Image::new(&config());
    for bytes in &disk.records {
        for end in 0..bytes.len() {
            let mut rest = &bytes[..end];
            assert!(image.decode(&mut rest).is_err(), "cut at {end}");
        }
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 0xff;
            // It may be another record: telling is the checksum's work. It must not panic or allocate what it claims.
            _ = image.decode(&mut &bytes[..]);
        }
    }
}

/// One retained message for each number, the first at QoS 0.
fn retain_five(store: &mut Written) {
    let publisher = store.net.simple(V5, "p");
    for number in 0..5 {
        let topic = format!("r/{number}");
        let packet = Publish {
            retain: true,
            ..publish(if number == 0 { Q0 } else { Q2 }, 9, &topic, "x")
        };
        store.net.publish(publisher, packet);
        store.sync();
        if number > 0 {
            store.net.send(publisher, &Packet::PubRel(ack(9)));
            store.sync();
        }
    }
}

/// Topics of the retained messages that a client is sent.
fn topics(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line.split(" retain r/").nth(1)?.split('=').next())
        .collect()
}

#[test]
fn what_a_subscription_was_owed_of_retained_messages_comes_after_the_crash() {
    for filter in ["r/#", "r/3"] {
        for read_before in 0..4 {
            let mut store = Written::new();
            retain_five(&mut store);
            let hello = hello(V5, "s").stored(100);
            let narrow = hello.clone().with(Property::ReceiveMaximum(1));
            let client = store.net.dial(&narrow);
            store.sync();
            store
                .net
                .subscribe_with(client, 1, &[], &[(filter, options(Q1))]);
            store.sync();
            let mut seen: Vec<String> = Vec::new();
            for _ in 0..read_before {
                let lines = store.net.read(client);
                seen.extend(topics(&lines).into_iter().map(str::to_owned));
                let id = lines.iter().find_map(|line| {
                    let id = line.strip_prefix("PUBLISH q1 id=")?;
                    id.split(' ').next()?.parse().ok()
                });
                if let Some(id) = id {
                    store.net.send(client, &Packet::PubAck(ack(id)));
                    store.sync();
                }
            }
            let mut store = store.killed_for(1);
            // What recovery reads is also what a compacted log says.
            let image = store.disk.image(store.disk.records.len());
            let mut compacted = Image::new(&config());
            for bytes in encoded(image.records()) {
                apply(&mut compacted, &bytes);
            }
            assert_eq!(encoded(compacted.records()), encoded(image.records()));
            let client = store.net.dial(&hello);
            store.sync();
            let lines = store.net.read(client);
            let again = topics(&lines);
            for topic in &again {
                let times = seen.iter().filter(|known| known == topic).count();
                assert!(times == 0 || lines.iter().any(|line| line.contains("dup")));
            }
            let mut all: Vec<&str> = seen.iter().map(String::as_str).chain(again).collect();
            all.sort_unstable();
            all.dedup();
            // QoS 0 may be lost, but is not sent twice.
            all.retain(|topic| *topic != "0");
            let expected: &[&str] = if filter == "r/#" {
                &["1", "2", "3", "4"]
            } else {
                &["3"]
            };
            assert_eq!(all, expected, "{filter}, killed after {read_before}");
        }
    }
}

#[test]
fn a_qos_1_message_that_may_have_been_sent_comes_again_with_dup() {
    let mut store = Written::new();
    session_with_subscription(&mut store);
    let client = store.net.dial(&hello(V5, "s").stored(100));
    store.sync();
    assert_eq!(store.net.read(client), ["CONNACK 00 present"]);
    let publisher = store.net.simple(V5, "p");
    store.net.publish(publisher, publish(Q1, 1, "t/a", "x"));
    let first = "PUBLISH q1 id=1 t/a=x SubscriptionIdentifier(9)";
    assert_eq!(store.net.read(client), [first]);
    // That it was sent is a record of its own, which was not written.
    let batch = store.net.broker.hub().take_records();
    store
        .disk
        .records
        .extend(encoded(batch.records.into_iter().take(1)));
    let mut store = store.killed_for(1);
    let client = store.net.dial(&hello(V5, "s").stored(100));
    store.sync();
    let lines = store.net.read(client);
    let again = "PUBLISH q1 id=1 dup t/a=x SubscriptionIdentifier(9)";
    assert_eq!(lines, ["CONNACK 00 present", again]);
}

#[test]
fn what_a_member_left_over_and_another_may_have_had_comes_to_it_again_with_dup() {
    let mut store = Written::new();
    let members = ["a", "b"].map(|name| {
        let member = store.net.dial(&hello(V5, name).stored(100));
        store.sync();
        let filter = ("$share/g/t", options(Q1));
        store.net.subscribe_with(member, 1, &[], &[filter]);
        store.sync();
        assert_eq!(store.net.read(member), ["CONNACK 00", "SUBACK 1 01"]);
        member
    });
    let publisher = store.net.simple(V5, "p");
    store.net.publish(publisher, publish(Q1, 1, "t", "x"));
    store.sync();
    let lines = members.map(|member| store.net.read(member));
    let one = vec!["PUBLISH q1 id=1 t=x".to_owned()];
    assert_eq!(lines, [vec![], one.clone()], "the second has it");
    let ends = Property::SessionExpiryInterval(0);
    store.net.disconnect(members[1], 0, &[ends]);
    assert_eq!(store.net.read(members[0]), one, "then the other");
    // Nothing of that was written.
    let mut store = store.killed_for(1);
    let [second, first] = [hello(V5, "b"), hello(V5, "a").stored(100)].map(|hello| {
        let member = store.net.dial(&hello);
        store.sync();
        member
    });
    assert_eq!(store.net.read(second), ["CONNACK 00"], "begun anew");
    assert_eq!(
        store.net.read(first),
        ["CONNACK 00 present", "PUBLISH q1 id=1 dup t=x"]
    );
}

#[test]
fn a_store_that_does_not_keep_up_has_clients_refused_at_the_bound() {
    let limited = Config {
        pending_records: 4,
        ..config()
    };
    let mut net = Net::with(limited);
    let client = net.dial(&hello(V5, "s").stored(100));
    let catch_up = |net: &mut Net| {
        let batch = net.broker.hub().take_records();
        net.broker.hub().durable_up_to(batch.end);
        net.broker.settle();
        batch.records.len()
    };
    assert_eq!(catch_up(&mut net), 1);
    net.read(client);
    let retained = |number: u16| Publish {
        retain: true,
        ..publish(Q1, number, "t", "x")
    };
    // Four records are at the bound.
    for number in 1..=4 {
        net.publish(client, retained(number));
    }
    let other = net.simple(V5, "o");
    net.publish(other, publish(Q1, 1, "t", "x"));
    net.subscribe_with(other, 2, &[], &[("t", options(Q1))]);
    assert_eq!(
        net.read_without_reason(other),
        ["PUBACK 1 97", "SUBACK 2 01", "PUBLISH q1 id=1 retain t=x"]
    );
    net.subscribe_with(client, 9, &[], &[("t", options(Q1))]);
    let late = net.dial(&hello(V5, "late").stored(100));
    assert_eq!(net.read_without_reason(late), ["CONNACK 97"]);
    let old = net.simple(V3, "old");
    net.publish(old, publish(Q1, 1, "t", "waits"));
    net.publish(old, publish(Q0, 1, "free", "x"));
    assert!(
        net.read(old).is_empty(),
        "it cannot be refused, so it waits"
    );
    assert!(net.read(client).is_empty(), "nothing is durable");
    assert_eq!(catch_up(&mut net), 4);
    assert_eq!(
        net.read_without_reason(client),
        [
            "PUBACK 1 10",
            "PUBACK 2 10",
            "PUBACK 3 10",
            "PUBACK 4 10",
            "SUBACK 9 97"
        ]
    );
    net.wait(1);
    assert_eq!(net.read(old), ["PUBACK 1"]);
    // The store itself may say it, whatever waits.
    net.broker.hub().store_is_stuck();
    net.publish(client, retained(5));
    assert_eq!(net.read_without_reason(client), ["PUBACK 5 97"]);
    catch_up(&mut net);
    net.publish(client, retained(6));
    assert_eq!(catch_up(&mut net), 1);
    assert_eq!(net.read_without_reason(client), ["PUBACK 6"]);
}

/// The format of records, byte by byte: what changes here can no more be read by a broker that was released before, and needs
/// another number in the header of the log.
#[test]
fn records_are_written_as_they_ever_were() {
    let disk = busy_life();
    let lines: Vec<String> = disk
        .records
        .iter()
        .map(|bytes| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let text: String = bytes
                .iter()
                .map(|&byte| {
                    if byte.is_ascii_graphic() {
                        char::from(byte)
                    } else {
                        '.'
                    }
                })
                .collect();
            format!("{hex} {text}")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    let kinds: BTreeSet<u8> = disk.records.iter().map(|bytes| bytes[0]).collect();
    assert_eq!(kinds, (1..=19).collect(), "each kind of record is shown");
}
