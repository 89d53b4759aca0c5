//! What a test of a statement takes.

use std::fmt;

/// One thing that a test of a statement takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// One connection is enough.
    Single,
    /// Two connections.
    TwoClients,
    /// Three connections.
    ThreeClients,
    /// Bytes that no encoder makes.
    Raw,
    /// A strict decoder over all that the server sends, in every test.
    Passive,
    /// The client withholds acknowledgements.
    NoAck,
    /// The session is resumed.
    Reconnect,
    /// Real time passes.
    Wait,
    /// Packets sent without waiting for answers.
    Pipelined,
    /// Sizes at an edge.
    Boundary,
    /// Something that the server may do without.
    Capability,
    /// A server set up for it.
    Config,
    /// A server with enhanced authentication.
    EnhancedAuth,
    /// WebSocket as the transport.
    Websocket,
    /// A connection over QUIC.
    Quic,
    /// Nothing: it binds the client alone.
    ClientSideOnly,
    /// Nothing: it happens inside the server.
    Internal,
    /// A server that connects out to others.
    Bridge,
    /// The whole suite.
    WholeSuite,
    /// The duty of the server follows from that statement.
    Via(&'static str),
}

/// Every need that is one word in the catalogue.
const WORDS: [(&str, Need); 19] = [
    ("single", Need::Single),
    ("two-clients", Need::TwoClients),
    ("three-clients", Need::ThreeClients),
    ("raw", Need::Raw),
    ("passive", Need::Passive),
    ("no-ack", Need::NoAck),
    ("reconnect", Need::Reconnect),
    ("wait", Need::Wait),
    ("pipelined", Need::Pipelined),
    ("boundary", Need::Boundary),
    ("capability", Need::Capability),
    ("config", Need::Config),
    ("enhanced-auth", Need::EnhancedAuth),
    ("websocket", Need::Websocket),
    ("quic", Need::Quic),
    ("client-side-only", Need::ClientSideOnly),
    ("internal", Need::Internal),
    ("bridge", Need::Bridge),
    ("whole-suite", Need::WholeSuite),
];

impl Need {
    /// Reads one need as the catalogue writes it; `None` if it is none.
    pub(super) fn parse(text: &'static str) -> Option<Self> {
        text.strip_prefix("via ").map(Self::Via).or_else(|| {
            WORDS
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, need)| *need)
        })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Via(id) = self {
            return write!(f, "via {id}");
        }
        let word = WORDS
            .iter()
            .find(|(_, need)| need == self)
            .map_or("", |(word, _)| word);
        f.write_str(word)
    }
}
