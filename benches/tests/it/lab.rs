//! Running the lab, and reading what it wrote.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// The program.
pub(crate) fn program() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("quince-lab").to_owned()
}

/// Runs it to its end.
pub(crate) fn lab(arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .output()
        .expect("the lab starts")
}

/// Both outputs as text.
pub(crate) fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{out}{err}")
}

/// Whether this machine allows links. Where it does not, the lab must say so, and how to get out of it; with
/// `QUINCE_LINK=required` it is a failure.
pub(crate) fn is_possible() -> bool {
    let doctor = lab(&["doctor"]);
    if doctor.status.success() {
        return true;
    }
    assert_eq!(doctor.status.code(), Some(3), "{}", said(&doctor));
    assert!(said(&doctor).contains("way out: "), "{}", said(&doctor));
    let refusal = format!(
        "THE LINK LAB IS NOT POSSIBLE HERE, so its tests only see how it refuses:\n{}",
        said(&doctor)
    );
    assert_ne!(
        env::var("QUINCE_LINK").as_deref(),
        Ok("required"),
        "{refusal}"
    );
    anstream::eprintln!("{refusal}");
    false
}

/// Runs it with `--json`, and gives the lines of one kind. The run may be tainted: that is about times.
pub(crate) fn json_lines(name: &str, arguments: &[&str], kind: &str) -> Vec<Value> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let path = file.to_str().expect("a path of text");
    let output = lab(&[arguments, &["--json", path]].concat());
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}",
        said(&output)
    );
    let text = std::fs::read_to_string(&file).expect("the file was written");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.filter_map(|line| line.get(kind).cloned()).collect()
}

/// A count at a path of keys.
pub(crate) fn count(value: &Value, path: &str) -> u64 {
    value
        .pointer(path)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no count at {path} in {value}"))
}
