//! Plays all jobs of one target: many at once, results in a fixed order, and an eye on whether the target still lives.
//!
//! Scenarios keep apart by the unique prefix of each play. A target that dies fails what was in flight; what had not sent
//! a byte yet, and all that follows, is played one by one once the target answers again, or is inconclusive.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use quince_codec::Version;
use tokio::task::JoinSet;

use crate::{
    scenario::{Case, Scenario},
    verdict::{Outcome, Verdict},
    weight,
};

/// One case of a scenario in one version.
#[derive(Clone, Debug)]
pub struct Job {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Index of the case.
    pub case: usize,
    /// The version that is spoken.
    pub version: Version,
}

impl Job {
    /// Every case of these scenarios in the versions that both it and `versions` have, in order.
    pub fn all(scenarios: &[Arc<Scenario>], versions: &[Version]) -> Vec<Self> {
        let mut jobs = Vec::new();
        for scenario in scenarios {
            for (case, variant) in scenario.cases.iter().enumerate() {
                let played = versions
                    .iter()
                    .filter(|version| variant.versions.contains(version));
                jobs.extend(played.map(|version| Self {
                    scenario: Arc::clone(scenario),
                    case,
                    version: *version,
                }));
            }
        }
        jobs
    }

    /// The versions that some of these are played in.
    pub fn versions(jobs: &[Self]) -> Vec<Version> {
        Version::ALL
            .into_iter()
            .filter(|version| jobs.iter().any(|job| job.version == *version))
            .collect()
    }

    /// The stable id of the case.
    pub fn id(&self) -> String {
        self.scenario.id(self.variant())
    }

    fn variant(&self) -> &Case {
        &self.scenario.cases[self.case]
    }

    /// The statements that it judges.
    pub fn statements(&self) -> Vec<String> {
        self.scenario.statements(self.variant(), self.version)
    }

    /// An outcome without a play.
    pub fn unplayed(&self, verdict: Verdict, detail: &str) -> Outcome {
        Outcome {
            scenario: self.id(),
            version: self.version,
            verdict,
            level: weight::level(&self.scenario, self.variant(), self.version),
            judges_rejection: weight::is_rejection(&self.scenario, self.variant(), self.version),
            statements: self.statements(),
            detail: detail.to_owned(),
            failed_step: None,
            transcript: Vec::new(),
            elapsed: std::time::Duration::ZERO,
        }
    }
}

/// A target to play on.
#[expect(
    async_fn_in_trait,
    reason = "plays share one thread, so no future needs to be sent"
)]
pub trait Arena: 'static {
    /// Plays one job.
    async fn play(&self, job: &Job) -> Outcome;

    /// Whether the target answers CONNECT now.
    async fn answers(&self) -> bool;

    /// Starts the target again where that is possible, and waits until it answers CONNECT.
    ///
    /// # Errors
    /// In words, why it does not.
    async fn comes_back(&self) -> Result<(), String>;

    /// Ready once nothing more is to be played.
    async fn stopped(&self) {
        std::future::pending().await
    }
}

/// Plays `jobs` on `arena`, at most `at_once` at the same time; the outcomes are in the order of the jobs. `done` hears of
/// each outcome as it comes. When the arena is [stopped](Arena::stopped), only what was over by then is returned.
///
/// Must run inside a [`tokio::task::LocalSet`].
pub async fn run<A: Arena>(
    arena: Rc<A>,
    jobs: &[Job],
    at_once: usize,
    mut done: impl FnMut(&Outcome),
) -> Vec<Outcome> {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; jobs.len()];
    let mut waiting: VecDeque<usize> = (0..jobs.len()).collect();
    let mut at_once = at_once.max(1);
    let mut reason = String::new();
    while !waiting.is_empty() {
        let mut playing = JoinSet::new();
        let gone = loop {
            while playing.len() < at_once
                && let Some(index) = waiting.pop_front()
            {
                start(&mut playing, &arena, &jobs[index], index);
            }
            let finished = tokio::select! {
                finished = playing.join_next() => finished,
                () = arena.stopped() => return outcomes.into_iter().flatten().collect(),
            };
            let Some(finished) = finished else {
                break None;
            };
            let Some((index, outcome)) = finished.ok() else {
                continue;
            };
            if is_suspect(&outcome) && !arena.answers().await {
                break Some((index, outcome));
            }
            done(&outcome);
            outcomes[index] = Some(outcome);
        };
        let Some(witness) = gone else { continue };
        let mut in_flight = vec![witness];
        while let Some(finished) = playing.join_next().await {
            in_flight.extend(finished.ok());
        }
        in_flight.sort_by_key(|(index, _)| *index);
        for (index, outcome) in in_flight.into_iter().rev() {
            if !is_suspect(&outcome) {
                done(&outcome);
                outcomes[index] = Some(outcome);
            } else if outcome.last_sent().is_some() {
                let outcome = went_away(outcome);
                done(&outcome);
                outcomes[index] = Some(outcome);
            } else {
                waiting.push_front(index);
            }
        }
        if waiting.is_empty() {
            break;
        }
        if let Err(words) = arena.comes_back().await {
            reason = words;
            break;
        }
        at_once = 1;
    }
    let unplayed = |(index, outcome): (usize, Option<Outcome>)| {
        outcome.unwrap_or_else(|| {
            let detail = format!("not played: the broker went away, and {reason}");
            let outcome = jobs[index].unplayed(Verdict::Inconclusive, &detail);
            done(&outcome);
            outcome
        })
    };
    outcomes.into_iter().enumerate().map(unplayed).collect()
}

/// Starts one play; a play that panics is the suite's own fault and says so.
fn start<A: Arena>(
    playing: &mut JoinSet<(usize, Outcome)>,
    arena: &Rc<A>,
    job: &Job,
    index: usize,
) {
    let (arena, job) = (Rc::clone(arena), job.clone());
    playing.spawn_local(async move {
        let played = tokio::task::spawn_local({
            let job = job.clone();
            async move { arena.play(&job).await }
        });
        let outcome = played.await.unwrap_or_else(|error| {
            job.unplayed(Verdict::Error, &format!("the player broke: {error}"))
        });
        (index, outcome)
    });
}

/// Whether this outcome may mean that the target is gone.
const fn is_suspect(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::Fail | Verdict::Inconclusive)
}

/// The outcome of a scenario during which the target died.
fn went_away(outcome: Outcome) -> Outcome {
    let last = outcome.last_sent().map_or_else(String::new, |entry| {
        format!(
            ": the last bytes sent were {} ({})",
            entry.hex, entry.decoded
        )
    });
    let detail = format!("the broker went away{last}\n{}", outcome.detail);
    Outcome {
        verdict: Verdict::Fail,
        detail: detail.trim_end().to_owned(),
        ..outcome
    }
}
