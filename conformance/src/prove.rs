//! Proof that a scenario would notice a broken broker: each of its faults must be caught where it says.
//!
//! A fault is caught when the clean run passes, the faulty run fails at the named step and at no other, nothing that the steps
//! before it sent or took has changed, and the fault touched something. A fault that touches CONNECT or CONNACK proves only
//! statements about CONNECT and CONNACK. In virtual time a step that waits in vain is as good as a mismatch: the broker had
//! nothing left to do.

mod audit;
mod stage;

use std::fmt;

use quince_codec::Version;

#[cfg(feature = "embedded")]
pub use self::stage::CoreStage;
pub use self::{
    audit::{UselessExpectation, audit},
    stage::{ScriptedStage, SocketStage, Stage},
};
use crate::{
    player::{Play, PlayOptions, SharedVariables, TrailEntry, play_in_detail, unique_prefix},
    saboteur::{Sabotage, Saboteur},
    scenario::{
        Action, Case, Scenario, Statements, StepId, expression::hex, fault::Fault,
        statements::version_of,
    },
    verdict::Verdict,
};

/// What became of one fault, in one case and one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultResult {
    /// The id of the scenario's case.
    pub scenario: String,
    /// The version played.
    pub version: Version,
    /// The name of the fault.
    pub fault: String,
    /// The line of the file it stands in.
    pub line: usize,
    /// What was found.
    pub finding: Finding,
    /// The statements of this version that are proven by it.
    pub proven: Vec<String>,
}

/// What was found about one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Caught where the scenario says.
    Caught,
    /// Not played, with the reason.
    Skipped(String),
    /// The clean run did not pass, so that the faulty one says nothing.
    CleanRun(Verdict, String),
    /// The faulty run passed.
    NotCaught,
    /// The fault touched nothing.
    TouchedNothing,
    /// Another step failed.
    CaughtElsewhere {
        /// The names of the step that failed and of the blocks around it; its line where it has none.
        at: String,
        /// What it said.
        detail: String,
    },
    /// What the steps before the named one sent or took is not what it was.
    EarlierChanged {
        /// In the clean run.
        clean: String,
        /// In the faulty run.
        faulty: String,
    },
    /// Caught, but the fault hits CONNECT or CONNACK, and the statements are about something else.
    OnlyConnecting,
    /// The harness or the fault itself is at fault.
    Error(String),
}

impl Finding {
    /// Whether the fault is as it should be; a skip is no defect of the scenario.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Caught | Self::Skipped(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught => f.write_str("caught"),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
            Self::CleanRun(verdict, detail) => write!(f, "the run without the fault is no pass but {verdict}: {detail}"),
            Self::NotCaught => f.write_str("not caught: the run passed with the fault"),
            Self::TouchedNothing => f.write_str("the fault touched nothing"),
            Self::CaughtElsewhere { at, detail } => write!(f, "caught elsewhere, at {at}: {detail}"),
            Self::EarlierChanged { clean, faulty } => {
                write!(f, "something changed before the named step: {clean} became {faulty}")
            }
            Self::OnlyConnecting => {
                f.write_str("the fault hits CONNECT or CONNACK, and the statements it violates are not about them")
            }
            Self::Error(words) => write!(f, "error: {words}"),
        }
    }
}

/// Plays every fault of a scenario, in every case and version it applies to.
pub async fn prove<S: Stage>(
    scenario: &Scenario,
    statements: &dyn Statements,
    stage: &mut S,
) -> Vec<FaultResult> {
    let mut results = Vec::new();
    for (case, version) in plays(scenario) {
        let faults: Vec<&Fault> = applicable(scenario, case, version).collect();
        if faults.is_empty() {
            continue;
        }
        let clean = clean_run(scenario, case, version, stage).await;
        for fault in faults {
            let result = |finding, proven| FaultResult {
                scenario: scenario.id(case),
                version,
                fault: fault.name.clone(),
                line: fault.line,
                finding,
                proven,
            };
            if let Err(finding) = &clean {
                results.push(result(finding.clone(), Vec::new()));
                continue;
            }
            let Ok(clean) = &clean else { continue };
            let faulty = match faulty_run(scenario, case, version, fault, stage, None).await {
                Ok(faulty) => faulty,
                Err(words) => {
                    results.push(result(Finding::Error(words), Vec::new()));
                    continue;
                }
            };
            let proven = proven_by(fault, version, &faulty.sabotage, statements);
            let finding = match judge(scenario, fault, clean, &faulty) {
                Finding::Caught
                    if faulty.sabotage.connecting
                        && proven.is_empty()
                        && !of_version(fault, version).is_empty() =>
                {
                    Finding::OnlyConnecting
                }
                other => other,
            };
            let proven = if finding == Finding::Caught {
                proven
            } else {
                Vec::new()
            };
            results.push(result(finding, proven));
        }
    }
    results
}

/// Every case in every version it is played in.
pub fn plays(scenario: &Scenario) -> impl Iterator<Item = (&Case, Version)> {
    scenario
        .cases
        .iter()
        .flat_map(|case| case.versions.iter().map(move |version| (case, *version)))
}

/// The faults that are played in that case and version.
fn applicable<'a>(
    scenario: &'a Scenario,
    case: &'a Case,
    version: Version,
) -> impl Iterator<Item = &'a Fault> {
    scenario.faults.iter().filter(move |fault| {
        fault
            .versions
            .as_ref()
            .is_none_or(|versions| versions.contains(&version))
            && fault
                .cases
                .as_ref()
                .is_none_or(|cases| cases.contains(&case.name))
    })
}

