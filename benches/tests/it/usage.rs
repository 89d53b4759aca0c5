//! Wrong usage is told before anything is measured.

use crate::lab::{is_possible, lab, said};

#[test]
fn wrong_usage_ends_with_two_and_says_what_was_expected() {
    for (arguments, expected) in [
        (&[][..], "Usage"),
        (&["run", "--loss", "200"], "from 0 to 90"),
        (
            &["run", "--transports", "pigeon"],
            "use quic, quic-per-topic, quic-per-message, tls-CONTROL or tcp-CONTROL",
        ),
        (&["rebind", "--old", "torn"], "possible values"),
    ] {
        let output = lab(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_the_way_out() {
    if !is_possible() {
        return;
    }
    let output = lab(&["run", "--smoke", "--transports", "tls-pigeon,quic"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("'pigeon'"), "{}", said(&output));
    assert!(
        said(&output).contains("or leave it out"),
        "{}",
        said(&output)
    );

    let output = lab(&["run", "--smoke", "--profile", "moon"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("there is no profile 'moon': use lan, "),
        "{}",
        said(&output)
    );

    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("other.jsonl");
    let path = file.to_str().expect("a path of text");
    for (content, expected) in [
        (
            "{}\n",
            "other.jsonl: line 1 is no beginning of a run: it has no \"run\"",
        ),
        (
            "{\"run\":{\"lab\":\"0.0.0\"}}\n",
            "its run had lab \"0.0.0\", this one has",
        ),
    ] {
        std::fs::write(&file, content).expect("written");
        let output = lab(&["run", "--smoke", "--records", path]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }

    let output = lab(&["run", "--smoke", "--json", "/there/is/no/such/folder"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("'/there/is/no/such/folder'"),
        "{}",
        said(&output)
    );
}
