//! The audit: which expectations prove nothing.

use std::collections::BTreeSet;

use quince_codec::Version;

use super::{Finding, Run, Stage, applicable, clean_run, faulty_run, judge, plays};
use crate::scenario::{Case, Scenario, StepId, fault::Fault};

/// An expectation without which every fault is still caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UselessExpectation {
    /// The slug of the scenario.
    pub scenario: String,
    /// The file.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The step as written.
    pub step: String,
}

/// One fault in one case and version that is caught while every expectation sees.
struct Caught<'a> {
    case: &'a Case,
    version: Version,
    fault: &'a Fault,
    /// Which of the clean runs it is compared with.
    clean: usize,
}

/// Makes each expectation of a scenario blind in turn, and lists those without which every fault is still caught in every
/// case and version. An alternative that the broker never takes is not judged, for nothing can be said about it here.
///
/// # Errors
/// What kept the faults from being played, in words.
pub async fn audit<S: Stage>(
    scenario: &Scenario,
    stage: &mut S,
) -> Result<Vec<UselessExpectation>, String> {
    let mut clean_runs: Vec<Run> = Vec::new();
    let mut caught: Vec<Caught<'_>> = Vec::new();
    for (case, version) in plays(scenario) {
        let clean = match clean_run(scenario, case, version, stage).await {
            Ok(clean) => clean,
            Err(Finding::Skipped(_)) => continue,
            Err(finding) => return Err(finding.to_string()),
        };
        for fault in applicable(scenario, case, version) {
            let faulty = faulty_run(scenario, case, version, fault, stage, None).await?;
            if judge(scenario, fault, &clean, &faulty) == Finding::Caught {
                let clean = clean_runs.len();
                caught.push(Caught {
                    case,
                    version,
                    fault,
                    clean,
                });
            }
        }
        clean_runs.push(clean);
    }

    let mut useless = Vec::new();
    let begun: BTreeSet<StepId> = clean_runs
        .iter()
        .flat_map(|run| run.play.begun.iter().copied())
        .collect();
    for step in scenario.all_steps() {
        if !step.action.is_expectation() || !begun.contains(&step.id) {
            continue;
        }
        if !is_needed(scenario, step.id, &caught, &clean_runs, stage).await? {
            useless.push(UselessExpectation {
                scenario: scenario.slug.clone(),
                file: scenario.file.clone(),
                line: step.line,
                step: step.text.clone(),
            });
        }
    }
    Ok(useless)
}

/// Whether some fault is caught with the expectation and not without it.
async fn is_needed<S: Stage>(
    scenario: &Scenario,
    step: StepId,
    caught: &[Caught<'_>],
    clean_runs: &[Run],
    stage: &mut S,
) -> Result<bool, String> {
    for Caught {
        case,
        version,
        fault,
        clean,
    } in caught
    {
        let blind = faulty_run(scenario, case, *version, fault, stage, Some(step)).await?;
        if judge(scenario, fault, &clean_runs[*clean], &blind) != Finding::Caught {
            return Ok(true);
        }
    }
    Ok(false)
}
