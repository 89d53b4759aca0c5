//! `prove`: every fault is caught where its scenario says; `prove --audit`: no expectation is idle.

use std::io::Write;

use super::Failure;
use crate::{args::Selection, exit_code::ExitCode};

#[cfg(not(feature = "embedded"))]
pub(super) fn prove(_: &Selection, _: bool, _: &mut dyn Write) -> Result<ExitCode, Failure> {
    Err(super::not_embedded())
}

/// Plays every fault on the core in virtual time; with `audit`, blinds every expectation in turn as well.
#[cfg(feature = "embedded")]
pub(super) fn prove(
    selection: &Selection,
    audit: bool,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    use std::collections::BTreeSet;

    use super::choose;
    use crate::{
        catalogue::Catalogue,
        library::Library,
        link::run_without_waiting,
        prove::{self, CoreStage, Finding},
    };

    let library = Library::embedded()?;
    let jobs = choose(&library, selection)?;
    let chosen: BTreeSet<(String, _)> = jobs.iter().map(|job| (job.id(), job.version)).collect();
    let slugs: BTreeSet<&str> = jobs.iter().map(|job| job.scenario.slug.as_str()).collect();
    let (mut caught, mut skipped, mut bad, mut errors) = (0_usize, 0_usize, 0_usize, 0_usize);
    for scenario in library
        .scenarios()
        .iter()
        .filter(|scenario| slugs.contains(scenario.slug.as_str()))
    {
        for result in run_without_waiting(prove::prove(
            scenario,
            Catalogue::embedded(),
            &mut CoreStage::of(scenario),
        )) {
            if !chosen.contains(&(result.scenario.clone(), result.version)) {
                continue;
            }
            match &result.finding {
                Finding::Caught => caught += 1,
                Finding::Skipped(_) => skipped += 1,
                finding => {
                    match finding {
                        Finding::Error(_) => errors += 1,
                        _ => bad += 1,
                    }
                    let place = format!("{}:{}", scenario.file, result.line);
                    writeln!(
                        out,
                        "{place}: {} MQTT {} fault {}: {finding}",
                        result.scenario, result.version, result.fault
                    )?;
                }
            }
        }
        if audit {
            match run_without_waiting(prove::audit(scenario, &mut CoreStage::of(scenario))) {
                Ok(useless) => {
                    bad += useless.len();
                    for idle in useless {
                        writeln!(
                            out,
                            "{}:{}: {} proves nothing here: {}",
                            idle.file, idle.line, idle.scenario, idle.step
                        )?;
                    }
                }
                Err(words) => {
                    errors += 1;
                    writeln!(
                        out,
                        "{}:{}: not audited: {words}",
                        scenario.file, scenario.line
                    )?;
                }
            }
        }
    }
    writeln!(
        out,
        "{caught} faults caught, {skipped} skipped, {} wrong",
        bad + errors
    )?;
    Ok(if errors > 0 {
        ExitCode::NoVerdict
    } else if bad > 0 || caught == 0 {
        ExitCode::Deviation
    } else {
        ExitCode::Clean
    })
}
