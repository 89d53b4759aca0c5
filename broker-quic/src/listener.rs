//! Where the broker listens: listener URLs.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

/// Where MQTT is on a WebSocket listener.
pub(crate) const PATH: &str = "/mqtt";

/// How bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Tcp,
    /// TLS 1.2 or 1.3 over TCP, ALPN `mqtt` where the client offers any.
    Tls,
    /// WebSocket over TCP, subprotocol `mqtt`, at `/mqtt`.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// MQTT over QUIC, single stream, ALPN `mqtt`.
    Quic,
}

impl Scheme {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Tls, Self::Ws, Self::Wss, Self::Quic];

    /// The name used in URLs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Quic => "quic",
        }
    }

    /// The port that a URL without one means.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Tcp => 1883,
            Self::Tls => 8883,
            Self::Ws => 8083,
            Self::Wss => 8084,
            Self::Quic => 14567,
        }
    }

    /// Whether the broker shows a certificate there.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        match self {
            Self::Tcp | Self::Ws => false,
            Self::Tls | Self::Wss | Self::Quic => true,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A listener's address: `tcp://ADDRESS[:PORT]` (also `mqtt://`), `tls://` (also `mqtts://`),
/// `ws://`, `wss://` (both also with the path `/mqtt`) or `quic://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerUrl {
    scheme: Scheme,
    address: SocketAddr,
}

/// Why a text names no listener. Each message says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerUrlError {
    /// Not a URL at all.
    #[error("'{text}' is not a listener URL: expected something like tcp://127.0.0.1:1883")]
    Malformed {
        /// The text as given.
        text: String,
    },
    /// A scheme that the broker does not speak.
    #[error(
        "the broker cannot listen on '{scheme}://': use tcp:// (or mqtt://), tls:// (or mqtts://), ws://, wss:// or quic://"
    )]
    UnknownScheme {
        /// The scheme as given.
        scheme: String,
    },
    /// A host name, where an address of this machine is needed.
    #[error(
        "'{host}' is not an IP address: name the address to bind, as 127.0.0.1, 0.0.0.0 or [::1]"
    )]
    NotAnAddress {
        /// The host as given.
        host: String,
    },
}

impl ListenerUrl {
    /// A listener on `address`; port 0 lets the system choose.
    #[must_use]
    pub fn new(scheme: Scheme, address: SocketAddr) -> Self {
        Self { scheme, address }
    }

    /// How bytes arrive.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The address to bind, or that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl FromStr for ListenerUrl {
    type Err = ListenerUrlError;

    fn from_str(text: &str) -> Result<Self, ListenerUrlError> {
        let malformed = || ListenerUrlError::Malformed {
            text: text.to_owned(),
        };
        if !text.contains("://") {
            return Err(malformed());
        }
        let url = Url::parse(text).map_err(|_| malformed())?;
        let scheme = match url.scheme() {
            "tcp" | "mqtt" => Scheme::Tcp,
            "tls" | "mqtts" => Scheme::Tls,
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "quic" => Scheme::Quic,
            other => {
                return Err(ListenerUrlError::UnknownScheme {
                    scheme: other.to_owned(),
                });
            }
        };
        let is_web = matches!(scheme, Scheme::Ws | Scheme::Wss);
        let bare = matches!(url.path(), "" | "/") || (is_web && url.path() == PATH);
        let bare = bare && url.query().is_none();
        if !bare || !url.username().is_empty() || url.fragment().is_some() {
            return Err(malformed());
        }
        let ip: IpAddr = match url.host() {
            Some(Host::Ipv4(ip)) => ip.into(),
            Some(Host::Ipv6(ip)) => ip.into(),
            // In URLs of schemes that are not the web's, an IPv4 address parses as a name.
            Some(Host::Domain(host)) => {
                host.parse().map_err(|_| ListenerUrlError::NotAnAddress {
                    host: host.to_owned(),
                })?
            }
            None => return Err(malformed()),
        };
        let address = SocketAddr::new(ip, url.port().unwrap_or_else(|| scheme.default_port()));
        Ok(Self { scheme, address })
    }
}

impl fmt::Display for ListenerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.address)?;
        match self.scheme {
            Scheme::Ws | Scheme::Wss => f.write_str(PATH),
            Scheme::Tcp | Scheme::Tls | Scheme::Quic => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_what_they_bind() {
        for (text, expected) in [
            ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
            ("mqtt://0.0.0.0", "tcp://0.0.0.0:1883"),
            ("mqtts://127.0.0.1", "tls://127.0.0.1:8883"),
            ("tls://[::]:1", "tls://[::]:1"),
            ("ws://127.0.0.1", "ws://127.0.0.1:8083/mqtt"),
            ("wss://[::1]:0/mqtt", "wss://[::1]:0/mqtt"),
            ("quic://[::1]", "quic://[::1]:14567"),
        ] {
            assert_eq!(
                text.parse::<ListenerUrl>().expect(text).to_string(),
                expected
            );
        }
    }

    #[test]
    fn wrong_urls_say_what_was_expected() {
        for (text, expected) in [
            (
                "127.0.0.1:1883",
                "expected something like tcp://127.0.0.1:1883",
            ),
            ("udp://127.0.0.1", "use tcp://"),
            ("tcp://localhost", "not an IP address"),
            ("tcp://127.0.0.1/mqtt", "is not a listener URL"),
            ("ws://127.0.0.1/path", "is not a listener URL"),
        ] {
            let error = text.parse::<ListenerUrl>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
