//! Playing and proving over real sockets, each transport, against the embedded broker.

use std::{sync::Arc, time::Duration};

use quince_client::{Dialer, Scheme};
use quince_conformance::{
    embedded::EmbeddedBroker,
    link::socket::SocketLink,
    player::{PlayOptions, play},
    prove::{Finding, SocketStage, plays, prove},
    scenario::StatementsByShape,
    verdict::Verdict,
};

use crate::player::{first_scenarios, scenario};

#[tokio::test]
async fn the_first_scenarios_pass_over_sockets() {
    let broker = EmbeddedBroker::start_over_all().await.expect("it starts");
    let dialer = Arc::new(Dialer::new(broker.trust(), Duration::from_secs(5)));
    for endpoint in broker.endpoints().expect("it listens") {
        for scenario in first_scenarios() {
            for (case, version) in plays(&scenario) {
                let mut link = SocketLink::new(Arc::clone(&dialer), endpoint.clone());
                let outcome =
                    play(&scenario, case, version, &mut link, &PlayOptions::default()).await;
                assert_eq!(
                    outcome.verdict,
                    Verdict::Pass,
                    "{endpoint} {} in {version}: {}",
                    outcome.scenario,
                    outcome.detail
                );
            }
        }
    }
    broker.shut_down().await;
}

#[tokio::test]
async fn a_reset_of_the_control_stream_ends_the_connection_over_quic() {
    let broker = EmbeddedBroker::start_over_all().await.expect("it starts");
    let dialer = Arc::new(Dialer::new(broker.trust(), Duration::from_secs(5)));
    let steps = "w connect\nw subscribe \"$t/will\"\nc connect { will topic=\"$t/will\" payload=\"gone\" }\n\
                 c reset code=7\n(end)w <- PUBLISH topic=\"$t/will\" payload=\"gone\"\n\
                 fault f violates=\"MQTT5-4.3.2-4\" caught-at=end { drop PUBLISH }";
    let scenario = scenario(steps);
    let mut verdicts = Vec::new();
    for endpoint in broker.endpoints().expect("it listens") {
        let mut link = SocketLink::new(Arc::clone(&dialer), endpoint.clone());
        let (case, version) = plays(&scenario).next().expect("one case");
        let outcome = play(&scenario, case, version, &mut link, &PlayOptions::default()).await;
        let expected = match endpoint.scheme() {
            Scheme::Quic => (Verdict::Pass, ""),
            _ => (Verdict::Skipped, "needs quic"),
        };
        assert_eq!(
            (outcome.verdict, outcome.detail.as_str()),
            expected,
            "{endpoint}"
        );
        verdicts.push(outcome.verdict);
    }
    assert!(verdicts.contains(&Verdict::Pass), "it was played over QUIC");
    broker.shut_down().await;
}

#[tokio::test]
async fn faults_are_caught_over_sockets() {
    let broker = EmbeddedBroker::start_over_all().await.expect("it starts");
    let dialer = Arc::new(Dialer::new(broker.trust(), Duration::from_secs(5)));
    let options = PlayOptions {
        patience: 500,
        ..PlayOptions::default()
    };
    let slugs = [
        "qos1-publish-is-acknowledged",
        "disconnect-discards-the-will",
    ];
    for endpoint in broker.endpoints().expect("it listens") {
        let mut stage = SocketStage::new(Arc::clone(&dialer), endpoint.clone(), options.clone());
        for scenario in first_scenarios() {
            if !slugs.contains(&scenario.slug.as_str()) {
                continue;
            }
            for result in prove(&scenario, &StatementsByShape, &mut stage).await {
                assert_eq!(
                    result.finding,
                    Finding::Caught,
                    "{endpoint} {}: {}",
                    result.fault,
                    result.finding
                );
            }
        }
    }
    broker.shut_down().await;
}
