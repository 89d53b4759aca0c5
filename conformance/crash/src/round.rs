//! One round: load, a kill at a random moment, a restart, and what is there then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quince_codec::{PropertyList, QoS, Version};
use quince_model::delivery::{Fault, Finding, Owed};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::CrashError;
use crate::broker::{Broker, Recipe};
use crate::churn::{Changer, Keeper};
use crate::link::{Hello, Link, Place, Start};
use crate::publisher::Publisher;
use crate::random::Random;
use crate::stage::{Phase, Stage};
use crate::subscriber::{Habit, Subscriber};

const Q1: QoS = QoS::AtLeastOnce;
const Q2: QoS = QoS::ExactlyOnce;
/// How long what is under way may take after a restart.
const DRAIN: Duration = Duration::from_secs(60);
/// When nothing has come for so long, nothing more comes.
const QUIET: Duration = Duration::from_secs(2);

/// All clients; their Sessions go on from round to round.
#[derive(Debug)]
pub(crate) struct Cast {
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    keeper: Keeper,
    changers: Vec<Changer>,
}

/// What came of a round.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) delivered: usize,
    /// Acknowledged before the kill.
    pub(crate) acknowledged_under_load: u64,
    pub(crate) load: Duration,
    /// From the last start to the first CONNACK.
    pub(crate) restart: Duration,
    pub(crate) findings: Vec<Finding>,
}

/// How a round goes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) number: u64,
    pub(crate) scheme: &'static str,
    pub(crate) load: Duration,
    /// The broker is killed again, so long after each of these starts.
    pub(crate) killed_at_start: Vec<Duration>,
    pub(crate) leaves_after: Duration,
}

impl Plan {
    pub(crate) fn new(
        number: u64,
        scheme: &'static str,
        longest: Duration,
        random: &mut Random,
    ) -> Self {
        let mut below = |duration: Duration| {
            let bound = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            Duration::from_micros(random.below(bound.max(1)))
        };
        let shortest = longest / 10;
        let load = shortest + below(longest - shortest);
        let leaves_after = below(load);
        let kill = Duration::from_millis(30);
        let killed_at_start = match random.below(4) {
            0 => 1,
            1 => 2,
            _ => 0,
        };
        let killed_at_start = (0..killed_at_start)
            .map(|_| kill.mul_f64(random.below(1000) as f64 / 1000.0))
            .collect();
        Self {
            number,
            scheme,
            load,
            killed_at_start,
            leaves_after,
        }
    }
}

fn owed() -> Vec<Owed> {
    let owed = |name: &'static str, receivers: &[u16], publishers: &[u16]| Owed {
        name,
        // What a member has left behind comes late to the others.
        is_ordered: name != "left pair",
        receivers: receivers.to_vec(),
        publishers: publishers.to_vec(),
    };
    vec![
        owed("prompt", &[0], &[0, 1, 2, 3]),
        owed("slow", &[1], &[1]),
        owed("away", &[2], &[0]),
        owed("away too", &[3], &[2]),
        owed("pair", &[4, 5], &[0, 1, 2, 3]),
        owed("left pair", &[6, 7], &[0]),
    ]
}

/// A client that ran in a task, and how that ended.
type Task<T> = JoinHandle<(T, Result<(), CrashError>)>;

/// All clients of these tasks. Where the broker has broken off one of them, that is noted.
async fn finished<T>(tasks: Vec<Task<T>>, stage: &Stage) -> Result<Vec<(T, bool)>, CrashError> {
    let mut clients = Vec::new();
    for task in tasks {
        let (client, result) = task
            .await
            .map_err(|error| CrashError::Link(error.to_string()))?;
        let is_whole = result.is_ok();
        if let Err(error) = result {
            let what = error.to_string();
            stage.deliveries().find(Fault::BrokenOff, what);
        }
        clients.push((client, is_whole));
    }
    Ok(clients)
}

/// The clients, whatever became of their connections.
fn all<T>(clients: Vec<(T, bool)>) -> impl Iterator<Item = T> {
    clients.into_iter().map(|(client, _)| client)
}

/// What a client still has to do after a restart, which must come to an end.
async fn to_the_end(done: impl Future<Output = Result<(), CrashError>>) -> Result<(), CrashError> {
    let unfinished = || CrashError::Link("what was under way is not completed".to_owned());
    timeout(DRAIN, done).await.map_err(|_| unfinished())?
}

