//! Makes a failing program short: leaves out actions, then simplifies those that stay.

use std::time::Instant;

use super::failure::Failure;
use super::program::{Action, Program};
use super::stage::Stage;

/// Ever shorter programs found until `until` that failed like `failure`, the whole one first and the shortest last. Each has failed so
/// once, which may have been luck.
///
/// What fails alone when left out is left out together where that fails too, so that few rounds are needed.
pub(crate) async fn shrink(
    stage: &impl Stage,
    program: Program,
    failure: &Failure,
    until: Instant,
) -> Vec<Program> {
    let mut trail = vec![program.clone()];
    let mut shortest = program;
    let mut size = shortest.actions.len().div_ceil(2);
    while size > 0 && Instant::now() < until {
        let parts: Vec<usize> = (0..shortest.actions.len()).step_by(size).collect();
        let candidates = parts.iter().map(|at| shortest.without(*at, size));
        let alike = stage.alike(candidates.collect(), failure).await;
        let needless: Vec<usize> = parts
            .iter()
            .zip(&alike)
            .filter_map(|(at, alike)| alike.then_some(*at))
            .collect();
        let Some(first) = needless.first().copied() else {
            if size == 1 {
                break;
            }
            size = size.div_ceil(2);
            continue;
        };
        let mut fewest = shortest.clone();
        for at in needless.iter().rev() {
            fewest = fewest.without(*at, size);
        }
        let together = needless.len() == 1 || stage.alike(vec![fewest.clone()], failure).await[0];
        shortest = if together {
            fewest
        } else {
            shortest.without(first, size)
        };
        trail.push(shortest.clone());
    }
    trail.push(simplify(stage, shortest.without_idle_clients(), failure, until).await);
    trail
}

/// Replaces actions by plainer ones, as long as the program fails likewise.
async fn simplify(
    stage: &impl Stage,
    program: Program,
    failure: &Failure,
    until: Instant,
) -> Program {
    let mut simplest = program;
    while Instant::now() < until {
        let plainer = simplest.plainer();
        let candidates = plainer
            .iter()
            .map(|one| simplest.with(std::slice::from_ref(one)));
        let alike = stage.alike(candidates.collect(), failure).await;
        let mut fitting: Vec<(usize, Action)> = plainer
            .into_iter()
            .zip(alike)
            .filter_map(|(one, alike)| alike.then_some(one))
            .collect();
        // One in each place: they stand for each other.
        fitting.dedup_by_key(|(place, _)| *place);
        let all = simplest.with(&fitting);
        let together = fitting.len() < 2 || stage.alike(vec![all.clone()], failure).await[0];
        simplest = match fitting.first() {
            None => break,
            Some(_) if together => all,
            Some(first) => simplest.with(std::slice::from_ref(first)),
        };
    }
    simplest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quince_codec::{QoS, Version};

    use super::super::{play::Played, stage::Pace};
    use super::*;
    use crate::link::run_without_waiting;
    use crate::player::Capabilities;

    /// Fails where somebody publishes at QoS 2 behind a subscription.
    struct Fragile;

    fn fails(program: &Program) -> bool {
        let mut actions = program.actions.iter();
        actions.any(|action| matches!(action, Action::Subscribe { .. }))
            && actions.any(|action| match action {
                Action::Publish { plan, .. } => plan.qos == QoS::ExactlyOnce,
                _ => false,
            })
    }

    fn failure() -> Failure {
        Failure::Malformed("for a test".to_owned())
    }

    impl Stage for Fragile {
        async fn play(&self, program: &Program, _: Pace) -> Played {
            Played {
                failure: fails(program).then(failure),
                transcript: Vec::new(),
            }
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }
    }

    #[test]
    fn what_is_needed_stays_and_nothing_else() {
        let mut shrunk = 0;
        for seed in 0..200 {
            let program = Program::generate(seed, &[Version::V5_0], Capabilities::default());
            if !fails(&program) {
                continue;
            }
            let until = Instant::now() + Duration::from_secs(60);
            let trail = run_without_waiting(shrink(&Fragile, program.clone(), &failure(), until));
            assert_eq!(trail.first(), Some(&program));
            assert!(trail.iter().all(fails));
            let shortest = trail.last().expect("the whole one at least");
            assert_eq!(shortest.actions.len(), 2, "{shortest:?}");
            assert!(shortest.clients.len() <= 2, "{shortest:?}");
            // Without time it stays as it is.
            let untouched = run_without_waiting(shrink(
                &Fragile,
                program.clone(),
                &failure(),
                Instant::now(),
            ));
            assert!(untouched.iter().all(|one| one.actions == program.actions));
            shrunk += 1;
        }
        assert!(shrunk > 50, "only {shrunk}");
    }
}
