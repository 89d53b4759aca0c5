//! Writes seeds for the fuzzers into the folder that is named: the golden packets of the codec and every packet that a
//! client sends in a scenario (`packets`), what each of its connections sends (`conversations`), and whole plays in the form
//! of the fuzz target `broker` (`plays`). `fuzz/seed` calls it and keeps what reaches something new.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Result;
use std::path::Path;

use quince_codec::Framer;
use quince_conformance::library::Library;
use quince_conformance::link::{
    Event, Link, LinkError, LinkId, Medium, core::CoreLink, run_without_waiting,
};
use quince_conformance::player::{PlayOptions, play};
use quince_conformance::prove::plays;

fn main() -> Result<()> {
    let Some(folder) = std::env::args_os().nth(1) else {
        return Err(std::io::Error::other("name the folder to write into"));
    };
    let mut seeds = Seeds::default();
    seeds.take_golden_packets()?;
    let library = Library::embedded().map_err(std::io::Error::other)?;
    for scenario in library.scenarios() {
        for (case, version) in plays(scenario) {
            let mut link = Recorder::default();
            let options = PlayOptions::default();
            // A scenario that the core does not pass is a fine seed as well.
            _ = run_without_waiting(play(scenario, case, version, &mut link, &options));
            seeds.take_play(&link);
        }
    }
    seeds.write(Path::new(&folder))
}

/// What was gathered, each thing once.
#[derive(Default)]
struct Seeds {
    packets: BTreeSet<Vec<u8>>,
    conversations: BTreeSet<Vec<u8>>,
    plays: BTreeSet<Vec<u8>>,
}

impl Seeds {
    /// The bytes at the head of each entry in the snapshots of the codec's golden tests.
    fn take_golden_packets(&mut self) -> Result<()> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../codec/tests/it/snapshots");
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !path.to_string_lossy().contains("golden") {
                continue;
            }
            for line in fs::read_to_string(path)?.lines() {
                let Some((_, list)) = line.split_once(" [") else {
                    continue;
                };
                let bytes = list.trim_end_matches(']').split(", ");
                let bytes: Option<Vec<u8>> = bytes
                    .map(|byte| u8::from_str_radix(byte, 16).ok())
                    .collect();
                self.packets.extend(bytes.filter(|bytes| bytes.len() > 1));
            }
        }
        if self.packets.is_empty() {
            return Err(std::io::Error::other("no golden packets found"));
        }
        Ok(())
    }

    fn take_play(&mut self, link: &Recorder) {
        for said in link.said.values() {
            let mut framer = Framer::new(u32::MAX);
            framer.push(said);
            while let Ok(Some(frame)) = framer.next_frame() {
                self.packets.insert(frame.bytes().to_vec());
            }
            self.conversations.insert(said.clone());
        }
        self.plays.insert(link.script.clone());
    }

    fn write(&self, folder: &Path) -> Result<()> {
        for (name, seeds) in [
            ("packets", &self.packets),
            ("conversations", &self.conversations),
            ("plays", &self.plays),
        ] {
            let folder = folder.join(name);
            fs::create_dir_all(&folder)?;
            // Larger ones slow a fuzzer down, and 512 bytes is the most that ours makes.
            for (number, seed) in seeds.iter().filter(|seed| seed.len() <= 512).enumerate() {
                fs::write(folder.join(format!("{number:05}")), seed)?;
            }
        }
        Ok(())
    }
}

/// The core, and everything that its clients do, as a script of the fuzz target `broker`: see there.
struct Recorder {
    core: CoreLink,
    said: BTreeMap<LinkId, Vec<u8>>,
    script: Vec<u8>,
    told: u64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            core: CoreLink::default(),
            said: BTreeMap::new(),
            // No limit is small.
            script: vec![0],
            told: 0,
        }
    }
}

impl Recorder {
    /// One entry: what happens, to whom, and more about it.
    fn tell(&mut self, what: u8, id: LinkId, more: u8) {
        let client = u8::try_from(id.0 % 4).unwrap_or(0);
        self.script.extend([what | client << 3, more]);
    }

    /// The time that has passed since the last entry, as the next longer pause that the target knows.
    fn tell_time(&mut self) {
        let passed = self.core.now() - self.told;
        self.told = self.core.now();
        let pauses = [1, 50, 999, 1001, 5001, 10_001, 91_000, 4_000_000];
        if passed > 0 {
            let pause = pauses.iter().position(|pause| *pause >= passed);
            let pause = u8::try_from(pause.unwrap_or(pauses.len() - 1)).unwrap_or(0);
            self.script.extend([4, pause]);
        }
    }
}

impl Link for Recorder {
    fn medium(&self) -> Medium {
        self.core.medium()
    }

    fn now(&self) -> u64 {
        self.core.now()
    }

    async fn open(&mut self, client: &str) -> std::result::Result<LinkId, LinkError> {
        let id = self.core.open(client).await?;
        self.said.insert(id, Vec::new());
        Ok(id)
    }

    async fn write(&mut self, id: LinkId, bytes: &[u8]) -> std::result::Result<(), LinkError> {
        self.tell_time();
        for part in bytes.chunks(255) {
            self.tell(0, id, u8::try_from(part.len()).unwrap_or(u8::MAX));
            self.script.extend(part);
        }
        self.said.entry(id).or_default().extend(bytes);
        self.core.write(id, bytes).await
    }

    async fn finish(&mut self, id: LinkId) {
        self.tell_time();
        self.tell(6, id, 1);
        self.core.finish(id).await;
    }

    async fn reset(&mut self, id: LinkId, code: u32) {
        self.tell_time();
        self.tell(6, id, 0);
        self.core.reset(id, code).await;
    }

    async fn close(&mut self, id: LinkId) {
        self.tell_time();
        self.tell(6, id, 0);
        self.core.close(id).await;
    }

    async fn next(&mut self, deadline: u64) -> Option<(LinkId, Event)> {
        self.core.next(deadline).await
    }
}