impl Cast {
    pub(crate) fn new(random: &mut Random) -> Self {
        let publisher = |name, version, pattern| Publisher::new(name, version, pattern);
        Self {
            publishers: vec![
                publisher(0, Version::V5_0, &[Q1]),
                publisher(1, Version::V5_0, &[Q2]),
                publisher(2, Version::V5_0, &[Q1, Q2]),
                publisher(3, Version::V3_1_1, &[Q1, Q2]),
            ],
            subscribers: vec![
                Subscriber::new(0, "load/{}/+", Habit::Prompt),
                Subscriber::new(1, "load/{}/1", Habit::Slow),
                Subscriber::new(2, "load/{}/0", Habit::Away),
                Subscriber::new(3, "load/{}/2", Habit::Away),
                Subscriber::new(4, "$share/pair/load/{}/+", Habit::Prompt),
                Subscriber::new(5, "$share/pair/load/{}/+", Habit::Prompt),
                Subscriber::new(6, "$share/left/load/{}/0", Habit::Prompt),
                Subscriber::new(7, "$share/left/load/{}/0", Habit::Leaves),
            ],
            keeper: Keeper::new(random.next()),
            changers: vec![
                Changer::new("changer", false, random.next()),
                Changer::new("beginner", true, random.next()),
            ],
        }
    }

    /// Plays a round against the running broker, and gives the one that runs after it.
    pub(crate) async fn play(
        &mut self,
        recipe: &Recipe,
        mut broker: Broker,
        plan: &Plan,
    ) -> Result<(Broker, Outcome), CrashError> {
        let (phase, watched) = watch::channel(Phase::Load);
        let stage = Stage::new(plan.number, watched);
        let place = Arc::new(Place::new(plan.scheme, recipe.port)?);
        let began = Instant::now();
        let load = self.load(&place, &stage, plan).await?;
        let until = sleep(plan.load.saturating_sub(began.elapsed()));
        until.await;
        broker.check()?;
        stage.set_killed();
        broker.kill()?;
        let loaded = began.elapsed();
        phase.send_replace(Phase::Cut);
        self.take_back(load, &stage).await?;
        let (acknowledged_under_load, _) = stage.deliveries().answers();

        let (broker, restart) = restart(recipe, plan).await?;
        phase.send_replace(Phase::Drain);
        let place = Arc::new(Place::new(plan.scheme, recipe.port)?);
        self.drain(&place, &stage, &phase).await?;
        self.keeper.check(&place, &stage).await?;
        for changer in &mut self.changers {
            changer.check(&place, &stage).await?;
        }
        let deliveries = stage.deliveries();
        let (acknowledged, refused) = deliveries.answers();
        let outcome = Outcome {
            acknowledged,
            refused,
            delivered: deliveries.receipts(),
            acknowledged_under_load,
            load: loaded,
            restart,
            findings: deliveries.judge(&owed()),
        };
        drop(deliveries);
        Ok((broker, outcome))
    }

    /// Connects everybody, and starts the load.
    async fn load(
        &mut self,
        place: &Arc<Place>,
        stage: &Stage,
        plan: &Plan,
    ) -> Result<Load, CrashError> {
        let mut load = Load::default();
        for mut subscriber in self.subscribers.drain(..) {
            let mut link = subscriber.connect(place, stage).await?;
            subscriber.prepare(&mut link, stage).await?;
            if subscriber.habit == Habit::Away {
                link.disconnect(&PropertyList::new()).await?;
                load.away.push(subscriber);
                continue;
            }
            let (mut stage, after) = (stage.clone(), plan.leaves_after);
            load.subscribers.push(tokio::spawn(async move {
                let outer = stage.clone();
                let done = if subscriber.habit == Habit::Leaves {
                    let leaving = subscriber.leave(link, &mut stage, after);
                    outer.under_load(leaving).await
                } else {
                    let running = subscriber.run(&mut link, &mut stage);
                    outer.under_load(running).await
                };
                (subscriber, done)
            }));
        }
        for mut publisher in self.publishers.drain(..) {
            let mut link = publisher.connect(place, stage).await?;
            let mut stage = stage.clone();
            load.publishers.push(tokio::spawn(async move {
                let outer = stage.clone();
                let running = publisher.run(&mut link, &mut stage);
                let done = outer.under_load(running).await;
                (publisher, done)
            }));
        }
        let mut keeper = self.keeper.clone();
        let (at, on) = (Arc::clone(place), stage.clone());
        load.keeper.push(tokio::spawn(async move {
            let done = on.under_load(keeper.run(&at, &on)).await;
            (keeper, done)
        }));
        for mut changer in self.changers.drain(..) {
            let (at, on) = (Arc::clone(place), stage.clone());
            load.changers.push(tokio::spawn(async move {
                let done = on.under_load(changer.run(&at, &on)).await;
                (changer, done)
            }));
        }
        Ok(load)
    }

