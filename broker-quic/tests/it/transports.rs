//! The same behaviour over every transport, and what only a transport can get wrong.

use std::time::Duration;

use quince_broker::{
    Access, AccessSettings, Admission, ListenerSettings, ListenerUrl, Scheme, Server, Settings,
};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::peer::{
    CONNECT_3, CONNECT_5, PATIENCE, PINGREQ, PINGRESP, Peer, is_shutting_down, quic_dial,
    tls_config, tls_stream,
};

/// Who takes nothing for so long has no room.
const STUCK: Duration = Duration::from_millis(300);

/// Which listener of [`start`] is which.
pub(crate) const TCP: usize = 0;
pub(crate) const TLS: usize = 1;
pub(crate) const WS: usize = 2;
pub(crate) const WSS: usize = 3;
pub(crate) const QUIC: usize = Scheme::ALL.len() - 1;

/// A broker with one listener of each transport.
pub(crate) async fn start(settings: Settings) -> Server {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let urls = Scheme::ALL.map(|scheme| ListenerUrl::new(scheme, loopback));
    assert_eq!(
        [TCP, TLS, WS, WSS, QUIC].map(|index| urls[index].scheme()),
        [
            Scheme::Tcp,
            Scheme::Tls,
            Scheme::Ws,
            Scheme::Wss,
            Scheme::Quic
        ]
    );
    Server::bind(&urls, settings).await.expect("bound")
}

/// One peer over each transport.
async fn peers(server: &Server) -> Vec<Peer> {
    let mut peers = Vec::new();
    for index in 0..server.listeners().len() {
        peers.push(Peer::connect(server, index).await);
    }
    peers
}

