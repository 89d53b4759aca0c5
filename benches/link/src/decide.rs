//! The fate of each packet, decided from the seed, its index, its length and the time it enters: pure, without I/O.

use std::{ops::Range, time::Duration};

use crate::{
    Bandwidth, Checksum, Direction, GilbertElliott, Impairment, Loss, Order, Step, Trace,
    draw::{Draw, Salt},
};

/// What is to be done with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It does not arrive.
    Lost(Cause),
    /// It arrives.
    Arrives(Arrival),
}

/// Why a packet is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// By [`Impairment::loss`].
    Loss,
    /// It entered during a blackout.
    Blackout,
    /// The queue of the bandwidth was full.
    Queue,
}

/// When and how a packet arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The time, since the opening of the link, at which it is due.
    pub at: Duration,
    /// When its duplicate is due, if it has one.
    pub duplicate: Option<Duration>,
    /// How it is damaged, if it is.
    pub damage: Option<Damage>,
}

/// How a packet is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Chance from which the flipped bit is chosen, modulo the number of bits that may be.
    pub draw: u64,
    /// What becomes of the transport checksum.
    pub checksum: Checksum,
}

/// Decides for the packets of one direction, in the order in which they enter.
#[derive(Debug, Clone)]
pub struct Decider {
    draw: Draw,
    impairment: Impairment,
    /// Those of [`Impairment::blackouts`] and those that were added since.
    blackouts: Vec<Range<Duration>>,
    /// The index of the next packet.
    next: u64,
    /// When the bottleneck will have sent all that waits.
    idle_from: Duration,
    /// When the latest packet is due that must not be overtaken.
    latest: Duration,
    burst: Burst,
}

/// Where the model of Gilbert and Elliott is: before its first step it is good.
#[derive(Debug, Clone, Copy, Default)]
struct Burst {
    bad: bool,
    /// Steps taken.
    steps: u64,
}

impl Decider {
    /// Decides in `direction` by `seed`; the first packet has index 0.
    #[must_use]
    pub fn new(seed: u64, direction: Direction, impairment: Impairment) -> Self {
        Self {
            draw: Draw::new(seed, direction),
            blackouts: impairment.blackouts.clone(),
            impairment,
            next: 0,
            idle_from: Duration::ZERO,
            latest: Duration::ZERO,
            burst: Burst::default(),
        }
    }

    /// Decides by another impairment from now on. Indexes and the queue go on.
    pub fn impair(&mut self, impairment: Impairment) {
        self.blackouts.clone_from(&impairment.blackouts);
        if self.impairment.loss != impairment.loss {
            // The state is a function of the model, and of the index or the time: it is found again from the beginning.
            self.burst = Burst::default();
        }
        self.impairment = impairment;
    }

    /// Loses every packet that enters in `window`.
    pub fn black_out(&mut self, window: Range<Duration>) {
        self.blackouts.push(window);
    }

    /// The index that the next packet gets.
    #[must_use]
    pub fn next_index(&self) -> u64 {
        self.next
    }

    /// Decides the fate of the next packet: it enters at `now`, and has `length` bytes. Times never go back.
    pub fn decide(&mut self, now: Duration, length: usize) -> Fate {
        let index = self.next;
        self.next += 1;
        // The model moves with every packet and millisecond, blackout or not.
        let lost = self.loses(index, now);
        if self.blackouts.iter().any(|window| window.contains(&now)) {
            return Fate::Lost(Cause::Blackout);
        }
        if lost {
            return Fate::Lost(Cause::Loss);
        }
        let Some(sent) = self.queue(now, length) else {
            return Fate::Lost(Cause::Queue);
        };
        let at = self.due(sent, Salt::Jitter, index);
        let twice = self
            .draw
            .happens(Salt::Duplication, index, self.impairment.duplication);
        let duplicate = twice.then(|| self.due(sent, Salt::DuplicateJitter, index));
        Fate::Arrives(Arrival {
            at,
            duplicate,
            damage: self.damage(index),
        })
    }

    fn loses(&mut self, index: u64, now: Duration) -> bool {
        match &self.impairment.loss {
            Loss::None => false,
            Loss::Independent { probability } => self.draw.happens(Salt::Loss, index, *probability),
            Loss::List(indexes) => indexes.contains(&index),
            Loss::GilbertElliott(model) => self.burst.loses(self.draw, model, index, now),
            Loss::Trace(Trace { step, lost }) => {
                let step = match step {
                    Step::Packet => index,
                    Step::Millisecond => milliseconds(now),
                };
                lost[usize::try_from(step % lost.len() as u64).unwrap_or_default()]
            }
        }
    }

    /// When the bottleneck has sent a packet, or `None` if its queue is full.
    fn queue(&mut self, now: Duration, length: usize) -> Option<Duration> {
        let Some(bandwidth) = &self.impairment.bandwidth else {
            return Some(now);
        };
        let length = length as u64;
        let start = self.idle_from.max(now);
        if bandwidth.sent_in(start - now) + length > bandwidth.queue {
            return None;
        }
        self.idle_from = start + bandwidth.time_of(length);
        Some(self.idle_from)
    }

    fn due(&mut self, sent: Duration, salt: Salt, index: u64) -> Duration {
        let mut due = sent + self.impairment.delay;
        let mut order = Order::Kept;
        if let Some(jitter) = &self.impairment.jitter {
            due += jitter.most.mul_f64(self.draw.unit(salt, index));
            order = jitter.order;
        }
        if order == Order::Kept {
            due = due.max(self.latest);
            self.latest = due;
        }
        due
    }

    fn damage(&self, index: u64) -> Option<Damage> {
        let corruption = self.impairment.corruption.as_ref()?;
        self.draw
            .happens(Salt::Corruption, index, corruption.probability)
            .then(|| Damage {
                draw: self.draw.bits(Salt::CorruptedBit, index),
                checksum: corruption.checksum,
            })
    }
}

impl Burst {
    fn loses(&mut self, draw: Draw, model: &GilbertElliott, index: u64, now: Duration) -> bool {
        let steps = match model.step {
            Step::Packet => index + 1,
            Step::Millisecond => milliseconds(now),
        };
        while self.steps < steps {
            let leave = if self.bad {
                model.to_good
            } else {
                model.to_bad
            };
            self.bad ^= draw.happens(Salt::State, self.steps, leave);
            self.steps += 1;
        }
        let share = if self.bad {
            model.loss_bad
        } else {
            model.loss_good
        };
        draw.happens(Salt::Loss, index, share)
    }
}

impl Bandwidth {
    /// Bytes sent in `time`, rounded up.
    fn sent_in(&self, time: Duration) -> u64 {
        let bits = (time.as_nanos() * u128::from(self.bits_per_second)).div_ceil(1_000_000_000);
        u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX)
    }

    /// How long `bytes` take.
    fn time_of(&self, bytes: u64) -> Duration {
        let nanoseconds = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.bits_per_second);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
