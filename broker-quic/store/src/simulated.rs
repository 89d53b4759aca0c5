//! A disk in memory that fails in every way that a disk may fail: to try out what is written to one.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::disk::{Disk, Extent};

const SECTOR: usize = 512;

pub(crate) fn size(number: u64) -> usize {
    usize::try_from(number).expect("small")
}

/// Numbers that are the same each time (SplitMix64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let end = offset + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(data);
            }
            Self::Cut(length) => bytes.resize(*length, 0),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct FileState {
    durable: Vec<u8>,
    waiting: Vec<Change>,
}

impl FileState {
    fn now(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        self.waiting
            .iter()
            .for_each(|change| change.apply(&mut bytes));
        bytes
    }
}

/// What one call of the disk does wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It fails, and nothing has happened.
    Fails(io::ErrorKind),
    /// It writes half of what it was given.
    Short,
    /// From this call on nothing happens any more: the power is gone.
    PowerCut,
}

#[derive(Clone, Debug, Default)]
struct State {
    files: Vec<FileState>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    is_dead: bool,
    is_full: bool,
    /// How many writes have failed because it is.
    refusals: u64,
}

impl State {
    /// Counts a call that changes something; says how it goes wrong.
    fn call(&mut self) -> io::Result<Option<Fault>> {
        self.calls += 1;
        let fault = self
            .fault
            .filter(|(at, _)| *at == self.calls)
            .map(|(_, fault)| fault);
        if matches!(fault, Some(Fault::PowerCut)) {
            self.is_dead = true;
        }
        match fault {
            _ if self.is_dead => Err(io::Error::other("no power")),
            Some(Fault::Fails(kind)) => Err(kind.into()),
            fault => Ok(fault),
        }
    }
}

/// A disk in memory that knows what is durable.
#[derive(Clone, Debug, Default)]
pub struct Simulated(Arc<Mutex<State>>);

impl Simulated {
    /// A disk that holds these files.
    #[must_use]
    pub fn holding(files: &[(&str, &[u8])]) -> Self {
        let disk = Self::default();
        for (name, bytes) in files {
            let file = disk.open(name).expect("nothing fails yet");
            file.write_at(bytes, 0).expect("nothing fails yet");
        }
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }

    /// The same disk, whose call number `at` from now on goes wrong.
    #[must_use]
    pub fn failing(&self, at: u64, fault: Fault) -> Self {
        let mut state = self.state().clone();
        state.calls = 0;
        state.fault = Some((at, fault));
        Self(Arc::new(Mutex::new(state)))
    }

    /// From now on nothing can be written to it.
    pub fn fill(&self) {
        self.state().is_full = true;
    }

    /// From now on it can be written to again.
    pub fn make_room(&self) {
        self.state().is_full = false;
    }

    /// Returns when two more writes have failed because it is full, so that whoever writes has left it alone in between.
    pub fn refuses_twice(&self) {
        let before = self.state().refusals;
        let patience = Instant::now() + Duration::from_secs(20);
        while self.state().refusals < before + 2 {
            assert!(Instant::now() < patience, "nothing more is tried");
            std::thread::yield_now();
        }
    }

    /// What is there after the power was gone: all that is durable, and any of the rest, sector by sector.
    #[must_use]
    pub fn after_power_cut(&self, random: &mut Random) -> Self {
        let before = self.state().clone();
        let mut state = State::default();
        let names = if random.below(2) == 0 {
            before.names
        } else {
            before.durable_names
        };
        for (name, index) in names {
            let file = &before.files[index];
            let mut bytes = file.durable.clone();
            for change in &file.waiting {
                match change {
                    Change::Write(offset, data) => {
                        for (number, sector) in data.chunks(SECTOR).enumerate() {
                            let torn = size(random.below(sector.len() as u64 + 1));
                            let kept = [0, torn, sector.len()][size(random.below(3))];
                            let kept = sector[..kept].to_vec();
                            Change::Write(offset + number * SECTOR, kept).apply(&mut bytes);
                        }
                    }
                    change if random.below(2) == 0 => change.apply(&mut bytes),
                    Change::Cut(_) => {}
                }
            }
            state.names.insert(name.clone(), state.files.len());
            state.files.push(FileState {
                durable: bytes,
                waiting: Vec::new(),
            });
        }
        state.durable_names = state.names.clone();
        Self(Arc::new(Mutex::new(state)))
    }

    /// What is there when the process was killed: all that it wrote.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let mut state = self.state().clone();
        (state.calls, state.fault, state.is_dead) = (0, None, false);
        Self(Arc::new(Mutex::new(state)))
    }

    /// The same disk with one file changed.
    #[must_use]
    pub fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut state = self.state().clone();
        let index = state.names[name];
        let mut bytes = state.files[index].now();
        change(&mut bytes);
        state.files[index] = FileState {
            durable: bytes,
            waiting: Vec::new(),
        };
        (state.calls, state.fault, state.is_dead) = (0, None, false);
        Self(Arc::new(Mutex::new(state)))
    }

    /// How many calls have changed something since the disk was made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How long a file is, in bytes.
    #[must_use]
    pub fn length(&self, name: &str) -> usize {
        let state = self.state();
        state.files[state.names[name]].now().len()
    }
}

impl Disk for Simulated {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.state();
        let index = state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[*index].now())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Extent>> {
        let mut state = self.state();
        state.call()?;
        let new = state.files.len();
        let index = *state.names.entry(name.to_owned()).or_insert(new);
        if index == new {
            state.files.push(FileState::default());
        }
        Ok(Box::new(SimulatedFile(self.clone(), index)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let index = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), index);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile(Simulated, usize);

impl Extent for SimulatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.0.state();
        let fault = state.call()?;
        if state.is_full {
            state.refusals += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = match fault {
            Some(Fault::Short) => bytes.len().div_ceil(2),
            _ => bytes.len(),
        };
        let change = Change::Write(size(offset), bytes[..count].to_vec());
        state.files[self.1].waiting.push(change);
        Ok(count)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.state();
        state.call()?;
        state.files[self.1].waiting.push(Change::Cut(size(length)));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.state();
        state.call()?;
        let file = &mut state.files[self.1];
        file.durable = file.now();
        file.waiting.clear();
        Ok(())
    }
}
