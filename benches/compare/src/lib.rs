//! This codec, a floor written by hand, and other codecs, on the same packets.

pub mod contender;
pub mod floor;
mod meaning;
pub mod measure;
pub mod table;
