//! The store: whatever the files of a log hold, it opens or says what is gone, and no client is shown what nobody sent.

mod real;

use core::time::Duration;

use quince_codec::{DecodeError, Framer, Packet, Version};
use quince_core::bench::VirtualBroker;
use quince_core::{FlowId, Image, Time};
use quince_store::simulated::Simulated;
use quince_store::{Disk, Log, LogError, Loss};

use self::real::{Shown, config, real};

const SALT: u64 = 0x5155_494e_4345_0001;
const LOG: &str = "log";
const WATERMARK: &str = "watermark";
/// What stands before the records of a frame.
const PREFIX: usize = 29;

/// The first byte chooses what the rest is:
///
/// - 0: the files. A byte says how long the watermark is, and the log is the rest.
/// - 1: a log whose checksums are right: its frames, each as kind, distance of its number from the one due, count, length (two bytes)
///   and records; behind it the watermark is one that agrees.
/// - 2: damage to a real store, one file of it or both: cut off, changed, zeroed, taken out, repeated or continued.
///
/// # Panics
/// If reading panics or writes; if what reading says is gone is not what opening says; if a loss cannot be accepted, or a store is not whole after
/// that and after a further record; if the broker that comes of it panics; if damage to one file of a real store is not noticed, or a message in it is
/// not as it was sent.
pub fn store(bytes: &[u8]) {
    let [choice, rest @ ..] = bytes else { return };
    let disk = match choice % 3 {
        0 => {
            let [length, rest @ ..] = rest else { return };
            let (watermark, log) = rest.split_at(rest.len().min(usize::from(*length)));
            Simulated::holding(&[(LOG, log), (WATERMARK, watermark)])
        }
        1 => {
            let (log, records) = framed(rest);
            Simulated::holding(&[(LOG, &log), (WATERMARK, &watermark(records))])
        }
        _ => return assert_noticed(rest),
    };
    let outcome = assert_readable(&disk);
    // It is served, whatever it is: who writes right checksums may write messages that nobody could send.
    _ = shown(&outcome.accepted, outcome.time);
}

/// What has been read, and what of it is gone.
type Reading = Result<(Image, Time), String>;

/// Reads without opening.
fn inspect(disk: &Simulated) -> Reading {
    let before = files(disk);
    let calls = disk.calls();
    let found = Log::inspect(disk, Image::new(&config()));
    assert_eq!(disk.calls(), calls, "reading writes");
    assert_eq!(files(disk), before, "reading changes a file");
    match found {
        Ok(Some(found)) => match found.lost {
            None => Ok((found.image, found.time)),
            Some(lost) => {
                assert!(!lost.is_empty(), "something is gone, but what?");
                Err(lost)
            }
        },
        Ok(None) => Ok((Image::new(&config()), Time::ZERO)),
        Err(error) => Err(error.to_string()),
    }
}

