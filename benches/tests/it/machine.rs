//! Machines that allow less than this one, made with util-linux's `unshare` where that is allowed.

use std::process::{Command, Output};

use crate::lab::{is_possible, program, said};

/// Runs a shell in a user and mount namespace of its own; `$LAB` is the lab.
fn in_a_namespace(script: &str) -> Output {
    Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--net",
            "sh",
            "-c",
            script,
        ])
        .env("LAB", program())
        .output()
        .expect("util-linux is everywhere on Linux")
}

/// Whether the tests of this file can be made to happen. That is a question about `unshare`, not about the lab.
fn can_nest() -> bool {
    let nests = in_a_namespace("true").status.success();
    if !nests {
        anstream::eprintln!("USER NAMESPACES ARE NOT ALLOWED HERE: not tried inside of one");
    }
    nests
}

#[test]
fn the_lab_works_inside_a_user_namespace() {
    if !is_possible() || !can_nest() {
        return;
    }
    let output = in_a_namespace(
        "\"$LAB\" doctor && \"$LAB\" run --smoke --quiet --loss 0 --transports quic,tls-cubic; test $? -le 1",
    );
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("No message was lost"),
        "{}",
        said(&output)
    );
}

#[test]
fn where_no_network_namespace_is_allowed_everything_says_so() {
    if !can_nest() {
        return;
    }
    for command in ["doctor", "run --smoke", "connect", "rebind"] {
        let script = format!("echo 0 > /proc/sys/user/max_net_namespaces && \"$LAB\" {command}");
        let output = in_a_namespace(&script);
        assert_eq!(
            output.status.code(),
            Some(3),
            "{command}: {}",
            said(&output)
        );
        let text = said(&output);
        assert!(text.contains("namespace"), "{command}: {text}");
        assert!(
            text.contains("max_net_namespaces") || text.contains("run as root"),
            "{command}: {text}"
        );
    }
}

#[test]
fn where_there_is_no_tun_node_the_doctor_tells_the_truth() {
    if !is_possible() || !can_nest() {
        return;
    }
    // Whether veth does instead is found out by measuring over it.
    let output = in_a_namespace(
        "mount -t tmpfs none /dev/net || exit 99
         \"$LAB\" doctor; doctor=$?
         \"$LAB\" run --smoke --quiet --loss 0 --transports quic; run=$?
         test $run -eq 1 && run=0
         test $doctor -eq $run",
    );
    if output.status.code() == Some(99) {
        anstream::eprintln!(
            "NOTHING CAN BE MOUNTED HERE: not tried without a TUN node\n{}",
            said(&output)
        );
        return;
    }
    let text = said(&output);
    assert!(output.status.success(), "doctor and run disagree: {text}");
    assert!(text.contains("no    link over TUN"), "{text}");
    assert!(text.contains("/dev/net/tun"), "{text}");
}
