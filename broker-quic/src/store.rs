//! The folder of a broker: its settings, its lock, and the store in it. [What is promised](../../docs/durability.md).

use std::collections::hash_map::RandomState;
use std::fs::{DirBuilder, File, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quince_core::{Config, Contents, Hub, Image, Time};
use quince_store::{Folder, Log, LogError, Loss, Writer, private};
use tokio::sync::oneshot;

use crate::driver::Clock;

/// When an acknowledgement says that something is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durable {
    /// When it is on the medium: power may fail.
    #[default]
    Sync,
    /// When the system has it, which puts it on the medium at most this much later: the process may be killed, but what was
    /// acknowledged in that time before a power failure may be gone.
    Batch(Duration),
    /// At once: everything goes with the process.
    Memory,
}

/// `sync`, `batch:<milliseconds>` or `memory`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("'{0}' is no durability: expected sync, batch:<milliseconds> (as batch:100) or memory")]
pub struct DurableError(String);

impl core::str::FromStr for Durable {
    type Err = DurableError;

    fn from_str(text: &str) -> Result<Self, DurableError> {
        match (text, text.strip_prefix("batch:")) {
            ("sync", _) => Ok(Self::Sync),
            ("memory", _) => Ok(Self::Memory),
            (_, Some(milliseconds)) => milliseconds
                .parse()
                .map(|milliseconds| Self::Batch(Duration::from_millis(milliseconds)))
                .map_err(|_| DurableError(text.to_owned())),
            _ => Err(DurableError(text.to_owned())),
        }
    }
}

/// Where a broker keeps what must outlive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSettings {
    /// The folder; it is made if it is missing.
    pub directory: PathBuf,
    /// When something counts as stored.
    pub durable: Durable,
    /// Start although the store has lost something.
    pub accept_loss: bool,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system does not let us.
    #[error("failed to use the data folder '{}': {reason}", directory.display())]
    Unusable {
        /// The folder.
        directory: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Something that was acknowledged is not there any more.
    #[error("the store in '{}' has lost something: {what}. Put a copy back, or start with --accept-loss to go on with what is left", directory.display())]
    Lost {
        /// The folder.
        directory: PathBuf,
        /// What is gone.
        what: String,
    },
}

/// A store that is open, with what was in it.
#[derive(Debug)]
pub(crate) struct Opened {
    log: Log,
    pub(crate) image: Image,
    /// When it was written last.
    pub(crate) time: Time,
    durable: Durable,
    /// Keeps others out while it lives.
    lock: File,
}

/// Starts to write the records of `hub`. The receiver hears why that has come to an end, if it does.
pub(crate) fn start(
    opened: Opened,
    hub: Arc<Hub>,
    clock: Clock,
) -> io::Result<(Writer, oneshot::Receiver<io::Error>)> {
    let Opened {
        log,
        image,
        durable,
        lock,
        ..
    } = opened;
    let interval = match durable {
        Durable::Batch(interval) => Some(interval),
        Durable::Sync | Durable::Memory => None,
    };
    let (failed, failure) = oneshot::channel();
    let failed = move |error| {
        // Nobody may be left to hear it.
        let _ = failed.send(error);
        // The thread has the lock, so that nobody else is let in while it may still write, whoever forgets to stop it.
        drop(lock);
    };
    let writer = Writer::start(log, image, interval, hub, move || clock.now(), failed)?;
    Ok((writer, failure))
}

/// Makes the folder if it is missing, for its owner alone.
pub(crate) fn make_folder(directory: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder
        .create(directory)
        .map_err(|error| unusable(directory, &error))
}

fn unusable(directory: &Path, error: &dyn ToString) -> StoreError {
    StoreError::Unusable {
        directory: directory.to_owned(),
        reason: error.to_string(),
    }
}

fn explain(directory: &Path, error: &LogError) -> StoreError {
    match error {
        LogError::Lost { .. } | LogError::Format => StoreError::Lost {
            directory: directory.to_owned(),
            what: error.to_string(),
        },
        LogError::Io(..) => unusable(directory, error),
    }
}

/// Opens the store of a folder that is there.
///
/// # Errors
/// When another broker has it, the system fails, or something is gone that was stored.
pub(crate) fn open(settings: &DataSettings, config: &Config) -> Result<Opened, StoreError> {
    let directory = &settings.directory;
    let lock = lock(directory).map_err(|error| unusable(directory, &error))?;
    let loss = if settings.accept_loss {
        Loss::Accept
    } else {
        Loss::Refuse
    };
    let salt = RandomState::new().build_hasher().finish();
    let disk = Box::new(Folder(directory.clone()));
    let (log, image, time) = Log::open(disk, Image::new(config), loss, salt)
        .map_err(|error| explain(directory, &error))?;
    Ok(Opened {
        log,
        image,
        time,
        durable: settings.durable,
        lock,
    })
}

fn lock(directory: &Path) -> io::Result<File> {
    let file = private().truncate(false).open(directory.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another broker uses it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What a store holds, read without changing it.
#[derive(Debug)]
pub struct Inspection {
    /// How much there is.
    pub contents: Contents,
    /// How many records have come to this.
    pub records: u64,
    /// What is gone, if anything is.
    pub lost: Option<String>,
}

/// Reads the store in `directory` and changes nothing; `None` when there is none.
///
/// # Errors
/// When it cannot be read, or is of another format.
pub fn inspect(directory: &Path) -> Result<Option<Inspection>, StoreError> {
    let disk = Folder(directory.to_owned());
    let found = Log::inspect(&disk, Image::new(&Config::default()))
        .map_err(|error| explain(directory, &error))?;
    Ok(found.map(|found| Inspection {
        contents: found.image.contents(),
        records: found.image.position().records(),
        lost: found.lost,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_let_in_while_the_store_may_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = DataSettings {
            directory: folder.path().to_owned(),
            durable: Durable::Sync,
            accept_loss: false,
        };
        let config = Config::default();
        let refused = || {
            let refused = open(&settings, &config).expect_err("it is in use");
            refused.to_string().contains("another broker uses it")
        };
        let opened = open(&settings, &config).expect("opens");
        assert!(refused());
        let hub = Arc::new(Hub::new(config.clone()));
        let (writer, _failure) = start(opened, hub, Clock::start(Time::ZERO)).expect("starts");
        assert!(refused());
        writer.stop();
        let opened = open(&settings, &config).expect("it was let go");
        let hub = Arc::new(Hub::new(config.clone()));
        drop(start(opened, hub, Clock::start(Time::ZERO)).expect("starts"));
        assert!(refused(), "whoever forgets to stop it has not ended it");
    }
}
