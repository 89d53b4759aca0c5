//! The store on a disk that fails in every way that a disk may fail.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use quince_codec::{
    Connect, Framer, Packet, PacketId, Properties, Publish, QoS, ReasonCode, Subscribe,
    SubscriptionList, SubscriptionOptions, Version,
};
use quince_core::bench::VirtualBroker;
use quince_core::{Config, ConnectionId, Durability, FlowId, Image, Record, Time};

use crate::disk::Disk;
use crate::log::{Log, LogError, Loss};
use crate::simulated::{Fault, Random, Simulated, size};
use crate::writer::Writer;

const SALT: u64 = 0x1234_5678_9abc_def0;

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
    format!("payload of {number} {}", "x".repeat(20 + size(number % 40)))
}

/// PUBLISH of a retained message whose topic is the payload's number.
fn retained(number: u64) -> Vec<u8> {
    let (topic, payload) = (number.to_string(), payload(number));
    let identifier = u16::try_from(number + 1).expect("few messages");
    packet(&Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: &topic,
        packet_id: PacketId::new(identifier),
        properties: Properties::EMPTY,
        payload: payload.as_bytes(),
    }))
}

/// `count` records, each of a retained message that says what its payload must be: its topic is the payload's number.
fn records(count: u64) -> Vec<Record> {
    let mut broker = VirtualBroker::new(config());
    let client = broker.connect();
    broker.write(client, FlowId::CONTROL, &connect());
    for number in 0..count {
        broker.write(client, FlowId::CONTROL, &retained(number));
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
    for batch in records[size(durable)..].chunks(3) {
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
                let what = format!("cut at call {at}, {durable} durable");
                let (_, image) = open(&disk, Loss::Refuse).expect(&what);
                let found = image.position().records();
                assert!(found >= durable, "cut at {at}: {found} of {durable}");
                assert_eq!(shown(&image), all(found), "cut at {at}");
            }
        }
    }
    assert!(cuts >= 2_000, "{cuts}");
}

/// A broker that writes to a simulated disk in the writer's thread, and a client of it.
struct Storing {
    broker: VirtualBroker,
    client: ConnectionId,
    framer: Framer,
    writer: Writer,
    failure: mpsc::Receiver<io::Error>,
}

impl Storing {
    /// The client says `connect`.
    fn start(disk: &Simulated, interval: Option<Duration>, connect: &[u8]) -> Self {
        let empty = Image::new(&config());
        let (log, image, time) =
            Log::open(Box::new(disk.clone()), empty, Loss::Refuse, SALT).expect("opens");
        let mut broker = VirtualBroker::new(config());
        let hub = Arc::clone(broker.hub());
        let (failed, failure) = mpsc::channel();
        let writer = Writer::start(
            log.compact_above(700),
            image,
            interval,
            hub,
            move || time,
            move |error| _ = failed.send(error),
        )
        .expect("starts");
        let client = broker.connect();
        let mut storing = Self {
            broker,
            client,
            framer: Framer::new(u32::MAX),
            writer,
            failure,
        };
        storing.say(connect);
        storing.answer();
        storing
    }

    fn say(&mut self, bytes: &[u8]) {
        self.broker.write(self.client, FlowId::CONTROL, bytes);
    }

    /// The next packet to the client, encoded. Meanwhile the writer works.
    fn answer(&mut self) -> Vec<u8> {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(frame) = self.framer.next_frame().expect("our own packets") {
                let answer = frame.decode(Version::V5_0).expect("our own packets");
                return packet(&answer);
            }
            let failed = self.failure.try_recv();
            assert!(failed.is_err(), "the store has failed: {failed:?}");
            assert!(Instant::now() < patience, "nothing more is answered");
            std::thread::yield_now();
            self.broker.settle();
            self.framer.push(&self.broker.read(self.client));
        }
    }

    /// Stores retained messages one after the other; what is refused is sent again.
    fn store(&mut self, numbers: Range<u64>) {
        for number in numbers {
            loop {
                self.say(&retained(number));
                let answer = self.answer();
                assert_eq!(answer[0], 0x40, "PUBACK");
                let code = ReasonCode(answer[4]);
                if code == ReasonCode::NO_MATCHING_SUBSCRIBERS {
                    break;
                }
                assert_eq!(code, ReasonCode::QUOTA_EXCEEDED);
            }
        }
    }
}

#[test]
fn a_disk_that_is_full_at_any_call_ends_nothing() {
    let mut random = Random(3);
    let full = Fault::Fails(io::ErrorKind::StorageFull);
    // Each of the messages is written, synced and marked, and once the log begins anew, by nine calls. Where a sync may wait it is due
    // at once, so that it is the same in every run; what has gone into a new log needs none.
    for (interval, expected) in [(None, 12 * 3 + 9), (Some(Duration::ZERO), 12 * 3 + 9 - 2)] {
        let healthy = Simulated::default();
        let mut storing = Storing::start(&healthy, interval, &connect());
        let opening = healthy.calls();
        storing.store(0..12);
        storing.writer.stop();
        let calls = opening + 1..=healthy.calls();
        assert_eq!(calls.clone().count(), expected, "{interval:?}");
        for at in calls {
            let disk = Simulated::default().failing(at, full);
            let mut storing = Storing::start(&disk, interval, &connect());
            storing.store(0..12);
            storing.writer.stop();
            let what = format!("{interval:?}, full at call {at}");
            assert!(disk.calls() >= at, "{what}: it was not");
            let survived = match interval {
                None => disk.after_power_cut(&mut random),
                Some(_) => disk.after_kill(),
            };
            let (_, image) = open(&survived, Loss::Refuse).expect(&what);
            assert_eq!(shown(&image), all(12), "{what}");
        }
    }
}