#[tokio::test]
async fn a_connection_lives_over_every_transport() {
    let server = start(Settings::default()).await;
    for connect in [CONNECT_3, CONNECT_5] {
        for mut peer in peers(&server).await {
            peer.write(connect).await;
            peer.connected().await;
            peer.write(PINGREQ).await;
            assert_eq!(peer.read(2).await, PINGRESP);
        }
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
    for (connect, tells) in [(CONNECT_5, true), (CONNECT_3, false)] {
        let server = start(Settings::default()).await;
        let address = server.listeners()[TCP].url().address();
        let mut peers = peers(&server).await;
        for (peer, id) in peers.iter_mut().zip(b'a'..) {
            // Each client identifier once, so that nobody takes over.
            let (_, head) = connect.split_last().expect("bytes");
            peer.write(&[head, &[id]].concat()).await;
            peer.connected().await;
        }
        let ending = tokio::spawn(server.shut_down());
        for peer in &mut peers {
            let last = peer.read_to_end().await;
            assert_eq!(is_shutting_down(&last), tells, "{last:?}");
            assert!(tells || last.is_empty());
        }
        drop(peers);
        let ended = timeout(PATIENCE, ending).await.expect("ends in time");
        ended.expect("ends");
        assert!(
            TcpStream::connect(address).await.is_err(),
            "the listener is closed"
        );
    }
}

#[tokio::test]
async fn connect_has_a_deadline_that_bytes_do_not_extend() {
    let mut settings = Settings::default();
    settings.core.connect_timeout = Duration::from_millis(400);
    let server = start(settings).await;
    for index in 0..server.listeners().len() {
        let began = Instant::now();
        let mut peer = Peer::connect(&server, index).await;
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
async fn above_the_threshold_a_quic_client_proves_its_address_first() {
    // MQ-21
    let mut settings = Settings::default();
    settings.quic.retry_above = 0;
    let server = start(settings).await;
    let address = server.listeners()[QUIC].url().address();
    // The client follows the Retry by itself; that it gets through at all shows a valid token.
    let mut peer = Peer::quic(address, &server.certificate()).await;
    peer.write(CONNECT_5).await;
    peer.connected().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_stop_the_others() {
    let server = start(Settings::default()).await;
    let mut deaf = Peer::connect(&server, TCP).await;
    let mut other = Peer::connect(&server, QUIC).await;
    deaf.write(CONNECT_5).await;
    deaf.connected().await;
    // Far more answers than any socket buffer holds: the broker stops reading, and keeps 64 KiB.
    let pings = PINGREQ.repeat(32 * 1024);
    let Peer::Stream(stream) = &mut deaf else {
        unreachable!("the first peer is TCP")
    };
    let flood = async {
        for _ in 0..256 {
            stream.write_all(&pings).await.expect("written");
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

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_nothing_needs_to_be_negotiated() {
    let server = start(Settings::default()).await;
    let address = server.listeners()[TLS].url().address();
    for (versions, alpn, agreed) in [
        (&[&TLS12][..], &[&b"mqtt"[..]][..], Some(&b"mqtt"[..])),
        (&[&TLS13], &[b"mqtt"], Some(b"mqtt")),
        (&[&TLS13], &[b"http/1.1", b"mqtt"], Some(b"mqtt")),
        (&[&TLS12], &[], None),
        (&[&TLS13], &[], None),
    ] {
        let config = tls_config(&server.certificate(), versions, alpn);
        let stream = tls_stream(address, config).await.expect("a handshake");
        let connection = stream.get_ref().1;
        assert_eq!(connection.alpn_protocol(), agreed);
        assert_eq!(
            connection.protocol_version(),
            Some(versions[0].version),
            "{alpn:?}"
        );
        let mut peer = Peer::Stream(Box::new(stream));
        peer.write(CONNECT_5).await;
        peer.connected().await;
    }
    let config = tls_config(&server.certificate(), &[&TLS13], &[b"h2"]);
    let error = tls_stream(address, config).await.expect_err("no MQTT");
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
    server.shut_down().await;
}

#[tokio::test]
async fn a_stalled_handshake_costs_nobody_but_itself_and_ends_in_time() {
    let mut settings = Settings::default();
    settings.core.connect_timeout = Duration::from_millis(600);
    let server = start(settings).await;
    for index in 0..QUIC {
        let address = server.listeners()[index].url().address();
        // Says nothing at all, not even to TLS.
        let mut silent: Vec<_> = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect(address).await.expect("connected"));
        }
        let mut peer = Peer::connect(&server, index).await;
        peer.write(CONNECT_5).await;
        peer.connected().await;
        for stream in &mut silent {
            let mut rest = Vec::new();
            let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
            ended.expect("in time").expect("the end");
            assert_eq!(rest, b"");
        }
    }
    server.shut_down().await;
}

#[tokio::test]
async fn a_handshake_takes_from_the_time_for_connect() {
    let mut settings = Settings::default();
    settings.core.connect_timeout = Duration::from_millis(1000);
    let server = start(settings).await;
    // Time that goes by, and of which 300 ms are left for the handshake.
    let socket = TcpStream::connect(server.listeners()[TLS].url().address()).await;
    sleep(Duration::from_millis(350)).await;
    let mut later = Peer::connect(&server, TCP).await;
    sleep(Duration::from_millis(350)).await;
    let mut early = Peer::over(&server, TLS, socket.expect("connected")).await;
    // Both are silent from here on; who came first has to go first.
    tokio::select! {
        biased;
        _ = later.read_to_end() => panic!("the handshake has started the time anew"),
        rest = early.read_to_end() => assert_eq!(rest, b""),
    }
    server.shut_down().await;
}

#[tokio::test]
async fn a_listener_may_have_fewer_places_of_its_own() {
    let admission = Admission {
        anonymous: true,
        certificate_name: None,
    };
    let listener = |scheme, connections| ListenerSettings {
        url: ListenerUrl::new(scheme, "127.0.0.1:0".parse().expect("an address")),
        admission,
        connections,
    };
    let listeners = [
        listener(Scheme::Tcp, Some(1)),
        listener(Scheme::Quic, Some(1)),
        listener(Scheme::Tcp, None),
    ];
    let access = Access::load(AccessSettings::default()).expect("nothing to read");
    let server = Server::start(&listeners, Settings::default(), access)
        .await
        .expect("bound");
    let mut first = Peer::connect(&server, 0).await;
    first.write(CONNECT_5).await;
    first.connected().await;
    let mut second = Peer::connect(&server, 0).await;
    assert_eq!(second.read_to_end().await, b"", "there is no second place");
    let _quic = Peer::connect(&server, 1).await;
    let config = tls_config(&server.certificate(), &[&TLS13], &[b"mqtt"]);
    let refused = quic_dial(server.listeners()[1].url().address(), config).await;
    let refused = refused.expect_err("nor over QUIC").to_string();
    assert!(refused.contains("refused"), "{refused}");
    let mut elsewhere = Peer::connect(&server, 2).await;
    elsewhere.write(CONNECT_3).await;
    elsewhere.connected().await;
    server.shut_down().await;
}

#[tokio::test]
async fn there_are_only_so_many_connections() {
    let settings = Settings {
        connections: 2,
        ..Settings::default()
    };
    for index in 0..Scheme::ALL.len() {
        // All places are free at the start.
        let server = start(settings.clone()).await;
        let mut first = Peer::connect(&server, index).await;
        // One place is taken by a client that says nothing at all.
        let silent = TcpStream::connect(server.listeners()[TCP].url().address()).await;
        first.write(CONNECT_5).await;
        first.connected().await;
        let mut third = Peer::connect(&server, TCP).await;
        assert_eq!(third.read_to_end().await, b"", "there is no third place");
        if let Scheme::Quic = server.listeners()[index].url().scheme() {
            let config = tls_config(&server.certificate(), &[&TLS13], &[b"mqtt"]);
            let refused = quic_dial(server.listeners()[QUIC].url().address(), config).await;
            let refused = refused.expect_err("there is no place over QUIC either");
            assert!(refused.to_string().contains("refused"), "{refused}");
        }
        drop((first, silent));
        // A place is free again as soon as the broker has noticed.
        timeout(PATIENCE, async {
            loop {
                let mut peer = Peer::connect(&server, TCP).await;
                if let Peer::Stream(stream) = &mut peer {
                    let _ = stream.write_all(CONNECT_5).await;
                    if stream.read_u8().await.is_ok() {
                        break;
                    }
                }
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("a place in time");
        server.shut_down().await;
    }
}

#[tokio::test]
async fn listeners_may_be_ipv6() {
    let loopback = "[::1]:0".parse().expect("an address");
    let urls = Scheme::ALL.map(|scheme| ListenerUrl::new(scheme, loopback));
    let server = Server::bind(&urls, Settings::default())
        .await
        .expect("bound");
    for mut peer in peers(&server).await {
        peer.write(CONNECT_5).await;
        peer.connected().await;
    }
    assert!(
        server.listeners()[TCP]
            .to_string()
            .starts_with("tcp://[::1]:")
    );
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_that_reads_late_gets_everything() {
    let server = start(Settings::default()).await;
    for index in 0..QUIC {
        // With little room on this side, so that it does not take long until each buffer is full.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(8 * 1024).expect("set");
        socket.set_recv_buffer_size(8 * 1024).expect("set");
        let address = server.listeners()[index].url().address();
        let socket = socket.connect(address).await.expect("connected");
        let mut peer = Peer::over(&server, index, socket).await;
        peer.write(CONNECT_5).await;
        peer.connected().await;
        let Peer::Stream(stream) = peer else {
            unreachable!("everything before QUIC is a stream")
        };
        let (mut reader, mut writer) = tokio::io::split(stream);
        let pings = PINGREQ.repeat(32 * 1024);
        let mut written = 0;
        // Everything is full when nothing more is taken for a while.
        while let Ok(taken) = timeout(STUCK, writer.write(&pings[written % 2..])).await {
            written += taken.expect("written");
            assert!(written < 256 * 1024 * 1024, "nothing is ever full");
        }
        let length = written - written % 2 + pings.len();
        let writing = tokio::spawn(async move {
            let rest = &pings[written % 2..];
            writer.write_all(rest).await.expect("written");
            writer.flush().await.expect("sent");
            writer
        });
        let mut answers = vec![0; length];
        timeout(PATIENCE * 3, reader.read_exact(&mut answers))
            .await
            .expect("all of it in time")
            .expect("read");
        assert_eq!(answers, PINGRESP.repeat(length / 2));
        drop(writing.await.expect("written"));
    }
    server.shut_down().await;
}
