//! The planted bugs of `mutants/`, and those that are to be found by killing the broker, still fit the core. Whether they are found is told
//! by the `run` beside them, which takes long; that it has something to plant is told by every run of the tests.

use std::fs;
use std::path::Path;

/// The text that a hunk wants to find, and where it is said to be.
struct Hunk {
    old: String,
    line: String,
}

/// The files that a patch changes, each with its hunks. Only what `git diff` writes is read.
fn hunks(patch: &str) -> Vec<(String, Vec<Hunk>)> {
    let mut files: Vec<(String, Vec<Hunk>)> = Vec::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            files.push((path.to_owned(), Vec::new()));
            continue;
        }
        let Some((_, hunks)) = files.last_mut() else {
            continue;
        };
        if line.starts_with("diff ") {
            files.push((String::new(), Vec::new()));
        } else if line.starts_with("@@ ") {
            hunks.push(Hunk {
                old: String::new(),
                line: line.to_owned(),
            });
        } else if let Some(hunk) = hunks.last_mut() {
            // An empty line of context may have lost its space.
            let kept = match line.chars().next() {
                Some(' ' | '-') => &line[1..],
                None => "",
                _ => continue,
            };
            hunk.old.push_str(kept);
            hunk.old.push('\n');
        }
    }
    files.retain(|(path, _)| !path.is_empty());
    files
}

/// The first line of a hunk that is not where it should be.
fn misfit(text: &str, hunks: &[Hunk]) -> Option<String> {
    let mut from = 0;
    for hunk in hunks {
        // They are in the order of the file, and do not overlap.
        match text[from..].find(&format!("\n{}", hunk.old)) {
            Some(at) => from += at + hunk.old.len(),
            None => return Some(hunk.line.clone()),
        }
    }
    None
}

/// How many bugs are in a folder of the tree, and which of them do not fit.
fn misfits(folder: &str) -> (usize, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut count = 0;
    let mut misfits = Vec::new();
    for entry in fs::read_dir(root.join(folder)).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|it| it != "patch") {
            continue;
        }
        count += 1;
        let name = path.file_name().expect("a name").to_string_lossy();
        let patch = fs::read_to_string(&path).expect("text");
        let files = hunks(&patch);
        let is_whole = files.iter().all(|(_, hunks)| !hunks.is_empty());
        assert!(!files.is_empty() && is_whole, "{name} changes nothing");
        for (file, hunks) in files {
            let text = fs::read_to_string(root.join(&file)).unwrap_or_default();
            let misfit = misfit(&text, &hunks);
            misfits.extend(misfit.map(|at| format!("{folder}/{name}: {file} {at}")));
        }
    }
    (count, misfits)
}

#[test]
fn every_planted_bug_still_fits_the_core() {
    let folders = [
        ("broker-quic/simulation/mutants", 16),
        ("conformance/crash/mutants", 12),
    ];
    let mut all = Vec::new();
    for (folder, at_least) in folders {
        let (count, misfits) = misfits(folder);
        assert!(count >= at_least, "only {count} planted bugs in {folder}");
        all.extend(misfits);
    }
    assert!(
        all.is_empty(),
        "these have to be made anew, with `git diff` after the change by hand:\n{}",
        all.join("\n")
    );
}
