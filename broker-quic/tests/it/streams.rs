//! Multi-stream MQTT over QUIC as a client that knows QUIC alone would see it: raw bytes on raw streams. Rules of
//! `docs/mqtt-over-quic.md` are cited.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;

use futures_util::FutureExt;
use quince_broker::{Server, Settings};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt};
use rustls::version::TLS13;
use tokio::time::timeout;

use crate::peer::{CONNECT_5, PATIENCE, PINGREQ, PINGRESP, quic_connection, quic_dial, tls_config};
use crate::transports::{QUIC, start};

/// SUBSCRIBE with identifier 1 to "t" at QoS 0, and its SUBACK.
const SUBSCRIBE: &[u8] = b"\x82\x07\x00\x01\x00\x00\x01t\x00";
const SUBACK: &[u8] = b"\x90\x04\x00\x01\x00\x00";
/// PUBLISH to "t" at QoS 0.
const PUBLISH_0: &[u8] = b"\x30\x05\x00\x01t\x00x";
/// PUBLISH to "u" at QoS 1 with identifier 7, and its PUBACK: nobody has subscribed.
const PUBLISH_1: &[u8] = b"\x32\x07\x00\x01u\x00\x07\x00y";
const PUBACK: &[u8] = b"\x40\x03\x00\x07\x10";
pub(crate) const DISCONNECT: &[u8] = b"\xe0\x00";

pub(crate) struct Stream {
    pub(crate) send: SendStream,
    receive: RecvStream,
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

impl Stream {
    async fn open(connection: &Connection) -> Self {
        let (send, receive) = soon(connection.open_bi()).await.expect("a stream");
        Self { send, receive }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.expect("written");
    }

    async fn expect(&mut self, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        let outcome = soon(self.receive.read_exact(&mut read)).await;
        outcome.expect("read");
        assert_eq!(read, bytes);
    }

    /// Subscribes to "t".
    pub(crate) async fn subscribe(&mut self) {
        self.write(SUBSCRIBE).await;
        self.expect(SUBACK).await;
    }

    /// The stream is served.
    async fn ping(&mut self) {
        self.write(PINGREQ).await;
        self.expect(PINGRESP).await;
    }

    /// The broker ends its side in order, and sends nothing more.
    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(
            soon(self.receive.read_to_end(100)).await.expect("read"),
            b""
        );
    }

    /// The broker aborts its own direction with this code.
    pub(crate) async fn expect_reset(&mut self, code: u32) {
        let mut byte = [0];
        let read = soon(self.receive.read(&mut byte)).await;
        assert_eq!(read, Err(ReadError::Reset(code.into())));
    }

    /// The broker aborts both directions with this code.
    pub(crate) async fn expect_abort(&mut self, code: u32) {
        self.expect_reset(code).await;
        let stopped = soon(self.send.stopped()).await.expect("told");
        assert_eq!(stopped, Some(code.into()));
    }
}

/// A client whose control stream is connected.
pub(crate) struct Client {
    endpoint: quinn::Endpoint,
    connection: Connection,
    pub(crate) control: Stream,
}

impl Client {
    async fn dial(server: &Server) -> Self {
        let address = server.listeners()[QUIC].url().address();
        let (endpoint, connection) = quic_connection(address, &server.certificate()).await;
        Self::on(endpoint, connection).await
    }

    /// Opens the control stream.
    pub(crate) async fn on(endpoint: quinn::Endpoint, connection: Connection) -> Self {
        let control = Stream::open(&connection).await;
        Self {
            endpoint,
            connection,
            control,
        }
    }

    pub(crate) async fn connect(server: &Server) -> Self {
        let mut client = Self::dial(server).await;
        client.control.write(CONNECT_5).await;
        client.connected().await;
        client
    }

    pub(crate) async fn connected(&mut self) {
        let mut header = [0; 2];
        let read = soon(self.control.receive.read_exact(&mut header)).await;
        read.expect("CONNACK");
        assert_eq!(header[0], 0x20);
        let mut body = vec![0; usize::from(header[1])];
        let read = soon(self.control.receive.read_exact(&mut body)).await;
        read.expect("CONNACK");
        assert_eq!(body[1], 0, "success");
    }

    pub(crate) async fn open(&self) -> Stream {
        Stream::open(&self.connection).await
    }

    /// The connection is served, and nothing else is under way on the control stream.
    pub(crate) async fn assert_well(&mut self) {
        self.control.ping().await;
    }
}

