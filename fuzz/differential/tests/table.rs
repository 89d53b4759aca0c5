//! The table of differences: each row has an example that shows it, and stands in the documentation.

use bytes::Bytes;
use quince_codec::Frame;
use quince_differential::{DIFFERENCES, Difference, Foreign, Right, disagreements};

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex"))
        .collect()
}

fn frame(text: &str) -> Frame {
    Frame::parse(Bytes::from(hex(text))).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn each_example_shows_its_difference_for_everybody_who_is_named() {
    let mut wrong = Vec::new();
    for difference in DIFFERENCES {
        let (version, example) = difference.example;
        let frame = frame(example);
        let found = disagreements(&frame);
        for (foreign, _) in difference
            .who
            .iter()
            .filter(|(_, versions)| versions.contains(&version))
        {
            let shown = found.iter().any(|found| {
                (found.foreign, found.version) == (*foreign, version)
                    && found
                        .explanation()
                        .is_some_and(|row| row.name == difference.name)
            });
            if !shown {
                wrong.push(format!("{foreign}: {} ({example})", difference.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn names_are_unique() {
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        assert!(
            DIFFERENCES[..index]
                .iter()
                .all(|other| other.name != difference.name)
        );
    }
}

fn row(difference: &Difference) -> String {
    let who: Vec<String> = difference
        .who
        .iter()
        .map(|(foreign, versions)| {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            let foreign = foreign.to_string();
            let name = foreign.split(' ').next().unwrap_or_default().to_owned();
            format!("{name} ({})", versions.join(", "))
        })
        .collect();
    let right = match difference.right {
        Right::Ours => "ours",
        Right::Open => "open",
    };
    let (version, example) = difference.example;
    format!(
        "| {} | {:?} | {} | {right} | {} | {version}: `{example}` |",
        difference.name,
        difference.way,
        who.join(", "),
        difference.by
    )
}

/// `UPDATE=1 cargo test` writes the table.
#[test]
fn the_documentation_has_the_table() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/codec-differences.md"
    );
    let text = std::fs::read_to_string(path).expect("the page");
    let (begin, end) = ("<!-- table -->\n", "<!-- end of table -->");
    let (before, rest) = text.split_once(begin).expect("the table begins");
    let (_, after) = rest.split_once(end).expect("the table ends");
    let mut table = String::from(
        "| difference | way | who | right | by | example |\n|---|---|---|---|---|---|\n",
    );
    DIFFERENCES
        .iter()
        .for_each(|difference| table.push_str(&(row(difference) + "\n")));
    let wanted = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &wanted).expect("the page can be written");
    }
    assert!(
        text == wanted || std::env::var_os("UPDATE").is_some(),
        "run UPDATE=1 cargo test"
    );
    for foreign in Foreign::ALL {
        assert!(
            text.contains(&foreign.to_string()),
            "{foreign} is introduced"
        );
    }
}

#[test]
fn seeds_and_former_findings_are_explained() {
    for folder in [
        "corpus/differential",
        "corpus/decode",
        "corpus/canonical",
        "regressions/differential",
    ] {
        let path = format!("{}/../{folder}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            let bytes = std::fs::read(entry.path()).expect("readable");
            quince_differential::differential(&bytes);
        }
    }
}
