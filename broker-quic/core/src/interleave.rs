//! Where a call on the core may be overtaken by another task: the moments between its steps.
//!
//! Each step is made under one lock, or is one atomic operation. What happens between two steps of a call is the business of the
//! operating system's scheduler in production, where nobody listens, and of a simulator's schedule where one is
//! set by [`Hub::interleaved_by`](crate::Hub::interleaved_by). A listener can let others act first, and nothing else.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// A moment at which any other task may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Seam {
    /// The registry is locked next.
    Registry,
    /// A shard of the retained store is locked next.
    RetainedShard,
    /// The snapshot of routes is read or replaced next.
    Routes,
    /// A queue is given a message, or room in it is reserved, next.
    Push,
    /// A queue is read next.
    Pop,
    /// What a call needs is locked by another task: it can't go on until that one has.
    Contended,
}

/// Listens for seams. It is called by the task that is in the call, and may hold that task for as long as it likes.
pub trait Interleave: fmt::Debug + Send + Sync {
    /// The calling task stands at `seam`.
    fn at(&self, seam: Seam);
}

/// Who listens; nobody in production.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interleaving(Option<Arc<dyn Interleave>>);

impl Interleaving {
    pub(crate) fn by(listener: Arc<dyn Interleave>) -> Self {
        Self(Some(listener))
    }

    pub(crate) fn at(&self, seam: Seam) {
        if let Some(listener) = &self.0 {
            listener.at(seam);
        }
    }

    /// Locks what a task may keep locked over a seam.
    ///
    /// A poisoned lock is taken all the same: peer input never panics, and if a defect does, the other connections go
    /// on with what is consistent per entry.
    pub(crate) fn lock<'a, T>(&self, mutex: &'a Mutex<T>, seam: Seam) -> MutexGuard<'a, T> {
        let Some(listener) = &self.0 else {
            return mutex.lock().unwrap_or_else(PoisonError::into_inner);
        };
        listener.at(seam);
        loop {
            match mutex.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => listener.at(Seam::Contended),
            }
        }
    }
}
