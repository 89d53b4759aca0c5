//! The settings that make a comparison fair do what they say, over loopback and without a link.

use std::time::Duration;

use quince_broker::{ListenerUrl, Scheme, Server, Settings, TcpSettings};
use quince_client::{DialError, Dialer, Endpoint, Transport, Trust, Tuning};
use rustls::NamedGroup;
use tokio::runtime::Runtime;

async fn dial(server: &Server, tuning: Tuning) -> Result<Transport, DialError> {
    let url = server.listeners()[0].url().to_string();
    let endpoint = Endpoint::parse(&url).expect("a listener's URL");
    Dialer::new(Trust::Anyone, Duration::from_secs(30))
        .tuned(tuning)
        .dial(&endpoint)
        .await
}

async fn server(scheme: Scheme, settings: Settings) -> Server {
    let address = "127.0.0.1:0".parse().expect("an address");
    Server::bind(&[ListenerUrl::new(scheme, address)], settings)
        .await
        .expect("a free port")
}

#[test]
fn a_pinned_key_exchange_lets_no_other_in() {
    Runtime::new().expect("a runtime").block_on(async {
        for scheme in [Scheme::Tls, Scheme::Quic] {
            let settings = Settings {
                key_exchange: Some(NamedGroup::X25519),
                ..Settings::default()
            };
            let server = server(scheme, settings).await;
            for (group, goes) in [(NamedGroup::X25519, true), (NamedGroup::secp256r1, false)] {
                let tuning = Tuning {
                    key_exchange: Some(group),
                    ..Tuning::default()
                };
                let dialled = dial(&server, tuning).await;
                assert_eq!(
                    dialled.is_ok(),
                    goes,
                    "{scheme} with {group:?}: {dialled:?}"
                );
            }
            server.shut_down().await;
        }
    });
}

#[test]
fn an_unknown_key_exchange_or_congestion_control_is_told() {
    Runtime::new().expect("a runtime").block_on(async {
        let server = server(Scheme::Tls, Settings::default()).await;
        for (tuning, expected) in [
            (
                Tuning {
                    key_exchange: Some(NamedGroup::FFDHE8192),
                    ..Tuning::default()
                },
                "FFDHE8192 is not known here",
            ),
            (
                Tuning {
                    tcp_congestion: Some("pigeon".to_owned()),
                    ..Tuning::default()
                },
                "TCP congestion control 'pigeon'",
            ),
        ] {
            let error = dial(&server, tuning).await.expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        server.shut_down().await;

        let settings = Settings {
            tcp: TcpSettings {
                congestion: Some("pigeon".to_owned()),
            },
            ..Settings::default()
        };
        let address = "127.0.0.1:0".parse().expect("an address");
        let bound = Server::bind(&[ListenerUrl::new(Scheme::Tcp, address)], settings).await;
        let error = bound.expect_err("no kernel has it").to_string();
        assert!(error.contains("TCP congestion control 'pigeon'"), "{error}");
    });
}
