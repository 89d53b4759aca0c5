//! The log of records on a disk: recovery, append, compaction.
//!
//! A log begins with a state and goes on with batches of records. When it has grown to twice the state it begins anew: the state is
//! written to a file beside it, which takes the log's place once it is durable. A second file, the watermark, says how far the
//! log was durable: where it ends before that, something has taken acknowledged records away.
//!
//! The watermark has two slots. One is durable; the other is written after each sync of the log, again and again, and is made
//! durable now and then, when they change places. So a torn write damages one of them at most.

use std::fmt;
use std::io;

use quince_core::{Image, Position, Record, Time};

use crate::disk::{Disk, Extent, write_all};
use crate::frame::{
    Frame, HEADER, HEADER_COPY, Kind, MAGIC, Mark, Slot, header, is_of_another_version, read_header,
};

const LOG: &str = "log";
const NEW_LOG: &str = "log.new";
const DAMAGED_LOG: &str = "log.damaged";
const WATERMARK: &str = "watermark";
/// How large a log may be before it is looked at whether it should begin anew, in bytes.
const COMPACT_ABOVE: u64 = 16 * 1024 * 1024;
/// How many syncs of the log there are to one of the watermark.
const MARKS_PER_SYNC: u64 = 64;
/// Bytes of records in one frame of the base.
const BASE_FRAME: usize = 256 * 1024;

/// What is done about a store that has lost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It is not opened.
    Refuse,
    /// What is left is opened; the damaged log stays beside it.
    Accept,
}

/// Why a store cannot be opened.
#[derive(Debug)]
pub enum LogError {
    /// What failed, and why.
    Io(&'static str, io::Error),
    /// It begins with something else.
    Format,
    /// It lacks records that were durable.
    Lost {
        /// What is gone for certain.
        what: String,
    },
}

impl std::error::Error for LogError {}

impl fmt::Display for LogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(what, error) => write!(formatter, "failed to {what}: {error}"),
            Self::Format => write!(
                formatter,
                "the file 'log' is not a log of format {}",
                MAGIC[7]
            ),
            Self::Lost { what } => formatter.write_str(what),
        }
    }
}

type Outcome<T> = Result<T, LogError>;

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> LogError {
    move |error| LogError::Io(what, error)
}

/// What was found when a log was read.
#[derive(Debug)]
pub struct Found {
    /// What the records come to.
    pub image: Image,
    /// When the last frame was written.
    pub time: Time,
    salt: u64,
    /// Where the next frame goes.
    end: u64,
    /// Bytes of the state that the log begins with.
    base: u64,
    /// What is gone, if anything is.
    pub lost: Option<String>,
    mark: Option<Mark>,
}

/// A log that is open to write.
///
/// Files: `log`, `watermark`, `log.new` while it begins anew, `log.damaged` where a loss was accepted.
#[derive(Debug)]
pub struct Log {
    disk: Box<dyn Disk>,
    log: Box<dyn Extent>,
    watermark: Box<dyn Extent>,
    /// The slot that is not durable.
    slot: Slot,
    /// How often it was written since the other one is.
    marks: u64,
    salt: u64,
    end: u64,
    base: u64,
    position: u64,
    compact_above: u64,
    /// The file has taken the place of another one, and that is not durable yet.
    is_renamed: bool,
}

impl Log {
    /// Reads a log without changing anything; `None` when there is none. `empty` is the image to start from.
    ///
    /// # Errors
    /// When it cannot be read at all. What it lacks beyond that is told in [`Found::lost`].
    pub fn inspect(disk: &dyn Disk, empty: Image) -> Outcome<Option<Found>> {
        let names = disk.names().map_err(failed("list the folder"))?;
        let has = |name: &str| names.iter().any(|known| known == name);
        let has_watermark = has(WATERMARK);
        if !has(LOG) {
            return if has_watermark {
                let what = "the file 'log' is gone".to_owned();
                Err(LogError::Lost { what })
            } else {
                Ok(None)
            };
        }
        let watermark = has_watermark
            .then(|| disk.read(WATERMARK).map_err(failed("read 'watermark'")))
            .transpose()?
            .unwrap_or_default();
        let mark = Mark::read(&watermark);
        let bytes = disk.read(LOG).map_err(failed("read 'log'"))?;
        let salt = read_header(&bytes);
        if salt.is_none() && is_of_another_version(&bytes) {
            return Err(LogError::Format);
        }
        let copy = watermark.get(HEADER_COPY..).and_then(read_header);
        let known_salt = salt.or(copy).ok_or(LogError::Format)?;
        let mut reading = Reading::new(empty, known_salt);
        if salt.is_none() {
            reading.lose("the first bytes of the log are damaged");
        }
        reading.read(&bytes, mark.map(|mark| mark.records));
        if mark.is_none() && reading.image.position() > Position::START {
            // One of its slots is durable before the first record is made.
            let how = if has_watermark { "damaged" } else { "gone" };
            reading.lose(&format!(
                "the file 'watermark' is {how}, so nobody can tell whether the log is whole"
            ));
        }
        Ok(Some(reading.found(mark)))
    }

