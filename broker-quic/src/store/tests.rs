//! The store on a disk that fails in every way that a disk may fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use quince_codec::{
    Connect, Framer, Packet, PacketId, Properties, Publish, QoS, Subscribe, SubscriptionList,
    SubscriptionOptions, Version,
};
use quince_core::bench::VirtualBroker;
use quince_core::{Config, Durability, FlowId, Image, Record, Time};

use super::disk::{Disk, Extent};
use super::log::{Log, LogError, Loss};

const SALT: u64 = 0x1234_5678_9abc_def0;
const SECTOR: usize = 512;

/// Numbers that are the same each time (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
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
enum Fault {
    Fails(io::ErrorKind),
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
struct Simulated(Arc<Mutex<State>>);

impl Simulated {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }

    fn failing(&self, at: u64, fault: Fault) -> Self {
        let mut state = self.state().clone();
        state.calls = 0;
        state.fault = Some((at, fault));
        Self(Arc::new(Mutex::new(state)))
    }

    /// What is there after the power was gone: all that is durable, and any of the rest, sector by sector.
    fn after_power_cut(&self, random: &mut Random) -> Self {
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
                            let torn = random.below(sector.len() as u64 + 1) as usize;
                            let kept = [0, torn, sector.len()][random.below(3) as usize];
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
    fn after_kill(&self) -> Self {
        let mut state = self.state().clone();
        (state.calls, state.fault, state.is_dead) = (0, None, false);
        Self(Arc::new(Mutex::new(state)))
    }

    /// The same disk with one file changed.
    fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
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

    fn length(&self, name: &str) -> usize {
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
        let count = match fault {
            Some(Fault::Short) => bytes.len().div_ceil(2),
            _ => bytes.len(),
        };
        let change = Change::Write(offset as usize, bytes[..count].to_vec());
        state.files[self.1].waiting.push(change);
        Ok(count)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.state();
        state.call()?;
        state.files[self.1]
            .waiting
            .push(Change::Cut(length as usize));
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

fn config() -> Config {
    Config {
        durability: Durability::Store,
        ..Config::default()
    }
}

fn packet(packet: &Packet<'_>) -> Vec<u8> {
    packet.to_bytes(Version::V5_0).expect("encodes").to_vec()
}

fn connect() -> Vec<u8> {
    packet(&Packet::Connect(Connect {
        version: Version::V5_0,
        clean_start: true,
        keep_alive: 0,
        properties: Properties::EMPTY,
        client_id: "c",
        will: None,
        user_name: None,
        password: None,
    }))
}

fn payload(number: u64) -> String {
    format!(
        "payload of {number} {}",
        "x".repeat(20 + number as usize % 40)
    )
}

/// `count` records, each of a retained message that says what its payload must be: its topic is the payload's number.
fn records(count: u64) -> Vec<Record> {
    let mut broker = VirtualBroker::new(config());
    let client = broker.connect();
    broker.write(client, FlowId::CONTROL, &connect());
    for number in 0..count {
        let (topic, payload) = (number.to_string(), payload(number));
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: true,
            topic: &topic,
            packet_id: PacketId::new(1),
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
        };
        broker.write(client, FlowId::CONTROL, &packet(&Packet::Publish(publish)));
    }
    let records = broker.hub().take_records().records;
    assert_eq!(records.len() as u64, count);
    records
}

/// The numbers of the messages that a client of the recovered broker is shown; each must be what it was.
fn shown(image: &Image) -> BTreeSet<u64> {
    let mut broker = VirtualBroker::recover(config(), image, Time::from_millis(1));
    let client = broker.connect();
    broker.write(client, FlowId::CONTROL, &connect());
    let mut filters = SubscriptionList::new();
    filters.push("#", SubscriptionOptions::default());
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(1).expect("not zero"),
        properties: Properties::EMPTY,
        subscriptions: filters.as_ref(),
    });
    broker.write(client, FlowId::CONTROL, &packet(&subscribe));
    let mut framer = Framer::new(u32::MAX);
    framer.push(&broker.read(client));
    let mut numbers = BTreeSet::new();
    while let Some(frame) = framer.next_frame().expect("our own packets") {
        if let Ok(Packet::Publish(publish)) = frame.decode(Version::V5_0) {
            let number = publish.topic.parse().expect("a number");
            assert_eq!(
                publish.payload,
                payload(number).as_bytes(),
                "a wrong payload"
            );
            assert!(numbers.insert(number), "{number} twice");
        }
    }
    numbers
}

