//! The same behaviour over every transport, and what only a transport can get wrong.

use std::time::Duration;

use quince_broker::{ListenerUrl, Scheme, Server, Settings};
use tokio::time::{Instant, sleep, timeout};

use crate::peer::{
    CONNECT_3, CONNECT_5, PATIENCE, PINGREQ, PINGRESP, Peer, is_shutting_down, quic_connection,
};

/// A broker with one listener of each transport.
async fn start(settings: Settings) -> Server {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let urls = [Scheme::Tcp, Scheme::Quic].map(|scheme| ListenerUrl::new(scheme, loopback));
    Server::bind(&urls, settings).await.expect("bound")
}

/// One peer over each transport.
async fn peers(server: &Server) -> [Peer; 2] {
    let [tcp, quic] = [0, 1].map(|index| server.listeners()[index].url().address());
    [
        Peer::tcp(tcp).await,
        Peer::quic(quic, server.certificate()).await,
    ]
}

#[tokio::test]
async fn a_connection_lives_over_every_transport() {
    let server = start(Settings::default()).await;
    for (mut peer, connect) in peers(&server).await.into_iter().zip([CONNECT_3, CONNECT_5]) {
        peer.write(connect).await;
        peer.connected().await;
        peer.write(PINGREQ).await;
        assert_eq!(peer.read(2).await, PINGRESP);
    }
    server.shut_down().await;
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let server = start(Settings::default()).await;
    for mut peer in peers(&server).await {
        for byte in CONNECT_5.iter().chain(PINGREQ) {
            peer.write(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        peer.connected().await;
        assert_eq!(peer.read(2).await, PINGRESP);
    }
    server.shut_down().await;
}

#[tokio::test]
async fn shutdown_says_so_to_5_0_and_closes_3_1_1_silently() {
    let server = start(Settings::default()).await;
    let [mut new, mut old] = peers(&server).await;
    new.write(CONNECT_5).await;
    new.connected().await;
    old.write(CONNECT_3).await;
    old.connected().await;
    let address = server.listeners()[0].url().address();
    let ending = tokio::spawn(server.shut_down());
    assert!(is_shutting_down(&new.read_to_end().await));
    assert_eq!(old.read_to_end().await, b"");
    drop((new, old));
    timeout(PATIENCE, ending)
        .await
        .expect("ends in time")
        .expect("ends");
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "the listener is closed"
    );
}

#[tokio::test]
async fn connect_has_a_deadline_that_bytes_do_not_extend() {
    let mut settings = Settings::default();
    settings.core.connect_timeout = Duration::from_millis(400);
    let server = start(settings).await;
    for index in [0, 1] {
        let began = Instant::now();
        let address = server.listeners()[index].url().address();
        let mut peer = match server.listeners()[index].url().scheme() {
            Scheme::Tcp => Peer::tcp(address).await,
            Scheme::Quic => Peer::quic(address, server.certificate()).await,
        };
        // Half a CONNECT, a byte at a time.
        for byte in &CONNECT_5[..6] {
            peer.write(&[*byte]).await;
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(peer.read_to_end().await, b"");
        assert!(began.elapsed() >= Duration::from_millis(400));
    }
    server.shut_down().await;
}

#[tokio::test]
async fn a_quic_client_without_a_stream_holds_nobody_up() {
    let server = start(Settings::default()).await;
    let address = server.listeners()[1].url().address();
    let _idle = quic_connection(address, server.certificate()).await;
    let mut peer = Peer::quic(address, server.certificate()).await;
    peer.write(CONNECT_5).await;
    peer.connected().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_quic_client_may_have_one_stream_only() {
    let server = start(Settings::default()).await;
    let address = server.listeners()[1].url().address();
    let (_endpoint, connection) = quic_connection(address, server.certificate()).await;
    let _control = connection.open_bi().await.expect("the control stream");
    let second = timeout(Duration::from_millis(300), connection.open_bi()).await;
    assert!(
        second.is_err(),
        "no credit for a second bidirectional stream"
    );
    let uni = timeout(Duration::from_millis(300), connection.open_uni()).await;
    assert!(uni.is_err(), "no credit for a unidirectional stream");
    server.shut_down().await;
}

#[tokio::test]
async fn above_the_threshold_a_quic_client_proves_its_address_first() {
    let mut settings = Settings::default();
    settings.quic.retry_above = 0;
    let server = start(settings).await;
    let address = server.listeners()[1].url().address();
    // The client follows the Retry by itself; that it gets through at all shows a valid token.
    let mut peer = Peer::quic(address, server.certificate()).await;
    peer.write(CONNECT_5).await;
    peer.connected().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_stop_the_others() {
    let server = start(Settings::default()).await;
    let [mut deaf, mut other] = peers(&server).await;
    deaf.write(CONNECT_5).await;
    deaf.connected().await;
    // Far more answers than any socket buffer holds: the broker stops reading, and keeps 64 KiB.
    let pings = PINGREQ.repeat(32 * 1024);
    let Peer::Tcp(stream) = &mut deaf else {
        unreachable!("the first peer is TCP")
    };
    let flood = async {
        for _ in 0..256 {
            tokio::io::AsyncWriteExt::write_all(stream, &pings)
                .await
                .expect("written");
        }
    };
    let stuck = timeout(Duration::from_secs(2), flood).await;
    assert!(
        stuck.is_err(),
        "the broker must stop reading from a client that does not read"
    );
    other.write(CONNECT_3).await;
    other.connected().await;
    other.write(PINGREQ).await;
    assert_eq!(other.read(2).await, PINGRESP);
    drop(deaf);
    server.shut_down().await;
}
