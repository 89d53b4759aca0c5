//! `quince-lab run`: every contender under every set of conditions with every seed, several links at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::conditions::Conditions;
use super::contender::Contender;
use super::fault::Fault;
use super::statistics::Sample;
use super::trial::{Outcome, Trial};

/// How trials are run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// At the same time.
    pub(crate) parallel: usize,
    /// How often a trial is done again whose link was not the one that was configured.
    pub(crate) repeats: usize,
    /// When no trial is done again any more, from the start.
    pub(crate) repeat_until: Duration,
    /// No progress on stderr.
    pub(crate) quiet: bool,
}

/// A trial with what came of it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) trial: Trial,
    pub(crate) result: Result<Outcome, Fault>,
    /// Earlier tries that were tainted and are not in the figures: why.
    pub(crate) discarded: Vec<Vec<String>>,
}

impl Done {
    /// The outcome, if its figures may be used.
    pub(crate) fn clean(&self) -> Option<&Outcome> {
        self.result
            .as_ref()
            .ok()
            .filter(|outcome| outcome.taint.is_empty())
    }
}

/// All trials in the order in which they are to run: the contenders of one cell and seed stand together, so that they run
/// at the same time and the same noise of the machine meets them; who of them comes first changes.
pub(crate) fn order(
    conditions: &[Conditions],
    contenders: &[Contender],
    seeds: &[u64],
    like: &Trial,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    for conditions in conditions {
        for (round, &seed) in seeds.iter().enumerate() {
            for place in 0..contenders.len() {
                let contender = contenders[(place + round) % contenders.len()].clone();
                trials.push(Trial {
                    contender,
                    conditions: conditions.clone(),
                    seed,
                    ..like.clone()
                });
            }
        }
    }
    trials
}

/// A trial that waits to be run, or to be run again.
struct Turn {
    place: usize,
    trial: Trial,
    /// The last outcome, if it was tainted and may be had better.
    tainted: Option<Outcome>,
    discarded: Vec<Vec<String>>,
}

/// Runs those that are not `known` from earlier; those that were tainted again when all have had their turn. What this
/// machine refuses ends everything, and so does a `note` of a trial that fails.
///
/// # Errors
/// The refusal.
pub(crate) fn all(
    trials: Vec<Trial>,
    known: Vec<Option<Done>>,
    effort: Effort,
    note: &(dyn Fn(&Done) -> Result<(), String> + Sync),
) -> Result<Vec<Done>, Fault> {
    let begin = Instant::now();
    let bar = progress(trials.len(), effort.quiet);
    let (done, results) = mpsc::channel();
    let mut turns = VecDeque::new();
    let known = known.into_iter().chain(std::iter::repeat_with(|| None));
    for ((place, trial), known) in trials.into_iter().enumerate().zip(known) {
        if let Some(one) = known {
            bar.inc(1);
            // The receiver is in this function.
            let _ = done.send((place, one));
            continue;
        }
        turns.push_back(Turn {
            place,
            trial,
            tainted: None,
            discarded: Vec::new(),
        });
    }
    let queue = Mutex::new(turns);
    thread::scope(|scope| {
        for _ in 0..effort.parallel {
            let (queue, done, bar) = (&queue, done.clone(), &bar);
            scope.spawn(move || {
                while let Some(turn) = next(queue) {
                    let (trial, place) = (&turn.trial, turn.place);
                    bar.set_message(format!("{} at {}", trial.contender, trial.conditions));
                    let Some(mut one) = take(turn, effort, begin.elapsed(), queue) else {
                        continue;
                    };
                    bar.inc(1);
                    if let Err(unwritten) = note(&one) {
                        one.result = Err(Fault::Refused(unwritten));
                    }
                    let refused = matches!(one.result, Err(Fault::Refused(_)));
                    // The receiver lives as long as this scope.
                    let _ = done.send((place, one));
                    if refused {
                        lock(queue).clear();
                    }
                }
            });
        }
    });
    drop(done);
    bar.finish_and_clear();
    let mut all: Vec<_> = results.iter().collect();
    all.sort_by_key(|(place, _)| *place);
    let all: Vec<_> = all.into_iter().map(|(_, one)| one).collect();
    for one in &all {
        if let Err(refusal @ Fault::Refused(_)) = &one.result {
            return Err(refusal.clone());
        }
    }
    Ok(all)
}

