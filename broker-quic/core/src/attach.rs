//! How a connection comes to its Session: the request, the answer, and the slot in which it may have to wait.

use core::task::Waker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quince_codec::ReasonCode;

use crate::policy::Principal;
use crate::position::Position;
use crate::session::Session;

/// What a CONNECT wants.
#[derive(Clone, Debug)]
pub(crate) struct AttachRequest {
    pub(crate) client_id: Arc<str>,
    pub(crate) principal: Principal,
    pub(crate) clean_start: bool,
    /// Session Expiry Interval in seconds, as granted.
    pub(crate) expiry: u32,
}

/// A Session on its way to a connection.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) session: Box<Session>,
    pub(crate) present: bool,
    /// CONNACK leaves when the log is durable up to here.
    pub(crate) after: Position,
}

#[derive(Debug, Default)]
struct State {
    waker: Option<Waker>,
    outcome: Option<Result<Attached, ReasonCode>>,
}

/// One connection's place to be handed a Session, and to be woken.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.lock().waker = Some(waker.clone());
    }

    pub(crate) fn fill(&self, outcome: Result<Attached, ReasonCode>) {
        self.lock().outcome = Some(outcome);
        self.wake();
    }

    pub(crate) fn take(&self) -> Option<Result<Attached, ReasonCode>> {
        self.lock().outcome.take()
    }

    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
