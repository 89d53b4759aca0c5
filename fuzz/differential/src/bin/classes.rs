//! Sorts the disagreements about the packets in the files and folders that are named into classes, and prints the
//! smallest example of each that no row of the table explains: what there is to settle.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use quince_codec::Frame;
use quince_differential::{Reading, disagreements};

fn main() -> std::io::Result<()> {
    let mut classes: BTreeMap<String, (usize, Vec<u8>, String)> = BTreeMap::new();
    for file in std::env::args()
        .skip(1)
        .flat_map(|path| files(Path::new(&path)))
    {
        let Ok(frame) = Frame::parse(std::fs::read(file)?.into()) else {
            continue;
        };
        for found in disagreements(&frame) {
            if found.explanation().is_some() {
                continue;
            }
            let (foreign, version, way) = (found.foreign, found.version, found.way);
            let ours = match found.ours {
                Ok(packet) => packet.packet_type().to_string(),
                Err(error) => format!("{:?} in {:?}", error.kind, error.packet_type),
            };
            let theirs = match &found.reading {
                Reading::Refused(words) => words.chars().take(80).collect(),
                Reading::Taken(bytes) => {
                    format!("taken as {:02x?}", bytes.as_deref().unwrap_or_default())
                }
                other => format!("{other:?}"),
            };
            let class = match &found.reading {
                Reading::Refused(_) => format!("{foreign} {version} {way:?}: {ours} | {theirs}"),
                _ => format!("{foreign} {version} {way:?}: {ours}"),
            };
            let bytes = frame.bytes().to_vec();
            let entry = classes
                .entry(class)
                .or_insert_with(|| (0, bytes.clone(), theirs.clone()));
            entry.0 += 1;
            if bytes.len() < entry.1.len() {
                (entry.1, entry.2) = (bytes, theirs);
            }
        }
    }
    let mut out = std::io::stdout().lock();
    for (class, (count, bytes, theirs)) in classes {
        writeln!(
            out,
            "{count:6} {class}\n       {bytes:02x?}\n       {theirs}"
        )?;
    }
    Ok(())
}

/// The file itself, or all files in the folder.
fn files(path: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path.to_owned()],
    }
}
