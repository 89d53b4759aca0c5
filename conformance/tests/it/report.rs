//! Reports of made-up outcomes, and what a baseline makes of them.

use std::{fs, time::Duration};

use quince_codec::Version;
use quince_conformance::{
    baseline::Baseline,
    report::{Human, Report, Target, TargetOutcome},
    verdict::{Direction, Level, Outcome, TranscriptEntry, Verdict},
};

fn outcome(scenario: &str, version: Version, verdict: Verdict, detail: &str) -> Outcome {
    let statement = match version {
        Version::V3_1 | Version::V3_1_1 => "MQTT3-4.3.2-2",
        Version::V5_0 => "MQTT5-4.3.2-4",
    };
    Outcome {
        scenario: scenario.to_owned(),
        version,
        verdict,
        level: Level::Must,
        judges_rejection: false,
        statements: vec![statement.to_owned()],
        detail: detail.to_owned(),
        failed_step: (verdict == Verdict::Fail).then(|| "ack".to_owned()),
        transcript: transcript(),
        elapsed: Duration::from_micros(3_140),
    }
}

fn transcript() -> Vec<TranscriptEntry> {
    let entry = |time_ms, client: &str, direction, hex: &str, decoded: &str| TranscriptEntry {
        time_ms,
        client: client.to_owned(),
        flow: 0,
        direction,
        hex: hex.to_owned(),
        decoded: decoded.to_owned(),
    };
    vec![
        entry(0, "pub", Direction::Sent, "", "opens a connection"),
        entry(
            1,
            "pub",
            Direction::Sent,
            &"32".repeat(60),
            "PUBLISH qos=1 id=7",
        ),
        entry(
            12,
            "watcher",
            Direction::Received,
            "40020008",
            "PUBACK id=8",
        ),
    ]
}

fn target(url: &str, transport: &str, broker: &str) -> Target {
    Target {
        url: url.to_owned(),
        transport: transport.to_owned(),
        name: String::new(),
        configuration: "plain".to_owned(),
        broker: broker.to_owned(),
        silent: None,
    }
}

pub(crate) fn report() -> Report {
    let result = |target, outcome| TargetOutcome { target, outcome };
    let expected = "step (ack), line 7: pub <- PUBACK id=7\nexpected id=7\nactual   id=8";
    Report {
        suite: "0.1.0".to_owned(),
        started: chrono::DateTime::UNIX_EPOCH,
        targets: vec![
            target("tcp://127.0.0.1:1883", "tcp", "a broker 1.0"),
            target("quic://127.0.0.1:14567", "quic", ""),
        ],
        results: vec![
            result(0, outcome("a-passes", Version::V3_1_1, Verdict::Pass, "")),
            result(
                0,
                outcome("b-fails/case", Version::V5_0, Verdict::Fail, expected),
            ),
            result(
                0,
                Outcome {
                    level: Level::Should,
                    ..outcome("c-should", Version::V5_0, Verdict::Fail, "it does not")
                },
            ),
            result(
                0,
                outcome("d-skipped", Version::V5_0, Verdict::Skipped, "needs quic"),
            ),
            result(
                0,
                Outcome {
                    level: Level::Fact,
                    statements: vec!["X5-9".to_owned()],
                    ..outcome(
                        "f-fact",
                        Version::V5_0,
                        Verdict::Fail,
                        "it is <otherwise> | \u{60}so\u{60} #1",
                    )
                },
            ),
            result(
                0,
                Outcome {
                    judges_rejection: true,
                    ..outcome("g-rejects", Version::V5_0, Verdict::Fail, "it stays open")
                },
            ),
            result(1, outcome("a-passes", Version::V5_0, Verdict::Pass, "")),
            result(
                1,
                outcome("e-unclear", Version::V5_0, Verdict::Inconclusive, "no twin"),
            ),
        ],
        versions: vec![Version::V3_1_1, Version::V5_0],
        interrupted: false,
    }
}

fn human(report: &Report, baseline: &Baseline) -> String {
    let mut bytes = Vec::new();
    Human {
        report,
        baseline,
        width: Some(80),
    }
    .write(&mut bytes)
    .expect("writes");
    anstream::adapter::strip_str(&String::from_utf8(bytes).expect("text")).to_string()
}

/// A baseline from text; each test names its own file.
fn baseline(name: &str, text: &str) -> Baseline {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, text).expect("writes");
    Baseline::read(&file, |id| !id.contains("unknown")).expect("reads")
}

#[test]
fn people_read_why_it_failed() {
    insta::assert_snapshot!(human(&report(), &Baseline::default()));
}

