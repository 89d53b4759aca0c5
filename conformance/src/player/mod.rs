//! Plays a scenario: does its steps on a link, compares what comes, and says what it saw.
//!
//! The player does no input or output and has no clock of its own: both are the [`Link`]'s. On a link in virtual time a play
//! runs to its end without waiting; see [`run_without_waiting`](crate::link::run_without_waiting).

mod barrier;
mod capabilities;
mod client;
mod expect;
mod group;
pub mod message;
mod plumbing;
mod prefix;
mod steps;
mod translation;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use quince_codec::Version;

pub use self::{
    capabilities::{Capabilities, medium_missing},
    prefix::{PREFIX_LENGTH, unique_prefix},
};
use self::{
    client::{Arrived, ClientState, End, Item},
    message::Message,
};
use crate::{
    link::{Event, Link, LinkId},
    scenario::{
        Case, Scenario, Step, StepId,
        expression::{Value, Variables, hex},
    },
    setup::Facts,
    verdict::{Direction, Outcome, TranscriptEntry, Verdict},
    weight,
};

/// Variables that the player and a saboteur share.
pub type SharedVariables = Arc<Mutex<Variables>>;

/// How a scenario is played; the default is right for most.
#[derive(Clone, Debug)]
pub struct PlayOptions {
    /// How long a step waits for what it expects, in milliseconds, unless the scenario says otherwise.
    pub patience: u64,
    /// What is known about the target before the play; read from the CONNACK otherwise.
    pub capabilities: Option<Capabilities>,
    /// User name and password of each CONNECT that names none.
    pub credentials: Option<(String, Vec<u8>)>,
    /// What the target is set to.
    pub facts: Facts,
    /// The prefix of topics and client ids; a unique one otherwise.
    pub prefix: Option<String>,
    /// The expectation that accepts whatever comes.
    pub blind: Option<StepId>,
    /// Where the variables are kept.
    pub variables: SharedVariables,
}

impl Default for PlayOptions {
    fn default() -> Self {
        Self {
            patience: 5_000,
            capabilities: None,
            credentials: None,
            facts: Facts::default(),
            prefix: None,
            blind: None,
            variables: SharedVariables::default(),
        }
    }
}

/// A play in all detail.
#[derive(Clone, Debug)]
pub struct Play {
    /// The judgement, and what crossed the wire in the order in which it did.
    pub outcome: Outcome,
    /// What the steps sent and took, in the order of the steps.
    pub trail: Vec<TrailEntry>,
    /// Names of the step that failed and of the blocks around it, from the outside in.
    pub failed_at: Vec<String>,
    /// The step that failed, behind the blocks around it.
    pub failed_path: Vec<StepId>,
    /// The steps that were begun.
    pub begun: BTreeSet<StepId>,
    /// What kind of failure it was.
    pub failure: Option<FailureKind>,
}

/// One thing that a step sent or took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEntry {
    /// The step.
    pub step: StepId,
    /// The client, the direction and the bytes.
    pub what: String,
}

/// How a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Something else came, or came at the wrong time.
    Mismatch,
    /// It did not come, although the broker answered a PINGREQ sent after the time for it was over.
    Barrier,
    /// It did not come, and neither did anything else.
    Silence,
}

/// Plays one case of a scenario in one version, and judges it.
pub async fn play<L: Link>(
    scenario: &Scenario,
    case: &Case,
    version: Version,
    link: &mut L,
    options: &PlayOptions,
) -> Outcome {
    play_in_detail(scenario, case, version, link, options)
        .await
        .outcome
}

