//! The emulator's threads: one per direction, from one device to the other, each packet at its time.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    num::NonZero,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::{device::PacketDevice, kernel};
use crate::{
    Arrival, Cause, Counts, Direction, Fate, Impairment, Rebind, Scheduling,
    decide::Decider,
    nat::{Translation, Translator},
    packet,
    pcap::Capture,
};

/// Packets read before what is due is looked at again.
const BATCH: usize = 64;
/// Packets that one direction holds at most.
const MOST_IN_FLIGHT: usize = 200_000;
/// Bytes that one direction holds at most.
const MOST_BYTES_IN_FLIGHT: usize = 256 << 20;
/// The longest sleep: nothing depends on it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What both directions and the owner of the link share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) opened: Instant,
    pub(crate) stop: AtomicBool,
    pub(crate) scheduling: Scheduling,
    pub(crate) router: Option<Mutex<Router>>,
    pub(crate) capture_a: Option<Mutex<Capture>>,
    pub(crate) capture_b: Option<Mutex<Capture>>,
}

/// The router with the address translation in front of A.
#[derive(Debug)]
pub(crate) struct Router {
    translator: Translator,
    /// Rebindings to come, with their times.
    rebinds: Vec<(Duration, Rebind)>,
}

impl Router {
    pub(crate) fn new(translator: Translator) -> Self {
        Self {
            translator,
            rebinds: Vec::new(),
        }
    }

    pub(crate) fn rebind(&mut self, at: Duration, rebind: Rebind) {
        self.rebinds.push((at, rebind));
        self.rebinds.sort_by_key(|(at, _)| *at);
    }

    /// The translation as it is now.
    fn at(&mut self, now: Duration) -> &mut Translator {
        let due = self.rebinds.partition_point(|(at, _)| *at <= now);
        for (_, rebind) in self.rebinds.drain(..due) {
            self.translator.rebind(rebind);
        }
        &mut self.translator
    }
}

/// What one direction and the owner of the link share.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) direction: Direction,
    /// Changes to come, with their times.
    changes: Mutex<Vec<(Duration, LaneChange)>>,
    counts: Mutex<Counts>,
    /// Packets of the router itself, on their way in.
    answers: Mutex<Vec<Vec<u8>>>,
    wake: OwnedFd,
    real_time: AtomicBool,
}

/// A change of one direction.
#[derive(Debug, Clone)]
pub(crate) enum LaneChange {
    Impair(Impairment),
    BlackOut(Duration),
}

impl Lane {
    pub(crate) fn new(direction: Direction) -> io::Result<Self> {
        Ok(Self {
            direction,
            changes: Mutex::default(),
            counts: Mutex::default(),
            answers: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            real_time: AtomicBool::new(false),
        })
    }

    pub(crate) fn change(&self, at: Duration, change: LaneChange) {
        let mut changes = lock(&self.changes);
        changes.push((at, change));
        // Stable: of two changes for the same time the later told is the later made.
        changes.sort_by_key(|(at, _)| *at);
    }

    pub(crate) fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    /// Sends a packet of the router itself.
    fn answer(&self, packet: Vec<u8>) {
        lock(&self.answers).push(packet);
        self.wake();
    }

    pub(crate) fn is_real_time(&self) -> bool {
        self.real_time.load(Ordering::Relaxed)
    }

    /// Ends the thread's sleep.
    pub(crate) fn wake(&self) {
        // It fails only when the counter is full, and then the thread is awake.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// The changes whose time has come.
    fn due_changes(&self, now: Duration) -> Vec<(Duration, LaneChange)> {
        let mut changes = lock(&self.changes);
        let due = changes.partition_point(|(at, _)| *at <= now);
        changes.drain(..due).collect()
    }
}

/// A value behind a mutex; a panic of another thread does not make counters unreadable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One direction at work.
pub(crate) struct Pump {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) opposite: Arc<Lane>,
    pub(crate) from: Arc<PacketDevice>,
    pub(crate) to: Arc<PacketDevice>,
    pub(crate) decider: Decider,
    in_flight: BinaryHeap<Reverse<Waiting>>,
    bytes_in_flight: usize,
    /// Breaks ties between packets due at the same time: the one that entered first is first.
    sequence: u64,
    /// The largest index delivered.
    newest: Option<u64>,
}

