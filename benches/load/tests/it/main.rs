//! The load generator as its users run it, against its own sink. Counts are judged, never times.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn program() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("quince-load").to_owned()
}

fn load(arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .output()
        .expect("the program runs")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts a sink of its own for each case.
fn sink() -> String {
    format!("sink={} sink --port {{port}}", program().display())
}

/// Plays cases against the sink, and gives the lines of JSON.
fn play(name: &str, cases: &str, more: &[&str]) -> Vec<Value> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let sink = sink();
    let mut arguments = vec!["--start", &sink, "--cases", cases, "--seconds", "0.4"];
    arguments.extend(["--json", file.to_str().expect("a path of plain letters")]);
    arguments.extend(more);
    let output = load(&arguments);
    assert!(output.status.success(), "{}", errors(&output));
    let text = fs::read_to_string(file).expect("the file is there");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

fn number(line: &Value, key: &str) -> f64 {
    line[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no {key} in {line}"))
}

#[test]
fn messages_flow_in_every_shape_and_quality() {
    let cases = "q0,q1,q2,fanout:3,fanin:3,pairs:2";
    let lines = play("traffic", cases, &["--rounds", "1"]);
    let names: Vec<_> = lines
        .iter()
        .map(|line| line["case"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(names, ["q0", "q1", "q2", "fanout 3", "fanin 3", "pairs 2"]);
    for line in &lines {
        assert!(number(line, "per_second") > 0.0, "{line}");
        assert!(number(line, "cpu_us") > 0.0, "{line}");
    }
}

#[test]
fn each_paced_message_is_counted() {
    let lines = play(
        "paced",
        "lat0,lat1",
        &["--rounds", "2", "--rate", "200", "--mqtt", "5.0"],
    );
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert_eq!(number(line, "messages"), 80.0, "{line}");
        assert_eq!(number(line, "missing"), 0.0, "{line}");
        assert!(number(line, "p50_us") <= number(line, "p99_us"), "{line}");
        assert!(number(line, "p99_us") <= number(line, "max_us"), "{line}");
    }
}

#[test]
fn connections_are_made_and_held() {
    let lines = play("connections", "connect,idle:20", &["--rounds", "1"]);
    assert!(number(&lines[0], "per_second") > 0.0, "{}", lines[0]);
    assert!(number(&lines[1], "kib_each") >= 0.0, "{}", lines[1]);
}

#[test]
fn brokers_take_turns_and_are_compared_with_the_first() {
    let (one, other) = (sink(), sink().replace("sink=", "again="));
    let output = load(&[
        "--start",
        &one,
        "--start",
        &other,
        "--cases",
        "q1",
        "--seconds",
        "0.2",
        "--rounds",
        "2",
        "--markdown",
    ]);
    assert!(output.status.success(), "{}", errors(&output));
    let order: Vec<_> = errors(&output)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|line| {
            format!(
                "{} {}",
                line["round"],
                line["target"].as_str().unwrap_or("")
            )
        })
        .collect();
    assert_eq!(order, ["1 sink", "1 again", "2 sink", "2 again"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| q1"))
        .collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert!(rows[0].contains(" 1.00 "), "{table}");
}

#[test]
fn wrong_usage_says_what_was_expected() {
    for (arguments, said) in [
        (&[][..], "no broker: give a URL"),
        (&["localhost"], "://"),
        (&["http://localhost"], "http"),
        (
            &["tcp://localhost", "--cases", "q3"],
            "no case `q3`: there are q0",
        ),
        (&["tcp://localhost", "--cases", "q0:5"], "no case `q0:5`"),
        (
            &["tcp://localhost", "--cases", "idle:0"],
            "no case `idle:0`",
        ),
        (&["tcp://localhost", "--size", "15"], "16 to 67108864"),
        (&["tcp://localhost", "--seconds", "0"], "more than 0"),
        (&["tcp://localhost", "--seconds", "nan"], "more than 0"),
        (&["tcp://localhost", "--rounds", "0"], "--rounds"),
        (&["tcp://localhost", "--rate", "0"], "--rate"),
        (
            &["tcp://localhost", "--mqtt", "4"],
            "expected 3.1, 3.1.1 or 5.0",
        ),
        (&["--start", "mosquitto -p 1883"], "expected NAME=COMMAND"),
        (&["--start", "m=mosquitto -p 1883"], "{port}"),
    ] {
        let output = load(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            errors(&output)
        );
        assert!(
            errors(&output).contains(said),
            "{arguments:?}: {}",
            errors(&output)
        );
    }
}

#[test]
fn a_broker_that_is_not_there_is_named() {
    // Nobody listens on the port of a listener that has just gone.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        listener.local_addr().expect("bound").port()
    };
    let url = format!("tcp://127.0.0.1:{port}");
    let output = load(&[&url, "--cases", "q0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("refused"), "{}", errors(&output));

    let output = load(&["--start", "gone=false {port}"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors(&output).contains("gone: `false "),
        "{}",
        errors(&output)
    );
    assert!(
        errors(&output).contains("ended at once"),
        "{}",
        errors(&output)
    );
}