/// Plays one case of a scenario in one version, and tells everything about it.
pub async fn play_in_detail<L: Link>(
    scenario: &Scenario,
    case: &Case,
    version: Version,
    link: &mut L,
    options: &PlayOptions,
) -> Play {
    let started = Instant::now();
    let begin = link.now();
    let mut player = Player {
        scenario,
        version,
        options,
        link,
        begin,
        clients: BTreeMap::new(),
        owners: BTreeMap::new(),
        transcript: Vec::new(),
        trail: Vec::new(),
        path: Vec::new(),
        begun: BTreeSet::new(),
        ended: BTreeMap::new(),
        arrivals: 0,
        sentinels: 0,
        capabilities: options.capabilities,
    };
    let result = player.play(case).await;
    player.close_all().await;
    let failed_at = player
        .path
        .iter()
        .filter_map(|step| step.name.clone())
        .collect();
    let failed_path = player.path.iter().map(|step| step.id).collect();
    let innermost = player.path.last().copied();
    let named = player.path.iter().any(|step| step.name.is_some());
    let (verdict, detail, failure) = judge(result, innermost, named);
    let outcome = Outcome {
        scenario: scenario.id(case),
        version,
        verdict,
        level: weight::level(scenario, case, version),
        judges_rejection: weight::is_rejection(scenario, case, version),
        statements: scenario.statements(case, version),
        failed_step: innermost.filter(|_| failure.is_some()).map(Step::label),
        detail,
        transcript: player.transcript,
        elapsed: started.elapsed(),
    };
    Play {
        outcome,
        trail: player.trail,
        failed_at,
        failed_path,
        begun: player.begun,
        failure,
    }
}

/// The verdict, its reason, and how the step failed if one did.
fn judge(
    result: Result<(), Stop>,
    innermost: Option<&Step>,
    named: bool,
) -> (Verdict, String, Option<FailureKind>) {
    let place = |step: &Step| match &step.name {
        Some(name) => format!("step ({name}), line {}: {}", step.line, step.text),
        None => format!("line {}: {}", step.line, step.text),
    };
    let at = |words: String| match innermost {
        Some(step) => format!("{}\n{words}", place(step)),
        None => words,
    };
    match result {
        Ok(()) => (Verdict::Pass, String::new(), None),
        Err(Stop::Fail(kind, words)) => {
            // What only sets the scene says nothing about the subject, unless the scenario names it.
            let plumbing = innermost.is_some_and(|step| step.action.is_plumbing()) && !named;
            let verdict = if plumbing {
                Verdict::Inconclusive
            } else {
                Verdict::Fail
            };
            (verdict, at(words), Some(kind))
        }
        Err(Stop::Inconclusive(words)) => (Verdict::Inconclusive, at(words), None),
        Err(Stop::Skip(words)) => (Verdict::Skipped, words, None),
        Err(Stop::Error(words)) => (Verdict::Error, at(words), None),
    }
}

/// Why a play ends before its last step is done.
#[derive(Debug)]
enum Stop {
    Fail(FailureKind, String),
    Inconclusive(String),
    Skip(String),
    Error(String),
}

impl Stop {
    fn mismatch(words: impl Into<String>) -> Self {
        Self::Fail(FailureKind::Mismatch, words.into())
    }
}

/// Errors in words come from evaluating the scenario: its own fault.
impl From<String> for Stop {
    fn from(words: String) -> Self {
        Self::Error(words)
    }
}

struct Player<'a, L> {
    scenario: &'a Scenario,
    version: Version,
    options: &'a PlayOptions,
    link: &'a mut L,
    begin: u64,
    clients: BTreeMap<String, ClientState>,
    owners: BTreeMap<LinkId, String>,
    transcript: Vec<TranscriptEntry>,
    trail: Vec<TrailEntry>,
    path: Vec<&'a Step>,
    begun: BTreeSet<StepId>,
    ended: BTreeMap<String, u64>,
    arrivals: u64,
    sentinels: u64,
    capabilities: Option<Capabilities>,
}

