//! The bytes of a log: a header, then frames, each under a checksum.
//!
//! ```text
//! header: "QUINCE" version(2) | salt(8) | checksum(4)
//! frame:  checksum(4) | length(4) | kind(1) | first(8) | count(4) | time(8) | records
//! ```
//!
//! Numbers are little-endian. The checksum is CRC-32 over the salt and all that follows it in the frame. Salt is random, so that no
//! client can put bytes into a message that would pass for a frame.

/// What every log begins with: the format and its version.
pub(crate) const MAGIC: [u8; 8] = *b"QUINCE\x00\x01";
pub(crate) const HEADER: usize = 20;
const PREFIX: usize = 29;
/// No broker makes as many records: whoever has written a larger number, it was not the store.
const MOST_RECORDS: u64 = u64::MAX / 2;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of the state that the log begins with.
    Base,
    /// The last part of it.
    BaseEnd,
    /// Records in the order of their positions.
    Batch,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Base),
            1 => Some(Self::BaseEnd),
            2 => Some(Self::Batch),
            _ => None,
        }
    }
}

/// One frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    /// How many records come before those of this frame.
    pub(crate) first: u64,
    /// How many records are in it.
    pub(crate) count: u32,
    /// When it was written, in the core's time.
    pub(crate) time: u64,
    pub(crate) records: &'a [u8],
}

fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

pub(crate) fn header(salt: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(salt.to_le_bytes());
    bytes.extend(checksum(salt, &MAGIC).to_le_bytes());
    bytes
}

/// The salt of a log, if its header is whole and of this version.
pub(crate) fn read_header(bytes: &[u8]) -> Option<u64> {
    let salt = number(bytes.get(8..16)?);
    (bytes.get(..HEADER)? == header(salt)).then_some(salt)
}

/// Whether it is the whole header of a log of another version.
pub(crate) fn is_of_another_version(bytes: &[u8]) -> bool {
    let (Some(magic), Some(salt), Some(sum)) =
        (bytes.get(..8), bytes.get(8..16), bytes.get(16..HEADER))
    else {
        return false;
    };
    magic != MAGIC
        && magic[..6] == MAGIC[..6]
        && number(sum) == u64::from(checksum(number(salt), magic))
}

impl<'a> Frame<'a> {
    /// Appends the frame; `None` when its records do not fit into one.
    pub(crate) fn write(&self, salt: u64, bytes: &mut Vec<u8>) -> Option<()> {
        let length = u32::try_from(self.records.len()).ok()?;
        let start = bytes.len();
        bytes.extend([0; 4]);
        bytes.extend(length.to_le_bytes());
        bytes.push(self.kind as u8);
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.time.to_le_bytes());
        bytes.extend_from_slice(self.records);
        let sum = checksum(salt, &bytes[start + 4..]);
        bytes[start..start + 4].copy_from_slice(&sum.to_le_bytes());
        Some(())
    }

    /// The frame that `bytes` begin with, and how many of them it takes; `None` when there is none, or none that is whole.
    pub(crate) fn read(salt: u64, bytes: &'a [u8]) -> Option<(Self, usize)> {
        let prefix = bytes.get(..PREFIX)?;
        let length = usize::try_from(number(&prefix[4..8])).ok()?;
        let kind = Kind::of(prefix[8])?;
        let end = PREFIX.checked_add(length)?;
        let frame = bytes.get(..end)?;
        if u64::from(checksum(salt, &frame[4..])) != number(&prefix[..4]) {
            return None;
        }
        let count = u32::try_from(number(&prefix[17..21])).ok()?;
        let found = Self {
            kind,
            first: number(&prefix[9..17]),
            count,
            time: number(&prefix[21..29]),
            records: &frame[PREFIX..],
        };
        (found.first <= MOST_RECORDS).then_some((found, end))
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

const SECTOR: usize = 512;
/// Where the watermark file holds the header of the log a second time: without the salt nothing in the log could be read.
pub(crate) const HEADER_COPY: usize = 2 * SECTOR;
const SLOT_LENGTH: usize = 12;

/// One of the two places in the watermark file, in sectors of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    First,
    Second,
}

impl Slot {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Where it begins in the file.
    pub(crate) const fn offset(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => SECTOR,
        }
    }
}

/// How far the log was durable, and which slot says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) records: u64,
    pub(crate) slot: Slot,
}

impl Mark {
    /// The later one of those that are whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        [Slot::First, Slot::Second]
            .into_iter()
            .filter_map(|slot| {
                let start = slot.offset();
                let bytes = bytes.get(start..start + SLOT_LENGTH)?;
                let records = number(&bytes[..8]);
                let is_whole = number(&bytes[8..]) == u64::from(checksum(0, &bytes[..8]));
                (is_whole && records <= MOST_RECORDS).then_some(Self { records, slot })
            })
            .max_by_key(|mark| mark.records)
    }

    /// The bytes of the slot.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.records.to_le_bytes().to_vec();
        bytes.extend(checksum(0, &bytes).to_le_bytes());
        bytes
    }
}
