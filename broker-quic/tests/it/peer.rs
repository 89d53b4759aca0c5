//! Peers for the tests: raw bytes over TCP and QUIC, no MQTT of our own in between.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// CONNECT of 5.0, clean start, keep alive off, client identifier "a".
pub(crate) const CONNECT_5: &[u8] = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01a";
/// CONNECT of 3.1.1, clean session, keep alive off, client identifier "b".
pub(crate) const CONNECT_3: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01b";
pub(crate) const PINGREQ: &[u8] = b"\xc0\x00";
pub(crate) const PINGRESP: &[u8] = b"\xd0\x00";

/// Whether these are the bytes of one DISCONNECT with Server shutting down, whatever its properties.
pub(crate) fn is_shutting_down(bytes: &[u8]) -> bool {
    matches!(bytes, [0xe0, length, 0x8b, ..] if usize::from(*length) + 2 == bytes.len())
}

/// One connection, whatever its transport.
pub(crate) enum Peer {
    Tcp(TcpStream),
    Quic {
        _endpoint: quinn::Endpoint,
        send: quinn::SendStream,
        receive: quinn::RecvStream,
    },
}

impl Peer {
    pub(crate) async fn tcp(address: SocketAddr) -> Self {
        Self::Tcp(TcpStream::connect(address).await.expect("connected"))
    }

    /// A QUIC peer that believes exactly `certificate`.
    pub(crate) async fn quic(address: SocketAddr, certificate: &CertificateDer<'static>) -> Self {
        let (endpoint, connection) = quic_connection(address, certificate).await;
        let (send, receive) = connection.open_bi().await.expect("a stream");
        Self::Quic {
            _endpoint: endpoint,
            send,
            receive,
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await.expect("written"),
            Self::Quic { send, .. } => send.write_all(bytes).await.expect("written"),
        }
    }

    /// Exactly `length` bytes.
    pub(crate) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        timeout(PATIENCE, async {
            match self {
                Self::Tcp(stream) => drop(stream.read_exact(&mut bytes).await.expect("read")),
                Self::Quic { receive, .. } => receive.read_exact(&mut bytes).await.expect("read"),
            }
        })
        .await
        .expect("bytes in time");
        bytes
    }

    /// Everything up to the end of the stream.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        timeout(PATIENCE, async {
            match self {
                Self::Tcp(stream) => drop(stream.read_to_end(&mut bytes).await.expect("read")),
                Self::Quic { receive, .. } => {
                    bytes = receive.read_to_end(1 << 20).await.expect("read");
                }
            }
        })
        .await
        .expect("the end in time");
        bytes
    }

    /// Reads one whole CONNACK and demands success.
    pub(crate) async fn connected(&mut self) {
        let header = self.read(2).await;
        assert_eq!(header[0], 0x20, "CONNACK");
        let body = self.read(usize::from(header[1])).await;
        assert_eq!(body[1], 0, "success");
    }
}

pub(crate) async fn quic_connection(
    address: SocketAddr,
    certificate: &CertificateDer<'static>,
) -> (quinn::Endpoint, quinn::Connection) {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"mqtt".to_vec()];
    let tls = QuicClientConfig::try_from(tls).expect("QUIC cipher suites");
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
    let connection = endpoint
        .connect_with(
            quinn::ClientConfig::new(Arc::new(tls)),
            address,
            "localhost",
        )
        .expect("a valid address")
        .await
        .expect("a handshake");
    (endpoint, connection)
}
