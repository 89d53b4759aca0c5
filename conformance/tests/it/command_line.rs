//! The command line: wrong usage, broken files and broken targets, each with its message and exit code.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use assert_cmd::Command;

const SCENARIO: &str = r#"scenario acknowledged {
    why "A QoS 1 PUBLISH is answered by a PUBACK with its identifier"
    mqtt "3.1.1" "5.0"
    proves "MQTT5-4.3.2-4" "MQTT3-4.3.2-2"
    pub connect
    pub -> PUBLISH qos=1 id=7 topic="$t/a" payload="x"
    (ack)pub <- PUBACK id=7
    fault lost violates="MQTT5-4.3.2-4 MQTT3-4.3.2-2" caught-at=ack { drop PUBACK }
}
"#;

/// What the command said and how it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Ended {
    /// The exit code, and everything that was said.
    #[cfg(feature = "embedded")]
    pub(crate) fn told(self) -> (Option<i32>, String) {
        (self.code, self.out + &self.error)
    }
}

pub(crate) fn suite(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_quince-conformance"))
        .args(arguments)
        .output()
        .expect("runs");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("text"),
        error: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A file of its own for each test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("writes");
    path
}

fn scenario_file(name: &str) -> String {
    file(name, SCENARIO).display().to_string()
}

/// What a broken broker does with a connection.
type Serve = fn(TcpStream);

/// Serves each connection with `serve`, for as long as the test runs.
fn listen(serve: Serve) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("mqtt://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    url
}

/// Reads one packet; `None` at the end of the stream.
fn read_packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    assert!(head[1] < 0x80, "the packets of these tests are short");
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).ok()?;
    Some([&head[..], &body].concat())
}

/// The CONNACK that accepts a CONNECT, by its protocol level.
fn connack(connect: &[u8]) -> &'static [u8] {
    if connect[8] == 5 {
        &[0x20, 3, 0, 0, 0]
    } else {
        &[0x20, 2, 0, 0]
    }
}

#[test]
fn wrong_usage_is_told_and_ends_with_2() {
    for (arguments, message) in [
        (&["--frobnicate"][..], "unexpected argument '--frobnicate'"),
        (&["statments"], "did you mean `statements`?"),
        (&["localhost:1883"], "did you mean `mqtt://localhost:1883`?"),
        (
            &["http://localhost"],
            "use mqtt://, mqtts://, ws://, wss:// or quic://",
        ),
        (&["mqtt://host:99999"], "invalid port number"),
        (&["--mqtt", "4"], "the versions are 3.1, 3.1.1 and 5.0"),
        (&["--mqtt", "3.1"], "no scenario names that version of MQTT"),
        (&["--jobs", "0"], "--jobs"),
        (
            &["explain", "MQTT5-9.9.9-9"],
            "`MQTT5-9.9.9-9` is neither a statement nor a scenario",
        ),
        (
            &["explain", "MQTT-3.3.1-1"],
            "did you mean `MQTT3-3.3.1-1` or `MQTT5-3.3.1-1`?",
        ),
        (
            &["list", "--statement", "MQTT5-3.3.1-111"],
            "there is no statement `MQTT5-3.3.1-111`",
        ),
        (
            &["replay", "/no/such/file.kdl"],
            "failed to read /no/such/file.kdl",
        ),
        (&["explore", "localhost"], "this is no URL"),
        (
            &["explore", "--for", "60"],
            "a time is a number with s, m or h",
        ),
        (&["sub", "mqtt://localhost"], "this is no URL"),
    ] {
        let ended = suite(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.error);
        assert!(
            ended.error.contains(message),
            "{arguments:?}: {}",
            ended.error
        );
        assert!(ended.out.is_empty(), "{arguments:?}: {}", ended.out);
    }
}

#[test]
fn a_broken_scenario_file_is_shown_with_the_place_and_ends_with_2() {
    let broken = file(
        "broken.kdl",
        &SCENARIO.replace("<- PUBACK id=7", "<- PUBACK idd=7"),
    );
    let ended = suite(&["replay", &broken.display().to_string()]);
    assert_eq!(ended.code, Some(2), "{}", ended.error);
    for part in ["broken.kdl has 1 problem", "idd", "broken.kdl:7:"] {
        assert!(ended.error.contains(part), "{part}: {}", ended.error);
    }
}

