//! Some hundreds of seeds, and that a seed is all there is to a run.

mod planted;

use quince_simulation::{Chaos, Plan, run, sweep};

#[test]
fn hundreds_of_seeds_run_clean() {
    let (findings, seeds) = sweep(&Plan::new(0, 1000), 300, 2, 3);
    let told: Vec<String> = findings
        .iter()
        .map(|finding| {
            format!(
                "{}\nreplay: cargo run -p quince-simulation -- {} --trace",
                finding.failure, finding.plan
            )
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert_eq!(seeds, 300);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..10 {
        let plan = Plan::new(seed, 600);
        let first = run(&plan, true);
        let again = run(&plan, false);
        assert_eq!(first.trace_hash, again.trace_hash, "seed {seed}");
        let other = run(&Plan::new(seed + 1000, 600), false);
        assert_ne!(first.trace_hash, other.trace_hash);
        assert!(first.trace.len() > 600);
    }
}

#[test]
fn what_is_left_out_does_not_happen() {
    let happens = |without: Option<Chaos>, what: &str| {
        (0..20).any(|seed| {
            let plan = Plan {
                without: without.into_iter().collect(),
                ..Plan::new(seed, 600)
            };
            run(&plan, true).trace.iter().any(|line| {
                // The end of a run breaks connections too.
                line.contains(what)
            })
        })
    };
    for (chaos, what) in [
        (Chaos::Overtaking, "stops at"),
        (Chaos::Vanishing, "Vanished"),
        (Chaos::Hostility, "a client sends"),
        (Chaos::Overload, "Quota exceeded"),
    ] {
        assert!(happens(None, what), "{what}");
        assert!(!happens(Some(chaos), what), "{what}");
    }
}

#[test]
fn calls_wait_for_locks_that_others_hold() {
    let contended = (0..40).any(|seed| {
        let report = run(&Plan::new(seed, 1000), true);
        report.trace.iter().any(|line| line.contains("Contended"))
    });
    assert!(contended, "no schedule stops a call that holds a lock");
}

#[test]
fn a_plan_tells_the_arguments_that_give_it_again() {
    let plan = Plan {
        seed: 12,
        steps: 345,
        clients: 3,
        without: vec![Chaos::Cuts, Chaos::Time],
    };
    assert_eq!(
        plan.to_string(),
        "--seed 12 --steps 345 --clients 3 --without cuts --without time"
    );
    assert!(
        Chaos::ALL
            .iter()
            .all(|chaos| Chaos::named(chaos.name()) == Some(*chaos))
    );
}
