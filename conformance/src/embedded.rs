//! The embedded broker: the target when no URL is given.

use std::net::{Ipv4Addr, SocketAddr};

use quince_broker::{ListenerUrl, Scheme, Server, Settings};
use quince_client::{Endpoint, Trust};

/// A broker in this process, on loopback.
#[derive(Debug)]
pub struct EmbeddedBroker {
    server: Server,
}

impl EmbeddedBroker {
    /// Starts it over TCP and QUIC, on ports that the system chooses.
    ///
    /// # Errors
    /// In words, if no port can be had.
    pub async fn start() -> Result<Self, String> {
        Self::start_over(&[Scheme::Tcp, Scheme::Quic]).await
    }

    /// Starts it over every transport that it has.
    ///
    /// # Errors
    /// In words, if no port can be had.
    pub async fn start_over_all() -> Result<Self, String> {
        Self::start_over(&Scheme::ALL).await
    }

    async fn start_over(schemes: &[Scheme]) -> Result<Self, String> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let urls: Vec<_> = schemes
            .iter()
            .map(|scheme| ListenerUrl::new(*scheme, loopback))
            .collect();
        let server = Server::bind(&urls, Settings::default())
            .await
            .map_err(|error| format!("the embedded broker does not start: {error}"))?;
        Ok(Self { server })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// In words, if a listener has a URL that is not understood here.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>, String> {
        let parse = |url: String| Endpoint::parse(&url).map_err(|error| error.to_string());
        self.server
            .listeners()
            .iter()
            .map(|listener| parse(listener.url().to_string()))
            .collect()
    }

    /// Believes its certificate and no other.
    pub fn trust(&self) -> Trust {
        Trust::Authorities(vec![self.server.certificate()])
    }

    /// Stops it.
    pub async fn shut_down(self) {
        self.server.shut_down().await;
    }
}