impl<'a, L: Link> Player<'a, L> {
    async fn play(&mut self, case: &'a Case) -> Result<(), Stop> {
        if let Some(missing) = medium_missing(self.scenario, self.link.medium()) {
            return Err(Stop::Skip(missing.to_owned()));
        }
        self.check_needs()?;
        let setups = &self.scenario.setups;
        if let Some(setup) = self.options.facts.missing(setups) {
            return Err(Stop::Skip(format!("needs a server set up with {setup}")));
        }
        let prefix = self.options.prefix.clone().unwrap_or_else(unique_prefix);
        self.bind("t", Value::Text(format!("q/{prefix}")));
        self.bind("c", Value::Text(prefix));
        for (name, value) in self.options.facts.values(setups) {
            self.bind(name, value.clone());
        }
        for (name, expression) in &case.variables {
            let value = expression.free_value(&self.variables())?;
            self.bind(name, value);
        }
        self.run(&self.scenario.steps).await?;
        self.take_in_what_is_there().await;
        // What is left in a queue was not asked for; but what is no MQTT is wrong wherever it stands.
        for (name, client) in &self.clients {
            if let Some(item) = client.queue.iter().find(|item| item.is_broken()) {
                return Err(Stop::mismatch(format!(
                    "{name} received {}",
                    item.describe()
                )));
            }
        }
        Ok(())
    }

    /// Takes in what has already come, without waiting for more.
    async fn take_in_what_is_there(&mut self) {
        const MOST_EVENTS: usize = 1_000;
        let now = self.link.now();
        for _ in 0..MOST_EVENTS {
            if !self.pump(now).await {
                return;
            }
        }
    }

    fn check_needs(&self) -> Result<(), Stop> {
        match self
            .capabilities
            .and_then(|known| known.missing(&self.scenario.needs))
        {
            Some(missing) => Err(Stop::Skip(missing)),
            None => Ok(()),
        }
    }

