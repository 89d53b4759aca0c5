//! One exploration of one target: which seed is next, what was found, and when it is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::failure::Failure;
use super::hunt::Explored;
use super::journal::{Found, Journal};

/// How often failures of one kind are looked into that do not come again.
const MOST_UNSTABLE: usize = 3;
/// How long a failure that came late may be looked into after the time is over.
const GRACE: Duration = Duration::from_secs(60);

/// What all who play share. See the module.
#[derive(Debug)]
pub struct Expedition {
    until: Instant,
    most_findings: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    next_seed: u64,
    playing: BTreeSet<u64>,
    /// Kinds of failure that somebody looks into, or that need no more looking into.
    claimed: BTreeSet<String>,
    unstable: BTreeMap<String, usize>,
    known: u64,
    reports: Vec<Report>,
    /// How many programs this exploration has played.
    played: u64,
    gone: bool,
    interrupted: bool,
}

/// Something to tell.
#[derive(Clone, Debug)]
pub struct Report {
    /// What came of it.
    pub explored: Explored,
    /// The seed that showed it.
    pub seed: u64,
    /// The file of its program.
    pub file: String,
}

impl Report {
    /// Whether it counts as a finding.
    #[must_use]
    pub const fn is_finding(&self) -> bool {
        matches!(self.explored, Explored::Found(_) | Explored::Gone(_))
    }
}

impl Expedition {
    /// Goes on from `journal` for so long, and until so many kinds of failure are found.
    #[must_use]
    pub fn new(journal: Journal, time: Duration, most_findings: Option<usize>) -> Self {
        let claimed = journal.findings.iter().map(|found| found.kind.clone());
        Self {
            until: Instant::now() + time,
            most_findings: most_findings.unwrap_or(usize::MAX),
            state: Mutex::new(State {
                claimed: claimed.collect(),
                next_seed: journal.next_seed,
                journal,
                playing: BTreeSet::new(),
                unstable: BTreeMap::new(),
                known: 0,
                reports: Vec::new(),
                played: 0,
                gone: false,
                interrupted: false,
            }),
        }
    }

    /// Whoever panicked left nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next seed to play, while there is time.
    pub fn begin(&self) -> Option<u64> {
        let mut state = self.state();
        let found = state.reports.iter().filter(|one| one.is_finding()).count();
        let over = found >= self.most_findings || state.gone || state.interrupted;
        if over || Instant::now() >= self.until {
            return None;
        }
        let seed = state.next_seed;
        state.next_seed += 1;
        state.playing.insert(seed);
        Some(seed)
    }

    /// Whether a failure needs no looking into; if it does, it is the caller's.
    pub fn is_known(&self, failure: &Failure) -> bool {
        !self.state().claimed.insert(failure.kind())
    }

    /// Until when a failure may be looked into.
    pub fn shrinks_until(&self) -> Instant {
        (Instant::now() + GRACE).min(self.until + GRACE)
    }

    /// A seed was played to its verdict; `file` is where its finding was written, if there is one.
    pub fn end(&self, seed: u64, explored: Explored, file: String) {
        let state = &mut *self.state();
        state.playing.remove(&seed);
        state.journal.played += 1;
        state.played += 1;
        match &explored {
            Explored::Clean => return,
            Explored::Known => {
                state.known += 1;
                return;
            }
            Explored::Unstable(finding) => {
                state.journal.unstable += 1;
                let kind = finding.failure.kind();
                let times = state.unstable.entry(kind.clone()).or_default();
                *times += 1;
                if *times < MOST_UNSTABLE {
                    state.claimed.remove(&kind);
                }
            }
            Explored::Found(finding) | Explored::Gone(finding) => {
                state.gone |= matches!(explored, Explored::Gone(_));
                state.journal.findings.push(Found {
                    kind: finding.failure.kind(),
                    seed,
                    file: file.clone(),
                });
            }
        }
        state.reports.push(Report {
            explored,
            seed,
            file,
        });
    }

