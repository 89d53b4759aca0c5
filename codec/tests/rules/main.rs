//! The rules of the codec as tables: what is refused, what is accepted, and what follows. Nothing here is by chance.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../it/bytes_to.rs"]
mod bytes_to;
mod matrix;
mod page;
mod strictness;
mod tables;
mod topics;
mod value;
