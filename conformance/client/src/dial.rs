//! Dialling: from an [`Endpoint`] to a [`Transport`], within a bounded time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quince_congestion::FlooredCubicConfig;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::carrier::Carrier;
use crate::endpoint::{Endpoint, Scheme};
use crate::identity::Identity;
use crate::transport::Transport;
use crate::trust::{Trust, TrustError};
use crate::tuning::Tuning;
use crate::websocket::WebSocket;

/// The ALPN of MQTT over TLS, and over QUIC on a single stream or on plain further streams.
const MQTT: &[u8] = b"mqtt";
/// The ALPN of what WebSocket begins with.
const HTTP: &[u8] = b"http/1.1";

/// How many later packets must be acknowledged before one counts as lost: so many that time alone decides.
const REORDERING_PACKETS: u32 = 128;
/// How much later than a round trip, in round trips.
const REORDERING_ROUND_TRIPS: f32 = 1.25;

/// Makes connections. QUIC connections of one dialler share its UDP sockets.
#[derive(Debug)]
pub struct Dialer {
    trust: Trust,
    identity: Option<Identity>,
    server_name: Option<String>,
    timeout: Duration,
    tuning: Tuning,
    made: Mutex<Made>,
}

/// What is made once, when the first dial needs it.
#[derive(Debug, Default)]
struct Made {
    tls: Option<Arc<ClientConfig>>,
    web: Option<Arc<ClientConfig>>,
    quic: Option<quinn::ClientConfig>,
    v4: Option<quinn::Endpoint>,
    v6: Option<quinn::Endpoint>,
}