/// A packet on its way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: Duration,
    sequence: u64,
    index: u64,
    packet: Vec<u8>,
}

impl Pump {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        (lane, opposite): (&Arc<Lane>, &Arc<Lane>),
        (from, to): (&Arc<PacketDevice>, &Arc<PacketDevice>),
        decider: Decider,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            lane: Arc::clone(lane),
            opposite: Arc::clone(opposite),
            from: Arc::clone(from),
            to: Arc::clone(to),
            decider,
            in_flight: BinaryHeap::new(),
            bytes_in_flight: 0,
            sequence: 0,
            newest: None,
        }
    }

    /// Works until told to stop.
    pub(crate) fn run(mut self) {
        // Without it the kernel may add 50 microseconds to each sleep, to save power.
        let _ = rustix::thread::set_current_timer_slack(NonZero::new(1));
        if self.shared.scheduling == Scheduling::RealTimeIfAllowed
            && kernel::schedule_in_real_time().is_ok()
        {
            self.lane.real_time.store(true, Ordering::Relaxed);
        }
        let mut buffer = vec![0; 1 << 16];
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.deliver();
            self.wait();
            self.receive(&mut buffer);
        }
    }

    fn now(&self) -> Duration {
        self.shared.opened.elapsed()
    }

    /// Hands over what is due.
    fn deliver(&mut self) {
        let lane = Arc::clone(&self.lane);
        let mut now = self.now();
        while self
            .in_flight
            .peek()
            .is_some_and(|Reverse(next)| next.due <= now)
        {
            let Some(Reverse(waiting)) = self.in_flight.pop() else {
                break;
            };
            self.bytes_in_flight -= waiting.packet.len();
            lock(&lane.counts).lateness.record(now - waiting.due);
            self.hand_over(now, waiting);
            now = self.now();
        }
    }

    fn hand_over(&mut self, now: Duration, mut waiting: Waiting) {
        let lane = Arc::clone(&self.lane);
        let passes =
            lane.direction == Direction::AToB || self.leaves_router(now, &mut waiting.packet);
        let written = passes.then(|| {
            self.capture(self.receiver(), &waiting.packet);
            self.to.write(&waiting.packet)
        });
        let mut counts = lock(&lane.counts);
        counts.in_flight -= 1;
        match written {
            None => counts.unmapped += 1,
            Some(Err(_)) => counts.write_errors += 1,
            Some(Ok(())) => {
                counts.delivered += 1;
                counts.delivered_bytes += waiting.packet.len() as u64;
                counts.reordered += u64::from(self.newest > Some(waiting.index));
                self.newest = self.newest.max(Some(waiting.index));
            }
        }
    }

    /// Translates a packet to A: whether it goes on.
    fn leaves_router(&self, now: Duration, packet: &mut [u8]) -> bool {
        let Some(router) = &self.shared.router else {
            return true;
        };
        match lock(router).at(now).inward(now, packet) {
            Translation::Passes => true,
            Translation::Dropped => false,
            Translation::Answered(answer) => {
                self.opposite.answer(answer);
                false
            }
        }
    }

    /// Translates a packet from A: whether it goes on.
    fn enters_router(&self, packet: &mut [u8]) -> bool {
        let Some(router) = &self.shared.router else {
            return true;
        };
        let now = self.now();
        let translation = lock(router).at(now).outward(now, packet);
        if let Translation::Answered(answer) = &translation {
            self.capture(self.sender(), answer);
            let written = self.from.write(answer);
            let mut counts = lock(&self.opposite.counts);
            counts.resets += u64::from(written.is_ok());
            counts.write_errors += u64::from(written.is_err());
        }
        translation == Translation::Passes
    }

    fn sender(&self) -> Option<&Mutex<Capture>> {
        match self.lane.direction {
            Direction::AToB => self.shared.capture_a.as_ref(),
            Direction::BToA => self.shared.capture_b.as_ref(),
        }
    }

    fn receiver(&self) -> Option<&Mutex<Capture>> {
        match self.lane.direction {
            Direction::AToB => self.shared.capture_b.as_ref(),
            Direction::BToA => self.shared.capture_a.as_ref(),
        }
    }

    fn capture(&self, capture: Option<&Mutex<Capture>>, packet: &[u8]) {
        let Some(capture) = capture else {
            return;
        };
        let mut capture = lock(capture);
        // Within the lock: times in a file never go back.
        if capture.write(self.now(), packet).is_err() {
            lock(&self.lane.counts).capture_errors += 1;
        }
    }

    /// Sleeps until a packet comes, one is due, or the owner of the link wants something.
    fn wait(&self) {
        let next = self.in_flight.peek().map(|Reverse(next)| next.due);
        let sleep = next.map_or(LONGEST_WAIT, |due| due.saturating_sub(self.now()));
        let sleep = sleep.min(LONGEST_WAIT);
        let timeout = Timespec {
            tv_sec: sleep.as_secs().cast_signed(),
            tv_nsec: sleep.subsec_nanos().into(),
        };
        let mut descriptors = [
            PollFd::from_borrowed_fd(self.from.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.lane.wake.as_fd(), PollFlags::IN),
        ];
        // A failed sleep is a short sleep.
        let _ = poll(&mut descriptors, Some(&timeout));
        if descriptors[1].revents().contains(PollFlags::IN) {
            let _ = rustix::io::read(&self.lane.wake, &mut [0; 8]);
        }
    }

    /// Takes in what the sending kernel and the router have.
    fn receive(&mut self, buffer: &mut [u8]) {
        let answers = std::mem::take(&mut *lock(&self.lane.answers));
        for answer in answers {
            lock(&self.lane.counts).resets += 1;
            self.enter(answer);
        }
        for _ in 0..BATCH {
            // A device that fails is one whose namespace is gone.
            let Ok(Some(packet)) = self.from.read(buffer) else {
                return;
            };
            if packet::is_for_one(packet) {
                self.take(packet.to_vec());
            }
        }
    }

    /// Takes in one packet of the sending kernel.
    fn take(&mut self, mut packet: Vec<u8>) {
        self.capture(self.sender(), &packet);
        if !packet::checksums_are_right(&packet) {
            lock(&self.lane.counts).bad_checksums += 1;
        }
        if self.lane.direction == Direction::AToB && !self.enters_router(&mut packet) {
            lock(&self.lane.counts).unmapped += 1;
            return;
        }
        self.enter(packet);
    }

    /// Decides what becomes of one packet.
    fn enter(&mut self, packet: Vec<u8>) {
        let now = self.now();
        for (at, change) in self.lane.due_changes(now) {
            match change {
                LaneChange::Impair(impairment) => self.decider.impair(impairment),
                LaneChange::BlackOut(length) => self.decider.black_out(at..at + length),
            }
        }
        let index = self.decider.next_index();
        let lane = Arc::clone(&self.lane);
        let mut counts = lock(&lane.counts);
        counts.packets += 1;
        counts.bytes += packet.len() as u64;
        counts.largest = counts.largest.max(packet.len() as u64);
        match self.decider.decide(now, packet.len()) {
            Fate::Lost(Cause::Loss) => counts.lost += 1,
            Fate::Lost(Cause::Blackout) => counts.blacked_out += 1,
            Fate::Lost(Cause::Queue) => counts.queue_drops += 1,
            Fate::Arrives(arrival) => self.hold(index, packet, &arrival, &mut counts),
        }
    }

    /// Keeps a packet until it is due.
    fn hold(&mut self, index: u64, mut packet: Vec<u8>, arrival: &Arrival, counts: &mut Counts) {
        if let Some(damage) = arrival.damage {
            counts.corrupted += u64::from(packet::damage(&mut packet, damage));
        }
        let duplicate = arrival.duplicate.map(|due| (due, packet.clone()));
        counts.duplicated += u64::from(duplicate.is_some());
        for (due, packet) in [(arrival.at, packet)].into_iter().chain(duplicate) {
            let bytes = self.bytes_in_flight + packet.len();
            if self.in_flight.len() >= MOST_IN_FLIGHT || bytes > MOST_BYTES_IN_FLIGHT {
                counts.overrun += 1;
                continue;
            }
            self.bytes_in_flight = bytes;
            counts.in_flight += 1;
            self.sequence += 1;
            let sequence = self.sequence;
            self.in_flight.push(Reverse(Waiting {
                due,
                sequence,
                index,
                packet,
            }));
        }
    }
}
