//! The audit: which expectations prove nothing.

use super::{Stage, applicable, clean_run, faulty_run, judge, plays};
use crate::{
    prove::Finding,
    scenario::{Scenario, Step},
};

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

/// Makes each expectation of a scenario blind in turn, and lists those without which every fault is still caught in
/// every case and version.
///
/// # Errors
/// What kept the faults from being played, in words.
pub async fn audit<S: Stage>(
    scenario: &Scenario,
    stage: &mut S,
) -> Result<Vec<UselessExpectation>, String> {
    let mut useless = Vec::new();
    for step in scenario.all_steps() {
        if step.action.is_expectation() && !is_needed(scenario, step, stage).await? {
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
    step: &Step,
    stage: &mut S,
) -> Result<bool, String> {
    for (case, version) in plays(scenario) {
        for fault in applicable(scenario, case, version) {
            let clean = match clean_run(scenario, case, version, stage).await {
                Ok(clean) => clean,
                Err(Finding::Skipped(_)) => continue,
                Err(finding) => return Err(finding.to_string()),
            };
            let seeing = faulty_run(scenario, case, version, fault, stage, None).await?;
            if judge(scenario, fault, &clean, &seeing) != Finding::Caught {
                continue;
            }
            let blind = faulty_run(scenario, case, version, fault, stage, Some(step.id)).await?;
            if judge(scenario, fault, &clean, &blind) != Finding::Caught {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