fn files(disk: &Simulated) -> Vec<(String, Vec<u8>)> {
    let names = disk.names().expect("in memory");
    let read = |name: String| {
        let bytes = disk.read(&name).expect("in memory");
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

fn open(disk: &Simulated, loss: Loss) -> Result<(Log, Image, Time), LogError> {
    Log::open(
        Box::new(disk.clone()),
        Image::new(&config()),
        loss,
        SALT ^ 1,
    )
}

/// What has become of a store.
struct Outcome {
    read: Reading,
    /// What is there after a loss was accepted, if there was one.
    accepted: Image,
    time: Time,
    /// The same with some records more.
    written: Image,
    /// What was read of these.
    again: Image,
}

/// Inspects, opens, recovers and goes on.
fn assert_readable(disk: &Simulated) -> Outcome {
    let read = inspect(disk);
    let copy = disk.after_kill();
    match (open(&copy, Loss::Refuse), &read) {
        (Ok((_, image, time)), Ok((expected, expected_time))) => {
            assert_same(&image, expected);
            assert_eq!(time, *expected_time);
        }
        (Err(LogError::Io(what, error)), _) => panic!("failed to {what}: {error}"),
        (Err(refused), Err(lost)) => assert_eq!(refused.to_string(), *lost),
        (opened, _) => panic!("opening gives {opened:?}, reading {read:?}"),
    }
    let (mut log, mut image, time) = open(disk, Loss::Accept).expect("a loss can be accepted");
    let accepted = image.clone();
    if let Ok((expected, _)) = &read {
        assert_same(&image, expected);
    }
    // From here on it is a whole store, which more can be written to.
    let mut broker = recover(&image, time);
    let client = broker.connect();
    broker.write(client, FlowId::CONTROL, &real::connect("another", 60));
    broker.write(client, FlowId::CONTROL, &real::publish("another", 1));
    let batch = broker.hub().take_records();
    log.append(&batch.records, time).expect("there is room");
    log.sync().expect("nothing fails");
    for record in batch.records {
        image.apply(record);
    }
    let (_, again, _) = open(disk, Loss::Refuse).expect("it was made whole");
    assert_eq!(again.position(), image.position());
    Outcome {
        read,
        accepted,
        time,
        written: image,
        again,
    }
}

fn assert_same(one: &Image, other: &Image) {
    let told = |image: &Image| (image.position(), image.contents());
    assert_eq!(told(one), told(other));
}

fn recover(image: &Image, time: Time) -> VirtualBroker {
    VirtualBroker::recover(config(), image, time.plus_millis(1))
}

/// What clients are shown of the broker that comes of an image: those who know it, and one who asks for everything. Nobody comes back for the Session
/// with a Will Message.
///
/// # Errors
/// A client is sent what is no packet.
fn shown(image: &Image, time: Time) -> Result<Shown, DecodeError> {
    let mut broker = recover(image, time);
    let mut clients = Vec::new();
    for name in real::RECEIVERS {
        let id = broker.connect();
        broker.write(id, FlowId::CONTROL, &real::resume(name));
        clients.push((name, id, Framer::new(u32::MAX)));
    }
    let id = broker.connect();
    broker.write(id, FlowId::CONTROL, &real::connect("viewer", 0));
    broker.write(id, FlowId::CONTROL, &real::subscribe("#"));
    clients.push(("viewer", id, Framer::new(u32::MAX)));
    let mut shown = Shown::new();
    for pause in [0, 100] {
        // Wills and delayed messages become due.
        broker.advance(Duration::from_secs(pause));
        store_all(&mut broker);
        for (name, id, framer) in &mut clients {
            framer.push(&broker.read(*id));
            while let Some(frame) = framer.next_frame()? {
                if let Packet::Publish(publish) = frame.decode(Version::V5_0)? {
                    let payload = publish.payload.to_vec();
                    shown.insert((*name, publish.topic.to_owned(), payload));
                }
            }
        }
    }
    Ok(shown)
}

/// Says that the records of a broker are durable, and those that come of that.
fn store_all(broker: &mut VirtualBroker) {
    loop {
        let batch = broker.hub().take_records();
        if batch.records.is_empty() {
            return;
        }
        broker.hub().durable_up_to(batch.end);
        broker.settle();
    }
}

fn checksum(salt: u64, bytes: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

fn header() -> Vec<u8> {
    let mut bytes = b"QUINCE\x00\x01".to_vec();
    let sum = checksum(SALT, &bytes);
    bytes.extend(SALT.to_le_bytes());
    bytes.extend(sum);
    bytes
}

/// The log that choices make, as `docs/durability.md` has it, and how many records its frames claim.
fn framed(mut choices: &[u8]) -> (Vec<u8>, u64) {
    let mut log = header();
    let mut due = 0_u64;
    while let [kind, distance, count, low, high, rest @ ..] = choices {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (records, behind) = rest.split_at(length);
        let first = due.wrapping_add_signed(i64::from(distance.cast_signed()));
        let mut frame = u32::try_from(length)
            .expect("16 bits")
            .to_le_bytes()
            .to_vec();
        frame.push(kind % 4);
        frame.extend(first.to_le_bytes());
        frame.extend(u32::from(*count).to_le_bytes());
        frame.extend(1_u64.to_le_bytes());
        frame.extend(records);
        log.extend(checksum(SALT, &frame));
        log.extend(frame);
        if kind % 4 == 2 {
            due = first.wrapping_add(u64::from(*count));
        } else {
            due = first;
        }
        choices = behind;
    }
    (log, due)
}

/// One of its slots says so many records, and the header is there once more.
fn watermark(records: u64) -> Vec<u8> {
    let mut bytes = records.to_le_bytes().to_vec();
    bytes.extend(checksum(0, &bytes));
    bytes.resize(1024, 0);
    bytes.extend(header());
    bytes
}

/// Damages the real store and demands that it be noticed.
fn assert_noticed(choices: &[u8]) {
    let [which, choices @ ..] = choices else {
        return;
    };
    let real = real();
    let damage_log = |choices| damaged(&real.log, &real.seams, choices);
    let damage_watermark = |choices| damaged(&real.watermark, &[0, 512, 1024, 1044], choices);
    let (log, watermark) = match which % 3 {
        0 => (damage_log(choices), real.watermark.clone()),
        1 => (real.log.clone(), damage_watermark(choices)),
        _ => {
            let (one, other) = choices.split_at(choices.len() / 2);
            (damage_log(one), damage_watermark(other))
        }
    };
    let disk = Simulated::holding(&[(LOG, &log), (WATERMARK, &watermark)]);
    let outcome = assert_readable(&disk);
    assert_same(&outcome.again, &outcome.written);
    if let Ok((image, time)) = &outcome.read
        && which % 3 != 2
    {
        assert_eq!(real.contents, image.contents(), "lost without a word");
        assert_eq!(
            real.shown,
            shown(image, *time).expect("packets"),
            "lost without a word"
        );
    }
    // Some may be gone, but what is there is as it was.
    for (name, topic, payload) in shown(&outcome.accepted, outcome.time).expect("packets") {
        let sent = real::payload(&topic);
        assert_eq!(payload, sent.as_bytes(), "{name} is shown this of {topic}");
        assert!(real.topics.contains(&topic), "nobody sent to {topic}");
    }
}

/// A file with damage done to it: each takes five bytes, for what, where (two bytes), how much and how.
///
/// None puts bytes of choice anywhere, since a fuzzer that sees the checksums compared would write the right one below a wrong message.
fn damaged(file: &[u8], seams: &[usize], choices: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for choice in choices.chunks_exact(5) {
        let [what, low, high, much, how] = *choice else {
            continue;
        };
        let at = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
        let end = (at + usize::from(much)).min(bytes.len());
        let seam = |number: u8| seams[usize::from(number) % seams.len()].min(bytes.len());
        let piece = seam(low)..seam(low.wrapping_add(1)).max(seam(low));
        let to = seam(how);
        match what % 7 {
            0 => bytes.truncate(at),
            1 => bytes[at..end]
                .iter_mut()
                .take(1)
                .for_each(|byte| *byte ^= how),
            2 => bytes[at..end].fill(0),
            3 => drop(bytes.drain(at..end)),
            4 => drop(bytes.drain(piece)),
            5 => {
                let copy = bytes[piece].to_vec();
                bytes.splice(to..to, copy);
            }
            _ => bytes.extend([0; 16]),
        }
    }
    bytes
}

/// Inputs to begin with, under their names: the real store as files and as frames, and damage of each kind.
#[must_use]
pub fn store_seeds() -> Vec<(String, Vec<u8>)> {
    let real = real();
    let frames = frames(&real.log, &real.seams);
    let mut seeds = Vec::new();
    let empty_base = [1, 0, 0, 0, 0];
    let mut prefix = vec![1];
    for (number, frame) in frames.iter().enumerate() {
        prefix.extend(frame);
        seeds.push((format!("frames-to-{number}"), prefix.clone()));
        let alone = [&[1], &empty_base[..], &frame[..]].concat();
        seeds.push((format!("frame-{number}"), alone));
    }
    let (log, records) = framed(&empty_base);
    let slot = watermark(records)[..12].to_vec();
    seeds.push(("files".to_owned(), [&[0, 12], &slot[..], &log].concat()));
    for which in 0..3 {
        for how in 0..7 {
            let one = [how, 90, 1, 33, 5];
            let seed = [&[2, which], &one[..], &one[..]].concat();
            seeds.push((format!("damage-{how}-to-{which}"), seed));
        }
    }
    seeds
}

/// The frames of a whole log, in the form that [`framed`] takes.
fn frames(log: &[u8], seams: &[usize]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for ends in seams.windows(2) {
        let (prefix, records) = log[ends[0]..ends[1]].split_at(PREFIX);
        // The first may begin at any number.
        let distance = if frames.is_empty() { prefix[9] } else { 0 };
        let mut frame = vec![prefix[8], distance, prefix[17], prefix[4], prefix[5]];
        frame.extend(records);
        frames.push(frame);
    }
    frames
}

/// Where the frames of a whole log begin, and where the last one ends.
fn seams(log: &[u8]) -> Vec<usize> {
    let mut seams = vec![header().len()];
    let mut end = header().len();
    while let Some(prefix) = log.get(end..end + PREFIX) {
        end += PREFIX + usize::from(u16::from_le_bytes([prefix[4], prefix[5]]));
        seams.push(end);
    }
    seams
}
