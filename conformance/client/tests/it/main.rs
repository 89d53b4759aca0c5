//! The command `quince-client` where there is no broker to speak to, or a strange one.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

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
        (&["sub", "-t", "a", "-V", "4"], "expected 3.1, 3.1.1 or 5.0"),
        (&["sbu"], "sub"),
        (
            &["pub", "-t", "a", "-m", "x", "-V", "3.1.1", "--expiry", "1"],
            "--expiry needs MQTT 5.0",
        ),
        (
            &["sub", "-t", "a", "-V", "3.1.1", "--keep-session"],
            "add --id",
        ),
        (
            &["sub", "-t", "a", "-V", "3.1.1", "--password", "x"],
            "add --user",
        ),
        (&["sub", "-t", "a", "--will-qos", "1"], "--will-topic"),
        (
            &["pub", "-t", "a", "-m", "0g", "--format", "hex"],
            "not hex",
        ),
        (
            &["pub", "-t", "a", "-m", "x", "--user-property", "x"],
            "expected NAME=VALUE",
        ),
        (
            &["pub", "-t", "a", "-f", "/nowhere"],
            "failed to read '/nowhere'",
        ),
        (
            &["pub", "-t", "a", "-m", "x", "--cert", "/nowhere"],
            "--key",
        ),
        (
            &["pub", "-t", "a/#", "-m", "x"],
            "a Topic Name has no + and no #",
        ),
        (
            &["sub", "-t", "a", "--will-topic", ""],
            "a Topic Name has at least one character",
        ),
        (
            &["sub", "-t", "a", "-t", "a/#b"],
            "'a/#b' is no Topic Filter: # is the whole last level",
        ),
        (
            &["sub", "-t", "a", "--cafile", "/nowhere"],
            "--cafile needs TLS, and tcp://127.0.0.1:1883 has none",
        ),
        (
            &["sub", "-t", "a", "-u", "ws://127.0.0.1", "--insecure"],
            "--insecure needs TLS",
        ),
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
    let message = failure(&["pub", "-u", &url, "-t", "a", "-m", "x"], 3);
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
        2,
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

/// What one connection to a scripted peer does: packets expected (by their first byte) and answers.
type Script = &'static [(u8, &'static [u8])];

/// A peer that plays one script for each connection, then listens no more; gives its URL. The
/// thread ends with all packets of the first bytes that it was sent.
fn scripted(scripts: &'static [Script]) -> (String, thread::JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("mqtt://{}", listener.local_addr().expect("an address"));
    let played = thread::spawn(move || {
        let mut packets = Vec::new();
        for script in scripts {
            let (mut stream, _) = listener.accept().expect("a client");
            let patience = Some(Duration::from_secs(10));
            stream.set_read_timeout(patience).expect("set");
            for (expected, answer) in *script {
                let packet = read_packet(&mut stream);
                assert_eq!(packet[0], *expected, "{packet:?}");
                packets.push(packet);
                stream.write_all(answer).expect("written");
            }
        }
        packets
    });
    (url, played)
}

/// A whole packet of less than 128 bytes.
fn read_packet(stream: &mut impl Read) -> Vec<u8> {
    let mut packet = vec![0; 2];
    stream.read_exact(&mut packet).expect("a fixed header");
    packet.resize(2 + usize::from(packet[1]), 0);
    stream.read_exact(&mut packet[2..]).expect("a packet");
    packet
}

#[test]
fn a_publish_that_was_cut_off_goes_on_where_the_session_is_still_there() {
    let (url, played) = scripted(&[
        // Cut off between PUBLISH and PUBREC.
        &[(0x10, b"\x20\x02\x00\x00"), (0x34, b"")],
        // The session is there: the same again, told apart; cut off before PUBCOMP.
        &[
            (0x10, b"\x20\x02\x01\x00"),
            (0x3c, b"\x50\x02\x00\x01"),
            (0x62, b""),
        ],
        // Only what is missing.
        &[
            (0x10, b"\x20\x02\x01\x00"),
            (0x62, b"\x70\x02\x00\x01"),
            (0xe0, b""),
        ],
    ]);
    let output = run(&[
        "pub",
        "-u",
        &url,
        "-V",
        "3.1.1",
        "-i",
        "me",
        "--keep-session",
        "--reconnect",
        "-t",
        "a",
        "-m",
        "x",
        "-q",
        "2",
    ]);
    assert!(output.status.success(), "{output:?}");
    let packets = played.join().expect("the script was followed");
    assert_eq!(packets[1][1..], packets[3][1..], "the same message");
}

