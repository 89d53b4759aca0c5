//! The emulator at work between real kernels. Needs root, or user namespaces; where there are neither, the tests say so
//! aloud and do not run, unless `QUINCE_LINK=required` makes that a failure.

use std::{io::Write as _, process::ExitCode};

#[cfg(target_os = "linux")]
mod carries;
#[cfg(target_os = "linux")]
mod impairs;
#[cfg(target_os = "linux")]
mod privileges;
#[cfg(target_os = "linux")]
mod rebinds;
#[cfg(target_os = "linux")]
mod traffic;

/// Its value `required` makes it a failure that the tests can't run.
const HOW: &str = "QUINCE_LINK";

/// A test by the name of a function that panics when it fails.
#[cfg(target_os = "linux")]
macro_rules! test {
    ($name:ident) => {
        libtest_mimic::Trial::test(stringify!($name), || {
            $name();
            Ok(())
        })
    };
}
#[cfg(target_os = "linux")]
use test;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use quince_link::{Config, Link};

    // Before any thread.
    let entered = quince_link::enter_user_namespace(privileges::enter());
    let mut arguments = libtest_mimic::Arguments::from_args();
    // Each test has a link and floods it; the machine is shared by all of them.
    arguments.test_threads.get_or_insert(2);
    let possible = entered.and_then(|()| Link::open(Config::default()).map(drop));
    if let Err(reason) = possible {
        return skipped(&reason.to_string());
    }
    let trials = [
        carries::trials(),
        impairs::trials(),
        rebinds::trials(),
        privileges::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let refused = quince_link::Link::open(quince_link::Config::default());
    skipped(&refused.expect_err("there are no namespaces").to_string())
}

fn skipped(reason: &str) -> ExitCode {
    let _ = writeln!(
        std::io::stderr(),
        "\nSKIPPED: every test of the emulated link, because there can be none here: {reason}\n"
    );
    if std::env::var_os(HOW).is_some_and(|how| how == "required") {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
