//! The thread that writes.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use quince_core::{Batch, Hub, Image, Record, Time};
use tracing::{error, info, warn};

use crate::log::Log;

/// How long a full disk is left alone before the next attempt.
const NEXT_ATTEMPT: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 500 });

#[derive(Debug, Default)]
struct Signals {
    rung: bool,
    stop: bool,
}

/// Wakes the thread.
#[derive(Debug, Default)]
struct Bell {
    signals: Mutex<Signals>,
    changed: Condvar,
}

impl Bell {
    fn change(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut self.signals.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits for a ring or for `timeout`; true when it is time to stop.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        let signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |signals: &mut Signals| !signals.rung && !signals.stop;
        let mut signals = match timeout {
            None => self
                .changed
                .wait_while(signals, quiet)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.changed
                    .wait_timeout_while(signals, timeout, quiet)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        signals.rung = false;
        signals.stop
    }

    /// Waits for `timeout`, whoever rings: that is heard by the next [`Bell::wait`]. True when it is time to stop.
    fn pause(&self, timeout: Duration) -> bool {
        let signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed
            .wait_timeout_while(signals, timeout, |signals| !signals.stop)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .stop
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.change(|signals| signals.rung = true);
    }
}

/// The running thread; it ends with [`Writer::stop`].
#[derive(Debug)]
pub struct Writer {
    bell: Arc<Bell>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts to write the records of `hub` behind those of `log`, which come to `image`.
    ///
    /// Without an `interval` something is acknowledged when it is durable; with one, when it is written, and at most that much later
    /// it is durable. `now` is the core's time. `failed` hears why the thread has given up, if it does: nothing that is not
    /// durable by then is ever acknowledged.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        log: Log,
        image: Image,
        interval: Option<Duration>,
        hub: Arc<Hub>,
        now: impl Fn() -> Time + Send + 'static,
        failed: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let bell = Arc::new(Bell::default());
        hub.set_record_waker(&Waker::from(Arc::clone(&bell)));
        // What recovery itself has changed.
        bell.change(|signals| signals.rung = true);
        let mut writing = Writing {
            log,
            image,
            hub,
            now,
            interval,
            unsynced: None,
            bell: Arc::clone(&bell),
        };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                if let Err(error) = writing.run() {
                    error!("the store has failed, nothing more is acknowledged: {error}");
                    failed(error);
                }
            })?;
        Ok(Self { bell, thread })
    }

    /// Writes what is left, and ends the thread.
    pub fn stop(self) {
        self.bell.change(|signals| signals.stop = true);
        if self.thread.join().is_err() {
            error!("the store's thread has panicked");
        }
    }
}

struct Writing<N> {
    log: Log,
    image: Image,
    hub: Arc<Hub>,
    now: N,
    /// How long what is written may wait for its sync; none at all without one.
    interval: Option<Duration>,
    /// Since when something waits.
    unsynced: Option<Instant>,
    bell: Arc<Bell>,
}

impl<N: Fn() -> Time> Writing<N> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let timeout = self
                .unsynced
                .zip(self.interval)
                .map(|(since, interval)| interval.saturating_sub(since.elapsed()));
            let stop = self.bell.wait(timeout);
            let batch = self.hub.take_records();
            if !batch.records.is_empty() {
                self.write(batch)?;
            }
            let is_due = self
                .unsynced
                .zip(self.interval)
                .is_some_and(|(since, interval)| stop || since.elapsed() >= interval);
            if is_due {
                self.sync()?;
            }
            if stop {
                return Ok(());
            }
        }
    }

    fn write(&mut self, batch: Batch) -> io::Result<()> {
        self.append(&batch.records)?;
        for record in batch.records {
            self.image.apply(record);
        }
        if self.interval.is_some() {
            self.unsynced.get_or_insert_with(Instant::now);
        } else {
            self.sync()?;
        }
        self.hub.durable_up_to(batch.end);
        if self.log.is_long() {
            let now = (self.now)();
            self.image.sweep(now);
            match self.log.compact(&self.image, now) {
                Ok(()) => self.unsynced = None,
                // The log goes on as it is.
                Err(error) if is_full(&error) => warn!("no room to write the log anew: {error}"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn append(&mut self, records: &[Record]) -> io::Result<()> {
        self.until_there_is_room(|writing| writing.log.append(records, (writing.now)()))
    }

    /// Makes what was appended durable.
    ///
    /// Some systems find out only now that the disk is full, and then nobody knows what of it is there. So the whole state goes into a new
    /// file, in the place of this one.
    fn sync(&mut self) -> io::Result<()> {
        match self.log.sync() {
            Err(error) if is_full(&error) => {
                self.until_there_is_room(|writing| {
                    writing.log.compact(&writing.image, (writing.now)())
                })?;
                // What waits for a sync only was acknowledged before: this ends the refusals.
                self.hub.durable_up_to(self.image.position());
            }
            synced => synced?,
        }
        self.unsynced = None;
        Ok(())
    }

    /// Does something again and again for as long as the disk is full. Meanwhile the broker refuses what would make it fuller.
    fn until_there_is_room(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut was_full = false;
        loop {
            match attempt(self) {
                Ok(()) => {
                    if was_full {
                        info!("the disk has room again");
                    }
                    return Ok(());
                }
                Err(error) if is_full(&error) => {
                    if !was_full {
                        warn!("the disk is full, acknowledgements wait until it has room");
                    }
                    was_full = true;
                    self.hub.store_is_stuck();
                    if self.bell.pause(NEXT_ATTEMPT) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