#[test]
fn what_comes_while_the_disk_is_full_is_stored_once_it_has_room() {
    let disk = Simulated::default();
    // Its Session is stored.
    let mut storing = Storing::start(
        &disk,
        None,
        b"\x10\x13\x00\x04MQTT\x05\x02\x00\x00\x05\x11\x00\x00\x00\x3c\x00\x01c",
    );
    storing.say(b"\x34\x06\x00\x01t\x00\x01\x00");
    assert_eq!(storing.answer(), b"\x50\x03\x00\x01\x10", "PUBREC");
    disk.fill();
    storing.say(&retained(1));
    disk.refuses_twice();
    // This follows from what is stored already, so it is not refused.
    storing.say(b"\x62\x02\x00\x01");
    disk.refuses_twice();
    disk.make_room();
    assert_eq!(storing.answer(), b"\x40\x03\x00\x02\x10", "PUBACK");
    assert_eq!(storing.answer(), b"\x70\x02\x00\x01", "PUBCOMP");
    storing.writer.stop();
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
            if disk.calls() < at {
                break;
            }
            if error.is_none() {
                assert_eq!(durable, 12, "{fault:?} at {at}");
            }
            // The process goes on from what the system has, or from what is on the medium.
            for disk in [disk.after_kill(), disk.after_power_cut(&mut random)] {
                let what = format!("{fault:?} at {at}");
                let (_, image) = open(&disk, Loss::Refuse).expect(&what);
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
    let (_, image) = open(&disk, Loss::Accept).expect(what);
    let left = shown(&image);
    assert!(left.is_subset(&all(12)), "{what}");
    // From then on it is a whole store again, with nothing more gone.
    let (_, image) = open(&disk, Loss::Refuse).expect(what);
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
fn a_damaged_header_costs_nothing_else() {
    let disk = small_store();
    for index in 0..crate::frame::HEADER {
        let damaged = disk.with("log", |bytes| bytes[index] ^= 0x10);
        let error = open(&damaged, Loss::Refuse).expect_err("damaged");
        let what = "the first bytes of the log are damaged";
        assert_eq!(error.to_string(), what, "byte {index}");
        let (_, image) = open(&damaged, Loss::Accept).expect("accepted");
        assert_eq!(shown(&image), all(12), "byte {index}");
    }
    // A log of another version is none that is damaged.
    let other = disk.with("log", |bytes| {
        let mut header = crate::frame::MAGIC.to_vec();
        header[7] = 2;
        let salt = SALT.to_le_bytes();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&salt);
        hasher.update(&header);
        header.extend(salt);
        header.extend(hasher.finalize().to_le_bytes());
        bytes.splice(..header.len(), header);
    });
    let error = open(&other, Loss::Refuse).expect_err("of another version");
    assert_eq!(error.to_string(), "the file 'log' is not a log of format 1");
}

#[test]
fn a_message_cannot_pass_for_a_frame() {
    // Its bytes may be those of a frame of another store; the salt is this one's.
    let other = small_store().read("log").expect("there");
    let disk = small_store();
    let grafted = disk.with("log", |bytes| {
        let salted = crate::frame::header(SALT ^ 1);
        bytes.splice(..salted.len(), salted);
        bytes.extend(&other);
    });
    let (_, image) = open(&grafted, Loss::Accept).expect("accepted");
    assert_eq!(shown(&image), BTreeSet::new());
}

/// A folder that format 1 was written to, as it was released.
const FORMAT_1: [(&str, &[u8]); 2] = [
    ("log", include_bytes!("tests/format-1/log")),
    ("watermark", include_bytes!("tests/format-1/watermark")),
];

#[test]
fn a_store_of_format_1_is_understood_for_ever() {
    let disk = Simulated::holding(&FORMAT_1);
    let (_, image) = open(&disk, Loss::Refuse).expect("opens");
    assert_eq!(shown(&image), all(12));
}

#[test]
fn a_store_is_written_in_format_1() {
    let disk = small_store();
    for (name, bytes) in FORMAT_1 {
        let written = disk.read(name).expect("there");
        // The watermark has got a copy of the log's header since, which older readers do not look at.
        let (as_then, since) = written.split_at(bytes.len());
        assert!(
            as_then == bytes,
            "'{name}' is written in another way: give the format another number, and add a folder of it here"
        );
        let header = crate::frame::header(SALT);
        assert!(since.is_empty() && name == "log" || since.ends_with(&header));
    }
}
