//! Target files: what is wrong with them is told with the place, and what they start never outlives the suite.

use std::{fs, path::Path};

use quince_conformance::target::TargetFile;

const GOOD: &str = r#"name = "a broker"
start = ["sh", "start"]
[[listeners]]
url = "tcp://127.0.0.1:0"
[[listeners]]
url = "tcp://127.0.0.1:0"
mqtt = ["3.1.1"]
[[listeners]]
url = "quic://127.0.0.1:14567"
[credentials]
user_name = "judge"
password = "word"
[[configurations]]
name = "restricted"
set = { users = true, denied-topic = "secret" }
"#;

fn parse(text: &str) -> Result<TargetFile, String> {
    TargetFile::parse("target.toml", text, Path::new(".")).map_err(|error| error.to_string())
}

#[test]
fn ports_are_assigned_once_and_told_to_the_commands() {
    let mut target = parse(GOOD).expect("it is right");
    target.assign_ports().expect("there are ports");
    let environment = target.environment(&target.configurations[1]);
    let ports: Vec<u16> = target
        .listeners
        .iter()
        .map(|listener| listener.endpoint.port())
        .collect();
    assert!(ports[0] != 0 && ports[1] != 0 && ports[0] != ports[1]);
    assert_eq!(ports[2], 14567);
    let expected = [
        ("TARGET_CONFIGURATION", "restricted".to_owned()),
        ("TARGET_PORT_TCP", ports[0].to_string()),
        ("TARGET_PORT_TCP_2", ports[1].to_string()),
        ("TARGET_PORT_QUIC", ports[2].to_string()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(environment, expected);
}

#[test]
fn what_is_wrong_is_told_with_the_place_and_what_was_expected() {
    for (from, to, words) in [
        (
            "name = \"a broker\"\n",
            "",
            "target.toml:1:1: missing field `name`",
        ),
        (
            "start = [\"sh\"",
            "strat = [\"sh\"",
            "target.toml:2:1: unknown field `strat`",
        ),
        (
            "[\"sh\", \"start\"]",
            "\"sh start\"",
            "target.toml:2:9: invalid type: string",
        ),
        (
            "[\"sh\", \"start\"]",
            "[]",
            "target.toml:2:9: an empty command",
        ),
        ("start = [\"sh\", \"start\"]", "", "port 0 without `start`"),
        (
            "start = [\"sh\", \"start\"]",
            "",
            "target.toml:13:1: nothing can bring the broker into this configuration",
        ),
        (
            "tcp://127.0.0.1:0\"\nmqtt",
            "127.0.0.1\"\nmqtt",
            "target.toml:6:7: ",
        ),
        (
            "[\"3.1.1\"]",
            "[\"4\"]",
            "target.toml:7:8: there is no MQTT 4",
        ),
        ("[\"3.1.1\"]", "[]", "target.toml:7:8: no version"),
        (
            "denied-topic",
            "denied-topics",
            "target.toml:15:23: there is no setup `denied-topics`",
        ),
        (
            "denied-topic",
            "denied-topics",
            "did you mean `denied-topic`?",
        ),
        (
            "\"secret\"",
            "7",
            "target.toml:15:38: `denied-topic` cannot be that",
        ),
        ("\"secret\"", "7", "expected the Topic Name"),
        (
            "[credentials]\nuser_name = \"judge\"\npassword = \"word\"\n",
            "",
            "give the `credentials` of one user",
        ),
        (
            "\"restricted\"",
            "\"plain\"",
            "target.toml:14:8: a second configuration `plain`",
        ),
        ("set = {", "ca = {", "unknown field `ca`"),
        (
            "start = ",
            "ca = \"no-such-file.pem\"\nstart = ",
            "target.toml:2:6: ",
        ),
        (
            "start = ",
            "baseline = \"no-such-file\"\nstart = ",
            "target.toml:2:12: there is no file ./no-such-file",
        ),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from} is there");
        let told = parse(&text).expect_err(to);
        assert!(told.contains(words), "{to}: expected {words}\n{told}");
    }
}

#[test]
fn the_files_of_the_tree_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("targets");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        let file = entry.path().join("target.toml");
        if file.is_file() {
            TargetFile::read(&file).expect("it is right");
            count += 1;
        }
    }
    assert!(count >= 2, "{count}");
}

#[cfg(target_os = "linux")]
mod on_the_command_line {
    use std::{
        fs,
        path::{Path, PathBuf},
        process::{Child, Command, Output, Stdio},
        thread::sleep,
        time::{Duration, Instant},
    };

    use rustix::process::{Pid, Signal, kill_process};

