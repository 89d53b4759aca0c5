//! Everything in one run: the broker's values, the clients, the network between them, and the schedule over all of it.

mod client;
mod duel;
mod finale;
mod program;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use quince_codec::{Framer, Packet};
use quince_core::{Connection, Hub, Time};
use quince_model::{End, Judge};

pub(crate) use self::server::Done;
use crate::device::Device;
use crate::failure::Failure;
use crate::plan::{Chaos, Plan};
use crate::random::Random;
use crate::stage::{Listener, Stage, Stopped};
use crate::trace::Trace;
use crate::wire::Pipe;

/// How many rounds it may take until nothing more happens.
const ROUNDS: usize = 20_000;
/// Milliseconds that may pass before all that was begun is brought to an end.
const DRIFT: u64 = 4_000;

/// A waker that remembers that it was called.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Flag {
    fn is_up(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// The broker's task of one connection, between two calls.
struct Task {
    connection: Connection,
    woken: Arc<Flag>,
}

/// How the client's side of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Behind what was sent.
    Finished,
    Aborted,
    Vanished,
}

/// One network connection, with both of its ends. Its place in the world is its number.
struct Wire {
    device: usize,
    // The broker's end.
    /// `None` while a call is under way, and after the end.
    task: Option<Task>,
    /// Authentication was asked for.
    asks: bool,
    /// The broker has closed the network connection.
    closed: bool,
    // The network.
    up: Pipe,
    down: Pipe,
    /// The broker has been told of the client's end.
    told: bool,
    // The client's end.
    ended: Option<Ended>,
    seen_close: bool,
    accepted: bool,
    framer: Framer,
    /// What the client will answer, in its order.
    answers: VecDeque<Answer>,
    /// Topic Aliases that the client has set.
    aliases: BTreeMap<&'static str, u16>,
}

impl Wire {
    /// Whether the client still uses it.
    fn is_open(&self) -> bool {
        self.ended.is_none() && !self.seen_close
    }
}

/// An answer that a client owes, by Packet Identifier.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// PUBACK.
    Ack(u16),
    /// PUBREC.
    Received(u16),
    /// PUBREL.
    Release(u16),
    /// PUBCOMP.
    Complete(u16),
}

/// Whose call waits between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Connection(usize),
    Timer,
}

/// The task that keeps the hub's timer.
#[derive(Default)]
struct HubTimer {
    woken: Arc<Flag>,
    next: Option<Time>,
    busy: bool,
}

/// See the module.
pub(crate) struct World<'a> {
    plan: &'a Plan,
    random: Random,
    pub(crate) trace: Trace,
    judge: Judge,
    hub: Arc<Hub>,
    now: Time,
    wires: Vec<Wire>,
    devices: Vec<Device>,
    stage: &'a mut Stage<Done>,
    stopped: Vec<(Caller, Stopped<Done>)>,
    timer: HubTimer,
    /// Milliseconds since everything was last brought to an end.
    drift: u64,
    next_message: u64,
    /// Bytes that the network holds on the way to a client.
    capacity: usize,
    /// Whether calls may be overtaken now.
    overtaking: bool,
    /// How many duels there were.
    duels: usize,
}

type Step = Result<(), Failure>;

impl<'a> World<'a> {
    pub(crate) fn new(plan: &'a Plan, stage: &'a mut Stage<Done>, keep_trace: bool) -> Self {
        let mut random = Random::new(plan.seed);
        let config = plan.config(&mut random);
        let judge = Judge::new(Plan::bounds(&config));
        let hub = Arc::new(Hub::new(config).interleaved_by(Arc::new(Listener)));
        let timer = HubTimer::default();
        hub.set_timer_waker(&Waker::from(Arc::clone(&timer.woken)));
        let devices = (0..plan.clients)
            .map(|index| Device::new(index, &mut random))
            .collect();
        let capacity = if plan.has(Chaos::Pieces) {
            random.pick(&[100, 1000, 100_000])
        } else {
            100_000
        };
        Self {
            plan,
            random,
            trace: Trace::new(keep_trace),
            judge,
            hub,
            now: Time::ZERO,
            wires: Vec::new(),
            devices,
            stage,
            stopped: Vec::new(),
            timer,
            drift: 0,
            next_message: 0,
            capacity,
            overtaking: plan.has(Chaos::Overtaking),
            duels: 0,
        }
    }

    /// One step of the schedule.
    pub(crate) fn step(&mut self) -> Step {
        match self.random.below(100) {
            0..=26 => self.act(),
            27 => self.duel(),
            28..=41 => self.carry(),
            42..=51 => self.some_client_reads(),
            52..=60 => self.some_client_answers(),
            61..=89 => self.some_task_runs(),
            90..=95 => self.some_call_goes_on(),
            _ => self.pass_time(),
        }
    }

    fn millis(&self) -> u64 {
        self.now.as_millis()
    }

