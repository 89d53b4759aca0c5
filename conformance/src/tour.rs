//! Where a run goes: the configurations of a target one after the other, all listeners of each at once.

use std::{io, rc::Rc, sync::Arc, time::Duration};

use quince_client::{Dialer, Endpoint, Trust};
use quince_codec::Version;
use tokio::{
    sync::{Mutex, watch},
    task::{JoinHandle, spawn_local},
};

use crate::{
    arena::{SharedHooks, SocketArena},
    control::Controlled,
    player::PlayOptions,
    progress::Progress,
    report::{Report, Target, TargetOutcome},
    runner::{self, Arena as _, Job},
    target::{Hooks, Listener, PLAIN, TargetFile},
    verdict::Outcome,
};

/// How long one dial may take.
const DIAL: Duration = Duration::from_secs(5);

/// When a pass counts.
#[derive(Clone, Copy, Debug)]
pub enum Passes {
    /// When the target has shown that it is a broker at all.
    AfterControl,
    /// Always: who plays one file wants to see just that.
    AsPlayed,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    /// No port or directory could be had.
    #[error("failed to prepare the target: {0}")]
    Unprepared(#[from] io::Error),
    /// The suite's own fault.
    #[error("the runner broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// One configuration of a target, and what is played there.
#[derive(Debug)]
struct Station {
    name: String,
    listeners: Vec<Listener>,
    options: PlayOptions,
    hooks: Option<Hooks>,
    jobs: Vec<Job>,
}

/// How a run is done.
#[derive(Debug)]
pub struct Conduct {
    /// When a pass counts.
    pub passes: Passes,
    /// Scenarios played at once on each listener.
    pub at_once: usize,
    /// Whether a progress bar is shown.
    pub show_progress: bool,
    /// Ends the run early once it says true.
    pub stop: watch::Receiver<bool>,
}

/// The brokers to be judged, and what is played there.
#[derive(Debug)]
pub struct Tour {
    name: String,
    trust: Trust,
    stations: Vec<Station>,
}

impl Tour {
    /// Plays `jobs` on brokers that run already, all at once.
    pub fn of_urls(endpoints: &[Endpoint], trust: Trust, jobs: Vec<Job>) -> Self {
        let versions = Job::versions(&jobs);
        let listener = |endpoint: &Endpoint| Listener {
            endpoint: endpoint.clone(),
            versions: versions.clone(),
        };
        let station = Station {
            name: PLAIN.to_owned(),
            listeners: endpoints.iter().map(listener).collect(),
            options: PlayOptions::default(),
            hooks: None,
            jobs,
        };
        Self {
            name: String::new(),
            trust,
            stations: vec![station],
        }
    }

    /// Plays each of `jobs` in the first configuration of `target` that is set to what it needs; what no configuration is set
    /// to is skipped in the plain one.
    ///
    /// # Errors
    /// When no port or directory can be had.
    pub fn of_target(mut target: TargetFile, jobs: Vec<Job>) -> io::Result<Self> {
        target.assign_ports()?;
        let mut shares: Vec<Vec<Job>> = vec![Vec::new(); target.configurations.len()];
        for job in jobs {
            shares[target.configuration_for(&job.scenario.setups)].push(job);
        }
        let mut stations = Vec::new();
        for (configuration, jobs) in target.configurations.iter().zip(shares) {
            if jobs.is_empty() {
                continue;
            }
            stations.push(Station {
                name: configuration.name.clone(),
                listeners: target.listeners.clone(),
                options: PlayOptions {
                    credentials: configuration.credentials.clone(),
                    facts: configuration.facts.clone(),
                    ..PlayOptions::default()
                },
                hooks: Some(Hooks::new(&target, configuration)?),
                jobs,
            });
        }
        Ok(Self {
            name: target.name,
            trust: target.trust,
            stations,
        })
    }

    /// Plays all of it. Must run inside a [`tokio::task::LocalSet`].
    ///
    /// # Errors
    /// [`TourError`]; that a broker is silent or dies is none, but part of the report.
    pub async fn play(self, conduct: &Conduct) -> Result<Report, TourError> {
        let plays = |station: &Station| station.jobs.len() * station.listeners.len();
        let total = self.stations.iter().map(plays).sum();
        let progress = Rc::new(if conduct.show_progress {
            Progress::bar(total)
        } else {
            Progress::hidden()
        });
        let mut versions: Vec<Version> = Vec::new();
        for station in &self.stations {
            versions.extend(Job::versions(&station.jobs));
        }
        versions.sort_unstable();
        versions.dedup();
        let mut report = Report {
            suite: env!("CARGO_PKG_VERSION").to_owned(),
            started: chrono::DateTime::from(std::time::SystemTime::now()),
            targets: Vec::new(),
            results: Vec::new(),
            versions,
            interrupted: false,
        };
        let dialer = Arc::new(Dialer::new(self.trust, DIAL));
        for station in self.stations {
            if *conduct.stop.borrow() {
                break;
            }
            visit_station(
                station,
                &self.name,
                &dialer,
                conduct,
                &progress,
                &mut report,
            )
            .await?;
        }
        report.interrupted = *conduct.stop.borrow();
        dialer.wait_idle().await;
        Ok(report)
    }
}

/// Starts the broker of one configuration, plays on all its listeners at once, and ends it.
async fn visit_station(
    station: Station,
    name: &str,
    dialer: &Arc<Dialer>,
    conduct: &Conduct,
    progress: &Rc<Progress>,
    report: &mut Report,
) -> Result<(), TourError> {
    let mut hooks = station.hooks;
    if let Some(hooks) = &mut hooks
        && let Err(error) = hooks.begin().await
    {
        for listener in &station.listeners {
            let mut target = target(listener, name, &station.name);
            target.silent = Some(format!("{}: {error}", target.label()));
            report.targets.push(target);
        }
        return Ok(());
    }
    let hooks: Option<SharedHooks> = hooks.map(|hooks| Rc::new(Mutex::new(hooks)));
    let mut visits: Vec<(Listener, JoinHandle<_>)> = Vec::new();
    for listener in station.listeners {
        let spoken = |job: &&Job| listener.versions.contains(&job.version);
        let jobs: Vec<Job> = station.jobs.iter().filter(spoken).cloned().collect();
        if jobs.is_empty() {
            continue;
        }
        let versions = Job::versions(&jobs);
        let arena = SocketArena::new(Arc::clone(dialer), listener.endpoint.clone(), versions)
            .with_options(station.options.clone())
            .with_hooks(hooks.clone())
            .until(conduct.stop.clone());
        let visit = visit(
            Rc::new(arena),
            conduct.passes,
            jobs,
            conduct.at_once,
            Rc::clone(progress),
        );
        visits.push((listener, spawn_local(visit)));
    }
    for (listener, visit) in visits {
        let (broker, silent, outcomes) = visit.await?;
        let index = report.targets.len();
        report.targets.push(Target {
            broker,
            silent,
            ..target(&listener, name, &station.name)
        });
        let result = |outcome| TargetOutcome {
            target: index,
            outcome,
        };
        report.results.extend(outcomes.into_iter().map(result));
    }
    if let Some(hooks) = hooks.and_then(Rc::into_inner) {
        hooks.into_inner().end().await;
    }
    Ok(())
}

/// A target of which nothing is known yet.
fn target(listener: &Listener, name: &str, configuration: &str) -> Target {
    Target {
        url: listener.endpoint.to_string(),
        transport: listener.endpoint.scheme().name().to_owned(),
        name: name.to_owned(),
        configuration: configuration.to_owned(),
        broker: String::new(),
        silent: None,
    }
}

/// One listener: what the broker says of itself, or why it was not played on, and what came out.
async fn visit(
    arena: Rc<SocketArena>,
    passes: Passes,
    jobs: Vec<Job>,
    at_once: usize,
    progress: Rc<Progress>,
) -> (String, Option<String>, Vec<Outcome>) {
    let answered = tokio::select! {
        answered = arena.preflight() => answered,
        () = arena.stopped() => return (String::new(), None, Vec::new()),
    };
    let broker = match answered {
        Ok(broker) => broker,
        Err(silent) => return (String::new(), Some(silent), Vec::new()),
    };
    let done = |outcome: &Outcome| progress.done(outcome);
    let outcomes = match passes {
        Passes::AfterControl => {
            let arena = Controlled::new(arena, &jobs).await;
            runner::run(arena, &jobs, at_once, done).await
        }
        Passes::AsPlayed => runner::run(arena, &jobs, at_once, done).await,
    };
    (broker, None, outcomes)
}
