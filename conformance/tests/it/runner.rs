//! The runner: order, bounds, and what becomes of a target that dies.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use quince_codec::Version;
use quince_conformance::{
    runner::{self, Arena, Job},
    scenario::{StatementsByShape, parse},
    verdict::{Direction, Outcome, TranscriptEntry, Verdict},
};
use tokio::task::LocalSet;

/// A target that dies at some jobs, and comes back or not.
#[derive(Default)]
struct Fake {
    alive: Cell<bool>,
    dies_at: Vec<String>,
    returns: bool,
    /// Plays under way, and the most there ever were.
    playing: Cell<usize>,
    most: Cell<usize>,
    played: RefCell<Vec<String>>,
}

impl Fake {
    fn new(dies_at: &[&str], returns: bool) -> Rc<Self> {
        let dies_at = dies_at.iter().map(|id| (*id).to_owned()).collect();
        Rc::new(Self {
            alive: Cell::new(true),
            dies_at,
            returns,
            ..Self::default()
        })
    }
}

impl Arena for Fake {
    async fn play(&self, job: &Job) -> Outcome {
        self.playing.set(self.playing.get() + 1);
        self.most.set(self.most.get().max(self.playing.get()));
        let connected = self.alive.get();
        // Later jobs finish earlier, so that order is not an accident.
        let number: u64 = job
            .id()
            .rsplit('-')
            .next()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        tokio::time::sleep(Duration::from_millis(30 - number)).await;
        self.played.borrow_mut().push(job.id());
        if self.dies_at.contains(&job.id()) && connected {
            self.alive.set(false);
        }
        self.playing.set(self.playing.get() - 1);
        if self.alive.get() {
            return job.unplayed(Verdict::Pass, "");
        }
        let mut outcome = job.unplayed(Verdict::Fail, "nothing came");
        if connected {
            outcome.transcript.push(TranscriptEntry {
                time_ms: 0,
                client: "c".to_owned(),
                flow: 0,
                direction: Direction::Sent,
                hex: "c000".to_owned(),
                decoded: "PINGREQ".to_owned(),
            });
        }
        outcome
    }

    async fn answers(&self) -> bool {
        self.alive.get()
    }

    async fn comes_back(&self) -> Result<(), String> {
        self.alive.set(self.returns);
        self.returns
            .then_some(())
            .ok_or_else(|| "it stays away".to_owned())
    }
}

fn jobs(count: usize) -> Vec<Job> {
    let text = format!(
        "scenario s {{
            why \"w\"
            mqtt \"5.0\"
            proves \"MQTT5-3.1.4-5\"
            cases {{ each n {} }}
            c connect keep-alive=\"$n\"
            (end)c alive
            fault f violates=\"MQTT5-3.1.4-5\" caught-at=end {{ drop PINGRESP }}
        }}",
        (1..=count)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    );
    let scenarios = parse("test.kdl", &text, &StatementsByShape).expect("parses");
    let scenarios: Vec<_> = scenarios.into_iter().map(Arc::new).collect();
    Job::all(&scenarios, &[Version::V3_1_1, Version::V5_0])
}

fn run(arena: &Rc<Fake>, jobs: &[Job], at_once: usize) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut heard = 0;
    let outcomes = runtime.block_on(LocalSet::new().run_until(runner::run(
        Rc::clone(arena),
        jobs,
        at_once,
        |_| heard += 1,
    )));
    assert_eq!(heard, jobs.len(), "each outcome is heard of once");
    let expected: Vec<String> = jobs.iter().map(Job::id).collect();
    let ids: Vec<String> = outcomes
        .iter()
        .map(|outcome| outcome.scenario.clone())
        .collect();
    assert_eq!(ids, expected, "outcomes are in the order of the jobs");
    outcomes
}

#[test]
fn a_healthy_target_is_played_on_within_the_bound() {
    let (arena, jobs) = (Fake::new(&[], false), jobs(12));
    assert_eq!(
        jobs.len(),
        12,
        "a version that the scenario does not have is not played"
    );
    let outcomes = run(&arena, &jobs, 4);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.verdict == Verdict::Pass)
    );
    assert_eq!(arena.most.get(), 4);
}

#[test]
fn what_was_in_flight_fails_and_the_rest_is_played_one_by_one() {
    let (arena, jobs) = (Fake::new(&["s/n-2"], true), jobs(6));
    let outcomes = run(&arena, &jobs, 2);
    // The second job dies first; the first was in flight with it.
    for outcome in &outcomes[..2] {
        assert_eq!(outcome.verdict, Verdict::Fail, "{}", outcome.scenario);
        assert_eq!(
            outcome.detail,
            "the broker went away: the last bytes sent were c000 (PINGREQ)\nnothing came"
        );
    }
    assert!(
        outcomes[2..]
            .iter()
            .all(|outcome| outcome.verdict == Verdict::Pass)
    );
    let played = arena.played.borrow();
    assert_eq!(
        played.iter().filter(|id| *id == "s/n-1").count(),
        1,
        "what failed is not repeated"
    );
    assert_eq!(
        played[2..],
        ["s/n-3", "s/n-4", "s/n-5", "s/n-6"],
        "one by one, in order"
    );
}

#[test]
fn what_had_sent_nothing_is_played_again() {
    // It is dead before anything was sent, and dies once more when the first job is played.
    let arena = Fake::new(&["s/n-1"], true);
    arena.alive.set(false);
    let jobs = jobs(4);
    let outcomes = run(&arena, &jobs, 3);
    let verdicts: Vec<Verdict> = outcomes.iter().map(|outcome| outcome.verdict).collect();
    assert_eq!(
        verdicts,
        [Verdict::Fail, Verdict::Pass, Verdict::Pass, Verdict::Pass]
    );
    assert_eq!(
        arena.played.borrow()[3..],
        ["s/n-1", "s/n-2", "s/n-3", "s/n-4"],
        "in order"
    );
}

#[test]
fn a_target_that_stays_away_leaves_the_rest_inconclusive() {
    let (arena, jobs) = (Fake::new(&["s/n-1"], false), jobs(5));
    let outcomes = run(&arena, &jobs, 1);
    assert_eq!(outcomes[0].verdict, Verdict::Fail);
    for outcome in &outcomes[1..] {
        assert_eq!(outcome.verdict, Verdict::Inconclusive);
        assert_eq!(
            outcome.detail,
            "not played: the broker went away, and it stays away"
        );
    }
    assert_eq!(*arena.played.borrow(), ["s/n-1"]);
}
