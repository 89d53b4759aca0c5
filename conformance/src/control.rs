//! The positive control: is the target a broker at all, one that delivers what is published?
//!
//! A peer that acknowledges whatever it gets would pass every scenario that asks for an acknowledgement only. So each
//! target first has to deliver one message in each version played. Where it does not, a pass says nothing (but about
//! CONNECT and CONNACK, which the control needs itself), and becomes inconclusive with that reason; what fails,
//! fails as it would.
//!
//! Whether a target serves several streams of a QUIC connection is found out in the same way, for nothing declares it: where
//! it answers nothing on a second stream, what needs one is skipped.

use std::{collections::BTreeMap, rc::Rc};

use quince_codec::Version;

use crate::{
    catalogue::Catalogue,
    library::Library,
    runner::{Arena, Job},
    scenario::Statements as _,
    verdict::{Outcome, Verdict},
};

/// What is played first.
const SCENARIO: (&str, &str) = ("control.kdl", include_str!("control.kdl"));

/// What is played where a scenario opens data streams.
const STREAMS: (&str, &str) = ("streams.kdl", include_str!("streams.kdl"));

/// What the control said of one target, in each version that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Why it did not pass, for the versions in which it did not.
    failed: BTreeMap<Version, String>,
    /// Why it is said not to serve data streams, if it does not.
    no_streams: Option<String>,
}

impl Control {
    /// Plays the control on `arena` in each of the versions of `jobs`, and the one of data streams if any of them opens one.
    pub async fn of<A: Arena>(arena: &A, jobs: &[Job]) -> Self {
        let mut control = Self::default();
        for outcome in play(arena, SCENARIO, jobs).await {
            if outcome.verdict != Verdict::Pass {
                control.failed.insert(outcome.version, outcome.detail);
            }
        }
        if jobs.iter().any(opens_streams) {
            let outcomes = play(arena, STREAMS, jobs).await;
            control.no_streams = outcomes
                .into_iter()
                .find_map(|outcome| match outcome.verdict {
                    // Over another transport what needs streams says so itself.
                    Verdict::Pass | Verdict::Skipped => None,
                    _ => Some(outcome.detail),
                });
        }
        control
    }

    /// What `job` comes to without being played, if it cannot be.
    fn skip(&self, job: &Job) -> Option<Outcome> {
        let reason = self.no_streams.as_ref().filter(|_| opens_streams(job))?;
        let first = reason.lines().next().unwrap_or_default();
        let words = format!("needs data streams, and the target serves none: {first}");
        Some(job.unplayed(Verdict::Skipped, &words))
    }

    /// The outcome as it counts: a pass that proves nothing is inconclusive.
    pub fn weigh(&self, outcome: Outcome) -> Outcome {
        let about_connecting = |id: &String| {
            Catalogue::embedded()
                .known(id)
                .is_some_and(|known| known.about_connecting)
        };
        let reason = match self.failed.get(&outcome.version) {
            Some(reason) if outcome.verdict == Verdict::Pass => reason,
            _ => return outcome,
        };
        if outcome.statements.iter().all(about_connecting) {
            return outcome;
        }
        let detail = format!(
            "it passed, but that proves nothing: the target did not even deliver one message to a subscriber\n{reason}"
        );
        Outcome {
            verdict: Verdict::Inconclusive,
            detail,
            ..outcome
        }
    }
}

fn opens_streams(job: &Job) -> bool {
    !job.scenario.streams().is_empty()
}

/// Plays a scenario of the control in each version that `jobs` are played in.
async fn play<A: Arena>(arena: &A, file: (&str, &str), jobs: &[Job]) -> Vec<Outcome> {
    let library = Library::from_files([file].into_iter());
    let scenarios = library.as_ref().map(Library::scenarios).unwrap_or_default();
    let mut outcomes = Vec::new();
    for job in Job::all(scenarios, &Job::versions(jobs)) {
        outcomes.push(arena.play(&job).await);
    }
    outcomes
}

/// An arena whose passes count only as far as the control allows.
#[derive(Debug)]
pub struct Controlled<A> {
    arena: Rc<A>,
    control: Control,
}

impl<A: Arena> Controlled<A> {
    /// Plays the control of `jobs` on `arena` first.
    pub async fn new(arena: Rc<A>, jobs: &[Job]) -> Rc<Self> {
        let control = Control::of(&*arena, jobs).await;
        Rc::new(Self { arena, control })
    }
}

impl<A: Arena> Arena for Controlled<A> {
    async fn play(&self, job: &Job) -> Outcome {
        match self.control.skip(job) {
            Some(skipped) => skipped,
            None => self.control.weigh(self.arena.play(job).await),
        }
    }

    async fn answers(&self) -> bool {
        self.arena.answers().await
    }

    async fn comes_back(&self) -> Result<(), String> {
        self.arena.comes_back().await
    }

    async fn stopped(&self) {
        self.arena.stopped().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Level;

    fn outcome(verdict: Verdict, statements: &[&str]) -> Outcome {
        Outcome {
            scenario: "some".to_owned(),
            version: Version::V5_0,
            verdict,
            level: Level::Must,
            judges_rejection: false,
            statements: statements.iter().map(ToString::to_string).collect(),
            detail: String::new(),
            failed_step: None,
            transcript: Vec::new(),
            elapsed: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn a_pass_counts_only_where_the_control_passed() {
        let mut control = Control::default();
        let acknowledged = || outcome(Verdict::Pass, &["MQTT5-4.3.2-4"]);
        assert_eq!(control.weigh(acknowledged()).verdict, Verdict::Pass);
        control
            .failed
            .insert(Version::V5_0, "nothing came".to_owned());
        let weighed = control.weigh(acknowledged());
        assert_eq!(weighed.verdict, Verdict::Inconclusive);
        assert!(
            weighed.detail.contains("nothing came"),
            "{}",
            weighed.detail
        );
        let connected = outcome(Verdict::Pass, &["MQTT5-3.1.4-5", "MQTT5-3.2.2-2"]);
        assert_eq!(control.weigh(connected).verdict, Verdict::Pass);
        let both = outcome(Verdict::Pass, &["MQTT5-3.1.4-5", "MQTT5-4.3.2-4"]);
        assert_eq!(control.weigh(both).verdict, Verdict::Inconclusive);
        let failed = outcome(Verdict::Fail, &["MQTT5-4.3.2-4"]);
        assert_eq!(control.weigh(failed).verdict, Verdict::Fail);
    }

    #[test]
    fn the_control_is_a_scenario_that_both_versions_have() {
        let library = Library::from_files([SCENARIO].into_iter()).expect("it can be read");
        let versions = &library.scenarios()[0].cases[0].versions;
        assert_eq!(*versions, [Version::V3_1_1, Version::V5_0]);
    }
}
