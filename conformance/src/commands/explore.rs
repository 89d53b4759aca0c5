//! `explore`: plays programs that nobody wrote for a while, and writes down what fails.

mod replay;
mod tell;

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use quince_client::{Dialer, Endpoint};
use quince_codec::Version;
use tokio::{sync::watch, task::JoinSet};

pub(super) use self::replay::{read_program, replay};
use super::{Failure, until_told::run_until_told, write_file};
use crate::{
    args::Accepted,
    exit_code::ExitCode,
    explore::{
        self, Expedition, Explored, Finding, Journal, SocketStage, arguments::ExploreArguments,
        explore_seed,
    },
    preflight,
};

/// How long one dial may take.
const DIAL: Duration = Duration::from_secs(5);
/// Programs played at once on a broker behind sockets: most of a play is waiting.
const JOBS: usize = 64;
/// How often the progress is shown, and the journal written.
const TICK: Duration = Duration::from_millis(500);
const TICKS_BETWEEN_WRITES: u32 = 10;
/// What is explored where no URL is given.
#[cfg(feature = "embedded")]
const CORE: &str = "the embedded core";

/// Explores one target.
pub(super) fn explore(
    arguments: &ExploreArguments,
    out: &mut dyn std::io::Write,
) -> Result<ExitCode, Failure> {
    fs::create_dir_all(&arguments.out).map_err(|error| {
        Failure::usage(format!(
            "failed to make {}: {error}",
            arguments.out.display()
        ))
    })?;
    let (expedition, seconds) = match &arguments.url {
        Some(endpoint) => explore_broker(arguments, endpoint)?,
        None => explore_core(arguments)?,
    };
    write_journal(arguments, &expedition)?;
    tell::tell(&expedition, seconds, out)
}

fn dialer(accepted: &Accepted) -> Arc<Dialer> {
    Arc::new(Dialer::new(accepted.trust(), DIAL))
}

/// The exploration that the arguments ask for, or the one that they resume.
fn begin(arguments: &ExploreArguments, target: &str) -> Result<Arc<Expedition>, Failure> {
    let resumed = match &arguments.resume {
        Some(file) => Journal::read(file).map_err(Failure::usage)?,
        None => None,
    };
    let journal = resumed.unwrap_or_else(|| Journal::new(target.to_owned(), arguments.seed));
    if journal.target != target {
        return Err(Failure::usage(format!(
            "the journal is of {}, not of {target}",
            journal.target
        )));
    }
    let most = arguments.findings.map(std::num::NonZeroUsize::get);
    let time = Duration::from_secs(arguments.seconds);
    Ok(Arc::new(Expedition::new(journal, time, most)))
}

fn write_journal(arguments: &ExploreArguments, expedition: &Expedition) -> Result<(), Failure> {
    let Some(file) = &arguments.resume else {
        return Ok(());
    };
    let journal = expedition.journal();
    write_file(file, |file| {
        serde_json::to_writer_pretty(&mut *file, &journal)?;
        writeln!(file)
    })
}

fn explore_broker(
    arguments: &ExploreArguments,
    endpoint: &Endpoint,
) -> Result<(Arc<Expedition>, Duration), Failure> {
    let dialer = dialer(&arguments.accepted);
    run_until_told(async |stop| {
        let versions = arguments.versions();
        let asked =
            preflight::wait_for_answer(&dialer, endpoint, &versions, None, preflight::PATIENCE);
        let answered = asked
            .await
            .map_err(|silent| Failure::no_verdict(silent.to_string()))?;
        answered.end().await;
        let expedition = begin(arguments, &endpoint.to_string())?;
        let (stage, versions) = ask(&versions, &dialer, endpoint).await?;
        let began = Instant::now();
        explore_sockets(arguments, &stage, &versions, &expedition, &stop).await?;
        dialer.wait_idle().await;
        Ok((expedition, began.elapsed()))
    })?
}

/// What the broker lets in and can do.
async fn ask(
    versions: &[Version],
    dialer: &Arc<Dialer>,
    endpoint: &Endpoint,
) -> Result<(SocketStage, Vec<Version>), Failure> {
    let asked = SocketStage::ask(Arc::clone(dialer), endpoint.clone(), versions).await;
    asked.ok_or_else(|| {
        Failure::no_verdict(format!(
            "{endpoint} lets nobody in without credentials, in any of these versions"
        ))
    })
}

async fn explore_sockets(
    arguments: &ExploreArguments,
    stage: &SocketStage,
    versions: &[Version],
    expedition: &Arc<Expedition>,
    stop: &watch::Receiver<bool>,
) -> Result<(), Failure> {
    let jobs = arguments.jobs.map_or(JOBS, std::num::NonZeroUsize::get);
    let watch = Watch::new(arguments, expedition);
    let mut playing = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        if *stop.borrow() {
            expedition.interrupt();
        }
        while playing.len() < jobs
            && let Some(seed) = expedition.begin()
        {
            let (stage, versions) = (stage.clone(), versions.to_vec());
            let (expedition, until) = (Arc::clone(expedition), expedition.shrinks_until());
            playing.spawn_local(async move {
                let is_known = |failure: &explore::Failure| expedition.is_known(failure);
                (
                    seed,
                    explore_seed(&stage, seed, &versions, is_known, until).await,
                )
            });
        }
        tokio::select! {
            _ = ticks.tick() => watch.tick()?,
            ended = playing.join_next() => match ended {
                None => return Ok(()),
                Some(Ok((seed, explored))) => conclude(arguments, expedition, seed, explored)?,
                Some(Err(error)) => return Err(Failure::no_verdict(format!("a play failed: {error}"))),
            },
        }
    }
}