fn open(disk: &Simulated, loss: Loss) -> Result<(Log, Image), LogError> {
    let empty = Image::new(&config());
    let (log, image, _) = Log::open(Box::new(disk.clone()), empty, loss, SALT)?;
    Ok((log, image))
}

/// Appends in batches of three and syncs after each; gives how many are durable, and the error that ended it.
fn fill(disk: &Simulated, records: &[Record], compact_above: u64) -> (u64, Option<io::Error>) {
    let opened = open(disk, Loss::Refuse);
    let (log, mut image) = match opened {
        Ok(opened) => opened,
        Err(error) => return (0, Some(io::Error::other(error.to_string()))),
    };
    let mut log = log.compact_above(compact_above);
    let mut durable = image.position().records();
    for batch in records[durable as usize..].chunks(3) {
        let now = Time::from_millis(durable);
        let mut attempts = 0;
        // What is not written may be tried again; what is not synced may not.
        while let Err(error) = log.append(batch, now) {
            attempts += 1;
            if attempts > 3 {
                return (durable, Some(error));
            }
        }
        if let Err(error) = log.sync() {
            return (durable, Some(error));
        }
        durable += batch.len() as u64;
        batch.iter().for_each(|record| image.apply(record.clone()));
        if log.is_long()
            && let Err(error) = log.compact(&image, now)
        {
            return (durable, Some(error));
        }
    }
    (durable, None)
}

fn all(count: u64) -> BTreeSet<u64> {
    (0..count).collect()
}

#[test]
fn what_was_synced_is_there_again_compacted_or_not() {
    let records = records(20);
    for compact_above in [u64::MAX, 700] {
        let disk = Simulated::default();
        let (durable, error) = fill(&disk, &records, compact_above);
        assert_eq!((durable, error.is_none()), (20, true));
        let (_, image) = open(&disk, Loss::Refuse).expect("opens");
        assert_eq!(image.position().records(), 20);
        assert_eq!(shown(&image), all(20));
    }
}

#[test]
fn nothing_synced_is_lost_when_the_power_is_cut_at_any_call() {
    let records = records(30);
    let mut random = Random(1);
    let mut cuts = 0;
    for compact_above in [u64::MAX, 900] {
        let mut at = 0;
        loop {
            at += 1;
            let disk = Simulated::default().failing(at, Fault::PowerCut);
            let (durable, error) = fill(&disk, &records, compact_above);
            if error.is_none() {
                break;
            }
            for _ in 0..20 {
                cuts += 1;
                let mut disk = disk.after_power_cut(&mut random);
                // Recovery itself is cut off too, at every one of its calls in turn.
                for again in 1..4 {
                    let recovering = disk.failing(again, Fault::PowerCut);
                    _ = open(&recovering, Loss::Refuse);
                    disk = recovering.after_power_cut(&mut random);
                }
                let (_, image) = open(&disk, Loss::Refuse)
                    .unwrap_or_else(|error| panic!("cut at call {at}, {durable} durable: {error}"));
                let found = image.position().records();
                assert!(found >= durable, "cut at {at}: {found} of {durable}");
                assert_eq!(shown(&image), all(found), "cut at {at}");
            }
        }
    }
    assert!(cuts >= 2_000, "{cuts}");
}

#[test]
fn every_call_may_fail_once() {
    let records = records(12);
    let faults = [
        Fault::Fails(io::ErrorKind::Other),
        Fault::Fails(io::ErrorKind::StorageFull),
        Fault::Fails(io::ErrorKind::Interrupted),
        Fault::Short,
    ];
    let mut random = Random(2);
    for fault in faults {
        let mut at = 0;
        loop {
            at += 1;
            let disk = Simulated::default().failing(at, fault);
            let (durable, error) = fill(&disk, &records, 700);
            if disk.state().calls < at {
                break;
            }
            if error.is_none() {
                assert_eq!(durable, 12, "{fault:?} at {at}");
            }
            // The process goes on from what the system has, or from what is on the medium.
            for disk in [disk.after_kill(), disk.after_power_cut(&mut random)] {
                let (_, image) = open(&disk, Loss::Refuse)
                    .unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
                let found = image.position().records();
                assert!(found >= durable, "{fault:?} at {at}: {found} of {durable}");
                assert_eq!(shown(&image), all(found), "{fault:?} at {at}");
            }
        }
        assert!(at > 20, "{at} calls");
    }
}

