//! The command `quince-client` where there is no broker to speak to, or a strange one.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;

use assert_cmd::prelude::*;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("quince-client").expect("built");
    command.args(arguments).output().expect("runs")
}

/// The message of a run that must fail with `exit_code`.
fn failure(arguments: &[&str], exit_code: i32) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// A peer that reads once, answers with `answer` and closes; gives its URL.
fn peer_that_answers(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("mqtt://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(answer);
    });
    url
}

#[test]
fn wrong_usage_says_what_was_expected() {
    for (arguments, expected) in [
        (&["pub", "-t", "a"][..], "--message"),
        (
            &["pub", "-t", "a", "-m", "x", "-q", "3"],
            "expected 0, 1 or 2",
        ),
        (
            &["pub", "-t", "a", "-m", "x", "-u", "127.0.0.1:1883"],
            "did you mean 'mqtt://127.0.0.1:1883'?",
        ),
        (
            &["pub", "-t", "a", "-m", "x", "-u", "http://127.0.0.1"],
            "use mqtt://, mqtts://, ws://, wss:// or quic://",
        ),
        (&["sub", "-t", "a", "-V", "4"], "expected 3.1.1 or 5.0"),
        (&["sbu"], "sub"),
    ] {
        let message = failure(arguments, 2);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn nothing_there_is_said_with_the_url() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("tcp://{}", taken.local_addr().expect("an address"));
    drop(taken);
    let message = failure(&["pub", "-u", &url, "-t", "a", "-m", "x"], 1);
    assert!(
        message.contains(&url) && message.contains("refused"),
        "{message}"
    );
}

#[test]
fn a_missing_ca_file_is_named() {
    let message = failure(
        &[
            "sub",
            "-u",
            "quic://127.0.0.1:1",
            "--cafile",
            "/nowhere.pem",
            "-t",
            "a",
        ],
        1,
    );
    assert!(message.contains("/nowhere.pem"), "{message}");
}

#[test]
fn strange_brokers_are_told_apart() {
    for (answer, expected) in [
        (&b"\x20\x03\x00\x87\x00"[..], "Not authorized"),
        (b"\xd0\x00", "it sent PINGRESP"),
        (b"", "ended the connection"),
        (b"\x20\x03\x00\x00\x05", "malformed packet"),
    ] {
        let url = peer_that_answers(answer);
        let message = failure(&["pub", "-u", &url, "-t", "a", "-m", "x"], 1);
        assert!(message.contains(expected), "{answer:?}: {message}");
    }
}