    /// Opens the log, or makes one under a random `salt`; gives what its records come to and when the last one was written.
    ///
    /// # Errors
    /// When the disk fails, or something is gone and that is not accepted.
    pub fn open(
        disk: Box<dyn Disk>,
        empty: Image,
        loss: Loss,
        salt: u64,
    ) -> Outcome<(Self, Image, Time)> {
        match Self::inspect(&*disk, empty.clone()) {
            Ok(None) => {
                let log = Self::begin(disk, &empty, (salt, Time::ZERO), None)?;
                Ok((log, empty, Time::ZERO))
            }
            Ok(Some(found)) => match (&found.lost, loss) {
                (None, _) => Self::go_on(disk, found),
                (Some(what), Loss::Refuse) => Err(LogError::Lost { what: what.clone() }),
                (Some(_), Loss::Accept) => {
                    let mut image = found.image;
                    let (time, salt) = (found.time, found.salt);
                    set_aside(&*disk)?;
                    renumber(&mut image, found.mark);
                    let log = Self::begin(disk, &image, (salt, time), found.mark)?;
                    Ok((log, image, time))
                }
            },
            Err(LogError::Lost { .. } | LogError::Format) if loss == Loss::Accept => {
                set_aside(&*disk)?;
                let mark = disk.read(WATERMARK).ok();
                let mark = mark.and_then(|bytes| Mark::read(&bytes));
                let mut image = empty;
                renumber(&mut image, mark);
                let log = Self::begin(disk, &image, (salt, Time::ZERO), mark)?;
                Ok((log, image, Time::ZERO))
            }
            Err(error) => Err(error),
        }
    }

    /// A new log that holds `image`, written at a time under a salt.
    fn begin(
        disk: Box<dyn Disk>,
        image: &Image,
        (salt, time): (u64, Time),
        mark: Option<Mark>,
    ) -> Outcome<Self> {
        let (log, end) = write_base(&*disk, image, salt, time)?;
        disk.sync_names().map_err(failed("sync the folder"))?;
        let found = Found {
            image: Image::clone(image),
            time,
            salt,
            end,
            base: end,
            lost: None,
            mark,
        };
        Self::with(disk, log, &found)
    }

    /// The log that was found, which is whole.
    fn go_on(disk: Box<dyn Disk>, found: Found) -> Outcome<(Self, Image, Time)> {
        let file = disk.open(LOG).map_err(failed("open 'log'"))?;
        // What was half written when the process ended goes, so that nothing can stand behind it.
        file.truncate(found.end).map_err(failed("cut 'log'"))?;
        file.sync().map_err(failed("sync 'log'"))?;
        let log = Self::with(disk, file, &found)?;
        Ok((log, found.image, found.time))
    }

    fn with(disk: Box<dyn Disk>, log: Box<dyn Extent>, found: &Found) -> Outcome<Self> {
        let watermark = disk.open(WATERMARK).map_err(failed("open 'watermark'"))?;
        write_all(&*watermark, &header(found.salt), HEADER_COPY as u64)
            .map_err(failed("write 'watermark'"))?;
        // What was read may not be durable yet.
        watermark.sync().map_err(failed("sync 'watermark'"))?;
        let mut log = Self {
            disk,
            log,
            watermark,
            slot: found.mark.map_or(Slot::First, |mark| mark.slot.other()),
            marks: 0,
            salt: found.salt,
            end: found.end,
            base: found.base,
            position: found.image.position().records(),
            compact_above: COMPACT_ABOVE,
            is_renamed: false,
        };
        log.mark().map_err(failed("write 'watermark'"))?;
        log.sync_mark().map_err(failed("sync 'watermark'"))?;
        log.disk.sync_names().map_err(failed("sync the folder"))?;
        Ok(log)
    }