    fn variables(&self) -> Variables {
        self.options
            .variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn bind(&self, name: &str, value: Value) {
        self.options
            .variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .set(name, value);
    }

    fn client(&mut self, name: &str) -> &mut ClientState {
        self.clients.entry(name.to_owned()).or_default()
    }

    /// The open connection of a client.
    fn open_link(&self, name: &str) -> Result<LinkId, Stop> {
        let link = self.clients.get(name).and_then(|client| client.link);
        link.ok_or_else(|| Stop::Error(format!("the client {name} has no connection here")))
    }

    /// Opens a connection for a client that has none.
    async fn open(&mut self, name: &str) -> Result<LinkId, Stop> {
        if self.client(name).link.is_some() {
            return Err(Stop::Error(format!(
                "the client {name} still has a connection here"
            )));
        }
        match self.link.open(name).await {
            Ok(id) => {
                self.client(name).opened(id);
                self.owners.insert(id, name.to_owned());
                self.note(name, Direction::Sent, "opens a connection");
                Ok(id)
            }
            Err(error) => Err(Stop::Inconclusive(format!(
                "no connection could be opened for {name}: {error}"
            ))),
        }
    }

    /// Opens a data stream on the connection of a client.
    async fn open_stream(&mut self, name: &str, of: &str) -> Result<(), Stop> {
        let connection = self.open_link(of)?;
        if self.client(name).link.is_some() {
            return Err(Stop::Error(format!("the stream {name} is still open here")));
        }
        match self.link.open_stream(connection, name).await {
            Ok(id) => {
                self.client(name).opened(id);
                // There is no CONNECT on it.
                self.client(name).connack = true;
                self.owners.insert(id, name.to_owned());
                self.note(name, Direction::Sent, &format!("opens a stream of {of}"));
                Ok(())
            }
            Err(error) => Err(Stop::Inconclusive(format!(
                "the stream {name} of {of} could not be opened: {error}"
            ))),
        }
    }

    /// Gives up the connection of a client, at once.
    async fn abandon(&mut self, name: &str) {
        if let Some(id) = self.client(name).link.take() {
            self.owners.remove(&id);
            self.link.close(id).await;
        }
    }

    async fn close_all(&mut self) {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        for name in names {
            self.abandon(&name).await;
        }
    }

    /// Writes bytes, and keeps them in the trail.
    async fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Stop> {
        self.trace(name, format!("-> {}", hex(bytes)));
        self.write_piece(name, bytes).await
    }

    /// Writes bytes; that the connection is gone is no failure of its own, for what is expected next will tell.
    async fn write_piece(&mut self, name: &str, bytes: &[u8]) -> Result<(), Stop> {
        let id = self.open_link(name)?;
        let decoded = match Message::decode(bytes, self.version) {
            Ok(message) => message.describe(),
            Err(problem) => format!("not a well-formed packet: {problem}"),
        };
        self.record(name, Direction::Sent, bytes, decoded);
        if let Err(error) = self.link.write(id, bytes).await {
            self.note(
                name,
                Direction::Sent,
                &format!("could not be sent: {error}"),
            );
        }
        Ok(())
    }

    async fn send(&mut self, name: &str, message: &Message) -> Result<(), Stop> {
        let bytes = message.encode(self.version)?;
        self.write(name, &bytes).await
    }

    /// Takes in one event of the link, whoever it is for. False when the deadline came first.
    async fn pump(&mut self, deadline: u64) -> bool {
        let Some((id, event)) = self.link.next(deadline).await else {
            return false;
        };
        let Some(name) = self.owners.get(&id).cloned() else {
            return true;
        };
        let version = self.version;
        let arrived = match event {
            Event::Bytes(bytes) => self.client(&name).take_in(&bytes, version),
            Event::Finished => self.end_of(&name, End::Finished),
            Event::Reset(code) => self.end_of(&name, End::Reset(code)),
            Event::Closed(how) => self.end_of(&name, End::Closed(how)),
        };
        for what in arrived {
            self.arrive(&name, what);
        }
        true
    }

    /// The end of a connection counts once.
    fn end_of(&mut self, name: &str, end: End) -> Vec<Arrived> {
        let client = self.client(name);
        if std::mem::replace(&mut client.ended, true) {
            return Vec::new();
        }
        let end = Arrived::End(end);
        client.unfinished().into_iter().chain([end]).collect()
    }

    fn arrive(&mut self, name: &str, what: Arrived) {
        self.arrivals += 1;
        let item = Item {
            time: self.link.now(),
            order: self.arrivals,
            what,
        };
        let bytes = match &item.what {
            Arrived::Packet(bytes, _) | Arrived::Garbage(bytes) => bytes.clone(),
            Arrived::End(_) => Vec::new(),
        };
        self.record(name, Direction::Received, &bytes, item.describe());
        self.client(name).queue.push_back(item);
    }

    fn record(&mut self, client: &str, direction: Direction, bytes: &[u8], decoded: String) {
        self.transcript.push(TranscriptEntry {
            time_ms: self.link.now().saturating_sub(self.begin),
            client: client.to_owned(),
            flow: 0,
            direction,
            hex: hex(bytes),
            decoded,
        });
    }

    fn note(&mut self, client: &str, direction: Direction, words: &str) {
        self.record(client, direction, &[], words.to_owned());
    }

    fn trace(&mut self, client: &str, what: String) {
        if let Some(step) = self.path.last() {
            let entry = TrailEntry {
                step: step.id,
                what: format!("{client} {what}"),
            };
            self.trail.push(entry);
        }
    }

    fn is_blind(&self) -> bool {
        self.path
            .last()
            .is_some_and(|step| self.options.blind == Some(step.id))
    }

    /// The time by which something must have come.
    const fn deadline(&self, start: u64) -> u64 {
        start.saturating_add(self.options.patience)
    }
}

/// A time for a reader.
fn seconds(milliseconds: u64) -> String {
    format!("{} s", Duration::from_millis(milliseconds).as_secs_f64())
}
