//! Exploration: nothing is found on the embedded broker, what is broken is found, shrunk, written down and replayed.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use quince_client::{Dialer, Endpoint, Trust};
use quince_codec::{Framer, Version};
use quince_conformance::{
    catalogue::Catalogue, embedded::EmbeddedBroker, explore, explore::SocketStage,
};
use quince_model::Rule;
use tokio::runtime::Runtime;

use crate::command_line::suite;

/// An embedded broker that lives as long as this, outside of any test's thread.
struct Broker {
    _runtime: Runtime,
    _broker: EmbeddedBroker,
    urls: Vec<String>,
}

fn broker() -> Broker {
    let runtime = Runtime::new().expect("a runtime");
    let broker = runtime
        .block_on(EmbeddedBroker::start())
        .expect("it starts");
    let endpoints = broker.endpoints().expect("it listens");
    Broker {
        urls: endpoints.iter().map(ToString::to_string).collect(),
        _runtime: runtime,
        _broker: broker,
    }
}

/// A folder of its own for each test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("explore-{name}"));
    // Absent at the first run.
    let _ = fs::remove_dir_all(&folder);
    folder
}

/// What a proxy does to a packet of the broker.
type Spoil = fn(&mut [u8]);

/// Sets RETAIN on every PUBLISH.
fn set_retain(packet: &mut [u8]) {
    if packet[0] >> 4 == 3 {
        packet[0] |= 1;
    }
}

/// Stands before a broker and spoils what it sends, on so many connections; from then on nobody is let in.
fn proxy(broker: &str, spoil: Spoil, connections: usize) -> String {
    let address = broker.strip_prefix("tcp://").expect("TCP").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("mqtt://{}", listener.local_addr().expect("an address"));
    let left = Arc::new(AtomicUsize::new(connections));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if left.fetch_sub(1, Ordering::Relaxed) == 0 {
                return;
            }
            let broker = TcpStream::connect(&address).expect("it listens");
            let mut there = client.try_clone().expect("a handle");
            let mut onward = broker.try_clone().expect("a handle");
            thread::spawn(move || {
                // However it ends, it has ended.
                let _ = std::io::copy(&mut there, &mut onward);
                let _ = onward.shutdown(Shutdown::Write);
            });
            thread::spawn(move || pass_back(broker, client, spoil));
        }
    });
    url
}

fn pass_back(mut broker: TcpStream, mut client: TcpStream, spoil: Spoil) {
    let mut framer = Framer::new(u32::MAX);
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = broker.read(&mut buffer) {
        framer.push(&buffer[..count]);
        while let Some(frame) = framer.next_frame().expect("packets") {
            let mut packet = frame.bytes().to_vec();
            spoil(&mut packet);
            if client.write_all(&packet).is_err() {
                return;
            }
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// Answers CONNECT, and says that its Maximum QoS is 1 where it can say so.
fn one_that_serves_qos_1() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut connect = [0; 1000];
            let length = client.read(&mut connect).expect("CONNECT");
            // Behind the first byte, one of length and the name of the protocol.
            let connack: &[u8] = match connect[..length].get(8) {
                Some(5) => &[0x20, 5, 0, 0, 2, 0x24, 1],
                _ => &[0x20, 2, 0, 0],
            };
            client.write_all(connack).expect("written");
        }
    });
    Endpoint::parse(&format!("mqtt://{address}")).expect("a URL")
}

#[test]
fn what_version_5_tells_holds_whichever_version_is_asked_last() {
    let endpoint = one_that_serves_qos_1();
    let runtime = Runtime::new().expect("a runtime");
    let (five, three) = (Version::V5_0, Version::V3_1_1);
    for (versions, most) in [(&[five, three][..], 1), (&[three, five], 1), (&[three], 2)] {
        let dialer = Arc::new(Dialer::new(Trust::System, Duration::from_secs(5)));
        let asked = SocketStage::ask(dialer, endpoint.clone(), versions);
        let (stage, served) = runtime.block_on(asked).expect("it lets everybody in");
        assert_eq!(served, versions);
        assert_eq!(stage.capabilities.maximum_qos, most, "{versions:?}");
    }
}

#[test]
fn every_rule_names_statements_of_the_catalogue() {
    let several = [
        Rule::Answered,
        Rule::Undeserved,
        Rule::TrueReason,
        Rule::OneOrder,
    ];
    for (place, rule) in Rule::ALL.into_iter().enumerate() {
        assert_eq!(
            rule as usize, place,
            "{rule:?} stands twice, or not in its order"
        );
        let follows_from_several = several.contains(&rule);
        assert_eq!(
            rule.statements().is_empty(),
            follows_from_several,
            "{rule:?}"
        );
        for id in rule.statements() {
            assert!(Catalogue::embedded().find(id).is_ok(), "{rule:?}: {id}");
        }
    }
}

