//! The whole suite against listeners that are no broker: nothing passes but what is about CONNECT and CONNACK alone,
//! and the exit code says so.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use quince_conformance::catalogue::Catalogue;
use quince_conformance::link::scripted::{Behaviour, Peer, Reply};
use quince_conformance::scenario::Statements;

/// Serves every connection as `behaviour` says, for as long as the test runs.
fn listen(behaviour: Behaviour) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("mqtt://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let peer = behaviour.peer();
            thread::spawn(move || serve(stream, peer));
        }
    });
    url
}

fn serve(mut stream: TcpStream, mut peer: Box<dyn Peer>) {
    let mut replies = peer.accepted();
    let mut buffer = [0; 4096];
    loop {
        for reply in replies {
            let sent = match reply {
                Reply::Bytes(bytes) => stream.write_all(&bytes),
                Reply::Close => stream.shutdown(Shutdown::Both),
            };
            if sent.is_err() {
                return;
            }
        }
        replies = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => peer.received(&buffer[..count]),
        };
    }
}

/// Plays the whole suite; gives the exit code and the report.
fn judge(behaviour: Behaviour) -> (Option<i32>, serde_json::Value) {
    let url = listen(behaviour);
    let name = format!("useless-{behaviour:?}.json");
    let report = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&report);
    let output = Command::new(env!("CARGO_BIN_EXE_quince-conformance"))
        // Everything at once: most of the time is spent waiting in vain.
        .args(["run", &url, "--quiet", "--jobs", "400", "--json"])
        .arg(&report)
        .output()
        .expect("runs");
    let text = std::fs::read_to_string(report).expect("the report is written");
    (
        output.status.code(),
        serde_json::from_str(&text).expect("JSON"),
    )
}

/// Whether all statements of a result are about CONNECT and CONNACK.
fn is_about_connecting(result: &serde_json::Value) -> bool {
    let ids = result["statements"].as_array().expect("statements");
    ids.iter().all(|id| {
        let id = id.as_str().expect("an id");
        Catalogue::embedded()
            .known(id)
            .expect("a statement")
            .about_connecting
    })
}

#[test]
fn no_useless_broker_passes_more_than_connecting() {
    let runs: Vec<_> = Behaviour::ALL
        .into_iter()
        .map(|behaviour| thread::spawn(move || (behaviour, judge(behaviour))))
        .collect();
    for run in runs {
        let (behaviour, (code, report)) = run.join().expect("ends");
        let expected = match behaviour {
            // Nothing answers CONNECT with CONNACK.
            Behaviour::CloseAtOnce | Behaviour::NeverAnswer | Behaviour::DisconnectByte => 3,
            Behaviour::CloseAfterConnAck | Behaviour::AcknowledgeAll => 1,
        };
        assert_eq!(code, Some(expected), "{behaviour:?}");
        let results = report["results"].as_array().expect("results");
        let passed: Vec<_> = results
            .iter()
            .filter(|result| result["verdict"] == "pass")
            .collect();
        let unfounded: Vec<_> = passed
            .iter()
            .filter(|result| !is_about_connecting(result))
            .collect();
        assert!(unfounded.is_empty(), "{behaviour:?}: {unfounded:#?}");
        for result in results.iter().filter(|result| result["verdict"] != "pass") {
            let reason = result["detail"].as_str().expect("a detail");
            assert!(!reason.is_empty(), "{behaviour:?}: {result:#?}");
        }
        if expected == 1 {
            assert!(
                results.len() > 100,
                "{behaviour:?}: the whole suite was played"
            );
        }
    }
}
