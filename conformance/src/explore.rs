//! Exploration: programs that nobody wrote, played on any broker and judged by the model; what fails is made short.

pub mod arguments;
mod expedition;
mod failure;
mod file;
mod hunt;
mod journal;
mod play;
pub mod program;
mod random;
mod shrink;
mod stage;

pub use self::expedition::{Expedition, Report};
pub use self::failure::Failure;
pub use self::file::{read, write};
pub use self::hunt::{Explored, Finding, explore_seed};
pub use self::journal::Journal;
pub use self::play::Played;
#[cfg(feature = "embedded")]
pub use self::stage::CoreStage;
pub use self::stage::{Pace, SocketStage, Stage};