/// Runs a trial, and puts it back behind all others if it was tainted and may be repeated.
fn take(
    mut turn: Turn,
    effort: Effort,
    elapsed: Duration,
    queue: &Mutex<VecDeque<Turn>>,
) -> Option<Done> {
    if let Some(outcome) = turn.tainted.take() {
        if elapsed >= effort.repeat_until {
            return Some(Done {
                trial: turn.trial,
                result: Ok(outcome),
                discarded: turn.discarded,
            });
        }
        turn.discarded.push(outcome.taint);
    }
    match turn.trial.run() {
        Ok(outcome) if !outcome.taint.is_empty() && turn.discarded.len() < effort.repeats => {
            turn.tainted = Some(outcome);
            lock(queue).push_back(turn);
            None
        }
        result => Some(Done {
            trial: turn.trial,
            result,
            discarded: turn.discarded,
        }),
    }
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    lock(queue).pop_front()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn progress(trials: usize, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    // Nothing is drawn where nobody looks.
    let bar = ProgressBar::new(trials as u64);
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} trials, {elapsed}: {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}

/// Everything about one contender under one set of conditions.
#[derive(Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) conditions: Conditions,
    pub(crate) contender: &'a Contender,
    pub(crate) sample: Sample,
    /// There was no clean trial: the figures are of tainted ones, and nothing may be concluded from them.
    pub(crate) provisional: bool,
    pub(crate) counts: Counts,
}

/// Sums over the messages of the trials that are in a cell's figures, and how its trials went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Counts {
    /// Trials whose link was the one configured.
    pub(crate) clean: u64,
    pub(crate) scheduled: u64,
    pub(crate) received: u64,
    pub(crate) duplicated: u64,
    pub(crate) lost: u64,
    /// Trials done again, because the link was not the one configured.
    pub(crate) repeated: u64,
    /// Trials that stayed so.
    pub(crate) tainted: u64,
    /// Trials that gave no figures.
    pub(crate) failed: u64,
}

/// The cells in the order of the table.
pub(crate) fn cells<'a>(
    all: &[Done],
    conditions: &[Conditions],
    contenders: &'a [Contender],
) -> Vec<Cell<'a>> {
    let mut cells = Vec::new();
    for conditions in conditions {
        for contender in contenders {
            let of_cell = || {
                all.iter().filter(|one| {
                    one.trial.conditions == *conditions && one.trial.contender == *contender
                })
            };
            let clean: Vec<_> = of_cell().filter_map(Done::clean).collect();
            let provisional = clean.is_empty();
            let used = if provisional {
                of_cell()
                    .filter_map(|one| one.result.as_ref().ok())
                    .collect()
            } else {
                clean
            };
            let mut counts = Counts::default();
            for one in of_cell() {
                counts.count_trial(one);
            }
            for outcome in &used {
                counts.count_messages(outcome);
            }
            cells.push(Cell {
                conditions: conditions.clone(),
                contender,
                sample: Sample::new(used.iter().map(|outcome| &outcome.latencies)),
                provisional,
                counts,
            });
        }
    }
    cells
}

impl Counts {
    fn count_trial(&mut self, one: &Done) {
        self.repeated += one.discarded.len() as u64;
        match (&one.result, one.clean()) {
            (_, Some(_)) => self.clean += 1,
            (Ok(_), None) => self.tainted += 1,
            (Err(_), _) => self.failed += 1,
        }
    }

    fn count_messages(&mut self, outcome: &Outcome) {
        self.scheduled += outcome.scheduled;
        self.received += outcome.received;
        self.duplicated += outcome.duplicated;
        self.lost += outcome.lost;
    }
}

#[cfg(test)]
mod tests {
    use super::super::conditions::Even;
    use super::super::load::Load;
    use super::super::trial::Leg;
    use super::*;

    #[test]
    fn contenders_of_a_cell_and_seed_stand_together_and_take_turns() {
        let contenders: Vec<Contender> = ["tls-cubic", "tls-bbr", "quic"]
            .map(|name| name.parse().expect("a contender"))
            .to_vec();
        let conditions = [0.0, 5.0].map(|loss| {
            Conditions::Even(Even {
                rtt: 50.0,
                loss,
                jitter: 0.0,
            })
        });
        let like = Trial {
            contender: contenders[0].clone(),
            conditions: conditions[0].clone(),
            load: Load {
                topics: 1,
                rate: 1.0,
                payload: 64,
                qos: 0,
                seconds: 1.0,
            },
            leg: Leg::Publisher,
            seed: 0,
            patience: Duration::ZERO,
            interruption: None,
        };
        let trials = order(&conditions, &contenders, &[4, 5], &like);
        let names: Vec<_> = trials
            .iter()
            .map(|trial| {
                format!(
                    "{} {} {}",
                    trial.conditions.trouble(),
                    trial.seed,
                    trial.contender
                )
            })
            .collect();
        let expected = [
            "0 % loss 4 tls-cubic",
            "0 % loss 4 tls-bbr",
            "0 % loss 4 quic",
            "0 % loss 5 tls-bbr",
            "0 % loss 5 quic",
            "0 % loss 5 tls-cubic",
            "5 % loss 4 tls-cubic",
            "5 % loss 4 tls-bbr",
            "5 % loss 4 quic",
            "5 % loss 5 tls-bbr",
            "5 % loss 5 quic",
            "5 % loss 5 tls-cubic",
        ];
        assert_eq!(names, expected);
    }
}
