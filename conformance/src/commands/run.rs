//! `run` and `replay`: plays scenarios on brokers and reports.

use std::{io::Write, path::Path, rc::Rc, sync::Arc, time::Duration};

use quince_client::{Dialer, Endpoint, Trust};
use quince_codec::Version;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::{Failure, choose, write_file};
#[cfg(feature = "embedded")]
use crate::embedded::EmbeddedBroker;
use crate::{
    arena::SocketArena,
    args::RunArguments,
    baseline::Baseline,
    control::Controlled,
    exit_code::ExitCode,
    library::Library,
    progress::Progress,
    report::{Human, Report, Target, TargetOutcome, write_outcome},
    runner::{self, Job},
    verdict::{Outcome, Verdict},
};

/// How long one dial may take.
const DIAL: Duration = Duration::from_secs(5);

/// Plays the suite.
pub(super) fn run(arguments: &RunArguments, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let library = Library::embedded()?;
    let baseline = read_baseline(arguments, &library)?;
    let jobs = choose(&library, &arguments.selection)?;
    let report = play(arguments, jobs, Passes::AfterControl)?;
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
    let library = Library::from_files([(name.as_str(), text.as_str())].into_iter())?;
    let baseline = read_baseline(arguments, &library)?;
    let jobs = choose(&library, &arguments.selection)?;
    let report = play(arguments, jobs, Passes::AsPlayed)?;
    // What did not pass is shown by the report.
    let told = [Verdict::Fail, Verdict::Inconclusive, Verdict::Error];
    for result in report
        .results
        .iter()
        .filter(|result| !told.contains(&result.outcome.verdict))
    {
        write_outcome(&report.target(result).url, &result.outcome, out)?;
    }
    conclude(arguments, &report, &baseline, out)
}

fn read_baseline(arguments: &RunArguments, library: &Library) -> Result<Baseline, Failure> {
    let Some(file) = &arguments.baseline else {
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

/// Plays the jobs on every target.
fn play(arguments: &RunArguments, jobs: Vec<Job>, passes: Passes) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| suite_failure(format!("failed to start: {error}")))?;
    runtime.block_on(LocalSet::new().run_until(async {
        if arguments.urls.is_empty() {
            play_embedded(arguments, jobs, passes).await
        } else {
            let trust = if arguments.insecure {
                Trust::Anyone
            } else {
                Trust::System
            };
            play_on(arguments, &arguments.urls, trust, jobs, passes).await
        }
    }))
}

fn suite_failure(message: String) -> Failure {
    Failure {
        code: ExitCode::NoVerdict,
        message,
    }
}

#[cfg(not(feature = "embedded"))]
#[expect(
    clippy::unused_async,
    reason = "has the shape of the one with the feature"
)]
async fn play_embedded(_: &RunArguments, _: Vec<Job>, _: Passes) -> Result<Report, Failure> {
    Err(super::not_embedded())
}

#[cfg(feature = "embedded")]
async fn play_embedded(
    arguments: &RunArguments,
    jobs: Vec<Job>,
    passes: Passes,
) -> Result<Report, Failure> {
    let broker = EmbeddedBroker::start().await.map_err(suite_failure)?;
    let endpoints = broker.endpoints().map_err(suite_failure)?;
    let report = play_on(arguments, &endpoints, broker.trust(), jobs, passes).await;
    broker.shut_down().await;
    report
}

async fn play_on(
    arguments: &RunArguments,
    endpoints: &[Endpoint],
    trust: Trust,
    jobs: Vec<Job>,
    passes: Passes,
) -> Result<Report, Failure> {
    let started = chrono::DateTime::from(std::time::SystemTime::now());
    let versions = played_versions(&jobs);
    let dialer = Arc::new(Dialer::new(trust, DIAL));
    let progress = if arguments.quiet {
        Progress::hidden()
    } else {
        Progress::bar(jobs.len() * endpoints.len())
    };
    let (progress, jobs): (_, Rc<[Job]>) = (Rc::new(progress), jobs.into());
    let visits: Vec<JoinHandle<_>> = endpoints
        .iter()
        .map(|endpoint| {
            let arena = SocketArena::new(Arc::clone(&dialer), endpoint.clone(), versions.clone());
            let (jobs, progress) = (Rc::clone(&jobs), Rc::clone(&progress));
            spawn_local(visit(arena, passes, jobs, arguments.jobs.get(), progress))
        })
        .collect();
    let mut report = Report {
        suite: env!("CARGO_PKG_VERSION").to_owned(),
        started,
        targets: Vec::new(),
        results: Vec::new(),
        versions,
    };
    for (index, (endpoint, visit)) in endpoints.iter().zip(visits).enumerate() {
        let (broker, silent, outcomes) = visit
            .await
            .map_err(|error| suite_failure(format!("the runner broke: {error}")))?;
        report.targets.push(Target {
            url: endpoint.to_string(),
            transport: endpoint.scheme().name().to_owned(),
            broker,
            silent,
        });
        let result = |outcome| TargetOutcome {
            target: index,
            outcome,
        };
        report.results.extend(outcomes.into_iter().map(result));
    }
    dialer.wait_idle().await;
    Ok(report)
}

/// When a pass counts.
#[derive(Clone, Copy, Debug)]
enum Passes {
    /// When the target has shown that it is a broker at all.
    AfterControl,
    /// Always: who plays one file wants to see just that.
    AsPlayed,
}

/// One target: what it says of itself, or why it was not played on, and what came out.
async fn visit(
    arena: Rc<SocketArena>,
    passes: Passes,
    jobs: Rc<[Job]>,
    at_once: usize,
    progress: Rc<Progress>,
) -> (String, Option<String>, Vec<Outcome>) {
    let broker = match arena.preflight().await {
        Ok(broker) => broker,
        Err(silent) => return (String::new(), Some(silent.to_string()), Vec::new()),
    };
    let done = |outcome: &Outcome| progress.done(outcome);
    let outcomes = match passes {
        Passes::AfterControl => {
            let arena = Controlled::new(arena, &played_versions(&jobs)).await;
            runner::run(arena, &jobs, at_once, done).await
        }
        Passes::AsPlayed => runner::run(arena, &jobs, at_once, done).await,
    };
    (broker, None, outcomes)
}

fn played_versions(jobs: &[Job]) -> Vec<Version> {
    Version::ALL
        .into_iter()
        .filter(|version| jobs.iter().any(|job| job.version == *version))
        .collect()
}