    async fn take_back(&mut self, load: Load, stage: &Stage) -> Result<(), CrashError> {
        self.subscribers = all(finished(load.subscribers, stage).await?).collect();
        self.subscribers.extend(load.away);
        self.publishers = all(finished(load.publishers, stage).await?).collect();
        if let Some(keeper) = all(finished(load.keeper, stage).await?).next() {
            self.keeper = keeper;
        }
        self.changers = all(finished(load.changers, stage).await?).collect();
        Ok(())
    }

    /// Everybody comes back, completes what was under way, and fetches what waits.
    async fn drain(
        &mut self,
        place: &Arc<Place>,
        stage: &Stage,
        phase: &watch::Sender<Phase>,
    ) -> Result<(), CrashError> {
        let mut subscribers = Vec::new();
        for mut subscriber in self.subscribers.drain(..) {
            if subscriber.habit == Habit::Leaves {
                subscriber.end_session(place).await?;
                subscribers.push(tokio::spawn(async { (subscriber, Ok(())) }));
                continue;
            }
            let mut link = subscriber.connect(place, stage).await?;
            let mut stage = stage.clone();
            subscribers.push(tokio::spawn(async move {
                let mut done = to_the_end(subscriber.run(&mut link, &mut stage)).await;
                if done.is_ok() {
                    done = link.disconnect(&PropertyList::new()).await;
                }
                (subscriber, done)
            }));
        }
        let mut publishers = Vec::new();
        for mut publisher in self.publishers.drain(..) {
            let mut link = publisher.connect(place, stage).await?;
            let mut stage = stage.clone();
            publishers.push(tokio::spawn(async move {
                let mut done = to_the_end(publisher.run(&mut link, &mut stage)).await;
                if done.is_ok() {
                    done = link.disconnect(&PropertyList::new()).await;
                }
                (publisher, done)
            }));
        }
        for (mut publisher, is_whole) in finished(publishers, stage).await? {
            if !is_whole {
                publisher.begin_anew(place).await?;
            }
            self.publishers.push(publisher);
        }
        everything_has_come(stage).await;
        phase.send_replace(Phase::Finish);
        for (mut subscriber, is_whole) in finished(subscribers, stage).await? {
            if !is_whole {
                subscriber.end_session(place).await?;
            }
            self.subscribers.push(subscriber);
        }
        self.subscribers.sort_by_key(|subscriber| subscriber.name);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Load {
    subscribers: Vec<Task<Subscriber>>,
    away: Vec<Subscriber>,
    publishers: Vec<Task<Publisher>>,
    keeper: Vec<Task<Keeper>>,
    changers: Vec<Task<Changer>>,
}

/// Waits until everybody has what is owed, or nothing comes any more.
async fn everything_has_come(stage: &Stage) {
    let owed = owed();
    let (mut receipts, mut since) = (0, Instant::now());
    loop {
        {
            let deliveries = stage.deliveries();
            if deliveries.receipts() != receipts {
                (receipts, since) = (deliveries.receipts(), Instant::now());
            } else if since.elapsed() > QUIET || deliveries.is_complete(&owed) {
                return;
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Starts the broker, and kills it while it recovers as often as is planned; gives the time to the first CONNACK.
async fn restart(recipe: &Recipe, plan: &Plan) -> Result<(Broker, Duration), CrashError> {
    for &after in &plan.killed_at_start {
        let broker = recipe.start()?;
        sleep(after).await;
        broker.kill()?;
    }
    let began = Instant::now();
    let mut broker = recipe.start()?;
    recipe.ready(&mut broker).await?;
    let hello = Hello {
        client_id: "first",
        version: Version::V5_0,
        start: Start::Passing,
        receive_maximum: 1,
    };
    let (link, _) = Link::open(&Place::new(plan.scheme, recipe.port)?, hello).await?;
    let took = began.elapsed();
    link.disconnect(&PropertyList::new()).await?;
    Ok((broker, took))
}
