//! The whole suite on the core in virtual time: every scenario passes, every fault is caught where it must be, no
//! expectation proves nothing.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quince_client::Dialer;
use quince_codec::Version;
use quince_conformance::arena::SocketArena;
use quince_conformance::catalogue::Catalogue;
use quince_conformance::embedded::EmbeddedBroker;
use quince_conformance::library::Library;
use quince_conformance::link::{run_without_waiting, set_up::CoreSetup};
use quince_conformance::player::{PlayOptions, play};
use quince_conformance::prove::{CoreStage, Finding, SocketStage, audit, plays, prove};
use quince_conformance::runner::{self, Job};
use quince_conformance::scenario::Scenario;
use quince_conformance::verdict::Verdict;
use tokio::task::{JoinSet, LocalSet};

fn library() -> Library {
    Library::embedded().expect("the suite's own files are right")
}

#[test]
fn every_scenario_passes_on_the_core() {
    let mut wrong = Vec::new();
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in library().scenarios() {
        for (case, version) in plays(scenario) {
            let set_up = CoreSetup::of(scenario);
            let (mut link, options) = (set_up.link(), set_up.options());
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
    // What needs a network is proved over sockets, below.
    for scenario in library().scenarios().iter().filter(|one| !one.needs_quic()) {
        let results = run_without_waiting(prove(
            scenario,
            Catalogue::embedded(),
            &mut CoreStage::of(scenario),
        ));
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
        match run_without_waiting(audit(scenario, &mut CoreStage::of(scenario))) {
            Ok(useless) => assert!(useless.is_empty(), "{}: {useless:?}", scenario.slug),
            Err(problem) => panic!("{}: {problem:?}", scenario.slug),
        }
    }
}

#[tokio::test]
async fn every_scenario_passes_over_every_transport() {
    let broker = EmbeddedBroker::start_over_all().await.expect("it starts");
    let dialer = Arc::new(Dialer::new(broker.trust(), Duration::from_secs(10)));
    let jobs = Job::all(library().scenarios(), &Version::ALL);
    let mut wrong = Vec::new();
    let mut skipped: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for endpoint in broker.endpoints().expect("it listens") {
        let arena = SocketArena::new(Arc::clone(&dialer), endpoint.clone(), Version::ALL.into());
        let arena = Rc::new(arena);
        let play = runner::run(arena, &jobs, AT_ONCE, |_| {});
        let skips = skipped.entry(endpoint.scheme().name()).or_default();
        for outcome in LocalSet::new().run_until(play).await {
            let (scenario, version, detail) = (outcome.scenario, outcome.version, outcome.detail);
            match outcome.verdict {
                Verdict::Pass => {}
                Verdict::Skipped => *skips.entry(detail).or_default() += 1,
                _ => wrong.push(format!("{endpoint} {scenario} in {version}: {detail}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_debug_snapshot!("skipped_over_sockets", skipped);
    broker.shut_down().await;
}

/// How long a faulty run waits in vain over sockets, in milliseconds; the broker is in this process.
const PATIENCE: u64 = 1000;
/// Plays at once on one transport.
const AT_ONCE: usize = 16;
/// Another number proves another tenth.
const SEED: u64 = 1;

/// Whether a scenario's faults are proved over sockets too: all that need a network, and a tenth of the others, chosen
/// by a hash (FNV-1a) of the name, so that a new scenario does not change the choice of the old ones.
fn is_proved_over_sockets(scenario: &Scenario) -> bool {
    let hash = scenario
        .slug
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325 ^ SEED, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    scenario.needs_quic() || (hash >> 32).is_multiple_of(10)
}

#[tokio::test]
async fn a_seeded_tenth_of_the_faults_is_caught_over_sockets() {
    // How bytes travel is judged below; what catches a fault does not depend on it.
    let broker = EmbeddedBroker::start().await.expect("it starts");
    let dialer = Arc::new(Dialer::new(broker.trust(), Duration::from_secs(5)));
    let options = PlayOptions {
        patience: PATIENCE,
        ..PlayOptions::default()
    };
    let mut proofs = JoinSet::new();
    let local = LocalSet::new();
    for endpoint in broker.endpoints().expect("it listens") {
        for scenario in library()
            .scenarios()
            .iter()
            .filter(|one| is_proved_over_sockets(one))
        {
            let scenario = Arc::clone(scenario);
            let endpoint = endpoint.clone();
            let mut stage =
                SocketStage::new(Arc::clone(&dialer), endpoint.clone(), options.clone());
            let proof = async move {
                let results = prove(&scenario, Catalogue::embedded(), &mut stage).await;
                (endpoint, results)
            };
            proofs.spawn_local_on(proof, &local);
        }
    }
    let results = local.run_until(proofs.join_all()).await;
    assert!(!results.is_empty(), "the tenth is not empty");
    let mut wrong = Vec::new();
    for (endpoint, result) in results
        .into_iter()
        .flat_map(|(endpoint, all)| all.into_iter().map(move |one| (endpoint.clone(), one)))
    {
        let skipped = matches!(result.finding, Finding::Skipped(_));
        if result.finding != Finding::Caught && !skipped {
            let finding = result.finding;
            wrong.push(format!(
                "{endpoint} {}, {}: {finding}",
                result.scenario, result.fault
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    broker.shut_down().await;
}
