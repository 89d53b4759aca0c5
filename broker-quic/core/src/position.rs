//! Durability as a position in one log, and who moves it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A place in the log of persistent records. A packet that carries one leaves when the store is durable up to there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before the first record: always durable.
    pub const START: Self = Self(0);

    /// The position after `records` records.
    #[must_use]
    pub const fn new(records: u64) -> Self {
        Self(records)
    }

    /// How many records there are up to here.
    #[must_use]
    pub const fn records(self) -> u64 {
        self.0
    }
}

/// Who says that a record is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A record is as durable as it ever gets when it is made.
    #[default]
    Memory,
    /// A store says so through [`Hub::durable_up_to`](crate::Hub::durable_up_to).
    Store,
}

/// The end of the log and how far it is durable.
#[derive(Debug)]
pub(crate) struct Log {
    durability: Durability,
    appended: AtomicU64,
    durable: AtomicU64,
}

impl Log {
    pub(crate) fn new(durability: Durability) -> Self {
        Self {
            durability,
            appended: AtomicU64::new(0),
            durable: AtomicU64::new(0),
        }
    }

    /// Makes one record and returns the position behind it.
    pub(crate) fn append(&self) -> Position {
        let position = self.appended.fetch_add(1, Ordering::AcqRel) + 1;
        if self.durability == Durability::Memory {
            self.durable.fetch_max(position, Ordering::AcqRel);
        }
        Position(position)
    }

    pub(crate) fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn end(&self) -> Position {
        Position(self.appended.load(Ordering::Acquire))
    }

    pub(crate) fn set_durable(&self, position: Position) {
        self.durable
            .fetch_max(position.0.min(self.end().0), Ordering::AcqRel);
    }
}
