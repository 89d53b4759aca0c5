//! An MQTT broker over TCP, TLS, WebSocket and QUIC: transports, driver and daemon around `quince-core`.
//!
//! The core decides everything that MQTT is; this crate moves bytes. A [`Server`] binds listeners,
//! each accepted connection becomes one task that runs the one driver loop, and that loop awaits
//! nothing but readiness and calls that are safe to cancel.

#![warn(clippy::unwrap_used, clippy::panic)]

mod accept;
mod access;
mod certificate;
mod driver;
mod listener;
mod peer;
mod server;
mod settings;
mod tls;
mod transport;
mod tuning;

pub use certificate::{Certificate, CertificateError};
pub use listener::{ListenerUrl, ListenerUrlError, Scheme};
pub use peer::{Peer, PeerCertificate};
pub use server::{BindError, BoundListener, Server};
pub use settings::{QuicSettings, Settings, TcpSettings, WebSocketSettings};
pub use tls::{CertificateFiles, ClientCertificates, Demand, TlsError, TlsSettings};
