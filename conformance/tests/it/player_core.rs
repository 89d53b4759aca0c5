//! Playing, proving and auditing on the core in virtual time.

use quince_conformance::{
    link::{Link, Medium, core::CoreLink, run_without_waiting},
    player::{PlayOptions, play},
    prove::{CoreStage, Finding, audit, plays, prove},
    scenario::StatementsByShape,
    verdict::Verdict,
};

use crate::player::first_scenarios;

#[test]
fn the_first_scenarios_pass_on_the_core() {
    for scenario in first_scenarios() {
        for (case, version) in plays(&scenario) {
            let mut link = CoreLink::default();
            let options = PlayOptions::default();
            let outcome = run_without_waiting(play(&scenario, case, version, &mut link, &options));
            assert_eq!(
                outcome.verdict,
                Verdict::Pass,
                "{} in {version}: {}\n{:#?}",
                outcome.scenario,
                outcome.detail,
                outcome.transcript
            );
        }
    }
}

#[test]
fn every_fault_of_the_first_scenarios_is_caught_on_the_core() {
    for scenario in first_scenarios() {
        let results = run_without_waiting(prove(
            &scenario,
            &StatementsByShape,
            &mut CoreStage::default(),
        ));
        assert!(!results.is_empty(), "{}", scenario.slug);
        for result in results {
            assert_eq!(
                result.finding,
                Finding::Caught,
                "{} in {}: {}: {}",
                result.scenario,
                result.version,
                result.fault,
                result.finding
            );
        }
    }
}

#[test]
fn the_first_scenarios_hold_no_useless_expectation() {
    for scenario in first_scenarios() {
        let useless = run_without_waiting(audit(&scenario, &mut CoreStage::default()))
            .expect("it can be audited");
        assert_eq!(useless, [], "{}", scenario.slug);
    }
}

#[test]
fn only_a_core_over_websocket_takes_text_messages() {
    for (medium, taken) in [(Medium::Memory, false), (Medium::Ws, true)] {
        let mut link = CoreLink::default().over(medium);
        run_without_waiting(async {
            let id = link.open("c").await.expect("opened");
            assert_eq!(link.write_text(id, b"\xc0\x00").await.is_ok(), taken);
            let event = link.next(link.now()).await;
            assert_eq!(event.is_some(), taken, "{medium}: {event:?}");
        });
    }
}