    /// Some bytes move.
    fn carry(&mut self) -> Step {
        let moving: Vec<(usize, bool)> = (0..self.wires.len())
            .flat_map(|number| [(number, true), (number, false)])
            .filter(|(number, up)| self.pipe(*number, *up).flying() > 0)
            .collect();
        if moving.is_empty() {
            return Ok(());
        }
        let (number, up) = self.random.pick(&moving);
        let flying = self.pipe(number, up).flying();
        let bytes = self.some_of(flying);
        self.pipe(number, up).carry(bytes);
        let way = if up { "up" } else { "down" };
        self.trace
            .note(format_args!("  {number}: {bytes} bytes {way}"));
        Ok(())
    }

    fn pipe(&mut self, number: usize, up: bool) -> &mut Pipe {
        let wire = &mut self.wires[number];
        if up { &mut wire.up } else { &mut wire.down }
    }

    /// A part of `all`, or all of it.
    fn some_of(&mut self, all: usize) -> usize {
        if all > 1 && self.plan.has(Chaos::Pieces) && self.random.chance(40) {
            self.random.between(1, all)
        } else {
            all
        }
    }

    /// Time passes only while no call is under way: a call has one time.
    fn pass_time(&mut self) -> Step {
        if !self.stopped.is_empty() {
            return Ok(());
        }
        if self.plan.has(Chaos::Time) && self.random.chance(12) {
            self.settle()?;
            let longest = self.random.pick(&[2_000, 20_000, 70_000]);
            let millis = self.random.between(1, longest);
            return self.advance(millis as u64);
        }
        let millis = self.random.between(1, 40) as u64;
        self.drift += millis;
        self.now = self.now.plus_millis(millis);
        if self.drift > DRIFT {
            self.settle()?;
        }
        Ok(())
    }

    /// Goes on by `millis`, with all timers in between in their order.
    fn advance(&mut self, millis: u64) -> Step {
        let target = self.now.plus_millis(millis);
        self.trace
            .note(format_args!("time passes to {}", target.as_millis()));
        loop {
            let timers = self.wires.iter().filter_map(|wire| {
                let task = wire.task.as_ref().filter(|_| !wire.closed)?;
                task.connection.next_timeout()
            });
            let next = timers.chain(self.timer.next).min();
            let Some(due) = next.filter(|due| *due <= target) else {
                break;
            };
            self.now = self.now.max(due);
            self.settle()?;
        }
        self.now = self.now.max(target);
        self.settle()
    }

    /// Runs until nothing more happens at this time.
    fn settle(&mut self) -> Step {
        self.drift = 0;
        for _ in 0..ROUNDS {
            let mut busy = false;
            while let Some((caller, stopped)) = self.stopped.pop() {
                self.let_go_on(caller, stopped, u32::MAX)?;
                busy = true;
                if self.stopped.len() > 1 {
                    // The one that it waits for comes first.
                    self.stopped.rotate_right(1);
                }
            }
            busy |= self.timer_round()?;
            for number in 0..self.wires.len() {
                busy |= self.wire_round(number)?;
            }
            if !busy {
                return Ok(());
            }
        }
        Err(Failure::Stuck("it does not come to rest".to_owned()))
    }

    fn wire_round(&mut self, number: usize) -> Result<bool, Failure> {
        let mut busy = false;
        for up in [true, false] {
            let flying = self.pipe(number, up).flying();
            self.pipe(number, up).carry(flying);
            busy |= flying > 0;
        }
        while let Some(call) = self.ready(number).first().copied() {
            self.run(number, call, true)?;
            busy = true;
        }
        busy |= self.client_reads(number, usize::MAX)?;
        while self.client_answers(number)? {
            busy = true;
        }
        Ok(busy)
    }

    /// A client hands a packet to the network.
    fn send(&mut self, number: usize, packet: &Packet<'_>) -> Step {
        let version = self.devices[self.wires[number].device].version;
        let bytes = packet
            .to_bytes(version)
            .map_err(|error| Failure::Wrong(format!("a client's packet: {error}")))?;
        self.trace.note(format_args!(
            "{} {number}: {} sends {packet:?}",
            self.now.as_millis(),
            self.devices[self.wires[number].device].name
        ));
        self.judge.sent(self.now.as_millis(), number as u64, packet);
        self.wires[number].up.send(&bytes);
        Ok(())
    }

    /// The client's end of a connection is over.
    fn end(&mut self, number: usize, ended: Ended) -> Step {
        let end = match ended {
            Ended::Finished => End::Finished,
            Ended::Aborted => End::Aborted,
            Ended::Vanished => End::Vanished,
        };
        self.trace.note(format_args!(
            "{} {number}: the client's end is {ended:?}",
            self.now.as_millis()
        ));
        let wire = &mut self.wires[number];
        wire.ended = Some(ended);
        wire.answers.clear();
        if ended == Ended::Aborted {
            // Some of what was under way may be there already.
            wire.up.carry(0);
            let there = wire.up.arrived();
            let kept = wire.up.read(there);
            wire.up.clear();
            if self.random.chance(50) {
                wire.up.send(&kept);
                wire.up.carry(kept.len());
            }
        }
        if ended != Ended::Vanished {
            wire.down.clear();
        }
        let device = &mut self.devices[wire.device];
        if device.current == Some(number) {
            device.current = None;
        }
        self.judge.ended(self.millis(), number as u64, end)?;
        Ok(())
    }
}
