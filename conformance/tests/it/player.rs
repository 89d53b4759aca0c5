//! Playing scenarios: on scripted peers that are wrong on purpose.

use quince_codec::Version;
use quince_conformance::{
    link::{
        run_without_waiting,
        scripted::{Behaviour, Peer, Reply, ScriptedLink},
    },
    player::{PlayOptions, play},
    prove::plays,
    scenario::{Scenario, StatementsByShape, parse},
    verdict::{Outcome, Verdict},
};

/// Scenarios that show the language at work: some of the suite, and some for constructs that it hardly uses.
const FIRST: [(&str, &str); 9] = [
    (
        "connect/connect-is-accepted.kdl",
        include_str!("../../scenarios/connect/connect-is-accepted.kdl"),
    ),
    (
        "publish/qos1-publish-is-acknowledged.kdl",
        include_str!("../../scenarios/publish/qos1-publish-is-acknowledged.kdl"),
    ),
    (
        "publish/publish-reaches-the-subscriber.kdl",
        include_str!("../../scenarios/publish/publish-reaches-the-subscriber.kdl"),
    ),
    (
        "pingreq/ping-is-answered.kdl",
        include_str!("../../scenarios/pingreq/ping-is-answered.kdl"),
    ),
    (
        "disconnect/disconnect-discards-the-will.kdl",
        include_str!("../../scenarios/disconnect/disconnect-discards-the-will.kdl"),
    ),
    (
        "publish/malformed-publish-closes.kdl",
        include_str!("../../scenarios/publish/malformed-publish-closes.kdl"),
    ),
    (
        "connect/keep-alive-closes-in-time.kdl",
        include_str!("../../scenarios/connect/keep-alive-closes-in-time.kdl"),
    ),
    (
        "subscribe/retained-message-and-suback-in-any-order.kdl",
        include_str!("../../scenarios/subscribe/retained-message-and-suback-in-any-order.kdl"),
    ),
    ("first.kdl", include_str!("scenarios/first.kdl")),
];

/// The scenarios in them.
pub(crate) fn first_scenarios() -> Vec<Scenario> {
    let read = |(file, source): (&str, &str)| {
        parse(file, source, &StatementsByShape).unwrap_or_else(|error| panic!("{error}"))
    };
    FIRST.into_iter().flat_map(read).collect()
}

/// One scenario with these steps, in 5.0.
pub(crate) fn scenario(steps: &str) -> Scenario {
    let fault = "fault f violates=\"MQTT5-4.3.2-4\" caught-at=end { drop PINGRESP }";
    let tail = if steps.contains("fault ") {
        String::new()
    } else {
        format!("\n(end)c alive\n{fault}")
    };
    let source = format!(
        "scenario s {{\nwhy \"w\"\nmqtt \"5.0\"\nproves \"MQTT5-4.3.2-4\"\n{steps}{tail}\n}}"
    );
    let mut scenarios =
        parse("s.kdl", &source, &StatementsByShape).unwrap_or_else(|error| panic!("{error}"));
    scenarios.remove(0)
}

fn play_on(link: &mut ScriptedLink, scenario: &Scenario) -> Outcome {
    run_without_waiting(play(
        scenario,
        &scenario.cases[0],
        Version::V5_0,
        link,
        &PlayOptions::default(),
    ))
}

/// Plays steps against a broker that behaves like this.
fn against(behaviour: Behaviour, steps: &str) -> Outcome {
    play_on(&mut ScriptedLink::behaving(behaviour), &scenario(steps))
}

/// A peer that accepts CONNECT and then says what it was given, once for each packet it receives.
struct Talker(Vec<Vec<Reply>>);

impl Peer for Talker {
    fn received(&mut self, _bytes: &[u8]) -> Vec<Reply> {
        if self.0.is_empty() {
            Vec::new()
        } else {
            self.0.remove(0)
        }
    }
}

