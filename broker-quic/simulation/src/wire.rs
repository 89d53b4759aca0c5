//! One network connection between a client and the broker: bytes under way, in order, in pieces of any size.

use std::collections::VecDeque;

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// Handed to the network, not there yet.
    flying: VecDeque<u8>,
    /// There, not read yet.
    arrived: VecDeque<u8>,
}

impl Pipe {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.flying.extend(bytes);
    }

    pub(crate) fn flying(&self) -> usize {
        self.flying.len()
    }

    pub(crate) fn arrived(&self) -> usize {
        self.arrived.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.flying.len() + self.arrived.len()
    }

    pub(crate) fn carry(&mut self, bytes: usize) {
        let bytes = bytes.min(self.flying.len());
        self.arrived.extend(self.flying.drain(..bytes));
    }

    pub(crate) fn read(&mut self, bytes: usize) -> Vec<u8> {
        let bytes = bytes.min(self.arrived.len());
        self.arrived.drain(..bytes).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.flying.clear();
        self.arrived.clear();
    }
}
