//! Replays every seed and every former finding on each target.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use quince_fuzz_targets::{TARGETS, Target};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(kind)
}

/// The files of a folder in order; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a folder entry").path())
        .collect();
    files.sort();
    files
}

/// The files on which the property does not hold.
fn violations(target: Target, files: &[PathBuf]) -> Vec<&PathBuf> {
    let violated = |file: &&PathBuf| {
        let bytes = fs::read(file).expect("the file is readable");
        catch_unwind(|| target(&bytes)).is_err()
    };
    files.iter().filter(violated).collect()
}

#[test]
fn seeds_and_former_findings_hold() {
    for (name, target) in TARGETS {
        let seeds = files(&folder("corpus").join(name));
        assert!(!seeds.is_empty(), "{name} has seeds");
        let findings = files(&folder("regressions").join(name));
        let bad = violations(*target, &[seeds, findings].concat()).len();
        assert_eq!(bad, 0, "{name}: files whose messages stand above");
    }
}

/// The target that needs foreign codecs is replayed in `fuzz/differential`, a workspace of its own.
const REPLAYED_ELSEWHERE: &str = "differential";

/// A folder that no target has would never be replayed.
#[test]
fn every_folder_belongs_to_a_target() {
    for folder in ["corpus", "regressions"]
        .map(folder)
        .iter()
        .flat_map(|folder| files(folder))
    {
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        assert!(
            name == REPLAYED_ELSEWHERE
                || name.starts_with('.')
                || TARGETS.iter().any(|(target, _)| *target == name),
            "{name} is no target"
        );
    }
}
