//! Peers for the tests: raw bytes over each transport, no MQTT of our own in between.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use quince_broker::{Scheme, Server};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, Message};

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

/// A byte stream over TCP, whatever lies between.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One connection, whatever its transport.
pub(crate) enum Peer {
    Stream(Box<dyn Stream>),
    Quic {
        _endpoint: quinn::Endpoint,
        send: quinn::SendStream,
        receive: quinn::RecvStream,
    },
}

impl Peer {
    /// A peer that believes exactly the certificate of `server`, at its listener number `index`.
    pub(crate) async fn connect(server: &Server, index: usize) -> Self {
        let url = server.listeners()[index].url();
        if url.scheme() == Scheme::Quic {
            return Self::quic(url.address(), &server.certificate()).await;
        }
        let socket = TcpStream::connect(url.address()).await.expect("connected");
        Self::over(server, index, socket).await
    }

    /// The same through a socket that is connected to that listener, which is none over QUIC.
    pub(crate) async fn over(server: &Server, index: usize, socket: TcpStream) -> Self {
        let certificate = server.certificate();
        match server.listeners()[index].url().scheme() {
            Scheme::Tcp => Self::Stream(Box::new(socket)),
            Scheme::Tls => {
                let config = tls_config(&certificate, &[&TLS13, &TLS12], &[b"mqtt"]);
                let stream = tls_over(socket, config).await;
                Self::Stream(Box::new(stream.expect("a handshake")))
            }
            Scheme::Ws => Self::web(socket).await,
            Scheme::Wss => {
                let config = tls_config(&certificate, &[&TLS13], &[b"http/1.1"]);
                let stream = tls_over(socket, config).await;
                Self::web(stream.expect("a handshake")).await
            }
            Scheme::Quic => panic!("QUIC has no TCP socket"),
        }
    }

    pub(crate) async fn tcp(address: SocketAddr) -> Self {
        Self::Stream(Box::new(
            TcpStream::connect(address).await.expect("connected"),
        ))
    }

    /// Over TLS as `config` says.
    pub(crate) async fn tls_as(address: SocketAddr, config: ClientConfig) -> Self {
        let stream = tls_stream(address, config).await;
        Self::Stream(Box::new(stream.expect("a handshake")))
    }

    /// Over WebSocket on that stream: a task turns its messages into bytes.
    pub(crate) async fn web(stream: impl Stream + 'static) -> Self {
        let (mut web, _) = web_socket(stream, "/mqtt", &["mqtt"]).await.expect("open");
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                tokio::select! {
                    message = web.next() => match message {
                        Some(Ok(Message::Binary(bytes))) => {
                            if far.write_all(&bytes).await.is_err() {
                                return;
                            }
                        }
                        Some(Ok(Message::Close(_)) | Err(_)) | None => {
                            let _ = web.flush().await;
                            return;
                        }
                        Some(Ok(_)) => {}
                    },
                    count = far.read(&mut buffer) => {
                        let count = count.expect("in memory");
                        let bytes = buffer[..count].to_vec();
                        if count == 0 || web.send(Message::binary(bytes)).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Self::Stream(Box::new(near))
    }

    pub(crate) async fn quic(address: SocketAddr, certificate: &CertificateDer<'static>) -> Self {
        let (endpoint, connection) = quic_connection(address, certificate).await;
        let (send, receive) = connection.open_bi().await.expect("a stream");
        Self::Quic {
            _endpoint: endpoint,
            send,
            receive,
        }
    }

    /// What it reads from, and what it writes to.
    pub(crate) fn into_halves(self) -> (Box<dyn AsyncRead + Unpin>, Box<dyn AsyncWrite + Unpin>) {
        match self {
            Self::Stream(stream) => {
                let (reader, writer) = tokio::io::split(stream);
                (Box::new(reader), Box::new(writer))
            }
            Self::Quic { send, receive, .. } => (Box::new(receive), Box::new(send)),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Stream(stream) => {
                stream.write_all(bytes).await.expect("written");
                stream.flush().await.expect("sent");
            }
            Self::Quic { send, .. } => send.write_all(bytes).await.expect("written"),
        }
    }

    /// Exactly `length` bytes.
    pub(crate) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        timeout(PATIENCE, async {
            match self {
                Self::Stream(stream) => drop(stream.read_exact(&mut bytes).await.expect("read")),
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
                Self::Stream(stream) => drop(stream.read_to_end(&mut bytes).await.expect("read")),
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
    let tls = tls_config(certificate, &[&TLS13], &[b"mqtt"]);
    quic_dial(address, tls).await.expect("a handshake")
}

/// An endpoint for many connections that believe exactly `certificate`.
pub(crate) fn quic_endpoint(
    certificate: &CertificateDer<'static>,
) -> (quinn::Endpoint, quinn::ClientConfig) {
    let tls = tls_config(certificate, &[&TLS13], &[b"mqtt"]);
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into());
    (endpoint.expect("a socket"), quic_config(tls))
}

pub(crate) fn quic_config(tls: ClientConfig) -> quinn::ClientConfig {
    let tls = QuicClientConfig::try_from(tls).expect("QUIC cipher suites");
    quinn::ClientConfig::new(Arc::new(tls))
}

pub(crate) async fn quic_dial(
    address: SocketAddr,
    tls: ClientConfig,
) -> Result<(quinn::Endpoint, quinn::Connection), quinn::ConnectionError> {
    let local = match address {
        SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
    };
    let endpoint = quinn::Endpoint::client(local).expect("a socket");
    let connecting = endpoint.connect_with(quic_config(tls), address, "localhost");
    let connection = connecting.expect("a valid address").await?;
    Ok((endpoint, connection))
}

/// TLS that believes exactly `certificate`.
pub(crate) fn tls_config(
    certificate: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> ClientConfig {
    tls_config_by(aws_lc_rs::default_provider(), certificate, versions, alpn)
}

/// The same with the cryptography of `provider`.
pub(crate) fn tls_config_by(
    provider: CryptoProvider,
    certificate: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let mut tls = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    tls
}

pub(crate) async fn tls_stream(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_over(TcpStream::connect(address).await?, config).await
}

pub(crate) async fn tls_over(
    socket: TcpStream,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = "localhost".try_into().expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
}

/// The opening handshake of WebSocket, with the subprotocol that the server has answered.
pub(crate) async fn web_socket<S: Stream>(
    stream: S,
    path: &str,
    offered: &[&str],
) -> Result<(WebSocketStream<S>, Option<String>), tungstenite::Error> {
    let uri = format!("ws://localhost{path}").parse().expect("a URI");
    let request = offered
        .iter()
        .fold(ClientRequestBuilder::new(uri), |request, one| {
            request.with_sub_protocol(*one)
        });
    let (web, response) = tokio_tungstenite::client_async(request, stream).await?;
    let answered = response.headers().get("Sec-WebSocket-Protocol");
    let answered = answered.map(|value| value.to_str().expect("text").to_owned());
    Ok((web, answered))
}
