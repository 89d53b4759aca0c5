//! Captures that Wireshark and tcpdump read: classic pcap with nanoseconds, raw IP packets.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    time::{Duration, SystemTime},
};

/// The format with nanoseconds, written in this machine's byte order, as the format wants.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Packets begin with their IPv4 or IPv6 header.
const LINKTYPE_RAW: u32 = 101;

/// A capture being written.
#[derive(Debug)]
pub(crate) struct Capture<W: Write = BufWriter<File>> {
    output: W,
    /// What link time zero is on the calendar.
    opened: Duration,
}

impl Capture {
    /// Begins the file, replacing one that there is.
    pub(crate) fn create(path: &Path, opened: SystemTime) -> io::Result<Self> {
        Self::begin(BufWriter::new(File::create(path)?), opened)
    }
}

impl<W: Write> Capture<W> {
    pub(crate) fn begin(mut output: W, opened: SystemTime) -> io::Result<Self> {
        output.write_all(&MAGIC.to_ne_bytes())?;
        output.write_all(&2_u16.to_ne_bytes())?;
        output.write_all(&4_u16.to_ne_bytes())?;
        for word in [0, 0, 1 << 16, LINKTYPE_RAW] {
            output.write_all(&word.to_ne_bytes())?;
        }
        let opened = opened.duration_since(SystemTime::UNIX_EPOCH);
        let opened = opened.unwrap_or_default();
        Ok(Self { output, opened })
    }

    /// Adds a packet.
    pub(crate) fn write(&mut self, at: Duration, packet: &[u8]) -> io::Result<()> {
        let time = self.opened + at;
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        for word in [seconds, time.subsec_nanos(), length, length] {
            self.output.write_all(&word.to_ne_bytes())?;
        }
        self.output.write_all(packet)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
