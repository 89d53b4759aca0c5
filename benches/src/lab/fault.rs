//! What can go wrong with a trial other than the link being bad, which is what it is for.

use std::sync::mpsc;
use std::time::Duration;

/// How long any step of the set-up may take; connects have a patience of their own.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why a trial gives no figures.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// This machine does not allow what the trial needs; the text says what to do.
    #[error("{0}")]
    Refused(String),
    /// The broker did not start.
    #[error("the broker: {0}")]
    Broker(String),
    /// A client could not connect or subscribe.
    #[error("the {who}: {reason}")]
    Client {
        /// Publisher or subscriber.
        who: &'static str,
        /// What it says.
        reason: String,
    },
    /// The set-up is not the one that was asked for, so the figures would be of something else.
    #[error("not what was to be measured: {0}")]
    Unfair(String),
    /// A fault of the lab itself.
    #[error("the lab itself failed: {0}")]
    Harness(String),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Harness(error.to_string())
    }
}

/// Waits for a thread's word, but not for ever.
pub(crate) fn patient<T>(from: &mpsc::Receiver<T>, otherwise: &str) -> Result<T, Fault> {
    from.recv_timeout(PATIENCE)
        .map_err(|error| Fault::Harness(format!("{otherwise}: {error}")))
}

/// The runtime of one actor. A thread of its own is enough for it, and tells the actors apart in a profile.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