#[test]
fn a_broken_baseline_names_its_line_and_ends_with_2() {
    let scenario = scenario_file("for-baseline.kdl");
    for (text, message) in [
        ("# fine\nacknowledged 5.0\n", ":2: no `:` found"),
        (
            "acknowledgd : why\n",
            ":1: there is no scenario `acknowledgd`",
        ),
        (
            "acknowledged : why\nacknowledged : again\n",
            ":2: the same as line 1",
        ),
    ] {
        let baseline = file("broken-baseline.txt", text).display().to_string();
        let ended = suite(&[
            "replay",
            &scenario,
            "mqtt://127.0.0.1:9",
            "--baseline",
            &baseline,
        ]);
        assert_eq!(ended.code, Some(2), "{}", ended.error);
        assert!(ended.error.contains(message), "{}", ended.error);
    }
}

#[test]
fn one_statement_is_explained() {
    let ended = suite(&["explain", "mqtt3-3-8.3-4"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(
        ended
            .out
            .starts_with("MQTT3-3.8.3-4  MUST  MQTT 3.1.1, section 3.8.3"),
        "{}",
        ended.out
    );
}

#[test]
fn a_port_with_nothing_behind_it_ends_with_3_after_10_seconds() {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let json = file("nothing.json", "");
    let started = Instant::now();
    let ended = suite(&[
        "replay",
        &scenario_file("nothing.kdl"),
        &format!("mqtt://{port}"),
        "--json",
        &json.display().to_string(),
    ]);
    assert!(
        started.elapsed() >= Duration::from_secs(10),
        "a broker may still be starting"
    );
    assert_eq!(ended.code, Some(3), "{}", ended.out);
    let message = format!("tcp://{port} does not answer CONNECT: failed to connect");
    assert!(
        ended.out.contains(&message) && ended.out.contains("refused"),
        "{}",
        ended.out
    );
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(json).expect("written")).expect("JSON");
    assert_eq!(report["schema"], 1);
    assert_eq!(report["results"].as_array().map(Vec::len), Some(0));
}

#[test]
fn what_answers_no_connect_ends_with_3() {
    let cases: [(&str, Serve, &str); 3] = [
        ("closes", drop, "closes the connection without a CONNACK"),
        (
            "silent",
            |mut stream| {
                // Holds the connection until the other side gives up.
                let _ = stream.read_to_end(&mut Vec::new());
            },
            "no answer",
        ),
        (
            "disconnects",
            |mut stream| {
                while read_packet(&mut stream).is_some() && stream.write_all(&[0xe0, 0]).is_ok() {}
            },
            "answers with a packet that begins with 0xe0",
        ),
    ];
    let runs = cases.map(|(name, serve, message)| {
        thread::spawn(move || {
            let scenario = scenario_file(&format!("{name}.kdl"));
            let ended = suite(&["replay", &scenario, &listen(serve)]);
            assert_eq!(ended.code, Some(3), "{name}: {}", ended.out);
            assert!(ended.out.contains(message), "{name}: {}", ended.out);
            assert!(!ended.out.contains("PASS"), "{name}: {}", ended.out);
        })
    });
    for run in runs {
        run.join().expect("as expected");
    }
}

#[test]
fn a_broker_that_closes_after_connack_passes_nothing_and_ends_with_1() {
    let url = listen(|mut stream| {
        if let Some(connect) = read_packet(&mut stream) {
            let _ = stream.write_all(connack(&connect));
        }
    });
    let ended = suite(&["replay", &scenario_file("closing.kdl"), &url]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(
        ended.out.contains("not one MUST-level scenario passed"),
        "{}",
        ended.out
    );
    assert!(!ended.out.contains("PASS"), "{}", ended.out);
}

/// Acknowledges QoS 1 and answers PINGREQ, and no more.
fn acknowledge(mut stream: TcpStream) {
    while let Some(packet) = read_packet(&mut stream) {
        let answer: Vec<u8> = match packet[0] >> 4 {
            1 => connack(&packet).to_vec(),
            3 => {
                let topic = usize::from(packet[3]);
                vec![0x40, 2, packet[4 + topic], packet[5 + topic]]
            }
            12 => vec![0xd0, 0],
            _ => Vec::new(),
        };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

#[test]
fn a_broker_that_acknowledges_passes_and_every_report_is_written() {
    let url = listen(acknowledge);
    let (json, junit) = (file("pass.json", ""), file("pass.xml", ""));
    let scenario = scenario_file("pass.kdl");
    let ended = suite(&[
        "replay",
        &scenario,
        &url,
        "--quiet",
        "--json",
        &json.display().to_string(),
        "--junit",
        &junit.display().to_string(),
    ]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.error);
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(json).expect("written")).expect("JSON");
    assert_eq!(report["summary"]["pass"], 2);
    assert_eq!(report["summary"]["statements_covered"], 2);
    assert_eq!(report["results"][0]["mqtt"], "3.1.1");
    assert_eq!(report["results"][1]["verdict"], "pass");
    let junit = fs::read_to_string(junit).expect("written");
    assert!(junit.contains("tests=\"2\""), "{junit}");

    let baseline = file("stale.txt", "acknowledged 5.0 : it was wrong once")
        .display()
        .to_string();
    let ended = suite(&["replay", &scenario, &url, "--baseline", &baseline]);
    assert_eq!(ended.code, Some(1), "an entry that passes");
    assert!(
        ended.out.contains("`acknowledged` passes in 5.0 over tcp"),
        "{}",
        ended.out
    );
}

#[test]
fn a_broker_that_dies_is_told_with_the_last_bytes_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("mqtt://{}", listener.local_addr().expect("bound"));
    // One connection after the other, until the first PUBLISH: then the listener and the connection are gone.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while let Some(packet) = read_packet(&mut stream) {
                let answer = match packet[0] >> 4 {
                    1 => connack(&packet),
                    12 => &[0xd0, 0],
                    3 => return,
                    _ => &[],
                };
                if stream.write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    let ended = suite(&["replay", &scenario_file("dying.kdl"), &url, "--jobs", "1"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    for part in [
        "the broker went away: the last bytes sent were 32",
        "not played: the broker went away",
        "not one MUST-level scenario passed",
    ] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
}

#[test]
#[cfg(feature = "embedded")]
fn without_a_url_the_embedded_broker_is_judged_over_tcp_and_quic() {
    let json = file("embedded.json", "");
    let scenario = scenario_file("embedded.kdl");
    let ended = suite(&["replay", &scenario, "--json", &json.display().to_string()]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.error);
    assert!(
        ended.out.contains("PUBACK id=7"),
        "replay shows what crossed the wire: {}",
        ended.out
    );
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(json).expect("written")).expect("JSON");
    assert_eq!(report["targets"][0]["transport"], "tcp");
    assert_eq!(report["targets"][1]["transport"], "quic");
    assert_eq!(report["summary"]["pass"], 4);
}

#[test]
#[cfg(feature = "embedded")]
fn every_statement_is_a_row() {
    let json = file("statements.json", "");
    let ended = suite(&["statements", "--json", &json.display().to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert_eq!(ended.out.lines().count(), 513 + 1);
    let rows: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(&fs::read_to_string(json).expect("written")).expect("JSON");
    assert_eq!(rows.len(), 513);
    for row in &rows {
        let fields: Vec<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(fields, ["covered", "id", "level", "proven", "why_not"]);
        // A fault is only looked at after its scenario passed.
        assert!(row["covered"] == true || row["proven"] == false, "{row:?}");
    }
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).expect(id);
    assert_eq!(row("MQTT5-3.1.2-20")["covered"], false);
    assert!(
        row("MQTT5-3.1.2-20")["why_not"]
            .as_str()
            .is_some_and(|why| why.starts_with("binds the client"))
    );
    assert_eq!(row("X5-21")["level"], "SHOULD");
}
