//! One seed from its program to a verdict: played, shrunk if it fails, and played twice more before it counts.

use std::time::Instant;

use quince_codec::Version;

use super::failure::Failure;
use super::program::Program;
use super::shrink::shrink;
use super::stage::{Pace, Stage};

/// A failure that came again.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The shortest program found that fails so.
    pub program: Program,
    /// Why.
    pub failure: Failure,
    /// What clients did and saw.
    pub transcript: Vec<String>,
}

/// What exploring the program of one seed came to.
#[derive(Clone, Debug)]
pub enum Explored {
    /// Nothing that a right server would not do.
    Clean,
    /// A failure of a kind that is known already; it was not looked into.
    Known,
    /// A failure that came twice more with the shortest program.
    Found(Box<Finding>),
    /// A failure that did not come again in two patient plays.
    Unstable(Box<Finding>),
    /// There is nobody to connect to any more.
    Gone(Box<Finding>),
}

/// Plays the program of a seed. One that fails in a new way is shrunk until `shrinks_until` at most, and played twice more.
pub async fn explore_seed(
    stage: &impl Stage,
    seed: u64,
    versions: &[Version],
    is_known: impl Fn(&Failure) -> bool,
    shrinks_until: Instant,
) -> Explored {
    let program = Program::generate(seed, versions, stage.capabilities());
    let played = stage.play(&program, Pace::Quick).await;
    let failure = match played.failure {
        None => return Explored::Clean,
        Some(failure) if is_known(&failure) => return Explored::Known,
        Some(failure) => failure,
    };
    let first = Box::new(Finding {
        program: program.clone(),
        failure: failure.clone(),
        transcript: played.transcript,
    });
    if matches!(failure, Failure::Unreachable(_)) {
        return Explored::Gone(first);
    }
    // A short program that fails by luck of timing is worth less than a longer one that always does.
    let trail = shrink(stage, program, &failure, shrinks_until).await;
    for candidate in trail.into_iter().rev() {
        if let Some(finding) = confirm(stage, candidate, &failure).await {
            return Explored::Found(Box::new(finding));
        }
    }
    Explored::Unstable(first)
}

/// Plays a program twice more, patiently; the last of these plays if both failed likewise.
async fn confirm(stage: &impl Stage, program: Program, failure: &Failure) -> Option<Finding> {
    let mut last = None;
    for _ in 0..2 {
        let again = stage.play(&program, Pace::Patient).await;
        let other = again.failure.filter(|other| other.is_like(failure))?;
        last = Some((other, again.transcript));
    }
    last.map(|(failure, transcript)| Finding {
        program,
        failure,
        transcript,
    })
}
