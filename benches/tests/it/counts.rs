//! What must hold for every count, whatever the machine is busy with.

use serde_json::Value;

use crate::lab::{count, is_possible, json_lines};

/// What the emulator lost of its own would make all counts worthless.
fn is_sound(trial: &Value) {
    assert!(trial["failed"].is_null(), "{trial}");
    assert_eq!(
        count(trial, "/outcome/link/unconfigured_losses"),
        0,
        "{trial}"
    );
    for direction in ["to_broker", "from_broker"] {
        let path = format!("/outcome/link/{direction}/bad_checksums");
        assert_eq!(count(trial, &path), 0, "{trial}");
    }
    let [scheduled, received, lost] =
        ["scheduled", "received", "lost"].map(|name| count(trial, &format!("/outcome/{name}")));
    assert_eq!(scheduled, received + lost);
}

#[test]
fn kernel_tcp_sends_again_what_the_link_loses() {
    if !is_possible() {
        return;
    }
    let arguments = [
        "run",
        "--quiet",
        "--loss",
        "0,5",
        "--rtt",
        "20",
        "--transports",
        "tls-cubic,tls-bbr",
        "--seeds",
        "1",
        "--duration",
        "5",
        "--rate",
        "25",
    ];
    let trials = json_lines("retransmissions", &arguments, "trial");
    assert_eq!(trials.len(), 4);
    for trial in &trials {
        is_sound(trial);
        assert_eq!(
            count(trial, "/outcome/lost"),
            0,
            "TCP delivers everything: {trial}"
        );
        assert_eq!(count(trial, "/outcome/duplicated"), 0);
        let lost = count(trial, "/outcome/link/to_broker/lost");
        let again = count(trial, "/outcome/tcp_at_client/0/retransmitted");
        // What arrived after all was sent again in vain: a busy machine makes TCP impatient.
        let needless = count(trial, "/outcome/tcp_at_client/0/needless");
        if trial["conditions"]["loss"] == 0.0 {
            assert_eq!(lost, 0);
            assert!(
                again <= needless + 1,
                "{again} sent again, {needless} in vain"
            );
        } else {
            assert!(lost >= 15, "only {lost} packets lost: too few to compare");
            // Some of the lost were bare acknowledgements, which nobody sends again.
            assert!(again * 10 >= lost * 7, "{again} sent again for {lost} lost");
            // Told of in acknowledgements, which get lost as well.
            let most = lost + needless + needless / 2 + 5;
            assert!(
                again <= most,
                "{again} sent again for {lost} lost, {needless} in vain"
            );
        }
    }
}

#[test]
fn each_contender_runs_as_it_is_called() {
    if !is_possible() {
        return;
    }
    let arguments = [
        "run",
        "--quiet",
        "--smoke",
        "--loss",
        "1",
        "--transports",
        "tcp-reno,tls-cubic,tls-bbr,quic,quic-per-topic,quic-per-message",
        "--leg",
        "both",
        "--qos",
        "1",
    ];
    let trials = json_lines("contenders", &arguments, "trial");
    assert_eq!(trials.len(), 6);
    for trial in &trials {
        is_sound(trial);
        assert_eq!(count(trial, "/outcome/lost"), 0, "{trial}");
        assert_eq!(
            count(trial, "/outcome/acknowledged"),
            count(trial, "/outcome/scheduled"),
            "a PUBACK for each"
        );
        let name = trial["contender"].as_str().expect("a name");
        for end in ["tcp_at_client", "tcp_at_broker"] {
            let sockets = trial["outcome"][end].as_array().expect("a list");
            match name.split_once('-') {
                None | Some(("quic", _)) => assert!(sockets.is_empty(), "{name} is no TCP"),
                Some((_, congestion)) => {
                    assert_eq!(
                        sockets.len(),
                        2,
                        "publisher and subscriber are across the link"
                    );
                    assert!(
                        sockets
                            .iter()
                            .all(|socket| socket["congestion"] == congestion)
                    );
                }
            }
        }
        let quic = &trial["outcome"]["quic_at_client"];
        assert_eq!(quic.is_null(), !name.starts_with("quic"));
    }
}

#[test]
fn quic_goes_on_after_a_rebinding_and_tcp_does_not() {
    if !is_possible() {
        return;
    }
    let arguments = [
        "rebind",
        "--old",
        "reset,silent",
        "--transports",
        "tcp-cubic,tls-cubic,quic",
        "--duration",
        "2",
        "--rate",
        "25",
    ];
    let trials = json_lines("rebinding", &arguments, "trial");
    assert_eq!(trials.len(), 6);
    for trial in &trials {
        is_sound(trial);
        assert_eq!(count(trial, "/outcome/duplicated"), 0);
        let [scheduled, received] =
            ["scheduled", "received"].map(|name| count(trial, &format!("/outcome/{name}")));
        if trial["contender"] == "quic" {
            assert_eq!(received, scheduled, "{trial}");
            assert!(trial["outcome"]["publisher_ended"].is_null(), "{trial}");
        } else {
            assert!(
                received > 0,
                "before the rebinding everything arrives: {trial}"
            );
            assert!(received < scheduled, "nothing arrives after it: {trial}");
        }
    }
}

