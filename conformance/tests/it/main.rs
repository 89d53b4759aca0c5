//! The suite's own tests, in one binary.

mod catalogue;
mod command_line;
#[cfg(feature = "embedded")]
mod explore;
mod house;
mod language;
mod language_tables;
mod matrix;
mod player;
#[cfg(feature = "embedded")]
mod player_core;
#[cfg(feature = "embedded")]
mod player_socket;
mod prove;
mod report;
mod runner;
#[cfg(feature = "embedded")]
#[cfg(feature = "embedded")]
mod streams;
mod suite;
mod target;
mod useless_brokers;