#[test]
fn json_is_schema_1() {
    let mut bytes = Vec::new();
    report().write_json(&mut bytes).expect("writes");
    insta::assert_snapshot!(String::from_utf8(bytes).expect("text"));
}

#[test]
fn junit_is_red_where_the_exit_code_is() {
    let known = baseline(
        "junit.txt",
        "b-fails/case : a known thing\na-passes quic : out of date\n",
    );
    let mut bytes = Vec::new();
    report().write_junit(&known, &mut bytes).expect("writes");
    let text = String::from_utf8(bytes).expect("text");
    insta::assert_snapshot!(text.replace(env!("CARGO_TARGET_TMPDIR"), "TMP"));
}

/// A report that excuses one failure by a baseline, written by `form`, without the place of the baseline.
fn written(name: &str, form: impl Fn(&Report, &Baseline, &mut Vec<u8>)) -> String {
    let known = baseline(
        name,
        "b-fails/case : a known thing, see #7\na-passes quic : out of date\n",
    );
    let mut report = report();
    let silent = Target {
        silent: Some("wss://127.0.0.1:8084 does not answer CONNECT".to_owned()),
        ..target("wss://127.0.0.1:8084", "wss", "")
    };
    report.targets.push(silent);
    let mut bytes = Vec::new();
    form(&report, &known, &mut bytes);
    let text = String::from_utf8(bytes).expect("text");
    text.replace(env!("CARGO_TARGET_TMPDIR"), "TMP")
}

#[test]
fn a_conclusion_tells_what_the_baseline_excuses() {
    for (text, expected) in [
        ("", "does not conform"),
        (
            "b-fails/case : why\ne-unclear : why\ng-rejects : why\nf-fact : why",
            "conforms, but for 3 known deviations",
        ),
    ] {
        assert_eq!(
            report().conclusion(&baseline("conclusion.txt", text)),
            expected
        );
    }
}

#[test]
fn tap_is_not_ok_where_the_exit_code_is() {
    insta::assert_snapshot!(written("tap.txt", |report, known, out| {
        report.write_tap(known, out).expect("writes");
    }));
}

#[test]
fn markdown_survives_what_a_broker_says() {
    insta::assert_snapshot!(written("markdown.txt", |report, known, out| {
        report.write_markdown(known, out).expect("writes");
    }));
}

#[test]
fn the_page_carries_its_data_and_nothing_ends_it_early() {
    let page = written("page.txt", |report, known, out| {
        let mut report = report.clone();
        report.results[0].outcome.detail = "</script><img src=x>".to_owned();
        report.write_page(known, out).expect("writes");
    });
    let (_, rest) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .expect("has data");
    let (data, rest) = rest.split_once("</script>").expect("ends");
    let data: serde_json::Value = serde_json::from_str(data).expect("is JSON");
    assert_eq!(data["results"][0]["detail"], "</script><img src=x>");
    assert!(!page.contains("<img"), "a broker's text became markup");
    assert!(rest.contains("'use strict'"), "{rest}");
    // Nothing is fetched from elsewhere.
    let (head, _) = page.split_once("id=\"data\">").expect("has data");
    for word in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!head.contains(word) && !rest.contains(word), "{word}");
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&data).expect("serializes"));
}

#[test]
fn a_baseline_excuses_exactly_what_it_names() {
    for (text, deviations, stale) in [
        // b-fails, e-unclear and g-rejects; neither the SHOULD nor the FACT.
        ("", 3, 0),
        ("b-fails/case : why", 2, 0),
        ("b-fails/case 5.0 tcp : why\ne-unclear : why", 1, 0),
        ("b-fails/case 3.1.1 : why", 3, 0),
        ("b-fails/case quic : why", 3, 0),
        ("a-passes : why", 3, 1),
        ("a-passes 3.1.1 quic : why", 3, 0),
        // What is skipped neither needs the entry nor disproves it.
        ("d-skipped : why", 3, 0),
    ] {
        let findings = report().findings(&baseline("exact.txt", text));
        assert_eq!(
            (findings.deviations, findings.stale_entries),
            (deviations, stale),
            "{text}"
        );
    }
}

#[test]
fn a_target_without_a_pass_is_barren_and_a_silent_one_is_not_judged() {
    let mut report = report();
    report
        .results
        .retain(|result| result.outcome.verdict != Verdict::Pass || result.target == 0);
    assert_eq!(report.findings(&Baseline::default()).barren_targets, 1);
    report.targets[1].silent = Some("quic://127.0.0.1:14567 does not answer CONNECT".to_owned());
    let findings = report.findings(&Baseline::default());
    assert_eq!((findings.barren_targets, findings.silent_targets), (0, 1));
    assert_eq!(findings.exit_code().number(), 3);
}
