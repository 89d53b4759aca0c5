//! This codec, a floor written by hand, and other codecs, on the same packets.

pub mod contender;
pub mod floor;
mod meaning;
pub mod measure;
#[path = "../../src/packets.rs"]
pub mod packets;
pub mod table;