/// One play whose trail does not depend on its unique prefix.
struct Run {
    play: Play,
    trail: Vec<TrailEntry>,
}

/// A run with a fault, and what the fault did.
struct FaultyRun {
    run: Run,
    sabotage: Sabotage,
}

impl Run {
    fn new(play: Play, prefix: &str) -> Self {
        let prefix = hex(prefix.as_bytes());
        let neutral = hex("x".repeat(prefix.len() / 2).as_bytes());
        let trail = play.trail.iter().map(|entry| TrailEntry {
            step: entry.step,
            what: entry.what.replace(&prefix, &neutral),
        });
        Self {
            trail: trail.collect(),
            play,
        }
    }
}

async fn clean_run<S: Stage>(
    scenario: &Scenario,
    case: &Case,
    version: Version,
    stage: &mut S,
) -> Result<Run, Finding> {
    let prefix = unique_prefix();
    let options = PlayOptions {
        prefix: Some(prefix.clone()),
        variables: SharedVariables::default(),
        ..stage.options()
    };
    let mut link = stage
        .link()
        .await
        .map_err(|error| Finding::Error(error.to_string()))?;
    let play = play_in_detail(scenario, case, version, &mut link, &options).await;
    match play.outcome.verdict {
        Verdict::Pass => Ok(Run::new(play, &prefix)),
        Verdict::Skipped => Err(Finding::Skipped(play.outcome.detail)),
        verdict => Err(Finding::CleanRun(verdict, play.outcome.detail)),
    }
}

async fn faulty_run<S: Stage>(
    scenario: &Scenario,
    case: &Case,
    version: Version,
    fault: &Fault,
    stage: &mut S,
    blind: Option<StepId>,
) -> Result<FaultyRun, String> {
    let prefix = unique_prefix();
    let variables = SharedVariables::default();
    let options = PlayOptions {
        prefix: Some(prefix.clone()),
        variables: variables.clone(),
        blind,
        ..stage.options()
    };
    let link = stage.link().await.map_err(|error| error.to_string())?;
    let mut saboteur = Saboteur::new(link, fault, version, variables);
    let play = play_in_detail(scenario, case, version, &mut saboteur, &options).await;
    let sabotage = saboteur.sabotage().clone();
    Ok(FaultyRun {
        run: Run::new(play, &prefix),
        sabotage,
    })
}

/// The five conditions, but for the one about CONNECT and CONNACK.
fn judge(scenario: &Scenario, fault: &Fault, clean: &Run, faulty: &FaultyRun) -> Finding {
    let play = &faulty.run.play;
    if let Some(words) = &faulty.sabotage.error {
        return Finding::Error(words.clone());
    }
    if faulty.sabotage.touched.iter().all(|count| *count == 0) {
        return Finding::TouchedNothing;
    }
    let detail = || play.outcome.detail.clone();
    match (play.outcome.verdict, play.failure) {
        (Verdict::Pass, _) => return Finding::NotCaught,
        (Verdict::Fail, Some(_)) if play.failed_at.contains(&fault.caught_at) => {}
        (Verdict::Fail | Verdict::Inconclusive, _) => {
            let at = if play.failed_at.is_empty() {
                play.outcome
                    .failed_step
                    .clone()
                    .unwrap_or_else(|| "the end".to_owned())
            } else {
                play.failed_at.join(" / ")
            };
            return Finding::CaughtElsewhere {
                at,
                detail: detail(),
            };
        }
        (verdict, _) => {
            return Finding::Error(format!("the faulty run is {verdict}: {}", detail()));
        }
    }
    earlier_change(scenario, clean, &faulty.run).unwrap_or(Finding::Caught)
}

/// The first thing before the failing step that is not as it was in the clean run.
fn earlier_change(scenario: &Scenario, clean: &Run, faulty: &Run) -> Option<Finding> {
    let failing = failing_steps(scenario, &faulty.play.failed_path);
    let mut clean_entries = clean.trail.iter();
    for entry in &faulty.trail {
        let before = clean_entries.next();
        if before == Some(entry) {
            continue;
        }
        if failing.contains(&entry.step) {
            return None;
        }
        return Some(Finding::EarlierChanged {
            clean: before.map_or_else(|| "nothing".to_owned(), |entry| entry.what.clone()),
            faulty: entry.what.clone(),
        });
    }
    None
}

/// The failing step, and those that a group tries together with it.
fn failing_steps(scenario: &Scenario, path: &[StepId]) -> Vec<StepId> {
    let mut failing: Vec<StepId> = path.last().copied().into_iter().collect();
    for step in scenario.all_steps() {
        if let Action::Unordered(inner) = &step.action
            && path.contains(&step.id)
        {
            failing.push(step.id);
            failing.extend(inner.iter().map(|step| step.id));
        }
    }
    failing
}

fn of_version(fault: &Fault, version: Version) -> Vec<String> {
    fault
        .violates
        .iter()
        .filter(|id| version_of(id) == Some(version))
        .cloned()
        .collect()
}

/// The statements of this version that a caught fault proves.
fn proven_by(
    fault: &Fault,
    version: Version,
    sabotage: &Sabotage,
    statements: &dyn Statements,
) -> Vec<String> {
    let about_connecting = |id: &String| {
        statements
            .known(id)
            .is_some_and(|known| known.about_connecting)
    };
    let mut ids = of_version(fault, version);
    ids.retain(|id| !sabotage.connecting || about_connecting(id));
    ids
}
