//! A link to a scripted peer in virtual time: brokers that are wrong on purpose, for the suite's own tests.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use quince_codec::Version;

use super::{Event, Link, LinkError, LinkId, Medium};
use crate::scenario::malformed::fixed_header;

/// What a peer does on its own side of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Sends bytes.
    Bytes(Vec<u8>),
    /// Closes the connection.
    Close,
}

/// The peer of one connection, without any I/O: the same value serves a scripted link and a listener on a socket.
pub trait Peer: Send {
    /// The connection has just been accepted.
    fn accepted(&mut self) -> Vec<Reply> {
        Vec::new()
    }

    /// Bytes came.
    fn received(&mut self, bytes: &[u8]) -> Vec<Reply>;

    /// The other side ended its sending side.
    fn finished(&mut self) -> Vec<Reply> {
        vec![Reply::Close]
    }
}

/// Peers that a useless broker could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Accepts and closes at once.
    CloseAtOnce,
    /// Answers CONNECT with success, and closes.
    CloseAfterConnAck,
    /// Takes everything and never answers.
    NeverAnswer,
    /// Answers everything with the single byte 0xE0, and never closes.
    DisconnectByte,
    /// Acknowledges every packet with success, checks nothing, delivers nothing.
    AcknowledgeAll,
}

impl Behaviour {
    /// Every behaviour.
    pub const ALL: [Self; 5] = [
        Self::CloseAtOnce,
        Self::CloseAfterConnAck,
        Self::NeverAnswer,
        Self::DisconnectByte,
        Self::AcknowledgeAll,
    ];

    /// The peer of one connection.
    pub fn peer(self) -> Box<dyn Peer> {
        Box::new(BehavingPeer {
            behaviour: self,
            buffer: Vec::new(),
            version: Version::V3_1_1,
        })
    }
}

struct BehavingPeer {
    behaviour: Behaviour,
    buffer: Vec<u8>,
    version: Version,
}

impl Peer for BehavingPeer {
    fn accepted(&mut self) -> Vec<Reply> {
        if self.behaviour == Behaviour::CloseAtOnce {
            vec![Reply::Close]
        } else {
            Vec::new()
        }
    }

    fn received(&mut self, bytes: &[u8]) -> Vec<Reply> {
        match self.behaviour {
            Behaviour::CloseAtOnce | Behaviour::NeverAnswer => Vec::new(),
            Behaviour::DisconnectByte => vec![Reply::Bytes(vec![0xe0])],
            Behaviour::CloseAfterConnAck | Behaviour::AcknowledgeAll => self.answer(bytes),
        }
    }

    fn finished(&mut self) -> Vec<Reply> {
        match self.behaviour {
            Behaviour::NeverAnswer | Behaviour::DisconnectByte => Vec::new(),
            _ => vec![Reply::Close],
        }
    }
}

impl BehavingPeer {
    fn answer(&mut self, bytes: &[u8]) -> Vec<Reply> {
        self.buffer.extend(bytes);
        let mut replies = Vec::new();
        while let Ok(Some((start, length))) = fixed_header(&self.buffer) {
            if self.buffer.len() < start + length {
                break;
            }
            let packet: Vec<u8> = self.buffer.drain(..start + length).collect();
            if let Some(answer) = self.acknowledgement(packet[0], &packet[start..]) {
                replies.push(Reply::Bytes(answer));
            }
            if self.behaviour == Behaviour::CloseAfterConnAck {
                replies.push(Reply::Close);
            }
        }
        replies
    }