#[cfg(not(feature = "embedded"))]
fn explore_core(_: &ExploreArguments) -> Result<(Arc<Expedition>, Duration), Failure> {
    Err(super::not_embedded())
}

/// One thread for each job: a play in virtual time never waits.
#[cfg(feature = "embedded")]
fn explore_core(arguments: &ExploreArguments) -> Result<(Arc<Expedition>, Duration), Failure> {
    use std::{
        convert::Infallible,
        sync::mpsc::{self, RecvTimeoutError},
    };

    let jobs = match arguments.jobs {
        Some(jobs) => jobs.get(),
        None => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
    };
    let expedition = begin(arguments, CORE)?;
    let began = Instant::now();
    run_until_told(async |stop| {
        let watch = Watch::new(arguments, &expedition);
        let versions = arguments.versions();
        let play_on = || -> Result<(), Failure> {
            while let Some(seed) = expedition.begin() {
                let explored = crate::link::run_without_waiting(explore_seed(
                    &explore::CoreStage,
                    seed,
                    &versions,
                    |failure| expedition.is_known(failure),
                    expedition.shrinks_until(),
                ));
                conclude(arguments, &expedition, seed, explored)
                    .inspect_err(|_| expedition.interrupt())?;
            }
            Ok(())
        };
        let play_on = &play_on;
        std::thread::scope(|scope| {
            // Nothing is sent: it is over when no player is left to send anything.
            let (playing, over) = mpsc::channel::<Infallible>();
            let players: Vec<_> = (0..jobs)
                .map(|_| {
                    let playing = playing.clone();
                    scope.spawn(move || {
                        let _playing = playing;
                        play_on()
                    })
                })
                .collect();
            drop(playing);
            while over.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if *stop.borrow() {
                    expedition.interrupt();
                }
                watch.tick().inspect_err(|_| expedition.interrupt())?;
            }
            players.into_iter().try_for_each(|player| {
                // Why it panicked has been told.
                let played = player.join();
                played.unwrap_or_else(|_| Err(Failure::no_verdict("")))
            })
        })
    })??;
    Ok((expedition, began.elapsed()))
}

/// A seed was played to its verdict.
fn conclude(
    arguments: &ExploreArguments,
    expedition: &Expedition,
    seed: u64,
    explored: Explored,
) -> Result<(), Failure> {
    let file = match &explored {
        Explored::Clean | Explored::Known => String::new(),
        Explored::Found(finding) => write_finding(arguments, finding, "found")?,
        Explored::Unstable(finding) => write_finding(arguments, finding, "unconfirmed")?,
        Explored::Gone(finding) => write_finding(arguments, finding, "gone")?,
    };
    expedition.end(seed, explored, file);
    Ok(())
}

/// Writes the program of a finding, with what happened as comments, and returns the name of the file.
fn write_finding(
    arguments: &ExploreArguments,
    finding: &Finding,
    what: &str,
) -> Result<String, Failure> {
    let kind = finding.failure.kind();
    let name = format!("{what}-{kind}-{}.kdl", finding.program.seed).to_lowercase();
    let file = arguments.out.join(name);
    write_file(&file, |file| {
        let text = explore::write(&finding.program, &finding.failure.to_string());
        file.write_all(text.as_bytes())?;
        writeln!(file, "// milliseconds, client, connection, packet:")?;
        for line in &finding.transcript {
            writeln!(file, "// {}", line.replace('\n', " "))?;
        }
        Ok(())
    })?;
    Ok(file.display().to_string())
}

/// Shows how far it is, and writes the journal now and then.
struct Watch<'a> {
    arguments: &'a ExploreArguments,
    expedition: &'a Expedition,
    bar: ProgressBar,
    began: Instant,
    ticks: std::cell::Cell<u32>,
}

impl<'a> Watch<'a> {
    fn new(arguments: &'a ExploreArguments, expedition: &'a Expedition) -> Self {
        // indicatif draws nothing where standard error is no terminal.
        let bar = ProgressBar::new(arguments.seconds);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} s  {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            arguments,
            expedition,
            bar,
            began: Instant::now(),
            ticks: std::cell::Cell::new(0),
        }
    }

    fn tick(&self) -> Result<(), Failure> {
        let journal = self.expedition.journal();
        let passed = self.began.elapsed().as_secs();
        self.bar.set_position(passed.min(self.arguments.seconds));
        self.bar.set_message(format!(
            "{} programs  {} found",
            journal.played,
            journal.findings.len()
        ));
        self.ticks.set(self.ticks.get() + 1);
        if self.ticks.get().is_multiple_of(TICKS_BETWEEN_WRITES) {
            write_journal(self.arguments, self.expedition)?;
        }
        Ok(())
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
