//! The suite's own tests, in one binary.

mod catalogue;
mod command_line;
mod language;
mod player;
mod prove;
mod report;
mod runner;
