//! The same within a user namespace, as somebody who is not root has it.

use std::process::{Command, Output};

use quince_link::{Enter, enter_user_namespace};

use crate::test;

/// Set in a process that is to enter a user namespace though it is root.
const ENTER: &str = "QUINCE_LINK_ENTER";

/// What this process is to do first of all.
pub(crate) fn enter() -> Enter {
    if std::env::var_os(ENTER).is_some() {
        Enter::Always
    } else {
        Enter::UnlessRoot
    }
}

pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    vec![
        test!(everything_works_in_a_user_namespace),
        test!(a_process_with_threads_is_refused),
    ]
}

/// These tests again, in a user namespace.
fn everything_works_in_a_user_namespace() {
    if std::env::var_os(ENTER).is_some() {
        return;
    }
    let again = Command::new(std::env::current_exe().unwrap())
        .env(ENTER, "1")
        .arg("arrives")
        .output()
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = again;
    let told = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{told}");
    assert!(
        told.contains("4 passed") || told.contains("SKIPPED"),
        "{told}"
    );
    if let Some(skipped) = told.lines().find(|line| line.starts_with("SKIPPED")) {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "\nin a user namespace, {skipped}\n");
    }
}

fn a_process_with_threads_is_refused() {
    let refused = enter_user_namespace(Enter::Always).unwrap_err();
    assert!(
        refused.way_out.contains("before the first thread"),
        "{refused}"
    );
}