    const SCENARIO: &str = r#"scenario pings {
    why "PINGREQ is answered"
    mqtt "3.1.1"
    proves "MQTT3-3.12.4-1"
    c connect
    (answered)c alive
    fault lost violates="MQTT3-3.12.4-1" caught-at=answered { drop PINGRESP }
}"#;
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A target whose `start` is that line of shell.
    fn target(name: &str, line: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).expect("a folder");
        for left in ["seen", "asked"] {
            // Absent unless there was an earlier run.
            let _ = fs::remove_file(folder.join(left));
        }
        fs::write(folder.join("one.kdl"), SCENARIO).expect("writes");
        fs::write(folder.join("start"), line).expect("writes");
        let text = "name = \"a broker\"\nstart = [\"sh\", \"start\"]\npatience_seconds = 60\n\
                    [[listeners]]\nurl = \"tcp://127.0.0.1:0\"\n";
        fs::write(folder.join("target.toml"), text).expect("writes");
        folder
    }

    fn suite(folder: &Path) -> Child {
        Command::new(env!("CARGO_BIN_EXE_quince-conformance"))
            .arg("replay")
            .arg(folder.join("one.kdl"))
            .arg("--target")
            .arg(folder.join("target.toml"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs")
    }

    /// The processes that `start` has written down.
    fn started(folder: &Path) -> Vec<String> {
        let text = wait_for(&folder.join("seen"));
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// The line that a process writes into that file, once it is there.
    fn wait_for(file: &Path) -> String {
        let since = Instant::now();
        loop {
            let text = fs::read_to_string(file).unwrap_or_default();
            if text.ends_with('\n') {
                return text;
            }
            assert!(since.elapsed() < PATIENCE, "{} never comes", file.display());
            sleep(Duration::from_millis(20));
        }
    }

    fn send(suite: &Child, signal: Signal) {
        let id = i32::try_from(suite.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process"), signal).expect("it is ours");
    }

    fn all_gone(processes: &[String]) {
        let since = Instant::now();
        let runs = |id: &String| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let state = stat.rsplit(')').next().unwrap_or_default();
            !state.is_empty() && !state.trim_start().starts_with('Z')
        };
        while processes.iter().any(runs) {
            assert!(since.elapsed() < PATIENCE, "{processes:?} still run");
            sleep(Duration::from_millis(20));
        }
    }

    fn ended(suite: Child) -> Output {
        suite.wait_with_output().expect("it ends")
    }

    #[test]
    fn ctrl_c_prints_what_there_is_and_leaves_nothing_behind() {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let folder = target("ends-when-asked", "sleep 600 & echo $$ $! >seen; wait");
            let suite = suite(&folder);
            let processes = started(&folder);
            send(&suite, signal);
            let output = ended(suite);
            assert_eq!(output.status.code(), Some(3));
            let out = String::from_utf8_lossy(&output.stdout);
            assert!(
                out.contains("interrupted: 0 plays were over by then"),
                "{out}"
            );
            all_gone(&processes);
        }
    }

    #[test]
    fn a_second_ctrl_c_ends_what_does_not_want_to_end() {
        // Both say that they were asked to end, and stay.
        let line = "trap : TERM\n\
                    sh -c 'trap \"echo asked >asked\" TERM; echo $PPID $$ >seen; while :; do sleep 600 & wait; done' &\n\
                    while :; do wait; done";
        let folder = target("never-ends", line);
        let suite = suite(&folder);
        let processes = started(&folder);
        assert_eq!(processes.len(), 2);
        send(&suite, Signal::INT);
        wait_for(&folder.join("asked"));
        send(&suite, Signal::INT);
        let output = ended(suite);
        assert_eq!(output.status.code(), Some(3));
        let out = String::from_utf8_lossy(&output.stdout);
        assert_eq!(out, "", "it does not stay to report");
        all_gone(&processes);
    }

    #[test]
    fn a_broker_that_ends_at_once_is_told_with_its_words() {
        let folder = target("ends-at-once", "echo the port is taken; exit 7");
        let since = Instant::now();
        let output = ended(suite(&folder));
        assert!(
            since.elapsed() < PATIENCE,
            "nobody waits for what has ended"
        );
        assert_eq!(output.status.code(), Some(3));
        let out = String::from_utf8_lossy(&output.stdout);
        for words in ["exit status: 7", "the port is taken"] {
            assert!(out.contains(words), "{words}: {out}");
        }
    }

    #[test]
    fn a_broken_file_is_shown_with_the_place_and_ends_with_2() {
        let folder = target("broken", "");
        let file = folder.join("target.toml");
        let text = fs::read_to_string(&file).expect("reads");
        fs::write(&file, text.replace("url = ", "uri = ")).expect("writes");
        let output = ended(suite(&folder));
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8_lossy(&output.stderr);
        for words in ["uri", "expected `url` or `mqtt`", "target.toml:5:1"] {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
