//! The conformance suite for MQTT brokers over TCP and QUIC.

pub mod arena;
pub mod args;
pub mod baseline;
pub mod catalogue;
pub mod commands;
pub mod control;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod exit_code;
pub mod library;
pub mod link;
pub mod matrix;
pub mod player;
pub mod preflight;
pub mod progress;
pub mod prove;
pub mod report;
pub mod runner;
pub mod saboteur;
pub mod scenario;
pub mod setup;
pub mod suggest;
pub mod target;
pub mod tour;
pub mod verdict;
pub mod weight;
