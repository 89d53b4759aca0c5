//! Clients that come in masses, or begin a handshake and do not go on: they cost nobody else anything, and are gone in time.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use quince_broker::{Server, Settings};
use quinn::ConnectionError;
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::peer::{
    CONNECT_5, PATIENCE, Peer, Stream, quic_config, quic_connection, tls_config, tls_config_by,
    tls_over,
};
use crate::transports::{QUIC, TCP, TLS, WS, WSS, start};

/// The deadline for CONNECT in these tests.
const DEADLINE: Duration = Duration::from_millis(800);

fn with_deadline() -> Settings {
    let mut settings = Settings::default();
    settings.core.connect_timeout = DEADLINE;
    settings
}

/// The connection is at its end, in whatever way.
async fn ends(mut stream: impl Stream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("gone in time");
}

/// A connection on which the beginning of a handshake was sent, and nothing after it.
async fn half(server: &Server, index: usize) -> Box<dyn Stream> {
    use tokio::io::AsyncWriteExt;

    let address = server.listeners()[index].url().address();
    let mut socket = TcpStream::connect(address).await.expect("connected");
    // A record of TLS that announces 512 bytes of a ClientHello, and has 7.
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00";
    let request = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n";
    match index {
        TCP => socket.write_all(&CONNECT_5[..5]).await.expect("written"),
        TLS => socket.write_all(hello).await.expect("written"),
        WS => socket.write_all(request).await.expect("written"),
        WSS => {
            // TLS is complete, WebSocket is not.
            let config = tls_config(&server.certificate(), &[&TLS13], &[b"http/1.1"]);
            let mut tls = tls_over(socket, config).await.expect("a handshake");
            tls.write_all(request).await.expect("written");
            tls.flush().await.expect("sent");
            return Box::new(tls);
        }
        other => panic!("listener {other} has no handshake over TCP"),
    }
    Box::new(socket)
}

#[tokio::test]
async fn who_stops_in_the_middle_of_a_handshake_is_gone_in_time() {
    let server = start(with_deadline()).await;
    let mut stuck = Vec::new();
    for index in [TCP, TLS, WS, WSS] {
        for _ in 0..20 {
            stuck.push(half(&server, index).await);
        }
    }
    let address = server.listeners()[QUIC].url().address();
    let without_stream = quic_connection(address, &server.certificate()).await.1;
    // The stream is there and says nothing that would be a CONNECT.
    let (_endpoint, with_stream) = quic_connection(address, &server.certificate()).await;
    let (mut send, _receive) = with_stream.open_bi().await.expect("a stream");
    send.write_all(&CONNECT_5[..5]).await.expect("written");

    for index in 0..server.listeners().len() {
        let mut honest = Peer::connect(&server, index).await;
        honest.write(CONNECT_5).await;
        honest.connected().await;
    }
    for stream in stuck {
        ends(stream).await;
    }
    for connection in [without_stream, with_stream] {
        let error = timeout(PATIENCE, connection.closed()).await;
        let error = error.expect("gone in time");
        assert!(
            matches!(error, ConnectionError::ApplicationClosed(_)),
            "{error}"
        );
    }
    server.shut_down().await;
}

/// What this many QUIC clients send before they have heard anything, a datagram for each.
async fn first_flights(server: &Server, count: usize) -> Vec<Vec<u8>> {
    let recorder = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let recorder = recorder.expect("a socket");
    let towards = recorder.local_addr().expect("an address");
    // A key exchange whose first message fits into one datagram.
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let tls = tls_config_by(provider, &server.certificate(), &[&TLS13], &[b"mqtt"]);
    let mut config = quic_config(tls);
    let mut transport = quinn::TransportConfig::default();
    // Nothing is sent a second time while this takes.
    transport.initial_rtt(Duration::from_secs(100));
    config.transport_config(Arc::new(transport));
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into());
    let endpoint = endpoint.expect("a socket");
    let mut flights = Vec::new();
    let mut connecting = Vec::new();
    for _ in 0..count {
        let one = endpoint.connect_with(config.clone(), towards, "localhost");
        connecting.push(one.expect("a valid address"));
        let mut datagram = vec![0; 2048];
        let (length, _) = timeout(PATIENCE, recorder.recv_from(&mut datagram))
            .await
            .expect("sent")
            .expect("received");
        datagram.truncate(length);
        flights.push(datagram);
    }
    flights
}

#[tokio::test]
async fn honest_quic_clients_get_in_under_a_flood_of_first_flights() {
    /// First flights before each honest client.
    const BETWEEN: usize = 8;
    /// quinn may go over the limit by the datagram that meets it.
    const DATAGRAM: usize = 1500;

    let settings = Settings::default();
    let retry_above = settings.quic.retry_above;
    let server = start(settings).await;
    let address = server.listeners()[QUIC].url().address();
    let flights = first_flights(&server, 4 * retry_above).await;
    let mut flooders = Vec::new();
    for flood in flights.chunks(BETWEEN) {
        for flight in flood {
            // Each seems to come from somewhere else, and hears nothing of what is answered.
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let socket = socket.expect("a socket");
            socket.connect(address).await.expect("an address");
            socket.send(flight).await.expect("sent");
            flooders.push(socket);
        }
        let mut honest = Peer::quic(address, &server.certificate()).await;
        honest.write(CONNECT_5).await;
        honest.connected().await;
    }
    server.shut_down().await;

    // MQ-21
    let (mut served, mut asked) = (0, 0);
    for (socket, flight) in flooders.iter().zip(&flights) {
        let mut datagram = [0; 2048];
        let mut bytes = 0;
        let mut first = None;
        while let Ok(length) = socket.try_recv(&mut datagram) {
            bytes += length;
            first.get_or_insert(datagram[0]);
        }
        assert!(bytes <= 3 * flight.len() + DATAGRAM, "{bytes} bytes");
        match first.map(|first| first & 0xb0) {
            // Long headers (RFC 9000, section 17.2; the bit between is greased): Initial and Retry.
            Some(0x80) => served += 1,
            Some(0xb0) => asked += 1,
            Some(other) => panic!("a packet of type {other:#x}"),
            None => panic!("no answer at all"),
        }
    }
    assert!(served <= retry_above, "{served} unproved addresses at once");
    assert_eq!(served + asked, flights.len());
    assert!(asked > 0);
}
