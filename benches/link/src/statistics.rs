//! What happened on a link: what was configured, and what nobody configured.

use std::{fmt, time::Duration};

/// Everything counted since a link was opened.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Packets from A to B.
    pub a_to_b: Counts,
    /// Packets from B to A.
    pub b_to_a: Counts,
    /// What A's kernel dropped.
    pub kernel_a: KernelCounts,
    /// What B's kernel dropped.
    pub kernel_b: KernelCounts,
    /// Whether the emulator's threads run under `SCHED_FIFO`.
    pub real_time: bool,
}

/// What happened to the packets of one direction.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Packets that entered, each with an index from 0. What the address translation dropped before is not among them.
    pub packets: u64,
    /// Bytes that entered, IP headers included.
    pub bytes: u64,
    /// Packets handed to the receiving kernel, duplicates included.
    pub delivered: u64,
    /// Bytes of [`Self::delivered`].
    pub delivered_bytes: u64,
    /// Packets still on their way.
    pub in_flight: u64,
    /// Lost by [`Impairment::loss`](crate::Impairment::loss).
    pub lost: u64,
    /// Lost because they entered during a blackout.
    pub blacked_out: u64,
    /// Dropped by the queue of the bandwidth.
    pub queue_drops: u64,
    /// Dropped by the address translation, which had no mapping for them.
    pub unmapped: u64,
    /// Packets that were delivered twice.
    pub duplicated: u64,
    /// Packets delivered after one that entered later.
    pub reordered: u64,
    /// Packets of which a bit was flipped.
    pub corrupted: u64,
    /// TCP segments with RST that the address translation sent in this direction.
    pub resets: u64,
    /// How much later than due packets were handed over.
    pub lateness: Lateness,
    /// Packets that entered with a wrong checksum: the method demands that there are none.
    pub bad_checksums: u64,
    /// The largest packet that entered, in bytes: never above the MTU.
    pub largest: u64,
    /// Packets dropped because more were in flight than the emulator holds. Nobody configured that.
    pub overrun: u64,
    /// Packets that the receiving kernel refused to take. Nobody configured that.
    pub write_errors: u64,
    /// Packets that could not be written to a capture. They were carried all the same.
    pub capture_errors: u64,
}

impl Counts {
    /// The share of packets lost by [`Impairment::loss`](crate::Impairment::loss), 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        if self.packets == 0 {
            return 0.0;
        }
        self.lost as f64 / self.packets as f64
    }
}

/// Losses that the kernel of one side counts, and that nobody configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// The device's queue towards the emulator was full.
    pub device_tx_dropped: u64,
    /// The kernel dropped what the emulator delivered.
    pub device_rx_dropped: u64,
    /// A UDP socket's receive buffer was full: its owner reads too slowly.
    pub udp_receive_buffer_errors: u64,
    /// UDP datagrams with a wrong checksum. Corruption makes them, nothing else may.
    pub udp_checksum_errors: u64,
    /// TCP segments with a wrong checksum. Corruption makes them, nothing else may.
    pub tcp_checksum_errors: u64,
}

impl KernelCounts {
    /// Packets lost that nobody configured, checksums aside.
    #[must_use]
    pub fn unconfigured(&self) -> u64 {
        self.device_tx_dropped + self.device_rx_dropped + self.udp_receive_buffer_errors
    }
}

impl Statistics {
    /// Packets lost that nobody configured: a trial with any of them proves nothing.
    #[must_use]
    pub fn unconfigured_losses(&self) -> u64 {
        let directions = [&self.a_to_b, &self.b_to_a];
        let emulator: u64 = directions
            .iter()
            .map(|counts| counts.overrun + counts.write_errors)
            .sum();
        emulator + self.kernel_a.unconfigured() + self.kernel_b.unconfigured()
    }
}

/// What datagrams from A to B, sent one at a time, tell of a link.
#[derive(Debug, Clone)]
pub struct Fidelity {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams that the link lost as it was told to.
    pub lost: u64,
    /// Datagrams that came before their delay was over. There must be none.
    pub early: u64,
    /// How much longer than [`Impairment::delay`](crate::Impairment::delay) datagrams took, from the sender's call to the
    /// return of the receiver's: jitter, queues, the emulator, both kernels, and the machine's scheduling.
    pub error: Lateness,
}

/// Number of classes of [`Lateness`].
const CLASSES: usize = 64 * 4;

/// A histogram of delays with classes that grow by a quarter of a power of two: a percentile is at most 25 % too high.
#[derive(Clone)]
pub struct Lateness {
    classes: [u64; CLASSES],
    count: u64,
    sum: u64,
    most: u64,
}

impl Default for Lateness {
    fn default() -> Self {
        Self {
            classes: [0; CLASSES],
            count: 0,
            sum: 0,
            most: 0,
        }
    }
}

impl Lateness {
    /// Counts one delay.
    pub fn record(&mut self, late: Duration) {
        let nanoseconds = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.classes[class_of(nanoseconds)] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(nanoseconds);
        self.most = self.most.max(nanoseconds);
    }

    /// How many delays were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.sum / self.count.max(1))
    }

    /// The largest.
    #[must_use]
    pub fn most(&self) -> Duration {
        Duration::from_nanos(self.most)
    }

    /// The delay that `share` (0 to 1) of all delays do not exceed, rounded up by at most 25 %; zero when there are none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count is a count"
        )]
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (class, count) in self.classes.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(end_of(class).min(self.most));
            }
        }
        Duration::ZERO
    }
}

impl fmt::Debug for Lateness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Lateness(count {}, mean {:?}, p99 {:?}, p99.9 {:?}, most {:?})",
            self.count,
            self.mean(),
            self.percentile(0.99),
            self.percentile(0.999),
            self.most()
        )
    }
}

/// The class that holds `value`: two bits of it after its leading one.
fn class_of(value: u64) -> usize {
    let value = value.max(4);
    let power = value.ilog2();
    let quarter = usize::try_from((value >> (power - 2)) & 3).unwrap_or_default();
    power as usize * 4 + quarter
}

/// The largest value of `class`.
fn end_of(class: usize) -> u64 {
    let (power, quarter) = (class / 4, class as u64 % 4);
    if power < 2 {
        return 4;
    }
    let width = 1_u64 << (power - 2);
    ((4 + quarter) << (power - 2)).saturating_add(width - 1)
}

#[cfg(test)]
mod tests;
