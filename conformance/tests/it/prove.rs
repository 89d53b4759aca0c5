//! Proof and audit must bite: each of their conditions is seen broken.

use quince_codec::Version;
use quince_conformance::{
    link::{
        run_without_waiting,
        scripted::{Behaviour, Peer},
    },
    prove::{Finding, ScriptedStage, audit, prove},
    scenario::{Scenario, StatementsByShape},
};

use crate::player::scenario;

type MakePeer = fn() -> Box<dyn Peer>;

/// A broker that acknowledges everything.
fn stage() -> ScriptedStage<MakePeer> {
    ScriptedStage(|| Behaviour::AcknowledgeAll.peer())
}

/// One QoS 1 PUBLISH, with this acknowledgement expected and this fault.
fn with_fault(ack: &str, fault: &str) -> Scenario {
    scenario(&format!(
        "c connect\nc -> PUBLISH qos=1 id=7 topic=\"$t/a\"\n(ack)c <- PUBACK {ack}\n(end)c alive\nfault f violates=\"MQTT5-4.3.2-4\" {fault}"
    ))
}

fn finding(scenario: &Scenario) -> Finding {
    let mut results = run_without_waiting(prove(scenario, &StatementsByShape, &mut stage()));
    assert_eq!(results.len(), 1);
    results.remove(0).finding
}

#[test]
fn a_caught_fault_proves_its_statements() {
    let scenario = with_fault("id=7", "caught-at=ack { set PUBACK id=8 }");
    let results = run_without_waiting(prove(&scenario, &StatementsByShape, &mut stage()));
    assert_eq!(results[0].finding, Finding::Caught);
    assert_eq!(results[0].proven, ["MQTT5-4.3.2-4"]);
    assert_eq!(results[0].version, Version::V5_0);
}

#[test]
fn a_fault_that_nobody_notices_is_not_caught() {
    assert_eq!(
        finding(&with_fault("id=any", "caught-at=ack { set PUBACK id=8 }")),
        Finding::NotCaught
    );
}

#[test]
fn a_fault_that_touches_nothing_proves_nothing() {
    assert_eq!(
        finding(&with_fault("id=7", "caught-at=ack { drop PUBCOMP }")),
        Finding::TouchedNothing
    );
    assert_eq!(
        finding(&with_fault("id=7", "caught-at=ack { drop PUBACK nth=2 }")),
        Finding::TouchedNothing
    );
    // The handshake that can be refused is the server's.
    assert_eq!(
        finding(&with_fault("id=7", "caught-at=ack { refuse-handshake -> }")),
        Finding::TouchedNothing
    );
}

#[test]
fn a_fault_caught_at_another_step_is_told_where() {
    let found = finding(&with_fault("id=7", "caught-at=end { drop PUBACK }"));
    assert!(
        matches!(&found, Finding::CaughtElsewhere { at, .. } if at == "ack"),
        "{found}"
    );
}

#[test]
fn what_changes_before_the_named_step_is_told() {
    let found = finding(&with_fault(
        "id=any",
        "caught-at=end { set PUBACK id=8; drop PINGRESP }",
    ));
    assert!(
        matches!(&found, Finding::EarlierChanged { clean, faulty } if clean != faulty),
        "{found}"
    );
}

#[test]
fn a_fault_of_the_connack_proves_nothing_about_other_packets() {
    let scenario = scenario(
        "(in)c connect\n(end)c alive\nfault f violates=\"MQTT5-4.3.2-4\" caught-at=in { drop CONNACK }",
    );
    assert_eq!(finding(&scenario), Finding::OnlyConnecting);
}

#[test]
fn without_a_clean_run_nothing_is_proven() {
    let found = finding(&with_fault("id=9", "caught-at=ack { drop PUBACK }"));
    assert!(matches!(found, Finding::CleanRun(..)), "{found}");
}

#[test]
fn a_fault_that_cannot_be_done_is_an_error() {
    let found = finding(&with_fault(
        "id=7",
        "caught-at=ack { edit PUBACK { remove at=0 count=9 } }",
    ));
    assert!(matches!(found, Finding::Error(_)), "{found}");
}

#[test]
fn the_audit_lists_what_proves_nothing() {
    let useless = |scenario: &Scenario| {
        let found = run_without_waiting(audit(scenario, &mut stage())).expect("the audit runs");
        found
            .into_iter()
            .map(|expectation| expectation.step)
            .collect::<Vec<_>>()
    };
    // Only (ack) has a fault: (end) proves nothing.
    assert_eq!(
        useless(&with_fault("id=7", "caught-at=ack { drop PUBACK }")),
        ["c alive"]
    );
    let both = "caught-at=ack { drop PUBACK }\nfault g violates=\"MQTT5-4.3.2-4\" caught-at=end { drop PINGRESP }";
    assert_eq!(useless(&with_fault("id=7", both)), [] as [&str; 0]);
}
