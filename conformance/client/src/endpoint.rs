//! Where a broker is: a URL, parsed and checked.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// How bytes travel to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain TCP: `tcp://` or `mqtt://`, port 1883 unless given.
    Tcp,
    /// TLS over TCP: `tls://` or `mqtts://`, port 8883 unless given.
    Tls,
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
            Self::Quic => "quic",
        }
    }

    /// The port that a URL without one means.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Tcp => 1883,
            Self::Tls => 8883,
            Self::Quic => 14567,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A broker's address: scheme, host, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    host: String,
    port: u16,
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
        "'{scheme}://' is not a transport known here: use mqtt://, mqtts://, tcp://, tls:// or quic://"
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
    /// Parses `tcp://host:port` or `mqtt://host:port` (the same), `tls://` or `mqtts://` (the same) or
    /// `quic://`; without a port the scheme's own is meant, IPv6 hosts stand in brackets.
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
            "quic" => Scheme::Quic,
            other => {
                return Err(UrlError::UnknownScheme {
                    scheme: other.to_owned(),
                });
            }
        };
        let surplus = [
            (!matches!(url.path(), "" | "/"), "path"),
            (url.query().is_some(), "query"),
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
            port: url.port().unwrap_or_else(|| scheme.default_port()),
        })
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

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
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
                "use mqtt://, mqtts://, tcp://, tls:// or quic://",
            ),
            ("mqtt://", "names no host"),
            ("mqtt://host:99999", "invalid port number"),
            ("mqtt://host/topic", "has a path"),
            ("mqtt://me@host", "has a user name"),
            ("quic://host?x=1", "has a query"),
        ] {
            let error = Endpoint::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