#[tokio::test]
async fn answers_and_deliveries_come_on_their_stream() {
    // MQ-7, MQ-9, MQ-10
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    let (mut first, mut second) = (client.open().await, client.open().await);
    for stream in [&mut first, &mut second] {
        stream.subscribe().await;
    }
    second.write(PUBLISH_1).await;
    second.expect(PUBACK).await;
    client.control.write(PUBLISH_0).await;
    first.expect(PUBLISH_0).await;
    second.expect(PUBLISH_0).await;
    first.ping().await;
    client.assert_well().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_stream_before_connect_waits_for_connack() {
    // MQ-5; the control stream is opened first, for that is what makes it the control stream.
    let server = start(Settings::default()).await;
    let mut client = Client::dial(&server).await;
    let mut early = client.open().await;
    early.write(PUBLISH_1).await;
    // The broker has it by now, or soon: nothing tells. It has no effect before CONNECT.
    client.control.write(CONNECT_5).await;
    client.connected().await;
    early.expect(PUBACK).await;
    server.shut_down().await;
}

#[tokio::test]
async fn what_is_wrong_on_a_stream_ends_it_alone() {
    // MQ-6, MQ-13
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    let mut beside = client.open().await;
    beside.subscribe().await;
    let too_large = [0x30, 0xff, 0xff, 0xff, 0x7f];
    // A flow header of the mode that has them looks like a CONNECT here.
    let flow_header = [0x12, 0x02, 0x00, 0x00];
    for (bytes, code) in [
        (&[0x00, 0x00][..], 0x81),
        (&flow_header, 0x82),
        (&too_large, 0x95),
        (CONNECT_5, 0x82),
        (DISCONNECT, 0x82),
        (b"\xf0\x00", 0x82),
        (PINGRESP, 0x82),
    ] {
        let mut stream = client.open().await;
        stream.write(bytes).await;
        stream.expect_abort(code).await;
        client.assert_well().await;
    }
    client.control.write(PUBLISH_0).await;
    beside.expect(PUBLISH_0).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_finished_stream_is_answered_and_finished() {
    // MQ-14, MQ-16
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    let mut stream = client.open().await;
    stream.write(SUBSCRIBE).await;
    stream.write(PUBLISH_1).await;
    // Half a packet is dropped.
    stream.write(&PUBLISH_0[..4]).await;
    stream.send.finish().expect("open");
    stream.expect(SUBACK).await;
    stream.expect(PUBACK).await;
    stream.expect_end().await;
    client.assert_well().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_reset_or_stopped_stream_is_aborted_with_the_same_code() {
    // MQ-15
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    let mut stream = client.open().await;
    stream.subscribe().await;
    stream.send.reset(VarInt::from_u32(4321)).expect("open");
    stream.expect_reset(4321).await;
    let mut stream = client.open().await;
    stream.subscribe().await;
    stream.receive.stop(VarInt::from_u32(8765)).expect("open");
    // Something to send.
    stream.write(PINGREQ).await;
    let stopped = soon(stream.send.stopped()).await.expect("told");
    assert_eq!(stopped, Some(VarInt::from_u32(8765)));
    client.assert_well().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_stream_that_ends_makes_room_for_another() {
    // MQ-18
    let mut settings = Settings::default();
    settings.quic.bidirectional_streams = 3;
    let server = start(settings).await;
    let mut client = Client::connect(&server).await;
    let mut streams = vec![client.open().await, client.open().await];
    for stream in &mut streams {
        stream.ping().await;
    }
    // Credit that the broker has given is here by now: its answers came behind it.
    let fourth = client.connection.open_bi();
    assert!(
        fourth.now_or_never().is_none(),
        "no credit for a fourth stream"
    );
    let one_way = client.connection.open_uni();
    assert!(
        one_way.now_or_never().is_none(),
        "nor for a unidirectional one"
    );
    // However it ends; and for as long as one likes.
    for round in 0..40 {
        let mut stream = streams.remove(0);
        if round % 2 == 0 {
            stream.send.finish().expect("open");
            stream.expect_end().await;
        } else {
            stream.write(&[0x00, 0x00]).await;
            stream.expect_abort(0x81).await;
        }
        // The client too lets go of it.
        drop(stream);
        let mut stream = client.open().await;
        stream.ping().await;
        streams.push(stream);
    }
    client.assert_well().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_up_no_other() {
    // MQ-17
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    let (mut deaf, mut other) = (client.open().await, client.open().await);
    deaf.subscribe().await;
    // Far more than the window of a stream, the outbox and the queue hold together.
    let mut big = vec![0x30, 0x84, 0x80, 0x02, 0x00, 0x01, b't', 0x00];
    big.resize(5 + 4 + (2 << 14) - 1, b'x');
    let mut publisher = Client::dial(&server).await;
    publisher
        .control
        .write(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01p")
        .await;
    publisher.connected().await;
    for _ in 0..200 {
        publisher.control.write(&big).await;
        publisher.assert_well().await;
        other.ping().await;
        client.assert_well().await;
    }
    server.shut_down().await;
}

#[tokio::test]
async fn the_end_of_the_control_stream_ends_the_connection() {
    // MQ-4, MQ-20
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    let mut stream = client.open().await;
    stream.ping().await;
    client.control.write(DISCONNECT).await;
    client.control.expect_end().await;
    client.control.send.finish().expect("open");
    let closed = soon(client.connection.closed()).await;
    let ConnectionError::ApplicationClosed(close) = closed else {
        panic!("{closed}");
    };
    assert_eq!(close.error_code, VarInt::from_u32(0));
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_that_resets_the_control_stream_has_gone() {
    // MQ-4
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    let mut stream = client.open().await;
    stream.subscribe().await;
    client
        .control
        .send
        .reset(VarInt::from_u32(1))
        .expect("open");
    soon(client.connection.closed()).await;
    server.shut_down().await;
}

#[tokio::test]
async fn another_protocol_does_not_get_through_the_handshake() {
    // MQ-1
    let server = start(Settings::default()).await;
    let address = server.listeners()[QUIC].url().address();
    for alpn in [&[][..], &[&b"MQTT"[..]], &[b"MQTT-next", b"h3"]] {
        let tls = tls_config(&server.certificate(), &[&TLS13], alpn);
        let refused = quic_dial(address, tls).await.expect_err("no protocol");
        let ConnectionError::ConnectionClosed(close) = refused else {
            panic!("{refused}");
        };
        assert_eq!(u64::from(close.error_code), 0x178);
    }
    server.shut_down().await;
}

#[tokio::test]
async fn the_broker_opens_no_stream() {
    // MQ-2, MQ-3
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    client.control.subscribe().await;
    client.control.write(PUBLISH_0).await;
    client.control.expect(PUBLISH_0).await;
    client.assert_well().await;
    let bidirectional = client.connection.accept_bi();
    assert!(bidirectional.now_or_never().is_none());
    let unidirectional = client.connection.accept_uni();
    assert!(unidirectional.now_or_never().is_none());
    server.shut_down().await;
}

#[tokio::test]
async fn the_session_follows_a_client_to_its_new_address() {
    // MQ-22
    let server = start(Settings::default()).await;
    let mut client = Client::connect(&server).await;
    let mut stream = client.open().await;
    stream.subscribe().await;
    let before = client.endpoint.local_addr().expect("bound");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.endpoint.rebind(socket).expect("a socket");
    assert_ne!(client.endpoint.local_addr().expect("bound"), before);
    client.assert_well().await;
    client.control.write(PUBLISH_0).await;
    stream.expect(PUBLISH_0).await;
    server.shut_down().await;
}

#[test]
fn every_rule_has_a_test_that_cites_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = root.join("../docs/mqtt-over-quic.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rules: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("**")?.split_once(".**"))
        .map(|(rule, _)| rule)
        .filter(|rule| rule.starts_with("MQ-"))
        .collect();
    let numbered: Vec<String> = (1..=rules.len()).map(|n| format!("MQ-{n}")).collect();
    assert!(rules.len() > 20);
    assert_eq!(rules, numbered, "numbers are never given twice");
    let mut cited = BTreeSet::new();
    for folder in ["tests/it", "core/tests/it"] {
        for file in std::fs::read_dir(root.join(folder)).expect("a folder") {
            let path = file.expect("a file").path();
            let is_test = path.extension().is_some_and(|extension| extension == "rs");
            let text = if is_test {
                std::fs::read_to_string(path).expect("text")
            } else {
                continue;
            };
            let citations = text
                .lines()
                .filter(|line| line.trim().starts_with("// MQ-"));
            for citation in citations {
                let words = citation.split([' ', ',', ':', '.', ';']);
                cited.extend(
                    words
                        .filter(|word| word.starts_with("MQ-"))
                        .map(str::to_owned),
                );
            }
        }
    }
    let without: Vec<_> = rules
        .iter()
        .filter(|rule| !cited.contains(**rule))
        .collect();
    assert!(without.is_empty(), "no test cites {without:?}");
}
