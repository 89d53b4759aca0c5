//! The codec seen from outside: bytes against packets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bytes_to;
mod encoding;
mod framing;
mod golden;
mod round_trip;
mod specimen;
#[path = "../rules/value.rs"]
mod value;
