//! The machine that the figures come from: what a reader must know to judge them.

use std::fs;

use serde::Serialize;

/// What is told of the machine in every report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    /// Processors that this process may use.
    pub(crate) processors: usize,
    /// Whether the lab runs before other programs.
    pub(crate) priority: &'static str,
    /// Load average over the last minute, when the run began.
    pub(crate) load_average: Option<f64>,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let uname = rustix::system::uname();
        Self {
            kernel: format!(
                "{} {} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy(),
                uname.machine().to_string_lossy()
            ),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            priority: match rustix::process::getpriority_process(None) {
                Ok(nice) if nice < 0 => "raised",
                _ => "as usual",
            },
            load_average: load_average(),
        }
    }
}

/// Lets the threads to come run before other programs', where that is allowed: what else runs here is not what is to be
/// measured. It is allowed to root, outside of user namespaces.
pub(crate) fn raise_priority() {
    const STEPS: i32 = -15;
    // Without it the figures are noisier, and say so.
    let _ = rustix::process::nice(STEPS);
}

/// The load average over the last minute.
pub(crate) fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