/// Plays steps against a peer that accepts CONNECT and then says these bytes, given as hex, once for each write; `close` closes.
fn talking(replies: &[&str], steps: &str) -> Outcome {
    let mut script = vec![vec![Reply::Bytes(vec![0x20, 3, 0, 0, 0])]];
    script.extend(replies.iter().map(|reply| {
        let word = |word: &str| match word {
            "close" => Reply::Close,
            hex => Reply::Bytes(quince_conformance::scenario::expression::unhex(hex).expect("hex")),
        };
        reply.split_whitespace().map(word).collect()
    }));
    let mut link = ScriptedLink::new(move || Box::new(Talker(script.clone())));
    play_on(&mut link, &scenario(&format!("c connect\n{steps}")))
}

#[track_caller]
fn fails(outcome: &Outcome, parts: &[&str]) {
    assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:#?}");
    for part in parts {
        assert!(
            outcome.detail.contains(part),
            "expected {part:?} in:\n{}",
            outcome.detail
        );
    }
}

#[track_caller]
fn passes(outcome: &Outcome) {
    assert_eq!(
        outcome.verdict,
        Verdict::Pass,
        "{}\n{:#?}",
        outcome.detail,
        outcome.transcript
    );
}

#[test]
fn useless_brokers_pass_nothing_but_what_they_do() {
    for behaviour in Behaviour::ALL {
        let mut passed = Vec::new();
        for scenario in first_scenarios() {
            for (case, version) in plays(&scenario) {
                let mut link = ScriptedLink::behaving(behaviour);
                let outcome = run_without_waiting(play(
                    &scenario,
                    case,
                    version,
                    &mut link,
                    &PlayOptions::default(),
                ));
                assert_ne!(
                    outcome.verdict,
                    Verdict::Error,
                    "{behaviour:?}: {}",
                    outcome.detail
                );
                if outcome.verdict == Verdict::Pass {
                    passed.push(scenario.slug.clone());
                } else {
                    assert!(
                        !outcome.detail.is_empty(),
                        "{behaviour:?} {}: no reason",
                        outcome.scenario
                    );
                }
            }
        }
        passed.dedup();
        // Acknowledging everything is all that these ask for.
        let allowed: &[&str] = match behaviour {
            Behaviour::AcknowledgeAll => &[
                "connect-is-accepted",
                "qos1-publish-is-acknowledged",
                "ping-is-answered",
            ],
            _ => &[],
        };
        assert_eq!(passed, allowed, "{behaviour:?}");
    }
}

#[test]
fn a_broken_scene_is_inconclusive_unless_it_is_named() {
    assert_eq!(
        against(Behaviour::NeverAnswer, "c connect").verdict,
        Verdict::Inconclusive
    );
    fails(
        &against(Behaviour::NeverAnswer, "(scene)c connect"),
        &["step (scene)", "nothing came to c within 5 s"],
    );
}

#[test]
fn the_next_packet_must_be_the_expected_one() {
    let outcome = talking(
        &["40020007"],
        "c -> PUBLISH qos=1 id=7 topic=\"a\"\n(ack)c <- PUBACK id=8",
    );
    fails(
        &outcome,
        &[
            "step (ack), line 7",
            "expected PUBACK id=8",
            "got PUBACK id=7",
            "id is 7, expected 8",
        ],
    );
    assert_eq!(outcome.failed_step.as_deref(), Some("ack"));
    let outcome = talking(
        &["4004000710 00"],
        "c -> PUBLISH qos=1 id=7 topic=\"a\"\nc <- PUBACK id=7",
    );
    assert_ne!(outcome.verdict, Verdict::Pass, "an odd packet passed");
    fails(
        &talking(
            &["4003000787"],
            "c -> PUBLISH qos=1 id=7 topic=\"a\"\nc <- PUBACK id=7",
        ),
        &["code is 135, expected a success"],
    );
    passes(&talking(
        &["4003000787", "d000"],
        "c -> PUBLISH qos=1 id=7 topic=\"a\"\nc <- PUBACK id=7 code=error",
    ));
    passes(&talking(
        &["4003000787", "d000"],
        "c -> PUBLISH qos=1 id=7 topic=\"a\"\nc <- PUBACK id=7 code=not-authorized",
    ));
}

