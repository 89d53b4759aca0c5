//! Times contenders in turn, so that whatever else the machine does hits all of them alike.

use std::time::{Duration, Instant};

use crate::contender::{BATCH, Contender};

/// Timed batches of a contender in one round, after one that is not timed and brings its code and data into the caches.
const TIMED: u32 = 4;

/// Nanoseconds per packet over the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The fastest round.
    pub minimum: f64,
    /// A quarter of the rounds were faster.
    pub lower: f64,
    /// Half of them.
    pub median: f64,
    /// Three quarters of them.
    pub upper: f64,
}

impl Figures {
    fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let at = |quarter: usize| rounds[(rounds.len() - 1) * quarter / 4];
        Self {
            minimum: at(0),
            lower: at(1),
            median: at(2),
            upper: at(3),
        }
    }
}

/// The figures of each contender, in their order. Each round begins with another one.
///
/// # Panics
/// If there are no rounds.
#[must_use]
pub fn interleaved(contenders: &mut [Contender], rounds: usize) -> Vec<Figures> {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            times[index].push(turn_of(&mut contenders[index]));
        }
    }
    times.into_iter().map(Figures::of).collect()
}

fn turn_of(contender: &mut Contender) -> f64 {
    let mut total = Duration::ZERO;
    contender.work.prepare();
    contender.work.run();
    for _ in 0..TIMED {
        contender.work.prepare();
        let start = Instant::now();
        contender.work.run();
        total += start.elapsed();
    }
    total.as_nanos() as f64 / f64::from(TIMED) / BATCH as f64
}
