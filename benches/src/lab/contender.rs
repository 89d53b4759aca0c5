//! What is compared: a transport with what drives its sending.

use std::fmt;
use std::str::FromStr;

use quince_client::StreamStrategy;
use serde::{Serialize, Serializer};

/// Congestion controls of TCP that the lab knows to be common; the kernel may have others.
const TCP_CONGESTION: [&str; 3] = ["cubic", "bbr", "reno"];

/// How a contender carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carrier {
    /// Plain TCP. Not a fair opponent of QUIC, which always encrypts.
    Tcp,
    /// TLS 1.3 over TCP.
    Tls,
    /// QUIC.
    Quic,
}

impl Carrier {
    /// The scheme of its URLs.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }

    /// Whether the kernel's TCP carries it.
    pub(crate) fn is_tcp(self) -> bool {
        self != Self::Quic
    }
}

/// One of the compared: `tls-cubic`, `tls-bbr`, `quic`, `quic-per-topic`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Contender {
    pub(crate) carrier: Carrier,
    /// The kernel's name; `None` for QUIC, whose congestion control is the library's (cubic).
    pub(crate) tcp_congestion: Option<String>,
    /// How a QUIC client spreads its topics over streams.
    pub(crate) streams: StreamStrategy,
}

impl Contender {
    /// What a reader should know beside the name.
    pub(crate) fn describe(&self) -> String {
        match (self.carrier, &self.tcp_congestion) {
            (Carrier::Tcp, Some(congestion)) => {
                format!("plain TCP of the kernel with {congestion}, TCP_NODELAY, nothing encrypted")
            }
            (Carrier::Tls, Some(congestion)) => {
                format!("TLS 1.3 (rustls) over TCP of the kernel with {congestion}, TCP_NODELAY")
            }
            _ => {
                let streams = match self.streams {
                    StreamStrategy::Single => "all topics on one stream",
                    StreamStrategy::PerTopic => "each topic on a stream of its own",
                    StreamStrategy::PerMessage => "each message on a stream of its own",
                };
                format!("QUIC (quinn) with the defaults of quince, {streams}")
            }
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.carrier.scheme())?;
        match &self.tcp_congestion {
            Some(congestion) => write!(f, "-{congestion}"),
            None => f.write_str(match self.streams {
                StreamStrategy::Single => "",
                StreamStrategy::PerTopic => "-per-topic",
                StreamStrategy::PerMessage => "-per-message",
            }),
        }
    }
}

impl Serialize for Contender {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text names no contender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a transport of the lab: use quic, quic-per-topic, quic-per-message, tls-CONTROL or tcp-CONTROL with the kernel's name of a congestion control, as in {}",
    TCP_CONGESTION.map(|name| format!("tls-{name}")).join(", ")
)]
pub(crate) struct ContenderError {
    text: String,
}

impl FromStr for Contender {
    type Err = ContenderError;

    fn from_str(text: &str) -> Result<Self, ContenderError> {
        let unknown = || ContenderError {
            text: text.to_owned(),
        };
        let streams = match text {
            "quic" => Some(StreamStrategy::Single),
            "quic-per-topic" => Some(StreamStrategy::PerTopic),
            "quic-per-message" => Some(StreamStrategy::PerMessage),
            _ => None,
        };
        if let Some(streams) = streams {
            return Ok(Self {
                carrier: Carrier::Quic,
                tcp_congestion: None,
                streams,
            });
        }
        let (carrier, congestion) = text.split_once('-').ok_or_else(unknown)?;
        let carrier = match carrier {
            "tcp" => Carrier::Tcp,
            "tls" => Carrier::Tls,
            _ => return Err(unknown()),
        };
        // The kernel's names are short words.
        let named = (1..16).contains(&congestion.len())
            && congestion
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !named {
            return Err(unknown());
        }
        Ok(Self {
            carrier,
            tcp_congestion: Some(congestion.to_owned()),
            streams: StreamStrategy::Single,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [
            "quic",
            "quic-per-topic",
            "quic-per-message",
            "tls-cubic",
            "tls-bbr",
            "tcp-reno",
            "tls-westwood",
        ] {
            assert_eq!(name.parse::<Contender>().expect(name).to_string(), name);
        }
    }

    #[test]
    fn wrong_names_say_what_was_expected() {
        for name in [
            "",
            "tls",
            "quic-bbr",
            "tls-",
            "ws-cubic",
            "tls-bad name",
            "udp",
        ] {
            let error = name.parse::<Contender>().expect_err(name).to_string();
            assert!(
                error.contains(
                    "use quic, quic-per-topic, quic-per-message, tls-CONTROL or tcp-CONTROL"
                ),
                "{error}"
            );
        }
    }
}
