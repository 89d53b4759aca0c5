//! The daemon as a process: what it prints, what it refuses, how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assert_cmd::prelude::*;

use crate::peer::{CONNECT_5, is_shutting_down};

fn daemon(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("quince-broker").expect("built");
    command.args(arguments);
    command
}

/// What a daemon says that refuses to start.
fn refusal(arguments: &[&str], exit_code: i32) -> String {
    let output = daemon(arguments).output().expect("runs");
    assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "",
        "nothing on standard output"
    );
    String::from_utf8(output.stderr).expect("text")
}

/// Starts a daemon and gives its lines before `ready`.
fn start(arguments: &[&str]) -> (Child, Vec<String>) {
    let mut child = daemon(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let out = child.stdout.take().expect("piped");
    let lines = BufReader::new(out).lines().map(|line| line.expect("text"));
    let lines = lines.take_while(|line| line != "ready").collect();
    (child, lines)
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.expect("kill runs").success());
}

#[test]
fn it_prints_its_real_listeners_and_ends_in_order() {
    for name in ["-TERM", "-INT"] {
        let (mut child, lines) = start(&[
            "serve",
            "--listen",
            "tcp://127.0.0.1:0",
            "--listen",
            "quic://127.0.0.1:0",
        ]);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let address = lines[0].strip_prefix("tcp://").expect("TCP first");
        let (quic, digest) = lines[1]
            .split_once(" certificate-sha256=")
            .expect("a digest");
        assert!(
            quic.starts_with("quic://127.0.0.1:") && !quic.ends_with(":0"),
            "{quic}"
        );
        assert_eq!(digest.len(), 64);

        let mut client = TcpStream::connect(address).expect("connected");
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("set");
        client.write_all(CONNECT_5).expect("written");
        let mut header = [0; 2];
        client.read_exact(&mut header).expect("CONNACK");
        let mut body = vec![0; usize::from(header[1])];
        client.read_exact(&mut body).expect("CONNACK");
        signal(&child, name);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("the end");
        assert!(is_shutting_down(&rest), "{rest:?}");
        drop(client);
        assert!(
            child.wait().expect("ended").success(),
            "a signal is an orderly end"
        );
    }
}

#[test]
fn a_port_in_use_names_the_port_and_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("tcp://{}", taken.local_addr().expect("an address"));
    let message = refusal(&["--listen", &url], 1);
    assert!(
        message.contains(&url) && message.contains("--listen"),
        "{message}"
    );
}

#[test]
fn wrong_usage_says_what_was_expected() {
    for (arguments, expected) in [
        (&["--lisen", "tcp://127.0.0.1"][..], "--listen"),
        (
            &["--listen", "127.0.0.1:1883"],
            "expected something like tcp://127.0.0.1:1883",
        ),
        (&["--listen", "udp://127.0.0.1"], "use tcp://"),
        (&["srve"], "srve"),
    ] {
        let message = refusal(arguments, 2);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn beyond_loopback_it_lets_nobody_in_by_accident() {
    let message = refusal(&["--listen", "tcp://0.0.0.0:0"], 1);
    assert!(message.contains("--allow-anonymous"), "{message}");
}

/// What a daemon with these settings answers, read until `enough` says so.
fn talk(settings: &[&str], says: &[u8], enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut arguments = vec!["--listen", "tcp://127.0.0.1:0"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let (mut child, lines) = start(&arguments);
    let address = lines[0].strip_prefix("tcp://").expect("TCP");
    let mut client = TcpStream::connect(address).expect("connected");
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set");
    client.write_all(says).expect("written");
    let mut heard = Vec::new();
    let mut byte = [0];
    while !enough(&heard) {
        client.read_exact(&mut byte).expect("more");
        heard.extend(byte);
    }
    child.kill().expect("ended");
    child.wait().expect("ended");
    heard
}

#[test]
fn a_redirect_is_a_setting() {
    let to = "server.redirect=other.example:1883";
    for (settings, code) in [
        (&[to][..], 0x9c),
        (&[to, "server.redirect_for_good=false"], 0x9c),
        (&[to, "server.redirect_for_good=true"], 0x9d),
    ] {
        let heard = talk(settings, CONNECT_5, |heard| {
            heard.len() >= 2 && heard.len() == 2 + usize::from(heard[1])
        });
        assert_eq!((heard[0], heard[3]), (0x20, code), "{settings:?}");
        // Server Reference (0x1c) as a length and a string.
        let reference = b"\x1c\x00\x12other.example:1883";
        let found = heard.windows(reference.len()).any(|it| it == reference);
        assert!(found, "{heard:x?}");
    }
}

#[test]
fn figures_come_by_themselves_and_as_often_as_is_set() {
    let mut says = CONNECT_5.to_vec();
    says.extend(b"\x82\x13\x00\x01\x00\x00\x0d$SYS/broker/#\x00");
    let published = |heard: &[u8]| {
        let topic = b"$SYS/broker/clients/connected";
        heard.windows(topic.len()).any(|it| it == topic)
    };
    talk(&["server.figures_interval_seconds=1"], &says, published);
    talk(&[], &says, published);
}
