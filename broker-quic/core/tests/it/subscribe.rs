//! SUBSCRIBE, UNSUBSCRIBE and what the options mean.

use quince_codec::{Property, Publish, RetainHandling, SubscriptionOptions};

use crate::net::{BOTH, Net, Q0, Q1, Q2, V3, V5, options, publish};

#[test]
fn each_filter_has_its_code_in_order() {
    let mut net = Net::new();
    let long = vec!["a"; 129].join("/");
    let filters = [
        ("a", options(Q2)),
        ("b/+", options(Q0)),
        (long.as_str(), options(Q1)),
        ("$share/g", options(Q1)),
        ("$share//t", options(Q1)),
        ("$share/g/t", options(Q1)),
        ("", options(Q1)),
        ("a/#/b", options(Q1)),
        ("a+", options(Q1)),
        ("$share/+/t", options(Q1)),
        ("$share/g/t#", options(Q1)),
    ];
    let five = net.simple(V5, "five");
    net.subscribe_with(five, 513, &[], &filters);
    assert_eq!(
        net.read_without_reason(five),
        ["SUBACK 513 02 00 8f 8f 8f 01 8f 8f 8f 8f 8f"]
    );
    let three = net.simple(V3, "three");
    net.subscribe_with(three, 513, &[], &filters);
    assert_eq!(
        net.read(three),
        ["SUBACK 513 02 00 80 80 80 01 80 80 80 80 80"]
    );
}

#[test]
fn unsubscribe_says_what_it_found() {
    let mut net = Net::new();
    let five = net.simple(V5, "five");
    net.subscribe(five, &[("a", Q0), ("b", Q0), ("a/+", Q0), ("A", Q0)]);
    net.unsubscribe(five, 0x1234, &["a", "x", "b", "a", "b/#/c"]);
    assert_eq!(net.read(five), ["UNSUBACK 4660 00 11 00 11 8f"]);
    for topic in ["a", "b", "a/b", "A"] {
        net.publish(five, publish(Q0, 0, topic, ""));
    }
    assert_eq!(net.read(five), ["PUBLISH q0 a/b=", "PUBLISH q0 A="]);
    let three = net.simple(V3, "three");
    net.unsubscribe(three, 7, &["never", "held"]);
    assert_eq!(net.read(three), ["UNSUBACK 7"]);
}

#[test]
fn a_filter_that_is_there_is_replaced() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe(client, &[("t", Q2)]);
    net.subscribe(client, &[("t", Q0)]);
    net.publish(client, publish(Q2, 1, "t", "x"));
    assert_eq!(net.read(client), ["PUBREC 1", "PUBLISH q0 t=x"]);
    net.unsubscribe(client, 1, &["t"]);
    net.publish(client, publish(Q0, 0, "t", "x"));
    assert_eq!(net.read(client), ["UNSUBACK 1 00"]);
}

#[test]
fn overlapping_subscriptions_give_one_copy_at_the_highest_qos_with_all_identifiers() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe_with(
        client,
        1,
        &[Property::SubscriptionIdentifier(5)],
        &[("a/#", options(Q2))],
    );
    net.subscribe_with(
        client,
        2,
        &[Property::SubscriptionIdentifier(300)],
        &[("a/b", options(Q0))],
    );
    net.read(client);
    net.subscribe(client, &[("+/b", Q1)]);
    net.publish(client, publish(Q2, 1, "a/b", "x"));
    let lines = net.read(client);
    assert_eq!(lines.len(), 2);
    assert!(lines[1].starts_with("PUBLISH q2 id=1 a/b=x "), "{lines:?}");
    for identifier in ["SubscriptionIdentifier(5)", "SubscriptionIdentifier(300)"] {
        assert_eq!(lines[1].matches(identifier).count(), 1, "{lines:?}");
    }
}

#[test]
fn the_highest_qos_counts_whichever_subscription_has_it() {
    for (wide, narrow) in [(Q0, Q2), (Q2, Q0), (Q1, Q1)] {
        let mut net = Net::new();
        let client = net.simple(V5, "a");
        net.subscribe(client, &[("a/#", wide), ("a/b", narrow)]);
        net.publish(client, publish(Q2, 1, "a/b", "x"));
        let qos = wide.max(narrow) as u8;
        assert_eq!(
            net.read(client)[1..],
            [format!("PUBLISH q{qos} id=1 a/b=x")]
        );
    }
}

#[test]
fn a_subscription_identifier_can_be_changed_and_taken_away() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    for (properties, expected) in [
        (
            vec![Property::SubscriptionIdentifier(1)],
            "PUBLISH q0 t=x SubscriptionIdentifier(1)",
        ),
        (
            vec![Property::SubscriptionIdentifier(268_435_455)],
            "PUBLISH q0 t=x SubscriptionIdentifier(268435455)",
        ),
        (vec![], "PUBLISH q0 t=x"),
    ] {
        net.subscribe_with(client, 1, &properties, &[("t", options(Q0))]);
        net.publish(client, publish(Q0, 0, "t", "x"));
        assert_eq!(net.read(client), ["SUBACK 1 00", expected]);
    }
}

