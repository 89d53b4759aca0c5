//! A short run against our broker as a process, over TCP and QUIC; the long one is `scripts/kill9`.

use std::path::PathBuf;
use std::process::Command;

use assert_cmd::prelude::*;

/// The broker, which cargo has built beside this test when it tests the whole workspace.
fn broker() -> PathBuf {
    let mut path = std::env::current_exe().expect("a test is a program");
    path.pop();
    path.pop();
    path.push(format!("quince-broker{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "build it first: cargo build -p quince-broker ({})",
        path.display()
    );
    path
}

/// Runs against a command; gives exit code and table.
fn kill(command: &str, rounds: &str) -> (Option<i32>, String, String) {
    let output = Command::cargo_bin("quince-crash")
        .expect("built")
        .args([command, "--rounds", rounds, "--load", "600"])
        .output()
        .expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn listening(arguments: &str) -> String {
    format!(
        "'{}' {arguments} --listen tcp://127.0.0.1:{{port}} --listen quic://127.0.0.1:{{port}}",
        broker().display()
    )
}

fn figure(table: &str, name: &str) -> u64 {
    let line = table.lines().find(|line| line.trim().starts_with(name));
    let figure = line.and_then(|line| line.split_whitespace().last());
    figure
        .and_then(|figure| figure.parse().ok())
        .expect("a figure")
}

#[test]
fn nothing_acknowledged_is_lost_when_the_broker_is_killed() {
    let (code, table, report) = kill(&listening("--data-dir {dir}"), "6");
    assert_eq!(code, Some(0), "{table}{report}");
    assert_eq!(figure(&table, "rounds"), 6);
    assert!(figure(&table, "messages acknowledged") > 100, "{table}");
}

#[test]
fn a_broker_that_keeps_nothing_is_found_out() {
    let (code, table, report) = kill(&listening("--ephemeral"), "2");
    assert_eq!(code, Some(1), "{table}{report}");
    for fault in ["Lost", "SessionLost", "WrongRetained"] {
        assert!(figure(&table, fault) > 0, "{fault}: {table}");
    }
}

#[test]
fn a_broker_that_does_not_run_is_no_verdict() {
    let (code, _, report) = kill("false", "1");
    assert_eq!(code, Some(3));
    assert!(report.contains("ended by itself"), "{report}");
}
