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
mod matrix;
mod round_trip;
mod specimen;
mod strictness;
mod tables;
mod topics;