    /// How large the log may be before it is looked at whether it should begin anew, in bytes; 16 MiB where nobody says otherwise.
    #[must_use]
    pub fn compact_above(mut self, bytes: u64) -> Self {
        self.compact_above = bytes;
        self
    }

    /// Writes records behind the last one. They are durable after [`Log::sync`].
    ///
    /// # Errors
    /// Nothing of them counts then, and the same may be tried again.
    pub fn append(&mut self, records: &[Record], time: Time) -> io::Result<()> {
        let mut encoded = Vec::new();
        records
            .iter()
            .for_each(|record| record.encode(&mut encoded));
        let frame = Frame {
            kind: Kind::Batch,
            first: self.position,
            count: u32::try_from(records.len()).unwrap_or(u32::MAX),
            time: time.as_millis(),
            records: &encoded,
        };
        let mut bytes = Vec::with_capacity(encoded.len() + 64);
        frame
            .write(self.salt, &mut bytes)
            .ok_or_else(|| io::Error::other("too many records at once"))?;
        if let Err(error) = write_all(&*self.log, &bytes, self.end) {
            self.log.truncate(self.end)?;
            return Err(error);
        }
        self.end += bytes.len() as u64;
        self.position += records.len() as u64;
        Ok(())
    }

    /// Returns when all that was appended is durable.
    ///
    /// # Errors
    /// Nobody knows what is durable then: the log must not be used again.
    pub fn sync(&mut self) -> io::Result<()> {
        self.log.sync()?;
        self.sync_name()?;
        self.mark()
    }

    fn sync_name(&mut self) -> io::Result<()> {
        if self.is_renamed {
            self.disk.sync_names()?;
            self.is_renamed = false;
        }
        Ok(())
    }

    fn mark(&mut self) -> io::Result<()> {
        if self.marks >= MARKS_PER_SYNC {
            self.sync_mark()?;
        }
        self.marks += 1;
        let mark = Mark {
            records: self.position,
            slot: self.slot,
        };
        let offset = self.slot.offset() as u64;
        write_all(&*self.watermark, &mark.to_bytes(), offset)
    }

    /// Makes the slot durable that is not; the other one is written from then on.
    fn sync_mark(&mut self) -> io::Result<()> {
        self.watermark.sync()?;
        self.slot = self.slot.other();
        self.marks = 0;
        Ok(())
    }

    /// Whether the log has grown enough to begin anew.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.end > self.compact_above.max(self.base.saturating_mul(2))
    }

    /// Begins the log anew with `image`, which is what all that was appended comes to; it is durable then.
    ///
    /// # Errors
    /// Where it says that the disk is full the log goes on as it was, after any other it must not be used again.
    pub fn compact(&mut self, image: &Image, time: Time) -> io::Result<()> {
        let (log, end) =
            write_base(&*self.disk, image, self.salt, time).map_err(|error| match error {
                LogError::Io(_, error) => error,
                other => io::Error::other(other.to_string()),
            })?;
        self.log = log;
        self.end = end;
        self.base = end;
        self.is_renamed = true;
        self.sync_name()?;
        self.mark()?;
        self.sync_mark()
    }
}

/// Keeps what is damaged, so that it can be looked at.
fn set_aside(disk: &dyn Disk) -> Outcome<()> {
    match disk.rename(LOG, DAMAGED_LOG) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LogError::Io("set 'log' aside", error))
        }
        _ => Ok(()),
    }
}

/// What is gone was numbered: its numbers are not given again.
fn renumber(image: &mut Image, mark: Option<Mark>) {
    let known = image.position().records();
    let end = mark.map_or(known, |mark| mark.records.max(known));
    image.set_position(Position::new(end));
}

/// Writes a log that holds `image` and nothing else, and puts it into the place of the log; its name is not durable yet.
fn write_base(
    disk: &dyn Disk,
    image: &Image,
    salt: u64,
    time: Time,
) -> Outcome<(Box<dyn Extent>, u64)> {
    let file = disk.open(NEW_LOG).map_err(failed("make 'log.new'"))?;
    file.truncate(0).map_err(failed("empty 'log.new'"))?;
    let mut end = 0;
    let mut put = |bytes: &[u8]| {
        write_all(&*file, bytes, end).map_err(failed("write 'log.new'"))?;
        end += bytes.len() as u64;
        Ok::<_, LogError>(())
    };
    put(&header(salt))?;
    let mut records = image.records().peekable();
    loop {
        let mut encoded = Vec::new();
        let mut count = 0;
        while encoded.len() < BASE_FRAME
            && let Some(record) = records.next()
        {
            record.encode(&mut encoded);
            count += 1;
        }
        let is_last = records.peek().is_none();
        let frame = Frame {
            kind: if is_last { Kind::BaseEnd } else { Kind::Base },
            first: image.position().records(),
            count,
            time: time.as_millis(),
            records: &encoded,
        };
        let mut bytes = Vec::new();
        frame.write(salt, &mut bytes).ok_or_else(|| {
            LogError::Io("write 'log.new'", io::Error::other("a record is too large"))
        })?;
        put(&bytes)?;
        if is_last {
            break;
        }
    }
    file.sync().map_err(failed("sync 'log.new'"))?;
    disk.rename(NEW_LOG, LOG)
        .map_err(failed("put 'log.new' in the place of 'log'"))?;
    Ok((file, end))
}

