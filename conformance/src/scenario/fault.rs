//! Faults: what a scenario says a broken broker could do.

use quince_codec::Version;

use super::{
    expression::Expression,
    malformed::{Edit, Parts},
    model::PacketTemplate,
};
use crate::verdict::Direction;

/// One way to break the rule that the scenario checks.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its name in the scenario.
    pub name: String,
    /// The line it stands in, from 1.
    pub line: usize,
    /// The ids it violates.
    pub violates: Vec<String>,
    /// The step that must fail.
    pub caught_at: String,
    /// The versions it is played in; `None`: those of the scenario.
    pub versions: Option<Vec<Version>>,
    /// The cases it is played in; `None`: all.
    pub cases: Option<Vec<String>>,
    /// What is done.
    pub operations: Vec<FaultOperation>,
}

/// One thing done to the bytes between broker and player.
#[derive(Clone, Debug)]
pub struct FaultOperation {
    /// Which packets: those from the server, or those to it.
    pub direction: Direction,
    /// Only those of this client.
    pub client: Option<String>,
    /// Only the match with this number on each connection, from 1.
    pub nth: Option<Expression>,
    /// What.
    pub effect: Effect,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The packet vanishes.
    Drop(PacketTemplate),
    /// Fields of packets like the first get the values of the second.
    Set(PacketTemplate, PacketTemplate),
    /// Bytes are changed.
    Edit(PacketTemplate, Edit),
    /// The packet passes twice.
    Duplicate(PacketTemplate),
    /// The packet passes later: by that time, or after the next one.
    Delay(PacketTemplate, Option<Expression>),
    /// Something else passes instead.
    Replace(PacketTemplate, Inserted),
    /// Something passes in addition.
    Insert(Inserted, Place),
    /// The connection ends there.
    Close(Place),
    /// The end of the connection is not seen.
    HoldClose,
    /// The handshake of the transport fails.
    RefuseHandshake,
}

/// What is put on the wire.
#[derive(Clone, Debug)]
pub enum Inserted {
    /// A packet.
    Packet(PacketTemplate),
    /// Bytes.
    Raw(Parts),
}

/// Where it is done.
#[derive(Clone, Debug)]
pub enum Place {
    /// Before a packet.
    Before(PacketTemplate),
    /// After a packet.
    After(PacketTemplate),
    /// Before the end of the connection.
    BeforeClose,
}
