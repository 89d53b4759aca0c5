//! Dial an MQTT broker over any transport and speak to it packet by packet.
//!
//! Two layers, each usable alone. A [`Transport`] carries ordered byte streams, named by [`Flow`],
//! and their ends, exactly as the network delivered them: the conformance suite stands on it, so it
//! hides nothing (a FIN is not a reset, a QUIC close code is kept). A [`Client`] speaks MQTT packets
//! over the flows of one, spread by a [`StreamStrategy`]; the commands `quince-client pub` and `sub` stand on that.

#![warn(clippy::unwrap_used, clippy::panic)]

mod carrier;
mod client;
mod dial;
mod endpoint;
mod identity;
mod streams;
mod transport;
mod trust;
mod tuning;
mod websocket;

pub use client::{Client, ClientError, ConnectOptions, Granted};
pub use dial::{DialError, Dialer};
pub use endpoint::{Endpoint, Scheme, UrlError};
pub use identity::{Identity, IdentityError};
pub use streams::StreamStrategy;
pub use transport::{Ending, Event, Flow, Transport, TransportError};
pub use trust::{Trust, TrustError};
pub use tuning::Tuning;
