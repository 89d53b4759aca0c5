//! The broker over real sockets on loopback, and the daemon as a process.

mod access;
mod broken;
mod certificates;
mod daemon;
mod flood;
mod growth;
mod hostile;
mod login;
mod matrix;
#[expect(
    dead_code,
    reason = "shared with the tests of the core, which use all of it"
)]
#[path = "../../core/tests/it/net.rs"]
mod net;
mod peer;
mod scram;
mod settings;
mod streams;
mod transports;
mod websocket;
