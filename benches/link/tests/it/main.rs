//! The emulator at work between real kernels. Needs root, or user namespaces; where there are neither, the tests say so
//! aloud and do not run, unless `QUINCE_LINK=required` makes that a failure.

use std::{io::Write as _, process::ExitCode};

use libtest_mimic::{Arguments, Trial};
use quince_link::{Config, Enter, Link};

mod carries;

fn main() -> ExitCode {
    // Before any thread.
    let entered = quince_link::enter_user_namespace(Enter::UnlessRoot);
    let arguments = Arguments::from_args();
    let possible = entered.and_then(|()| Link::open(Config::default()).map(drop));
    let mut trials = carries::trials();
    if let Err(reason) = possible {
        let count = trials.len();
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: all {count} tests of the emulated link, because there can be none here: {reason}\n"
        );
        if std::env::var_os("QUINCE_LINK").is_some_and(|value| value == "required") {
            return ExitCode::FAILURE;
        }
        trials = trials
            .into_iter()
            .map(|trial| trial.with_ignored_flag(true))
            .collect();
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that runs `test`.
fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
