//! Runs the work of a command until it is done, or until somebody wants this program to end.

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
            told_to_end().await;
            // Nobody listens any more when the work is done by now.
            let _ = end.send(true);
            told_to_end().await;
            // Nothing is unwound on this way out.
            group::end_all();
            std::process::exit(ExitCode::NoVerdict.number().into());
        });
        work(stop).await
    })))
}

/// Ready when somebody wants this program to end.
async fn told_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupted), Ok(mut terminated), Ok(mut hung_up)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        ) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            _ = hung_up.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
