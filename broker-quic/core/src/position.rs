//! Durability as a position in one log, who moves it, and the records that wait to be written there.

use core::task::Waker;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Config;
use crate::record::{Change, Record};

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

/// Who keeps what must outlive the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nobody: no records are made, and nothing waits for them.
    #[default]
    Memory,
    /// A store, which takes the records by [`Hub::take_records`](crate::Hub::take_records) and says through
    /// [`Hub::durable_up_to`](crate::Hub::durable_up_to) how far they are durable.
    Store,
}

/// Records that were made one after the other, on their way to the store.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records, in the order of their positions.
    pub records: Vec<Record>,
    /// The position behind the last one.
    pub end: Position,
}

#[derive(Debug, Default)]
struct Pending {
    records: Vec<Record>,
    end: u64,
    waker: Option<Waker>,
}

/// The end of the log, how far it is durable, and what the store has not taken yet.
#[derive(Debug)]
pub(crate) struct Log {
    durability: Durability,
    /// How many records may wait.
    limit: usize,
    pending: Mutex<Pending>,
    /// So many wait.
    is_at_limit: AtomicBool,
    /// The store says that it cannot write.
    is_stuck: AtomicBool,
    durable: AtomicU64,
}

impl Log {
    /// A log that goes on behind `end`, which is durable.
    pub(crate) fn new(config: &Config, end: Position) -> Self {
        Self {
            durability: config.durability,
            limit: config.pending_records,
            pending: Mutex::new(Pending {
                end: end.0,
                ..Pending::default()
            }),
            is_at_limit: AtomicBool::new(false),
            is_stuck: AtomicBool::new(false),
            durable: AtomicU64::new(end.0),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether records are made at all.
    pub(crate) fn is_kept(&self) -> bool {
        self.durability == Durability::Store
    }

    /// Whether nothing should be taken from clients that makes more records: the store does not keep up. What follows from
    /// what is there already (a delivery, its acknowledgement, a Will Message) still makes them, and is bounded by that.
    pub(crate) fn is_full(&self) -> bool {
        self.is_at_limit.load(Ordering::Acquire) || self.is_stuck.load(Ordering::Acquire)
    }

    /// Makes one record, from its own number, and returns the position behind it.
    ///
    /// A record is made before the change that it tells of can be seen by anybody whose records build on it.
    pub(crate) fn append(&self, change: impl FnOnce(u64) -> Change) -> Position {
        if !self.is_kept() {
            return Position::START;
        }
        let (position, waker) = {
            let mut pending = self.pending();
            pending.end += 1;
            let position = pending.end;
            pending.records.push(Record(change(position)));
            if pending.records.len() >= self.limit {
                self.is_at_limit.store(true, Ordering::Release);
            }
            // Whoever was woken takes everything.
            let is_first = pending.records.len() == 1;
            (position, pending.waker.clone().filter(|_| is_first))
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Position(position)
    }

    /// Takes what was appended since the last call.
    pub(crate) fn take(&self) -> Batch {
        let mut pending = self.pending();
        self.is_at_limit.store(false, Ordering::Release);
        Batch {
            records: core::mem::take(&mut pending.records),
            end: Position(pending.end),
        }
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.pending().waker = Some(waker.clone());
    }

    pub(crate) fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn end(&self) -> Position {
        Position(self.pending().end)
    }

    pub(crate) fn set_stuck(&self) {
        self.is_stuck.store(true, Ordering::Release);
    }

    pub(crate) fn set_durable(&self, position: Position) {
        self.is_stuck.store(false, Ordering::Release);
        self.durable
            .fetch_max(position.0.min(self.end().0), Ordering::AcqRel);
    }
}
