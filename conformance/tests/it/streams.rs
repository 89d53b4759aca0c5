//! Data streams against brokers that do not serve them.

use quince_broker::{ListenerUrl, Scheme, Server, Settings};

use crate::command_line::suite;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_data_streams_is_not_asked_about_them() {
    let url = ListenerUrl::new(Scheme::Quic, "127.0.0.1:0".parse().expect("an address"));
    let mut settings = Settings::default();
    settings.quic.bidirectional_streams = 1;
    let server = Server::bind(&[url], settings).await.expect("bound");
    let url = server.listeners()[0].url().to_string();
    let ended = tokio::task::spawn_blocking(move || {
        suite(&[
            &url,
            "--insecure",
            "--mqtt",
            "5.0",
            "--filter",
            "of-the-stream",
        ])
    });
    let ended = ended.await.expect("no panic");
    assert!(
        ended
            .out
            .contains("needs data streams, and the target serves none"),
        "{} {}",
        ended.out,
        ended.error
    );
    assert!(!ended.out.contains("FAIL"), "{}", ended.out);
    server.shut_down().await;
}
