//! A progress bar for people; nothing where the standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::verdict::{Outcome, Verdict};

/// Shows how far a run is.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    failed: std::cell::Cell<usize>,
}

impl Progress {
    /// A bar of `length` plays.
    pub fn bar(length: usize) -> Self {
        // indicatif draws nothing where this is no terminal.
        Self::with_target(length, ProgressDrawTarget::stderr())
    }

    /// Shows nothing.
    pub fn hidden() -> Self {
        Self::with_target(0, ProgressDrawTarget::hidden())
    }

    fn with_target(length: usize, target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length as u64), target);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed}  {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            failed: std::cell::Cell::new(0),
        }
    }

    /// One more play is over.
    pub fn done(&self, outcome: &Outcome) {
        if matches!(outcome.verdict, Verdict::Fail | Verdict::Error) {
            self.failed.set(self.failed.get() + 1);
        }
        self.bar.inc(1);
        self.bar.set_message(match self.failed.get() {
            0 => outcome.scenario.clone(),
            failed => format!("{failed} failed  {}", outcome.scenario),
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