    /// The acknowledgement of one packet, in the version of the CONNECT before it.
    fn acknowledgement(&mut self, first: u8, body: &[u8]) -> Option<Vec<u8>> {
        let five = self.version == Version::V5_0;
        let id = |at: usize| body.get(at..at + 2).map(<[u8]>::to_vec);
        let with_id = |first: u8, id: Vec<u8>| [vec![first, 2], id].concat();
        match first >> 4 {
            1 => {
                self.version = if body.get(6) == Some(&5) {
                    Version::V5_0
                } else {
                    Version::V3_1_1
                };
                let five = self.version == Version::V5_0;
                Some(if five {
                    vec![0x20, 3, 0, 0, 0]
                } else {
                    vec![0x20, 2, 0, 0]
                })
            }
            3 => {
                let topic = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
                match (first >> 1) & 3 {
                    1 => Some(with_id(0x40, id(2 + topic)?)),
                    2 => Some(with_id(0x50, id(2 + topic)?)),
                    _ => None,
                }
            }
            5 => Some(with_id(0x62, id(0)?)),
            6 => Some(with_id(0x70, id(0)?)),
            8 => {
                let codes = granted(body, five);
                let length = u8::try_from(2 + usize::from(five) + codes.len()).ok()?;
                let properties = if five { vec![0] } else { Vec::new() };
                Some([vec![0x90, length], id(0)?, properties, codes].concat())
            }
            10 if five => Some([vec![0xb0, 4], id(0)?, vec![0, 0]].concat()),
            10 => Some(with_id(0xb0, id(0)?)),
            12 => Some(vec![0xd0, 0]),
            _ => None,
        }
    }
}

/// The QoS of each filter of a SUBSCRIBE.
fn granted(body: &[u8], five: bool) -> Vec<u8> {
    let mut at = 2;
    if five {
        at += 1 + usize::from(body.get(2).copied().unwrap_or_default());
    }
    let mut codes = Vec::new();
    while let (Some(high), Some(low)) = (body.get(at), body.get(at + 1)) {
        at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
        codes.extend(body.get(at).map(|options| options & 3));
        at += 1;
    }
    codes
}

/// Connections to scripted peers.
pub struct ScriptedLink {
    make: Box<dyn FnMut() -> Box<dyn Peer> + Send>,
    peers: BTreeMap<LinkId, Box<dyn Peer>>,
    events: VecDeque<(LinkId, Event)>,
    clock: u64,
    next_id: u64,
}

impl ScriptedLink {
    /// A link on which each connection meets a fresh peer.
    pub fn new(make: impl FnMut() -> Box<dyn Peer> + Send + 'static) -> Self {
        Self {
            make: Box::new(make),
            peers: BTreeMap::new(),
            events: VecDeque::new(),
            clock: 0,
            next_id: 0,
        }
    }

    /// A link to a broker that behaves like this.
    pub fn behaving(behaviour: Behaviour) -> Self {
        Self::new(move || behaviour.peer())
    }

    fn deliver(&mut self, id: LinkId, replies: Vec<Reply>) {
        for reply in replies {
            match reply {
                Reply::Bytes(bytes) => self
                    .events
                    .push_back((id, Event::Bytes(Bytes::from(bytes)))),
                Reply::Close => {
                    self.peers.remove(&id);
                    self.events
                        .push_back((id, Event::Closed("closed by the peer".to_owned())));
                    return;
                }
            }
        }
    }
}

impl Link for ScriptedLink {
    fn medium(&self) -> Medium {
        Medium::Memory
    }

    fn now(&self) -> u64 {
        self.clock
    }

    async fn open(&mut self, _client: &str) -> Result<LinkId, LinkError> {
        let id = LinkId(self.next_id);
        self.next_id += 1;
        let mut peer = (self.make)();
        let replies = peer.accepted();
        self.peers.insert(id, peer);
        self.deliver(id, replies);
        Ok(id)
    }

    async fn write(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError> {
        let Some(peer) = self.peers.get_mut(&id) else {
            return Err(LinkError("the connection has ended".to_owned()));
        };
        let replies = peer.received(bytes);
        self.deliver(id, replies);
        Ok(())
    }

    async fn finish(&mut self, id: LinkId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            let replies = peer.finished();
            self.deliver(id, replies);
        }
    }

    async fn reset(&mut self, id: LinkId, _code: u32) {
        self.finish(id).await;
    }

    async fn close(&mut self, id: LinkId) {
        self.peers.remove(&id);
        self.events.retain(|(of, _)| *of != id);
    }

    async fn next(&mut self, deadline: u64) -> Option<(LinkId, Event)> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.clock = self.clock.max(deadline);
        }
        event
    }
}