#[test]
fn what_nobody_expects_is_a_failure_unless_it_is_allowed() {
    let send = "c -> PUBLISH qos=1 id=7 topic=\"a\"";
    let twice = "40020007 40020007";
    fails(
        &talking(
            &[twice, "d000"],
            &format!("{send}\nc <- PUBACK id=7\n(q)c quiet"),
        ),
        &["nothing but the answer to PINGREQ"],
    );
    passes(&talking(
        &[twice, "d000", "d000"],
        &format!("{send}\nc <- PUBACK id=7\noptional {{ c <- PUBACK id=7 }}\nc quiet"),
    ));
    passes(&talking(
        &[twice, "d000", "d000"],
        &format!("ignore {{ c <- PUBACK }}\n{send}\nc quiet"),
    ));
    // An optional packet may come once only.
    let thrice = "40020007 40020007 40020007";
    let steps = format!("{send}\nc <- PUBACK id=7\noptional {{ c <- PUBACK id=7 }}\nc quiet");
    fails(
        &talking(&[thrice, "d000", "d000"], &steps),
        &["got PUBACK id=7"],
    );
}

#[test]
fn what_does_not_decode_fails_the_step_in_hand() {
    let outcome = talking(&["d100"], "c -> PINGREQ\n(p)c <- PINGRESP");
    fails(&outcome, &["does not decode", "d100"]);
    // Also where nobody looks at it any more.
    let outcome = talking(
        &["d000 4100"],
        "c -> PINGREQ\nc <- PINGRESP\nfault f violates=\"MQTT5-4.3.2-4\" caught-at=p { drop PINGRESP }\n(p)c finish",
    );
    fails(&outcome, &["does not decode"]);
    let outcome = talking(&["d0ffffffffff"], "c -> PINGREQ\n(p)c <- PINGRESP");
    fails(&outcome, &["no packet"]);
}

#[test]
fn a_close_must_be_seen() {
    let send = "c -> raw hex=\"c100\"\n(end)c closed";
    let fault = "\nfault f violates=\"MQTT5-4.3.2-4\" caught-at=end { hold-close }";
    let closed =
        |replies: &[&str], words: &str| talking(replies, &format!("{send} {words}{fault}"));
    passes(&closed(&["close"], ""));
    passes(&closed(&["e00181 close"], ""));
    fails(
        &closed(&["e00181"], ""),
        &[
            "expected the server to close the connection",
            "nothing came",
        ],
    );
    fails(
        &closed(&["e00181", "d000"], ""),
        &["although the broker answers a PINGREQ"],
    );
    fails(&closed(&["e00100 close"], ""), &["got DISCONNECT"]);
    fails(&closed(&["e00181 close"], "silently"), &["got DISCONNECT"]);
    fails(
        &closed(&["e00181 close"], "code=0x82"),
        &["got DISCONNECT code=0x81"],
    );
    passes(&closed(&["e00182 close"], "code=\"0x81|0x82\""));
    fails(&closed(&["e00181 e00181 close"], ""), &["got DISCONNECT"]);
    fails(&closed(&["40020007 close"], ""), &["got PUBACK"]);
    // Part of a packet before the close is no packet.
    fails(&closed(&["e0 close"], ""), &["no packet"]);
}

#[test]
fn waiting_in_vain_asks_whether_the_broker_is_there() {
    let steps = "c -> PUBLISH qos=1 id=7 topic=\"a\"\n(ack)c <- PUBACK id=7";
    fails(
        &talking(&["", "d000"], steps),
        &["nothing came to c within 5 s, although the broker answers a PINGREQ"],
    );
    fails(
        &talking(&[], steps),
        &["and the broker does not answer a PINGREQ either"],
    );
    fails(
        &talking(&["close"], steps),
        &["got the end of the connection"],
    );
}