#[test]
fn the_core_keeps_what_the_model_asks() {
    let out = folder("core");
    let out_text = out.display().to_string();
    let (code, text) = suite(&["explore", "--for", "4s", "--out", &out_text]).told();
    assert_eq!(code, Some(0), "{text}");
    let programs: usize = text
        .split(' ')
        .next()
        .and_then(|count| count.parse().ok())
        .expect("a count");
    assert!(programs > 50, "{text}");
    assert_eq!(fs::read_dir(out).expect("made").count(), 0);
}

#[test]
fn the_broker_keeps_what_the_model_asks_over_tcp_and_quic() {
    let broker = broker();
    let out = folder("sockets").display().to_string();
    for url in &broker.urls {
        let (code, text) = suite(&[
            "explore",
            url,
            "--insecure",
            "--for",
            "4s",
            "--jobs",
            "16",
            "--out",
            &out,
        ])
        .told();
        assert_eq!(code, Some(0), "{url}: {text}");
    }
}

#[test]
fn what_is_found_is_short_and_comes_again() {
    let broker = broker();
    let url = proxy(&broker.urls[0], set_retain, usize::MAX);
    let out = folder("found");
    let out_text = out.display().to_string();
    let journal = out.join("journal.json").display().to_string();
    let explore = |time: &str| {
        suite(&[
            "explore",
            &url,
            "--for",
            time,
            "--findings",
            "1",
            "--jobs",
            "8",
            "--out",
            &out_text,
            "--resume",
            &journal,
        ])
        .told()
    };
    let (code, text) = explore("60s");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FOUND with seed"), "{text}");
    assert!(text.contains("RetainFlag"), "{text}");

    let found: Vec<PathBuf> = fs::read_dir(&out)
        .expect("made")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "kdl"))
        .collect();
    let [file] = &found[..] else {
        panic!("{found:?}: {text}");
    };
    let program = explore::read(&fs::read_to_string(file).expect("text"));
    let program = program.expect("KDL").expect("a program");
    // Whoever publishes to oneself: connect, subscribe, publish. Luck may leave a few more.
    assert!(program.actions.len() <= 12, "{program:?}");

    let file = file.display().to_string();
    let (code, text) = suite(&["replay", &file, &url]).told();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("retain=#true"), "{text}");
    assert!(text.contains("MQTT5-3.3.1-12"), "{text}");
    for target in [&[][..], &[broker.urls[0].as_str()]] {
        let (code, text) = suite(&[&["replay", file.as_str()], target].concat()).told();
        assert_eq!(code, Some(0), "{text}");
    }

    // Gone on with, it knows what it has found.
    let before = fs::read_to_string(&journal).expect("written");
    let (code, text) = explore("1s");
    assert_eq!(code, Some(1), "{text}");
    assert!(!text.contains("RetainFlag:"), "{text}");
    assert!(text.contains("1 of the findings are older"), "{text}");
    assert_ne!(before, fs::read_to_string(&journal).expect("written"));
    let (code, text) = suite(&[
        "explore",
        &broker.urls[0],
        "--out",
        &out_text,
        "--resume",
        &journal,
    ])
    .told();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("the journal is of"), "{text}");
}

#[test]
fn a_broker_that_goes_away_is_a_finding_and_one_that_never_was_there_is_none() {
    let broker = broker();
    let url = proxy(&broker.urls[0], |_| {}, 30);
    let out = folder("gone").display().to_string();
    let (code, text) = suite(&[
        "explore", &url, "--for", "60s", "--jobs", "4", "--out", &out,
    ])
    .told();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("GONE with seed"), "{text}");

    let nobody = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("mqtt://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let (code, text) = suite(&["explore", &url, "--for", "1s", "--out", &out]).told();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("does not answer CONNECT"), "{text}");
}

#[test]
fn a_program_that_is_none_is_wrong_usage() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explore-broken.kdl");
    fs::write(&file, "program seed=\"1\" { client \"5.0\"; fly 0; }").expect("written");
    let (code, text) = suite(&["replay", &file.display().to_string()]).told();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there is no action `fly`"), "{text}");
}

#[test]
fn a_program_takes_no_option_of_scenarios() {
    let out = folder("options");
    fs::create_dir_all(&out).expect("made");
    let (file, report) = (out.join("program.kdl"), out.join("report"));
    fs::write(&file, "program seed=\"1\" { client \"5.0\"; connect 0; }").expect("written");
    let (file, report) = (file.display().to_string(), report.display().to_string());
    for (option, value) in [
        ("--target", report.as_str()),
        ("--mqtt", "5.0"),
        ("--filter", "x"),
        ("--statement", "X5-1"),
        ("--json", &report),
        ("--junit", &report),
        ("--tap", &report),
        ("--markdown", &report),
        ("--html", &report),
        ("--baseline", &report),
    ] {
        let (code, text) = suite(&["replay", &file, option, value]).told();
        assert_eq!(code, Some(2), "{option}: {text}");
        let words = format!("{option} is for scenarios");
        assert!(text.contains(&words), "{option}: {text}");
    }
    let (code, text) = suite(&["replay", &file]).told();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(fs::read_dir(out).expect("made").count(), 1);
}
