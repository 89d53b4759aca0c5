//! Where a broker is: a URL, parsed and checked.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Where MQTT is over WebSocket, unless the URL says something else.
const DEFAULT_PATH: &str = "/mqtt";

/// How bytes travel to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain TCP: `tcp://` or `mqtt://`, port 1883 unless given.
    Tcp,
    /// TLS over TCP: `tls://` or `mqtts://`, port 8883 unless given.
    Tls,
    /// WebSocket over TCP: `ws://`, port 8083 and path `/mqtt` unless given.
    Ws,
    /// WebSocket over TLS: `wss://`, port 8084 and path `/mqtt` unless given.
    Wss,
    /// MQTT over QUIC, single stream: `quic://`, UDP port 14567 unless given.
    Quic,
}

impl Scheme {
    /// The name used in URLs and reports.
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
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A broker's address: scheme, host, port, and over WebSocket a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    host: String,
    port: u16,
    /// Path and query; empty where the transport has none.
    path: String,
}

/// Why a text is not the URL of a broker. Each message says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is no `://` in it.
    #[error("'{text}' is not a URL: did you mean 'mqtt://{text}'?")]
    NoScheme {
        /// The text as given.
        text: String,
    },
    /// A scheme that is not spoken here.
    #[error(
        "'{scheme}://' is not a transport known here: use mqtt://, mqtts://, ws://, wss:// or quic://"
    )]
    UnknownScheme {
        /// The scheme as given.
        scheme: String,
    },
    /// No host between `://` and the port.
    #[error("'{text}' names no host: expected something like mqtt://127.0.0.1:1883")]
    NoHost {
        /// The text as given.
        text: String,
    },
    /// Something that a broker's address cannot carry.
    #[error("'{text}' has a {part}, which a broker's address cannot carry: leave it out")]
    Surplus {
        /// The text as given.
        text: String,
        /// What is too much: path, query, fragment, user name or password.
        part: &'static str,
    },
    /// Anything else, in the URL parser's words.
    #[error("'{text}' is not a URL: {reason}")]
    Malformed {
        /// The text as given.
        text: String,
        /// The parser's reason.
        reason: String,
    },
}

impl Endpoint {
    /// Parses `tcp://host:port` or `mqtt://host:port` (the same), `tls://` or `mqtts://` (the same),
    /// `ws://`, `wss://` or `quic://`; without a port the scheme's own is meant, IPv6 hosts stand in
    /// brackets. Only `ws://` and `wss://` take a path and a query.
    ///
    /// # Errors
    /// [`UrlError`] with what was expected instead.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let given = || text.to_owned();
        if !text.contains("://") {
            return Err(UrlError::NoScheme { text: given() });
        }
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => UrlError::NoHost { text: given() },
            other => UrlError::Malformed {
                text: given(),
                reason: other.to_string(),
            },
        })?;
        let scheme = match url.scheme() {
            "tcp" | "mqtt" => Scheme::Tcp,
            "tls" | "mqtts" => Scheme::Tls,
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "quic" => Scheme::Quic,
            other => {
                return Err(UrlError::UnknownScheme {
                    scheme: other.to_owned(),
                });
            }
        };
        let is_web = matches!(scheme, Scheme::Ws | Scheme::Wss);
        let surplus = [
            (!is_web && !matches!(url.path(), "" | "/"), "path"),
            (!is_web && url.query().is_some(), "query"),
            (url.fragment().is_some(), "fragment"),
            (!url.username().is_empty(), "user name"),
            (url.password().is_some(), "password"),
        ];
        if let Some((_, part)) = surplus.into_iter().find(|(present, _)| *present) {
            return Err(UrlError::Surplus {
                text: given(),
                part,
            });
        }
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() {
            return Err(UrlError::NoHost { text: given() });
        }
        // Sockets and certificates want an IPv6 address without the URL's brackets.
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Self {
            scheme,
            host,
            // Ports 80 and 443 are the defaults of the web, so that the parser leaves them out.
            port: url.port().unwrap_or_else(|| match explicit_port(text) {
                Some(port) => port,
                None => scheme.default_port(),
            }),
            path: if is_web {
                web_path(text, &url)
            } else {
                String::new()
            },
        })
    }

    /// The same with another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        Self {
            port,
            ..self.clone()
        }
    }

    /// How bytes travel there.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host name or IP address, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP or UDP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// A port that the URL parser drops, because it is the default of the web for that scheme.
fn explicit_port(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let (_, port) = authority.rsplit_once(':')?;
    port.parse().ok()
}

/// Path and query of a WebSocket's URL: what is given, or where MQTT usually is.
fn web_path(text: &str, url: &Url) -> String {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let path = if rest.contains('/') {
        url.path()
    } else {
        DEFAULT_PATH
    };
    match url.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme,
            host,
            port,
            path,
        } = self;
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}{path}")
        } else {
            write!(f, "{scheme}://{host}:{port}{path}")
        }
    }
}

impl FromStr for Endpoint {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_what_they_mean() {
        for (text, expected) in [
            ("mqtt://localhost", "tcp://localhost:1883"),
            ("tcp://127.0.0.1:1234", "tcp://127.0.0.1:1234"),
            ("mqtts://broker.example", "tls://broker.example:8883"),
            ("tls://[::1]", "tls://[::1]:8883"),
            ("ws://localhost", "ws://localhost:8083/mqtt"),
            ("ws://localhost/", "ws://localhost:8083/"),
            ("ws://localhost:80?a=1", "ws://localhost:80/mqtt?a=1"),
            ("ws://[::1]:80", "ws://[::1]:80/mqtt"),
            ("wss://[::1]", "wss://[::1]:8084/mqtt"),
            (
                "wss://broker.example:443/a/b?c=d",
                "wss://broker.example:443/a/b?c=d",
            ),
            ("quic://broker.example", "quic://broker.example:14567"),
            ("quic://[::1]:9", "quic://[::1]:9"),
            ("mqtt://localhost/", "tcp://localhost:1883"),
        ] {
            assert_eq!(Endpoint::parse(text).expect(text).to_string(), expected);
        }
    }

    #[test]
    fn wrong_urls_say_what_was_expected() {
        for (text, expected) in [
            ("localhost:1883", "did you mean 'mqtt://localhost:1883'?"),
            (
                "http://localhost",
                "use mqtt://, mqtts://, ws://, wss:// or quic://",
            ),
            ("mqtt://", "names no host"),
            ("mqtt://host:99999", "invalid port number"),
            ("mqtt://host/topic", "has a path"),
            ("mqtt://me@host", "has a user name"),
            ("ws://me@host", "has a user name"),
            ("ws://host/#x", "has a fragment"),
            ("quic://host?x=1", "has a query"),
        ] {
            let error = Endpoint::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
