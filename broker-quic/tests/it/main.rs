//! The broker over real sockets on loopback, and the daemon as a process.

mod certificates;
mod daemon;
mod peer;
mod settings;
mod transports;
mod websocket;