#[test]
fn no_local_keeps_a_client_from_hearing_itself() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe_with(
        client,
        1,
        &[],
        &[(
            "t",
            SubscriptionOptions {
                no_local: true,
                ..options(Q1)
            },
        )],
    );
    net.read(client);
    net.publish(client, publish(Q1, 1, "t", "own"));
    assert_eq!(net.read(client), ["PUBACK 1 10"]);
    let other = net.simple(V5, "b");
    net.publish(other, publish(Q1, 1, "t", "other"));
    assert_eq!(net.read(client), ["PUBLISH q1 id=1 t=other"]);
}

#[test]
fn retain_as_published_keeps_the_flag() {
    let mut net = Net::new();
    let keeps = net.simple(V5, "keeps");
    let keep = SubscriptionOptions {
        retain_as_published: true,
        ..options(Q0)
    };
    net.subscribe_with(keeps, 1, &[], &[("t", keep)]);
    net.read(keeps);
    let drops = net.simple(V5, "drops");
    net.subscribe(drops, &[("t", Q0)]);
    let old = net.simple(V3, "old");
    net.subscribe(old, &[("t", Q0)]);
    for retain in [true, false] {
        net.publish(
            old,
            Publish {
                retain,
                ..publish(Q0, 0, "t", "x")
            },
        );
        assert_eq!(net.read(drops), ["PUBLISH q0 t=x"]);
        assert_eq!(net.read(old), ["PUBLISH q0 t=x"]);
        let expected = if retain {
            "PUBLISH q0 retain t=x"
        } else {
            "PUBLISH q0 t=x"
        };
        assert_eq!(net.read(keeps), [expected]);
    }
}

#[test]
fn retain_handling_says_when_retained_messages_are_sent() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.publish(
        client,
        Publish {
            retain: true,
            ..publish(Q0, 0, "t", "x")
        },
    );
    let with = |retain_handling| {
        [(
            "t",
            SubscriptionOptions {
                retain_handling,
                ..options(Q0)
            },
        )]
    };
    let retained = "PUBLISH q0 retain t=x";
    for (handling, gets) in [
        (RetainHandling::DoNotSend, false),
        (RetainHandling::SendIfNew, false),
        (RetainHandling::SendAtSubscribe, true),
        (RetainHandling::SendAtSubscribe, true),
    ] {
        net.subscribe_with(client, 1, &[], &with(handling));
        let expected = if gets {
            vec!["SUBACK 1 00", retained]
        } else {
            vec!["SUBACK 1 00"]
        };
        assert_eq!(net.read(client), expected, "{handling:?}");
    }
    net.unsubscribe(client, 2, &["t"]);
    net.subscribe_with(client, 3, &[], &with(RetainHandling::SendIfNew));
    assert_eq!(net.read(client), ["UNSUBACK 2 00", "SUBACK 3 00", retained]);
}

#[test]
fn filters_match_as_the_specification_says() {
    const TABLE: &[(&str, &[&str], &[&str])] = &[
        ("a/#", &["a", "a/", "a/b", "a/b/c"], &["b", "aa", "A", "/a"]),
        ("a/+", &["a/", "a/b"], &["a", "a/b/c"]),
        ("+", &["a"], &["/a", "a/b", "$a"]),
        ("+/+", &["/a", "a/b", "/"], &["a", "$a/b"]),
        ("/+", &["/a", "/"], &["a"]),
        ("#", &["a", "/", "a/b"], &["$a", "$a/b"]),
        ("+/a/#", &["x/a", "/a/b"], &["$x/a"]),
        ("$a/#", &["$a", "$a/b"], &["a"]),
        ("$a/+", &["$a/b"], &["$a"]),
        ("a//b", &["a//b"], &["a/b", "a/x/b"]),
        ("a b", &["a b"], &["ab"]),
        ("\u{e9}", &["\u{e9}"], &["e\u{301}"]),
        ("\u{feff}t", &["\u{feff}t"], &["t"]),
    ];
    for version in BOTH {
        for (filter, matching, others) in TABLE {
            let mut net = Net::new();
            let client = net.simple(version, "s");
            net.subscribe(client, &[(filter, Q0)]);
            for topic in matching.iter().chain(*others) {
                net.publish(client, publish(Q0, 0, topic, ""));
            }
            let expected: Vec<String> = matching
                .iter()
                .map(|topic| format!("PUBLISH q0 {topic}="))
                .collect();
            assert_eq!(net.read(client), expected, "{filter}");
        }
    }
}

#[test]
fn publishing_to_nobody_is_told_in_version_5() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.publish(client, publish(Q1, 1, "t", "x"));
    net.publish(client, publish(Q2, 2, "t", "x"));
    assert_eq!(net.read(client), ["PUBACK 1 10", "PUBREC 2 10"]);
}

#[test]
fn a_subscription_that_went_does_not_end_what_is_in_flight() {
    let mut net = Net::new();
    let client = net.simple(V5, "a");
    net.subscribe(client, &[("t", Q2)]);
    net.publish(client, publish(Q2, 1, "t", "x"));
    net.read(client);
    net.unsubscribe(client, 9, &["t"]);
    net.send(client, &quince_codec::Packet::PubRec(crate::net::ack(1)));
    assert_eq!(net.read(client), ["UNSUBACK 9 00", "PUBREL 1"]);
}
