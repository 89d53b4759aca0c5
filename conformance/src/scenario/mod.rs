//! The scenario language: what a scenario file says, read and checked.
//!
//! The language is defined in `docs/scenarios.md`. [`parse`](parse::parse) turns a file into [`Scenario`] values; what a file
//! gets wrong is told with line and column. Nothing here knows how scenarios are played.

pub mod expression;
pub mod fault;
pub mod field;
pub mod malformed;
pub mod model;
pub mod parse;
pub mod pattern;
pub mod problem;
pub mod reason;
pub mod statements;

pub use model::{Action, Case, Expectation, PacketTemplate, Scenario, Step, StepId};
pub use parse::parse;
pub use problem::{FileError, Problem};
pub use statements::{Known, Statements, StatementsByShape};
