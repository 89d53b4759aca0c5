//! What the core must not forget, as a log of records on a disk, and the thread that writes it.
//!
//! The thread takes what has gathered since the last time, writes it, waits until it is durable and says so: the
//! more there is to do, the more goes into one sync (group commit). Every call on the system goes through a [`Disk`], so that
//! [`simulated`] can make any of them fail. [The format, and what is promised](../../../docs/durability.md).

mod disk;
mod frame;
mod log;
pub mod simulated;
#[cfg(test)]
mod tests;
mod writer;

pub use self::disk::{Disk, Extent, Folder, private, sync_names};
pub use self::log::{Found, Log, LogError, Loss};
pub use self::writer::Writer;