#[test]
fn plumbing_asks_for_success() {
    // The player's own identifiers begin at 60001, 0xea61.
    let subscribe = "(s)c subscribe \"a\" qos=1";
    passes(&talking(&["9004ea610001", "d000"], subscribe));
    fails(
        &talking(&["9004ea610000"], subscribe),
        &["expected SUBACK with the codes [1]"],
    );
    let publish = "(p)c publish \"a\" qos=1";
    passes(&talking(&["4002ea61", "d000"], publish));
    fails(
        &talking(&["4003ea6187"], publish),
        &["expected PUBACK with success"],
    );
    fails(
        &talking(&["4002ea62", "d000"], publish),
        &["expected PUBACK, but it did not come"],
    );
    let twice = "(p)c publish \"a\" qos=2";
    passes(&talking(&["5002ea61", "7002ea61", "d000"], twice));
    fails(
        &talking(&["5002ea61", "7003ea6192"], twice),
        &["expected PUBCOMP with success"],
    );
    // What comes in between stays for later steps.
    let delivered = format!("{publish}\nc <- PUBLISH topic=\"a\"");
    passes(&talking(&["30050001610078 4002ea61", "d000"], &delivered));
}

#[test]
fn a_sentinel_closes_an_absence() {
    // What the client publishes comes back to it: the sentinel is the payload "sentinel 1".
    let sentinel = "300e 0001 61 00 73656e74696e656c2031".replace(' ', "");
    let other = "30050001610078";
    let steps = "(q)c quiet by=c topic=\"a\"";
    passes(&talking(&[&sentinel, "d000"], steps));
    fails(
        &talking(&[&format!("{other} {sentinel}")], steps),
        &["nothing but the sentinel", "payload=\"x\""],
    );
    fails(
        &talking(&[], steps),
        &["expected the sentinel that c published"],
    );
}

#[test]
fn bindings_are_kept_and_used() {
    // A QoS 1 PUBLISH with identifier 5 to "a", then the same identifier again.
    let publish = "32070001610005 0078".replace(' ', "");
    let steps = "c -> PINGREQ\nc <- PUBLISH topic=\"a\" id=(as)m payload=\"x\"\nc -> PUBACK id=$m\nc <- PUBLISH id=";
    passes(&talking(
        &[&publish, &publish, "d000"],
        &format!("{steps}$m"),
    ));
    fails(
        &talking(&[&publish, &publish], &format!("{steps}(not)$m")),
        &["id is 5, expected not 5"],
    );
    fails(
        &talking(&[&publish, &publish], &format!("{steps}\"$m+1\"")),
        &["id is 5, expected 6"],
    );
}

#[test]
fn groups_take_any_order_and_nothing_else() {
    let group = "c -> PINGREQ\n(g)unordered { (a)c <- PUBACK id=1; (b)c <- PUBACK id=2 }";
    passes(&talking(&["40020002 40020001", "d000"], group));
    passes(&talking(&["40020001 40020002", "d000"], group));
    let outcome = talking(&["40020001 40020001"], group);
    fails(&outcome, &["step (b)", "got PUBACK id=1"]);
    let outcome = talking(&["40020002", "d000"], group);
    fails(&outcome, &["step (a)", "nothing came"]);
}

#[test]
fn the_first_thing_that_comes_decides_between_alternatives() {
    let steps = "c -> PINGREQ\neither { c <- PUBACK id=1; (one)c <- PUBACK id=2 }\nor { (gone)c closed; c connect }";
    passes(&talking(&["40020001 40020002", "d000"], steps));
    fails(&talking(&["40020001 40020003"], steps), &["step (one)"]);
    fails(
        &talking(&["40020009"], steps),
        &["or c closed", "got PUBACK id=9"],
    );
}

#[test]
fn times_are_judged_on_the_clock_of_the_link() {
    let early = "c -> PINGREQ\nc <- PINGRESP not-before=\"1s\"";
    fails(
        &talking(&["d000"], early),
        &["came after 0 s, not before 1 s was allowed"],
    );
    let since = "(s)c -> PINGREQ\nwait 3\nc <- PINGRESP within=\"2s\" since=s";
    passes(&talking(&["d000", "d000"], since));
    let late = "(s)c -> PINGREQ\nwait 3\nc -> PINGREQ\nc <- PINGRESP within=\"2s\" since=s";
    fails(
        &talking(&["", "d000"], late),
        &["came after 3 s, within 2 s was allowed"],
    );
}

