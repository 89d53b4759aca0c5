//! Seeded schedules over the broker's core in virtual time, judged by the reference model.
//!
//! A `World` holds what ships (`Hub`, `Connection`, and through them Registry, Routes, Mailboxes) and clients that play random
//! programs. One seed decides everything: what clients do, where bytes are cut, which task runs next and where in
//! the middle of a call it is overtaken, when time passes. Nothing else reaches a run, so that the same seed gives the same
//! trace. The [`Judge`](quince_model::Judge) sees what the clients see, packet by packet.

mod device;
mod failure;
mod plan;
mod random;
mod run;
mod stage;
mod trace;
mod wire;
mod world;

pub use self::failure::Failure;
pub use self::plan::{Chaos, Plan};
pub use self::run::{Finding, Report, run, shrink, sweep};