    /// No further program is begun: somebody wants it to end.
    pub fn interrupt(&self) {
        self.state().interrupted = true;
    }

    /// Whether it was ended before its time.
    pub fn interrupted(&self) -> bool {
        self.state().interrupted
    }

    /// How many programs were played, without those of the exploration that this one resumed.
    pub fn played(&self) -> u64 {
        self.state().played
    }

    /// How far it came.
    pub fn journal(&self) -> Journal {
        let state = self.state();
        let mut journal = state.journal.clone();
        journal.next_seed = state.playing.first().copied().unwrap_or(state.next_seed);
        journal
    }

    /// All there is to tell, in the order in which it came.
    pub fn reports(&self) -> Vec<Report> {
        self.state().reports.clone()
    }

    /// How many programs failed in a way that was known.
    pub fn known(&self) -> u64 {
        self.state().known
    }
}

#[cfg(test)]
mod tests {
    use quince_codec::Version;

    use super::super::{hunt::Finding, program::Program};
    use super::*;
    use crate::player::Capabilities;

    const LONG: Duration = Duration::from_secs(600);

    fn expedition(seed: u64, most: Option<usize>) -> Expedition {
        Expedition::new(Journal::new("somewhere".to_owned(), seed), LONG, most)
    }

    fn finding(seed: u64) -> Box<Finding> {
        Box::new(Finding {
            program: Program::generate(seed, &[Version::V5_0], Capabilities::default()),
            failure: failure(),
            transcript: Vec::new(),
        })
    }

    fn failure() -> Failure {
        Failure::Malformed("for a test".to_owned())
    }

    #[test]
    fn a_journal_goes_on_at_the_first_seed_that_was_not_played_to_its_end() {
        let first = expedition(5, None);
        let seeds: Vec<_> = (0..4).filter_map(|_| first.begin()).collect();
        assert_eq!(seeds, [5, 6, 7, 8]);
        for seed in [5, 7, 8] {
            first.end(seed, Explored::Clean, String::new());
        }
        assert_eq!(first.journal().next_seed, 6);
        first.end(6, Explored::Found(finding(6)), "a file".to_owned());
        let journal = first.journal();
        assert_eq!((journal.next_seed, journal.played), (9, 4));
        assert_eq!(journal.findings[0].file, "a file");
        let next = Expedition::new(journal, LONG, None);
        assert_eq!(next.begin(), Some(9));
        assert!(next.is_known(&failure()), "it was found before");
    }

    #[test]
    fn it_ends_at_so_many_findings_when_the_broker_is_gone_when_told_and_when_time_is_over() {
        let enough = expedition(1, Some(1));
        let seed = enough.begin().expect("a seed");
        enough.end(seed, Explored::Found(finding(1)), String::new());
        assert_eq!(enough.begin(), None);

        let gone = expedition(1, None);
        let seed = gone.begin().expect("a seed");
        gone.end(seed, Explored::Gone(finding(1)), String::new());
        assert_eq!(gone.begin(), None);
        assert_eq!(gone.journal().findings.len(), 1);

        let told = expedition(1, None);
        told.interrupt();
        assert_eq!(told.begin(), None);

        let journal = Journal::new(String::new(), 1);
        assert_eq!(Expedition::new(journal, Duration::ZERO, None).begin(), None);
    }

    #[test]
    fn a_kind_is_looked_into_by_one_and_given_up_after_three_that_do_not_come_again() {
        let expedition = expedition(1, None);
        for _ in 0..MOST_UNSTABLE {
            let seed = expedition.begin().expect("a seed");
            assert!(!expedition.is_known(&failure()));
            assert!(expedition.is_known(&failure()), "somebody looks into it");
            expedition.end(seed, Explored::Unstable(finding(seed)), String::new());
        }
        assert!(expedition.is_known(&failure()));
        assert_eq!(expedition.journal().unstable, 3);
        assert!(expedition.journal().findings.is_empty());
        assert_eq!(expedition.reports().len(), MOST_UNSTABLE);
    }
}
