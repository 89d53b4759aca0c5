//! Dialling: from an [`Endpoint`] to a [`Transport`], within a bounded time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::endpoint::{Endpoint, Scheme};
use crate::transport::Transport;
use crate::trust::{Trust, TrustError};
use crate::tuning::Tuning;

/// The ALPN of MQTT over QUIC on a single stream or on plain further streams.
const ALPN: &[u8] = b"mqtt";

/// Makes connections. QUIC connections of one dialler share its UDP sockets.
#[derive(Debug)]
pub struct Dialer {
    trust: Trust,
    timeout: Duration,
    tuning: Tuning,
    sockets: Mutex<Sockets>,
}

#[derive(Debug, Default)]
struct Sockets {
    config: Option<quinn::ClientConfig>,
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
    /// QUIC: handshake refused, certificate not trusted, no common ALPN.
    #[error("failed to connect to {endpoint}: {reason}")]
    Handshake {
        /// The URL.
        endpoint: String,
        /// QUIC's or TLS's reason.
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
            timeout,
            tuning: Tuning::default(),
            sockets: Mutex::default(),
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
                Scheme::Tcp => self.dial_tcp(endpoint).await,
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
            let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
            [sockets.v4.clone(), sockets.v6.clone()]
        };
        for socket in sockets.into_iter().flatten() {
            socket.wait_idle().await;
        }
    }

    async fn dial_tcp(&self, endpoint: &Endpoint) -> Result<Transport, DialError> {
        let fail = |source| DialError::Connect {
            endpoint: endpoint.to_string(),
            source,
        };
        let stream = TcpStream::connect((endpoint.host(), endpoint.port()))
            .await
            .map_err(fail)?;
        self.tuning.set_up(&stream).map_err(fail)?;
        Ok(Transport::tcp(stream))
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
            .connect_with(config, address, endpoint.host())
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
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let config = match &sockets.config {
            Some(config) => config.clone(),
            None => sockets
                .config
                .insert(quic_config(&self.trust, &self.tuning)?)
                .clone(),
        };
        let (slot, local): (_, IpAddr) = match peer {
            IpAddr::V4(_) => (&mut sockets.v4, Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => (&mut sockets.v6, Ipv6Addr::UNSPECIFIED.into()),
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

fn quic_config(trust: &Trust, tuning: &Tuning) -> Result<quinn::ClientConfig, TrustError> {
    let tls = trust.client_config(tuning, &[ALPN.to_vec()])?;
    let tls = QuicClientConfig::try_from(tls)
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    let mut transport = quinn::TransportConfig::default();
    // On a single stream the server opens none: it gets no credit to do so.
    transport.max_concurrent_bidi_streams(0_u8.into());
    transport.max_concurrent_uni_streams(0_u8.into());
    config.transport_config(Arc::new(transport));
    Ok(config)
}
