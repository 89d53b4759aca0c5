//! Runs: one, many at once, and the smallest that still fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::failure::Failure;
use crate::plan::{Chaos, Plan};
use crate::stage::Stage;
use crate::world::World;

/// What came of one run.
#[derive(Debug)]
pub struct Report {
    /// The same for the same plan, always.
    pub trace_hash: u64,
    /// What happened, line by line, if it was kept.
    pub trace: Vec<String>,
    /// How many steps were taken.
    pub steps: usize,
    /// Why the run failed, if it did.
    pub failure: Option<Failure>,
}

/// A run that failed.
#[derive(Debug)]
pub struct Finding {
    /// The run.
    pub plan: Plan,
    /// Why.
    pub failure: Failure,
}

/// Runs one plan.
#[must_use]
pub fn run(plan: &Plan, keep_trace: bool) -> Report {
    run_on(&mut Stage::new(), plan, keep_trace)
}

fn run_on(stage: &mut Stage<crate::world::Done>, plan: &Plan, keep_trace: bool) -> Report {
    let mut world = World::new(plan, stage, keep_trace);
    let mut failure = None;
    let mut steps = 0;
    while steps < plan.steps && failure.is_none() {
        failure = world.step().err();
        steps += 1;
    }
    if failure.is_none() {
        failure = world.conclude().err();
    }
    if let Some(failure) = &failure {
        world.trace.note(format_args!("{failure}"));
        world.abandon();
    }
    Report {
        trace_hash: world.trace.hash(),
        trace: world.trace.into_lines(),
        steps,
        failure,
    }
}

/// Runs `count` seeds from `first` on, on `jobs` threads; stops after `most` findings. Gives them in the order of
/// their seeds, and how many seeds were run.
#[must_use]
pub fn sweep(first: &Plan, count: u64, jobs: usize, most: usize) -> (Vec<Finding>, u64) {
    let next = AtomicU64::new(0);
    let found = AtomicUsize::new(0);
    let findings = Mutex::new(Vec::new());
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                let mut stage = Stage::new();
                while found.load(Ordering::Acquire) < most {
                    let index = next.fetch_add(1, Ordering::AcqRel);
                    if index >= count {
                        return;
                    }
                    let plan = Plan {
                        seed: first.seed.wrapping_add(index),
                        ..first.clone()
                    };
                    let report = run_on(&mut stage, &plan, false);
                    done.fetch_add(1, Ordering::AcqRel);
                    if let Some(failure) = report.failure {
                        found.fetch_add(1, Ordering::AcqRel);
                        if let Ok(mut findings) = findings.lock() {
                            findings.push(Finding { plan, failure });
                        }
                    }
                }
            });
        }
    });
    let mut findings = findings.into_inner().unwrap_or_default();
    findings.sort_by_key(|finding| finding.plan.seed);
    (findings, done.into_inner())
}

/// A shorter run of the same seed, with less that goes wrong, which fails for the same kind of reason.
#[must_use]
pub fn shrink(plan: &Plan, failure: &Failure) -> Plan {
    shrink_while(plan, |plan| {
        run(plan, false)
            .failure
            .is_some_and(|other| is_alike(failure, &other))
    })
}

fn shrink_while(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut smallest = plan.clone();
    for chaos in Chaos::ALL {
        let mut simpler = smallest.clone();
        simpler.without.push(chaos);
        if fails(&simpler) {
            smallest = simpler;
        }
    }
    for clients in 1..smallest.clients {
        let fewer = Plan {
            clients,
            ..smallest.clone()
        };
        if fails(&fewer) {
            smallest = fewer;
            break;
        }
    }
    let mut cut = smallest.steps / 2;
    while cut > 0 {
        let shorter = Plan {
            steps: smallest.steps.saturating_sub(cut),
            ..smallest.clone()
        };
        if fails(&shorter) {
            smallest = shorter;
        } else {
            cut /= 2;
        }
    }
    smallest
}

fn is_alike(one: &Failure, other: &Failure) -> bool {
    match (one, other) {
        (Failure::Refused(one), Failure::Refused(other)) => one.rule == other.rule,
        _ => core::mem::discriminant(one) == core::mem::discriminant(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_keeps_what_the_failure_needs() {
        let needs = |plan: &Plan| {
            plan.steps >= 137 && plan.clients >= 3 && !plan.without.contains(&Chaos::Cuts)
        };
        let small = shrink_while(&Plan::new(7, 1000), needs);
        assert_eq!((small.seed, small.steps, small.clients), (7, 137, 3));
        assert_eq!(small.without.len(), Chaos::ALL.len() - 1);
        assert!(needs(&small));
    }
}
