//! The whole suite on the core in virtual time: every scenario passes, every fault is caught where it must be, no
//! expectation proves nothing.

use std::collections::BTreeMap;

use quince_conformance::catalogue::Catalogue;
use quince_conformance::library::Library;
use quince_conformance::link::{core::CoreLink, run_without_waiting};
use quince_conformance::player::{PlayOptions, play};
use quince_conformance::prove::{CoreStage, Finding, audit, plays, prove};
use quince_conformance::verdict::Verdict;

fn library() -> Library {
    Library::embedded().expect("the suite's own files are right")
}

#[test]
fn every_scenario_passes_on_the_core() {
    let mut wrong = Vec::new();
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in library().scenarios() {
        for (case, version) in plays(scenario) {
            let mut link = CoreLink::default();
            let options = PlayOptions::default();
            let outcome = run_without_waiting(play(scenario, case, version, &mut link, &options));
            match outcome.verdict {
                Verdict::Pass => {}
                Verdict::Skipped => *skipped.entry(outcome.detail).or_default() += 1,
                _ => wrong.push(format!(
                    "{} in {version}: {}",
                    outcome.scenario, outcome.detail
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_debug_snapshot!("skipped_on_the_core", skipped);
}

#[test]
fn every_fault_is_caught_where_it_must_be() {
    let mut wrong = Vec::new();
    for scenario in library().scenarios() {
        let results = run_without_waiting(prove(scenario, Catalogue::embedded(), &mut CoreStage));
        for result in results {
            if result.finding != Finding::Caught {
                let (version, finding) = (result.version, result.finding);
                wrong.push(format!(
                    "{} in {version}, {}: {finding}",
                    result.scenario, result.fault
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_expectation_proves_nothing() {
    for scenario in library().scenarios() {
        match run_without_waiting(audit(scenario, &mut CoreStage)) {
            Ok(useless) => assert!(useless.is_empty(), "{}: {useless:?}", scenario.slug),
            Err(problem) => panic!("{}: {problem:?}", scenario.slug),
        }
    }
}
