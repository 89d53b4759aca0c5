//! A command and everything that it starts, ended together whatever becomes of the suite.

use std::{
    collections::BTreeSet,
    io,
    process::ExitStatus,
    sync::{Mutex, PoisonError},
};

use tokio::process::{Child, Command};

/// The process groups that run now.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A running command with all that it has started. Dropped, it is ended.
#[derive(Debug)]
pub struct Group {
    child: Child,
    id: Option<u32>,
}

/// Starts a command in a process group of its own, so that all of it can be ended, and Ctrl-C reaches the suite alone.
///
/// # Errors
/// When the system cannot run it.
pub fn start(mut command: Command) -> io::Result<Group> {
    #[cfg(unix)]
    command.process_group(0);
    let child = command.kill_on_drop(true).spawn()?;
    let id = child.id();
    RUNNING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(id);
    Ok(Group { child, id })
}

/// Ends every group that runs, for a program that leaves without dropping them.
pub fn end_all() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    for id in running.iter() {
        signal(*id, Strength::End);
    }
}

/// How a group is told to end.
#[derive(Clone, Copy)]
enum Strength {
    Ask,
    End,
}

impl Group {
    /// How the command ended; nothing while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for the command to end. What it has started may still run.
    ///
    /// # Errors
    /// When the system does not know the command any more.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks all of it to end, where the system knows how to ask.
    pub fn ask_to_end(&self) {
        if let Some(id) = self.id {
            signal(id, Strength::Ask);
        }
    }

    /// Lets all of it live on.
    pub fn release(mut self) {
        if let Some(id) = self.id.take() {
            forget(id);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            signal(id, Strength::End);
            forget(id);
        }
    }
}

fn forget(id: u32) {
    RUNNING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&id);
}

#[cfg(unix)]
fn signal(id: u32, strength: Strength) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = match strength {
        Strength::Ask => Signal::TERM,
        Strength::End => Signal::KILL,
    };
    if let Some(group) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // Who is gone already needs no signal.
        let _ = kill_process_group(group, signal);
    }
}

/// The command itself is ended when its handle is dropped.
#[cfg(not(unix))]
fn signal(_: u32, _: Strength) {}
