//! One client of a play: its connection, and the queue of what it received and nobody took yet.

use std::{collections::VecDeque, fmt};

use quince_codec::Version;

use super::message::Message;
use crate::{
    link::LinkId,
    scenario::{Expectation, expression::hex, field::PacketName, malformed::fixed_header},
};

/// One thing that came.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// When, on the link's clock.
    pub(super) time: u64,
    /// Its number among everything that came to any client.
    pub(super) order: u64,
    /// What.
    pub(super) what: Arrived,
}

/// What came.
#[derive(Clone, Debug)]
pub(super) enum Arrived {
    /// A whole packet, and what strict decoding says of it.
    Packet(Vec<u8>, Result<Message, String>),
    /// Bytes that are no packet.
    Garbage(Vec<u8>),
    /// The end of the server's stream or of the connection.
    End(End),
}

/// How it ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// The server ended the stream in order.
    Finished,
    /// The server reset the stream, with this code.
    Reset(u64),
    /// The connection has ended, in words.
    Closed(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("the server ended its stream"),
            Self::Reset(code) => write!(f, "the server reset its stream, code {code}"),
            Self::Closed(how) => f.write_str(how),
        }
    }
}

impl Item {
    /// What came, in words.
    pub(super) fn describe(&self) -> String {
        match &self.what {
            Arrived::Packet(_, Ok(message)) => message.describe(),
            Arrived::Packet(bytes, Err(problem)) => {
                let name =
                    PacketName::from_first_byte(bytes[0]).map_or("a packet", PacketName::name);
                format!(
                    "{name} that does not decode: {problem} ({})",
                    shortened(bytes)
                )
            }
            Arrived::Garbage(bytes) => format!("bytes that are no packet ({})", shortened(bytes)),
            Arrived::End(how) => format!("the end of the connection ({how})"),
        }
    }

    /// The packet, if it decodes.
    pub(super) const fn message(&self) -> Option<&Message> {
        match &self.what {
            Arrived::Packet(_, Ok(message)) => Some(message),
            _ => None,
        }
    }

    /// Whether it is the end.
    pub(super) const fn is_end(&self) -> bool {
        self.end().is_some()
    }

    /// Whether it breaks the wire format itself.
    pub(super) const fn is_broken(&self) -> bool {
        matches!(self.what, Arrived::Packet(_, Err(_)) | Arrived::Garbage(_))
    }

    /// How it ended, if it is the end.
    pub(super) const fn end(&self) -> Option<&End> {
        match &self.what {
            Arrived::End(end) => Some(end),
            _ => None,
        }
    }

    /// What the trail keeps of it.
    pub(super) fn trace(&self) -> String {
        match &self.what {
            Arrived::Packet(bytes, _) | Arrived::Garbage(bytes) => format!("<- {}", hex(bytes)),
            Arrived::End(_) => "<- end".to_owned(),
        }
    }
}

fn shortened(bytes: &[u8]) -> String {
    if bytes.len() > 40 {
        format!("{}.. {} bytes", hex(&bytes[..40]), bytes.len())
    } else {
        hex(bytes)
    }
}

/// One client.
#[derive(Debug, Default)]
pub(super) struct ClientState {
    /// The open connection, if there is one.
    pub(super) link: Option<LinkId>,
    /// Whether the server's end came on it.
    pub(super) ended: bool,
    /// Whether a CONNACK was taken on it.
    pub(super) connack: bool,
    /// Bytes that are no whole packet yet.
    incoming: Vec<u8>,
    /// What came and nobody took.
    pub(super) queue: VecDeque<Item>,
    /// What the last send left.
    pub(super) rest: Vec<u8>,
    /// The client id of the last CONNECT.
    pub(super) client_id: Option<String>,
    /// Packets that may come once before the next expectation is met.
    pub(super) optional: Vec<Expectation>,
    /// Packets that may come from now on.
    pub(super) ignored: Vec<Expectation>,
    /// The last packet identifier that the player chose itself.
    last_id: u16,
}

impl ClientState {
    /// Starts with a fresh connection.
    pub(super) fn opened(&mut self, link: LinkId) {
        self.link = Some(link);
        self.ended = false;
        self.connack = false;
        self.incoming.clear();
        self.queue.clear();
        self.rest.clear();
        self.optional.clear();
    }

    /// A packet identifier for `subscribe`, `publish` and sentinels, far from those that scenarios use.
    pub(super) const fn next_id(&mut self) -> u16 {
        if self.last_id < 60_000 || self.last_id >= 65_000 {
            self.last_id = 60_000;
        }
        self.last_id += 1;
        self.last_id
    }

    /// Takes bytes in; gives the packets that are whole now.
    pub(super) fn take_in(&mut self, bytes: &[u8], version: Version) -> Vec<Arrived> {
        self.incoming.extend(bytes);
        let mut whole = Vec::new();
        loop {
            match fixed_header(&self.incoming) {
                Ok(Some((start, length))) if self.incoming.len() >= start + length => {
                    let packet: Vec<u8> = self.incoming.drain(..start + length).collect();
                    let message = Message::decode(&packet, version);
                    whole.push(Arrived::Packet(packet, message));
                }
                Ok(_) => return whole,
                Err(_) => {
                    whole.push(Arrived::Garbage(std::mem::take(&mut self.incoming)));
                    return whole;
                }
            }
        }
    }

    /// What is left of an unfinished packet when the connection ends.
    pub(super) fn unfinished(&mut self) -> Option<Arrived> {
        let bytes = std::mem::take(&mut self.incoming);
        (!bytes.is_empty()).then_some(Arrived::Garbage(bytes))
    }
}
