//! An MQTT broker over TCP, TLS, WebSocket and QUIC: transports, driver and daemon around `quince-core`.
//!
//! The core decides everything that MQTT is; this crate moves bytes. A [`Server`] binds listeners,
//! each accepted connection becomes one task that runs the one driver loop, and that loop awaits
//! nothing but readiness and calls that are safe to cancel.

#![warn(clippy::unwrap_used, clippy::panic)]

mod accept;
mod access;
mod certificate;
mod config;
mod driver;
mod listener;
mod peer;
mod problem;
mod server;
mod settings;
mod standing;
mod store;
mod tls;
mod transport;
mod tuning;

pub use access::{
    Access, AccessSettings, Admission, CertificateName, Keep, PasswdError, TokenAlgorithm,
    TokenSettings, delete_user, set_password,
};
pub use certificate::{Certificate, CertificateError};
pub use config::{Configuration, DEFAULT, Flags};
pub use listener::{ListenerUrl, ListenerUrlError, Scheme};
pub use peer::{Peer, PeerCertificate};
pub use problem::Problem;
pub use server::{BindError, BoundListener, Server};
pub use settings::{
    ListenerSettings, QuicCongestion, QuicSettings, Settings, TcpSettings, WebSocketSettings,
};
pub use store::{DataSettings, Durable, DurableError, Inspection, StoreError, inspect};
pub use tls::{CertificateFiles, ClientCertificates, Demand, TlsError, TlsSettings};
