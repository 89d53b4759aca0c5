//! What the benches have in common.

mod packets;

pub use packets::{Sample, samples};