/// A store of twelve records that was compacted on the way.
fn small_store() -> Simulated {
    let disk = Simulated::default();
    let (durable, error) = fill(&disk, &records(12), 700);
    assert_eq!((durable, error.is_none()), (12, true));
    disk
}

/// A damaged store is refused, or everything is there; opened all the same it shows nothing wrong.
fn assert_noticed(disk: &Simulated, what: &str) {
    match open(&disk.with("log", |_| {}), Loss::Refuse) {
        Ok((_, image)) => assert_eq!(
            shown(&image),
            all(12),
            "{what}: something is gone, and nobody said so"
        ),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let disk = disk.with("log", |_| {});
    let (_, image) = open(&disk, Loss::Accept)
        .unwrap_or_else(|error| panic!("{what}: not even with loss accepted: {error}"));
    let left = shown(&image);
    assert!(left.is_subset(&all(12)), "{what}");
    // From then on it is a whole store again, with nothing more gone.
    let (_, image) = open(&disk, Loss::Refuse).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(shown(&image), left, "{what}");
}

#[test]
fn a_truncation_at_any_byte_is_noticed() {
    let disk = small_store();
    for name in ["log", "watermark"] {
        for length in 0..disk.length(name) {
            let cut = disk.with(name, |bytes| bytes.truncate(length));
            assert_noticed(&cut, &format!("{name} cut at {length}"));
            if name == "log" {
                assert!(open(&cut, Loss::Refuse).is_err(), "cut at {length}");
            }
        }
    }
}

#[test]
fn a_flip_of_any_byte_is_noticed() {
    let disk = small_store();
    for name in ["log", "watermark"] {
        for index in 0..disk.length(name) {
            for mask in [0x01, 0xff] {
                let flipped = disk.with(name, |bytes| bytes[index] ^= mask);
                assert_noticed(&flipped, &format!("{name}, byte {index}"));
                if name == "log" {
                    assert!(open(&flipped, Loss::Refuse).is_err(), "byte {index}");
                }
            }
        }
    }
}

#[test]
fn what_is_gone_is_told_exactly() {
    let disk = Simulated::default();
    let (durable, _) = fill(&disk, &records(12), u64::MAX);
    assert_eq!(durable, 12);
    let bytes = disk.read("log").expect("there");
    let needle = b"payload of 4 ";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .expect("the fifth message");
    let damaged = disk.with("log", |bytes| bytes[at] ^= 1);
    let error = open(&damaged, Loss::Refuse).expect_err("damaged");
    assert_eq!(
        error.to_string(),
        "the log is damaged: records 4 to 6 are gone"
    );
    let (_, image) = open(&damaged, Loss::Accept).expect("accepted");
    let expected: BTreeSet<u64> = all(12)
        .into_iter()
        .filter(|number| !(3..6).contains(number))
        .collect();
    assert_eq!(shown(&image), expected, "everything else is there");
    let cut = disk.with("log", |bytes| bytes.truncate(at));
    let error = open(&cut, Loss::Refuse).expect_err("cut");
    assert_eq!(
        error.to_string(),
        "the log ends with record 3, but 12 were durable: 9 are gone"
    );
}

#[test]
fn a_message_cannot_pass_for_a_frame() {
    // Its bytes may be those of a frame of another store; the salt is this one's.
    let other = small_store().read("log").expect("there");
    let disk = small_store();
    let grafted = disk.with("log", |bytes| {
        let salted = super::frame::header(SALT ^ 1);
        bytes.splice(..salted.len(), salted);
        bytes.extend(&other);
    });
    let (_, image) = open(&grafted, Loss::Accept).expect("accepted");
    assert_eq!(shown(&image), BTreeSet::new());
}