#[test]
fn a_run_tells_every_trial_and_its_cells_are_their_sums() {
    if !is_possible() {
        return;
    }
    let page = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("smoke.html");
    let path = page.to_str().expect("a path of text");
    let arguments = ["run", "--quiet", "--smoke", "--seeds", "2", "--html", path];
    let trials = json_lines("smoke", &arguments, "trial");
    assert_eq!(trials.len(), 4 * 3 * 2);
    for trial in &trials {
        is_sound(trial);
        assert_eq!(count(trial, "/outcome/lost"), 0, "{trial}");
        let disturbed = trial["conditions"]["loss"] != 0.0;
        let lost = count(trial, "/outcome/link/to_broker/lost")
            + count(trial, "/outcome/link/from_broker/lost");
        assert!(disturbed || lost == 0, "{trial}");
        let reordered = count(trial, "/outcome/link/to_broker/reordered");
        let jitter = trial["conditions"]["jitter"] != 0.0;
        assert_eq!(reordered > 0, jitter, "only jitter reorders: {trial}");
    }
    let page = std::fs::read_to_string(page).expect("the page was written");
    assert_eq!(page.matches("<svg").count(), 4);
    for name in ["tls-cubic", "tls-bbr", "quic", "X25519"] {
        assert!(page.contains(name), "{name}");
    }
}

#[test]
fn every_connect_is_counted() {
    if !is_possible() {
        return;
    }
    let arguments = [
        "connect",
        "--loss",
        "0",
        "--rtt",
        "10",
        "--connections",
        "10",
        "--parallel",
        "2",
    ];
    let cells = json_lines("connects", &arguments, "cell");
    assert_eq!(cells.len(), 3);
    for cell in &cells {
        assert_eq!(count(cell, "/connected"), 10, "{cell}");
        assert_eq!(count(cell, "/failed"), 0);
    }
}

#[test]
fn a_run_goes_on_from_its_records() {
    if !is_possible() {
        return;
    }
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("records.jsonl");
    let _ = std::fs::remove_file(&file);
    let path = file.to_str().expect("a path of text");
    let run = |more: &[&str]| {
        let arguments = [
            "run",
            "--quiet",
            "--smoke",
            "--loss",
            "0",
            "--records",
            path,
        ];
        let arguments = [&arguments, more].concat();
        json_lines("records", &arguments, "trial")
    };
    let lines = || {
        let text = std::fs::read_to_string(&file).expect("the records");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = run(&["--transports", "quic,tcp-cubic"]);
    assert_eq!((first.len(), lines().len()), (2, 3));
    // As if it had been stopped in the middle of a line.
    let whole = std::fs::read_to_string(&file).expect("the records");
    std::fs::write(&file, &whole[..whole.len() - 9]).expect("written");
    let kept = lines()[1].clone();

    // A trial is the one of before or a new one by its set-up time, which no two have in common.
    let setups = |trials: &[Value]| {
        let times = trials.iter().map(|trial| trial["outcome"]["setup"].clone());
        times.collect::<Vec<_>>()
    };
    let second = run(&["--transports", "quic,tcp-cubic", "--seeds", "2"]);
    assert_eq!((second.len(), lines().len()), (4, 5));
    assert_eq!(lines()[1], kept);
    let again = setups(&second)
        .iter()
        .filter(|time| setups(&first).contains(time))
        .count();
    assert_eq!(again, 1, "the whole line counts, the half one does not");
    let third = run(&["--transports", "quic,tcp-cubic", "--seeds", "2"]);
    assert_eq!(setups(&third), setups(&second), "nothing is left to do");
    let latency = |trials: &[Value]| trials[0]["distribution"].clone();
    assert_eq!(latency(&third), latency(&second));
}

#[test]
fn a_link_that_people_know_loses_what_it_is_said_to() {
    if !is_possible() {
        return;
    }
    let arguments = [
        "run",
        "--quiet",
        "--smoke",
        "--profile",
        "train,lan",
        "--transports",
        "quic",
        "--duration",
        "3",
        "--first-seed",
        "5",
    ];
    let trials = json_lines("profiles", &arguments, "trial");
    let lost = |trial: &Value| {
        count(trial, "/outcome/link/to_broker/lost")
            + count(trial, "/outcome/link/from_broker/lost")
    };
    assert_eq!(trials[0]["conditions"]["name"], "train");
    assert!(lost(&trials[0]) > 0, "{}", trials[0]);
    assert_eq!(lost(&trials[1]), 0, "{}", trials[1]);
    for trial in &trials {
        is_sound(trial);
    }
}
