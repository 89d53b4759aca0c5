//! What happened in a run: a hash of all of it, and the text if somebody wants to read it.

use core::fmt;

/// FNV-1a over every line, so that two runs can be compared by one number.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
    line: String,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: keep.then(Vec::new),
            line: String::new(),
        }
    }

    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing to a String does not fail.
        _ = fmt::write(&mut self.line, what);
        self.take_in(b"\n");
        let line = core::mem::take(&mut self.line);
        self.take_in(line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        } else {
            self.line = line;
        }
    }

    pub(crate) fn take_in(&mut self, bytes: &[u8]) {
        self.hash = bytes.iter().fold(self.hash, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