#[test]
fn needs_are_read_from_the_connack() {
    let connack = |bytes: &'static [u8]| {
        move || -> Box<dyn Peer> {
            Box::new(Talker(vec![
                vec![Reply::Bytes(bytes.to_vec())],
                vec![Reply::Bytes(vec![0xd0, 0])],
            ]))
        }
    };
    let scenario = scenario("needs shared-subscriptions maximum-qos=2\nc connect");
    let shared_off = &[0x20, 5, 0, 0, 2, 0x2a, 0];
    let outcome = play_on(&mut ScriptedLink::new(connack(shared_off)), &scenario);
    assert_eq!(
        (outcome.verdict, outcome.detail.as_str()),
        (Verdict::Skipped, "needs shared-subscriptions")
    );
    let qos_1 = &[0x20, 5, 0, 0, 2, 0x24, 1];
    let outcome = play_on(&mut ScriptedLink::new(connack(qos_1)), &scenario);
    assert_eq!(
        (outcome.verdict, outcome.detail.as_str()),
        (Verdict::Skipped, "needs maximum-qos of 2, the server has 1")
    );
    passes(&play_on(
        &mut ScriptedLink::new(connack(&[0x20, 3, 0, 0, 0])),
        &scenario,
    ));
}

#[test]
fn a_need_may_have_both_ends() {
    let scenario = scenario("needs topic-alias-maximum=\"1..65534\"\nc connect");
    for (maximum, skipped) in [
        (0, Some("the server has 0")),
        (1, None),
        (65_534, None),
        (65_535, Some("the server has 65535")),
    ] {
        let connack = move || -> Box<dyn Peer> {
            let [high, low] = u16::to_be_bytes(maximum);
            let connack = vec![0x20, 6, 0, 0, 3, 0x22, high, low];
            let pong = vec![0xd0, 0];
            Box::new(Talker(vec![
                vec![Reply::Bytes(connack)],
                vec![Reply::Bytes(pong)],
            ]))
        };
        let outcome = play_on(&mut ScriptedLink::new(connack), &scenario);
        match skipped {
            None => passes(&outcome),
            Some(why) => {
                assert_eq!(outcome.verdict, Verdict::Skipped);
                let words = format!("needs topic-alias-maximum of 1 to 65534, {why}");
                assert_eq!(outcome.detail, words);
            }
        }
    }
}

#[test]
fn steps_that_need_quic_are_skipped_elsewhere() {
    let outcome = against(Behaviour::AcknowledgeAll, "c connect\nc reset code=1");
    assert_eq!(
        (outcome.verdict, outcome.detail.as_str()),
        (Verdict::Skipped, "needs quic")
    );
}

#[test]
fn the_scenarios_own_faults_are_errors() {
    for steps in [
        "c connect\nc connect",
        "c connect\nc drop\nc -> PINGREQ\nc finish\nc drop\nc finish",
    ] {
        assert_eq!(
            against(Behaviour::AcknowledgeAll, steps).verdict,
            Verdict::Error,
            "{steps}"
        );
    }
}

#[test]
fn the_transcript_tells_who_said_what_when() {
    let outcome = talking(&["d000", "d000"], "c -> PINGREQ\nc <- PINGRESP\nwait 2");
    let lines: Vec<String> = outcome
        .transcript
        .iter()
        .map(|entry| {
            format!(
                "{} {} {} {}",
                entry.time_ms,
                entry.client,
                entry.direction.arrow(),
                entry.decoded
            )
        })
        .collect();
    assert_eq!(lines[0], "0 c -> opens a connection");
    assert!(
        lines[1].starts_with("0 c -> CONNECT client-id="),
        "{lines:?}"
    );
    assert_eq!(lines[2], "0 c <- CONNACK session-present=#false code=0x00");
    assert_eq!(
        lines[3..],
        [
            "0 c -> PINGREQ",
            "0 c <- PINGRESP",
            "2000 c -> PINGREQ",
            "2000 c <- PINGRESP"
        ]
    );
    assert_eq!(outcome.transcript[3].hex, "c000");
}