/// Why no connection came to be.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host name has no address.
    #[error("failed to find an address of '{host}': {reason}")]
    Resolve {
        /// The host as given.
        host: String,
        /// The resolver's reason.
        reason: String,
    },
    /// TCP: refused, unreachable, reset.
    #[error("failed to connect to {endpoint}: {source}")]
    Connect {
        /// The URL.
        endpoint: String,
        /// The system's reason.
        source: io::Error,
    },
    /// TLS, WebSocket or QUIC: handshake refused, certificate not trusted, no common protocol.
    #[error("failed to connect to {endpoint}: {reason}")]
    Handshake {
        /// The URL.
        endpoint: String,
        /// The reason of whoever refused.
        reason: String,
    },
    /// Nothing answered in time.
    #[error("failed to connect to {endpoint}: no answer within {} s", .after.as_secs_f32())]
    TimedOut {
        /// The URL.
        endpoint: String,
        /// How long was waited.
        after: Duration,
    },
    /// No usable certificates on our side.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Dialer {
    /// A dialler that believes `trust` and gives each dial at most `timeout`.
    #[must_use]
    pub fn new(trust: Trust, timeout: Duration) -> Self {
        Self {
            trust,
            identity: None,
            server_name: None,
            timeout,
            tuning: Tuning::default(),
            made: Mutex::default(),
        }
    }

    /// Shows this certificate to brokers that ask for one.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        Self {
            identity: Some(identity),
            ..self
        }
    }

    /// Asks for the certificate of this name (SNI), and demands it, whatever the URL's host is.
    #[must_use]
    pub fn with_server_name(self, name: String) -> Self {
        Self {
            server_name: Some(name),
            ..self
        }
    }

    /// The same dialler with `tuning` set on each connection that it makes.
    #[must_use]
    pub fn tuned(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// Connects to `endpoint`; over QUIC the control stream is open when this returns.
    ///
    /// # Errors
    /// [`DialError`]; each message names the URL and the reason.
    pub async fn dial(&self, endpoint: &Endpoint) -> Result<Transport, DialError> {
        let attempt = async {
            match endpoint.scheme() {
                Scheme::Tcp => Ok(Transport::tcp(self.connect_tcp(endpoint).await?)),
                Scheme::Tls => {
                    let stream = self.dial_tls(endpoint, MQTT).await?;
                    Ok(Transport::layered(Scheme::Tls, stream))
                }
                Scheme::Ws => open_websocket(self.connect_tcp(endpoint).await?, endpoint).await,
                Scheme::Wss => open_websocket(self.dial_tls(endpoint, HTTP).await?, endpoint).await,
                Scheme::Quic => self.dial_quic(endpoint).await,
            }
        };
        timeout(self.timeout, attempt).await.unwrap_or_else(|_| {
            Err(DialError::TimedOut {
                endpoint: endpoint.to_string(),
                after: self.timeout,
            })
        })
    }

    /// Waits until every QUIC connection of this dialler has told its peer that it is closed.
    pub async fn wait_idle(&self) {
        let sockets = {
            let sockets = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            [sockets.v4.clone(), sockets.v6.clone()]
        };
        for socket in sockets.into_iter().flatten() {
            socket.wait_idle().await;
        }
    }

    async fn connect_tcp(&self, endpoint: &Endpoint) -> Result<TcpStream, DialError> {
        let fail = |source| DialError::Connect {
            endpoint: endpoint.to_string(),
            source,
        };
        let stream = TcpStream::connect((endpoint.host(), endpoint.port()))
            .await
            .map_err(fail)?;
        self.tuning.set_up(&stream).map_err(fail)?;
        Ok(stream)
    }

    async fn dial_tls(
        &self,
        endpoint: &Endpoint,
        alpn: &[u8],
    ) -> Result<TlsStream<TcpStream>, DialError> {
        let fail = |reason: String| DialError::Handshake {
            endpoint: endpoint.to_string(),
            reason,
        };
        let config = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            let made = if alpn == MQTT {
                &mut made.tls
            } else {
                &mut made.web
            };
            match made {
                Some(config) => Arc::clone(config),
                None => {
                    let config = self.client_config(&[&TLS12, &TLS13], alpn)?;
                    Arc::clone(made.insert(Arc::new(config)))
                }
            }
        };
        let name = self.server_name(endpoint).to_owned();
        let name = ServerName::try_from(name).map_err(|error| fail(error.to_string()))?;
        let socket = self.connect_tcp(endpoint).await?;
        TlsConnector::from(config)
            .connect(name, socket)
            .await
            .map_err(|error| fail(error.to_string()))
    }

    fn client_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[u8],
    ) -> Result<ClientConfig, TrustError> {
        let identity = self.identity.as_ref();
        self.trust
            .client_config(&self.tuning, identity, versions, alpn)
    }

    fn server_name<'a>(&'a self, endpoint: &'a Endpoint) -> &'a str {
        self.server_name
            .as_deref()
            .unwrap_or_else(|| endpoint.host())
    }

    /// Tries the addresses of the host one after the other, each for its share of the time: over UDP an address where
    /// nobody listens may stay silent.
    async fn dial_quic(&self, endpoint: &Endpoint) -> Result<Transport, DialError> {
        let addresses = resolve(endpoint).await?;
        let share = self.timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut last = DialError::Resolve {
            host: endpoint.host().to_owned(),
            reason: "the name has no address".to_owned(),
        };
        for address in addresses {
            match timeout(share, self.dial_quic_address(endpoint, address)).await {
                Ok(Ok(transport)) => return Ok(transport),
                Ok(Err(error)) => last = error,
                Err(_) => {
                    last = DialError::TimedOut {
                        endpoint: endpoint.to_string(),
                        after: share,
                    };
                }
            }
        }
        Err(last)
    }

    async fn dial_quic_address(
        &self,
        endpoint: &Endpoint,
        address: SocketAddr,
    ) -> Result<Transport, DialError> {
        let fail = |reason: String| DialError::Handshake {
            endpoint: endpoint.to_string(),
            reason,
        };
        let (socket, config) = self.quic_socket(address.ip(), endpoint)?;
        let connection = socket
            .connect_with(config, address, self.server_name(endpoint))
            .map_err(|error| fail(error.to_string()))?
            .await
            .map_err(|error| fail(error.to_string()))?;
        Transport::quic(connection)
            .await
            .map_err(|error| fail(error.to_string()))
    }

    fn quic_socket(
        &self,
        peer: IpAddr,
        endpoint: &Endpoint,
    ) -> Result<(quinn::Endpoint, quinn::ClientConfig), DialError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let config = match &made.quic {
            Some(config) => config.clone(),
            None => made.quic.insert(self.quic_config()?).clone(),
        };
        let (slot, local): (_, IpAddr) = match peer {
            IpAddr::V4(_) => (&mut made.v4, Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => (&mut made.v6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let socket = match slot {
            Some(socket) => socket.clone(),
            None => {
                let bound =
                    quinn::Endpoint::client(SocketAddr::new(local, 0)).map_err(|source| {
                        DialError::Connect {
                            endpoint: endpoint.to_string(),
                            source,
                        }
                    })?;
                slot.insert(bound).clone()
            }
        };
        Ok((socket, config))
    }

    fn quic_config(&self) -> Result<quinn::ClientConfig, TrustError> {
        let tls = self.client_config(&[&TLS13], MQTT)?;
        let tls = QuicClientConfig::try_from(tls)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        let mut transport = quinn::TransportConfig::default();
        // On a single stream the server opens none: it gets no credit to do so.
        transport.max_concurrent_bidi_streams(0_u8.into());
        transport.max_concurrent_uni_streams(0_u8.into());
        // Packets overtake each other on real links: one is lost when a later one was acknowledged and its time is up, not when
        // three later ones were. Figures in docs/tuning.md.
        transport.packet_threshold(REORDERING_PACKETS);
        transport.time_threshold(REORDERING_ROUND_TRIPS);
        transport.congestion_controller_factory(Arc::new(FlooredCubicConfig::default()));
        config.transport_config(Arc::new(transport));
        Ok(config)
    }
}

async fn open_websocket(stream: impl Carrier, endpoint: &Endpoint) -> Result<Transport, DialError> {
    let socket = WebSocket::open(stream, endpoint).await;
    let socket = socket.map_err(|reason| DialError::Handshake {
        endpoint: endpoint.to_string(),
        reason,
    })?;
    Ok(Transport::layered(endpoint.scheme(), socket))
}

async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, DialError> {
    tokio::net::lookup_host((endpoint.host(), endpoint.port()))
        .await
        .map(Iterator::collect)
        .map_err(|error| DialError::Resolve {
            host: endpoint.host().to_owned(),
            reason: error.to_string(),
        })
}
