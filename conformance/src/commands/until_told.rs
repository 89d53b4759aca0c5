//! Runs the work of a command until it is done, or until somebody wants this program to end.

#[cfg(unix)]
use std::{future::poll_fn, task::Poll};

use tokio::{sync::watch, task::LocalSet};

use super::Failure;
use crate::{exit_code::ExitCode, target::group};

/// Runs `work` in this thread, with other threads for what it spawns. Its argument becomes true when somebody wants it to end
/// (Ctrl-C and its like); who wants it twice ends the process, and all that it has started.
///
/// # Errors
/// When the system gives no threads or no events.
pub(super) fn run_until_told<F: Future>(
    work: impl FnOnce(watch::Receiver<bool>) -> F,
) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::no_verdict(format!("failed to start: {error}")))?;
    Ok(runtime.block_on(LocalSet::new().run_until(async {
        let (end, stop) = watch::channel(false);
        tokio::spawn(async move {
            let mut wishes = Wishes::new();
            wishes.next().await;
            // Nobody listens any more when the work is done by now.
            let _ = end.send(true);
            wishes.next().await;
            // Nothing is unwound on this way out.
            group::end_all();
            std::process::exit(ExitCode::NoVerdict.number().into());
        });
        work(stop).await
    })))
}

/// The signals by which somebody wants this program to end. None that comes after this was made is missed.
#[cfg(unix)]
struct Wishes(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Wishes {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        // One that cannot be had ends the program by itself.
        Self(kinds.into_iter().flat_map(signal).collect())
    }

    async fn next(&mut self) {
        poll_fn(|context| {
            let mut signals = self.0.iter_mut();
            match signals.any(|signal| signal.poll_recv(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await
    }
}

/// Ctrl-C, by which somebody wants this program to end.
#[cfg(not(unix))]
struct Wishes;

#[cfg(not(unix))]
impl Wishes {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
