//! What is made from JSON reports: the matrix of brokers, and issue texts.

use std::{fs, path::PathBuf};

use quince_conformance::{
    matrix::{JsonReport, Matrix},
    report::Report,
};

use crate::{command_line::suite, report::report};

fn json(report: &Report) -> String {
    let mut bytes = Vec::new();
    report.write_json(&mut bytes).expect("writes");
    String::from_utf8(bytes).expect("text")
}

fn file(name: &str, text: &str) -> String {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, text).expect("writes");
    file.display().to_string()
}

/// Another broker, which passes where the first one fails.
fn better() -> Report {
    let mut better = report();
    better.results.retain(|result| result.target == 0);
    better.targets.truncate(1);
    better.targets[0].name = "better | broker <2>".to_owned();
    for result in &mut better.results {
        let outcome = &mut result.outcome;
        if outcome.scenario != "f-fact" {
            outcome.verdict = quince_conformance::verdict::Verdict::Pass;
        }
    }
    better
}

fn matrix() -> Matrix {
    let read = |report| JsonReport::parse(&json(&report)).expect("reads");
    Matrix::of(&[read(report()), read(better())])
}

#[test]
fn brokers_stand_beside_each_other() {
    let mut bytes = Vec::new();
    matrix().write_markdown(&mut bytes).expect("writes");
    insta::assert_snapshot!(String::from_utf8(bytes).expect("text"));
}

#[test]
fn the_page_of_a_matrix_holds_what_brokers_say_as_text() {
    let mut bytes = Vec::new();
    matrix().write_page(&mut bytes).expect("writes");
    let page = String::from_utf8(bytes).expect("text");
    assert!(page.contains("better | broker &lt;2&gt;"), "{page}");
    assert!(
        !page.contains("<otherwise>"),
        "a broker's text became markup"
    );
    let (_, tables) = page.split_once("</h1>").expect("has a title");
    let (tables, _) = tables.split_once("<script>").expect("has a script");
    insta::assert_snapshot!(tables);
}

#[test]
fn a_milder_scenario_does_not_break_a_must() {
    let mut report = report();
    // It cites a MUST, and its file says SHOULD.
    report
        .results
        .retain(|result| result.outcome.scenario == "c-should");
    let read = JsonReport::parse(&json(&report)).expect("reads");
    let matrix = Matrix::of(&[read]);
    let mut bytes = Vec::new();
    matrix.write_scores(&mut bytes).expect("writes");
    let scores = String::from_utf8(bytes).expect("text");
    assert!(
        scores.contains("| 0 of 0 | 0 of 0 | 0 of 1 | 0 of 0 | 0 | 0 |"),
        "{scores}"
    );
}

#[test]
fn the_command_writes_what_is_asked_for() {
    let (first, second) = (
        file("matrix-1.json", &json(&report())),
        file("matrix-2.json", &json(&better())),
    );
    let (html, markdown) = (file("matrix.html", ""), file("matrix.md", ""));
    let ended = suite(&[
        "matrix",
        &first,
        &second,
        "--html",
        &html,
        "--markdown",
        &markdown,
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.contains("better"), "{}", ended.out);
    assert!(fs::read_to_string(html).expect("is").contains("</html>"));
    let written = fs::read_to_string(markdown).expect("is");
    assert!(written.contains("## Statements"), "{written}");
}

#[test]
fn what_is_no_report_is_refused() {
    for (name, text, expected) in [
        ("no-report.json", "{}", "no JSON report"),
        (
            "schema.json",
            &json(&report()).replace("\"schema\": 1", "\"schema\": 2"),
            "schema is 2",
        ),
        (
            "target.json",
            &json(&report()).replace("\"target\": 1", "\"target\": 9"),
            "names target 9",
        ),
    ] {
        let ended = suite(&["matrix", &file(name, text)]);
        assert_eq!(ended.code, Some(2), "{name}");
        assert!(ended.error.contains(expected), "{}", ended.error);
    }
}

#[test]
fn a_failure_becomes_a_text_to_file() {
    let report = file("issue.json", &json(&report()));
    let ended = suite(&["explain", "b-fails", "--report", &report]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    insta::assert_snapshot!(ended.out);
    for (id, expected) in [
        ("a-passes", "`a-passes` did not fail in"),
        ("zzz", "has no result of a scenario `zzz`"),
    ] {
        let ended = suite(&["explain", id, "--report", &report]);
        assert_eq!(ended.code, Some(2), "{id}");
        assert!(ended.error.contains(expected), "{}", ended.error);
    }
}