/// A log that is being read.
struct Reading {
    image: Image,
    salt: u64,
    time: u64,
    end: usize,
    base: Option<usize>,
    lost: Option<String>,
}

impl Reading {
    fn new(image: Image, salt: u64) -> Self {
        Self {
            image,
            salt,
            time: 0,
            end: HEADER,
            base: None,
            lost: None,
        }
    }

    fn lose(&mut self, what: &str) {
        let lost = self.lost.get_or_insert_default();
        if !lost.is_empty() {
            lost.push_str("; ");
        }
        lost.push_str(what);
    }

    fn read(&mut self, bytes: &[u8], watermark: Option<u64>) {
        let mut offset = HEADER;
        while offset < bytes.len() {
            match Frame::read(self.salt, &bytes[offset..]) {
                Some((frame, length)) if self.take(&frame) => {
                    offset += length;
                    self.end = offset;
                    if frame.kind == Kind::BaseEnd {
                        self.base = Some(offset);
                    }
                }
                _ if self.is_behind(watermark) => {
                    // Everything that was durable is there: this was being written when the process ended.
                    break;
                }
                _ => {
                    let from = self.image.position().records();
                    offset += 1;
                    while offset < bytes.len() && !self.goes_on(&bytes[offset..]) {
                        offset += 1;
                    }
                    if let Some((frame, _)) =
                        Frame::read(self.salt, &bytes[offset.min(bytes.len())..])
                    {
                        let what = match frame.kind {
                            Kind::Batch => format!("the log is damaged: records {} to {} are gone", from + 1, frame.first),
                            _ => "the log is damaged: a part of the state that it begins with is gone".to_owned(),
                        };
                        self.lose(&what);
                        self.image.set_position(Position::new(frame.first));
                    }
                }
            }
        }
        let position = self.image.position().records();
        let durable = watermark.unwrap_or(0);
        if position < durable {
            self.lose(&format!(
                "the log ends with record {position}, but {durable} were durable: {} are gone",
                durable - position
            ));
        } else if self.base.is_none() {
            self.lose("the state that the log begins with is gone");
        }
    }

    fn is_behind(&self, watermark: Option<u64>) -> bool {
        self.base.is_some() && watermark.is_some_and(|mark| self.image.position().records() >= mark)
    }

    /// Whether bytes begin with a frame that comes later than what is read.
    fn goes_on(&self, bytes: &[u8]) -> bool {
        Frame::read(self.salt, bytes)
            .is_some_and(|(frame, _)| frame.first >= self.image.position().records())
    }

    /// Applies a frame; false when it is not the next one, or not of this version.
    fn take(&mut self, frame: &Frame<'_>) -> bool {
        let position = self.image.position();
        let is_next = match frame.kind {
            Kind::Base | Kind::BaseEnd => {
                position == Position::START || position.records() == frame.first
            }
            Kind::Batch => position.records() == frame.first,
        };
        if !is_next {
            return false;
        }
        let mut rest = frame.records;
        let mut records = Vec::new();
        for _ in 0..frame.count {
            match self.image.decode(&mut rest) {
                Ok(record) => records.push(record),
                Err(_) => return false,
            }
        }
        if !rest.is_empty() {
            return false;
        }
        records
            .into_iter()
            .for_each(|record| self.image.apply(record));
        if frame.kind != Kind::Batch {
            self.image.set_position(Position::new(frame.first));
        }
        self.time = self.time.max(frame.time);
        true
    }

    fn found(self, mark: Option<Mark>) -> Found {
        Found {
            image: self.image,
            time: Time::from_millis(self.time),
            salt: self.salt,
            end: self.end as u64,
            base: self.base.unwrap_or(HEADER) as u64,
            lost: self.lost,
            mark,
        }
    }
}