#[test]
fn what_the_flags_say_is_what_is_sent() {
    let (url, played) = scripted(&[&[
        (0x10, b"\x20\x03\x00\x00\x00"),
        (0x33, b"\x40\x02\x00\x01"),
        (0xe0, b""),
    ]]);
    let output = run(&[
        "pub",
        "-u",
        &url,
        "-i",
        "me",
        "-k",
        "7",
        "--user",
        "u",
        "--password",
        "p",
        "--session-expiry",
        "5",
        "--will-topic",
        "w",
        "--will-message",
        "gone",
        "--will-qos",
        "1",
        "--will-retain",
        "--will-delay",
        "3",
        "-t",
        "a",
        "-q",
        "1",
        "-r",
        "--expiry",
        "9",
        "--content-type",
        "c",
        "--response-topic",
        "r",
        "--correlation-data",
        "d",
        "--utf8",
        "--user-property",
        "k=v=w",
        "--format",
        "hex",
        "-m",
        "00ff",
    ]);
    assert!(output.status.success(), "{output:?}");
    let packets = played.join().expect("the script was followed");
    let connect = b"\x00\x04MQTT\x05\xee\x00\x07\x05\x11\x00\x00\x00\x05\x00\x02me\
        \x05\x18\x00\x00\x00\x03\x00\x01w\x00\x04gone\x00\x01u\x00\x01p";
    assert_eq!(packets[0][2..], connect[..]);
    let publish = b"\x00\x01a\x00\x01\x1c\x01\x01\x02\x00\x00\x00\x09\x03\x00\x01c\x08\x00\x01r\
        \x09\x00\x01d\x26\x00\x01k\x00\x03v=w\x00\xff";
    assert_eq!(packets[1][2..], publish[..]);
}

#[test]
fn a_subscriber_comes_back_and_prints_each_message_once() {
    const MESSAGE: &[u8] = b"\x90\x04\x00\x01\x00\x02\x34\x07\x00\x01a\x00\x05\x00x";
    let (url, played) = scripted(&[
        // A QoS 2 message, and cut off before its PUBREL.
        &[
            (0x10, b"\x20\x03\x00\x00\x00"),
            (0x82, MESSAGE),
            (0x50, b""),
        ],
        // Again, because the session is there: acknowledged, not printed; then another.
        &[
            (0x10, b"\x20\x03\x01\x00\x00"),
            (
                0x82,
                b"\x90\x04\x00\x01\x00\x02\x3c\x07\x00\x01a\x00\x05\x00x",
            ),
            (0x50, b"\x62\x02\x00\x05\x30\x05\x00\x01a\x00y"),
            (0x70, b""),
            (0xe0, b""),
        ],
    ]);
    let output = run(&[
        "sub",
        "-u",
        &url,
        "-k",
        "0",
        "-i",
        "me",
        "--keep-session",
        "--reconnect",
        "-t",
        "a",
        "-q",
        "2",
        "-C",
        "2",
        "--format",
        "hex",
    ]);
    assert!(output.status.success(), "{output:?}");
    played.join().expect("the script was followed");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "78\n79\n");
}

#[test]
fn a_disconnect_that_names_this_client_is_the_end() {
    let (url, played) = scripted(&[&[
        (0x10, b"\x20\x03\x00\x00\x00"),
        (0x82, b"\x90\x04\x00\x01\x00\x00\xe0\x02\x8e\x00"),
    ]]);
    let message = failure(&["sub", "-u", &url, "--reconnect", "-k", "0", "-t", "a"], 1);
    played.join().expect("the script was followed");
    assert!(message.contains("Session taken over"), "{message}");
}
