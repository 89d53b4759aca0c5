//! `run` and `replay`: plays scenarios on brokers and reports.

use std::{io::Write, path::Path};

use super::{
    Failure, choose,
    explore::{self, read_program},
    until_told::run_until_told,
    with_carets, write_file,
};
#[cfg(feature = "embedded")]
use crate::embedded::EmbeddedBroker;
use crate::{
    args::RunArguments,
    baseline::Baseline,
    exit_code::ExitCode,
    library::Library,
    report::{Human, Report, write_outcome},
    runner::Job,
    target::TargetFile,
    tour::{Conduct, Passes, Tour},
    verdict::Verdict,
};

/// Plays the suite.
pub(super) fn run(arguments: &RunArguments, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let library = Library::embedded()?;
    let target = read_target(arguments)?;
    let baseline = read_baseline(arguments, target.as_ref(), &library)?;
    let jobs = choose(&library, &arguments.selection)?;
    let report = play(arguments, target, jobs, Passes::AfterControl)?;
    conclude(arguments, &report, &baseline, out)
}

/// Plays one file, and shows all that crosses the wire.
pub(super) fn replay(
    file: &Path,
    arguments: &RunArguments,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("failed to read {}: {error}", file.display())))?;
    let name = file.display().to_string();
    if let Some(program) = read_program(&name, &text)? {
        return explore::replay(&program, arguments, out);
    }
    let library = Library::from_files([(name.as_str(), text.as_str())].into_iter())?;
    let target = read_target(arguments)?;
    let baseline = read_baseline(arguments, target.as_ref(), &library)?;
    let jobs = choose(&library, &arguments.selection)?;
    let report = play(arguments, target, jobs, Passes::AsPlayed)?;
    // What did not pass is shown by the report.
    let told = [Verdict::Fail, Verdict::Inconclusive, Verdict::Error];
    for result in report
        .results
        .iter()
        .filter(|result| !told.contains(&result.outcome.verdict))
    {
        write_outcome(&report.target(result).label(), &result.outcome, out)?;
    }
    conclude(arguments, &report, &baseline, out)
}

/// The target file, if one is named.
fn read_target(arguments: &RunArguments) -> Result<Option<TargetFile>, Failure> {
    let read = |file| TargetFile::read(file).map_err(|error| Failure::usage(with_carets(&error)));
    arguments.target.as_deref().map(read).transpose()
}

/// The baseline that is named, or else that of the target.
fn read_baseline(
    arguments: &RunArguments,
    target: Option<&TargetFile>,
    library: &Library,
) -> Result<Baseline, Failure> {
    let of_target = || target.and_then(|target| target.baseline.as_ref());
    let Some(file) = arguments.baseline.as_ref().or_else(of_target) else {
        return Ok(Baseline::default());
    };
    let ids: Vec<String> = library.ids().collect();
    Baseline::read(file, |id| ids.iter().any(|known| known == id))
        .map_err(|error| Failure::usage(error.to_string()))
}

/// Writes every report that is asked for.
fn conclude(
    arguments: &RunArguments,
    report: &Report,
    baseline: &Baseline,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    if let Some(file) = &arguments.json {
        write_file(file, |file| report.write_json(file))?;
    }
    if let Some(file) = &arguments.junit {
        write_file(file, |file| report.write_junit(baseline, file))?;
    }
    if let Some(file) = &arguments.tap {
        write_file(file, |file| report.write_tap(baseline, file))?;
    }
    if let Some(file) = &arguments.markdown {
        write_file(file, |file| report.write_markdown(baseline, file))?;
    }
    if let Some(file) = &arguments.html {
        write_file(file, |file| report.write_page(baseline, file))?;
    }
    let human = Human {
        report,
        baseline,
        width: None,
    };
    if arguments.quiet {
        human.write_problems(out)?
    } else {
        human.write(out)?
    }
    Ok(report.findings(baseline).exit_code())
}

/// Plays the jobs on every target. Ctrl-C ends it early, a second one at once.
fn play(
    arguments: &RunArguments,
    target: Option<TargetFile>,
    jobs: Vec<Job>,
    passes: Passes,
) -> Result<Report, Failure> {
    run_until_told(async |stop| {
        let conduct = Conduct {
            passes,
            at_once: arguments.jobs.get(),
            show_progress: !arguments.quiet,
            stop,
        };
        let tour = match target {
            Some(target) => Tour::of_target(target, jobs).map_err(|error| {
                Failure::no_verdict(format!("failed to prepare the target: {error}"))
            })?,
            None if arguments.urls.is_empty() => return play_embedded(&conduct, jobs).await,
            None => Tour::of_urls(&arguments.urls, arguments.accepted.trust(), jobs),
        };
        finish(tour, &conduct).await
    })?
}

async fn finish(tour: Tour, conduct: &Conduct) -> Result<Report, Failure> {
    let played = tour.play(conduct).await;
    played.map_err(|error| Failure::no_verdict(error.to_string()))
}

#[cfg(not(feature = "embedded"))]
#[expect(
    clippy::unused_async,
    reason = "has the shape of the one with the feature"
)]
async fn play_embedded(_: &Conduct, _: Vec<Job>) -> Result<Report, Failure> {
    Err(super::not_embedded())
}

#[cfg(feature = "embedded")]
async fn play_embedded(conduct: &Conduct, jobs: Vec<Job>) -> Result<Report, Failure> {
    let broker = EmbeddedBroker::start().await.map_err(Failure::no_verdict)?;
    let endpoints = broker.endpoints().map_err(Failure::no_verdict)?;
    let report = finish(Tour::of_urls(&endpoints, broker.trust(), jobs), conduct).await;
    broker.shut_down().await;
    report
}
