//! The same within a user namespace, as somebody who is not root has it.

use std::{
    io::Write as _,
    process::{Command, Output},
};

use quince_link::{Enter, Privilege, availability, enter_user_namespace};

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
        test!(what_is_available_is_told),
        test!(a_user_without_privileges_is_told_the_way_out),
    ]
}

/// These tests again, in a user namespace.
fn everything_works_in_a_user_namespace() {
    if std::env::var_os(ENTER).is_some() {
        return;
    }
    let again = Command::new(std::env::current_exe().unwrap())
        .env(ENTER, "1")
        // Root is what must work everywhere; user namespaces are not allowed everywhere.
        .env_remove(crate::HOW)
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
        let _ = writeln!(std::io::stderr(), "\nin a user namespace, {skipped}\n");
    }
}

fn what_is_available_is_told() {
    let report = availability();
    let expected = if std::env::var_os(ENTER).is_some() {
        Privilege::UserNamespace
    } else {
        report.privilege
    };
    assert_eq!(report.privilege, expected);
    assert_ne!(report.privilege, Privilege::None);
    // These tests run, so something is.
    assert!(report.best().is_some(), "{report}");
    assert_eq!(report.v6, Ok(()));
}

/// Where a user may neither make namespaces nor open the TUN node: the limit of user namespaces set to none, within a user
/// namespace, where that is anybody's to set.
fn a_user_without_privileges_is_told_the_way_out() {
    if std::env::var_os(ENTER).is_some() {
        return;
    }
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" --list";
    let mut again = Command::new("unshare");
    again.args(["-Ur", "sh", "-c", script]);
    let again = again
        .arg(std::env::current_exe().unwrap())
        .env(ENTER, "1")
        .env_remove(crate::HOW)
        .output();
    let Ok(Output { status, stderr, .. }) = again else {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: no program `unshare`\n");
        return;
    };
    let told = String::from_utf8_lossy(&stderr);
    if told.contains("unshare failed") || told.contains("max_user_namespaces:") {
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: user namespaces are not allowed: {told}\n"
        );
        return;
    }
    assert!(status.success(), "skipping is no failure: {told}");
    assert!(
        told.contains("SKIPPED") && told.contains("max_user_namespaces=1000"),
        "{told}"
    );
}

fn a_process_with_threads_is_refused() {
    let refused = enter_user_namespace(Enter::Always).unwrap_err();
    assert!(
        refused.way_out.contains("before the first thread"),
        "{refused}"
    );
}
