//! The broker's side: tasks as a driver runs them, one call at a time, and each call may be overtaken.

use std::sync::Arc;

use quince_core::{ConnectionId, FlowId, Output, Principal, READ_AT_MOST, Time};

use super::{Caller, Ended, Flag, Step, Task, Wire, World};
use crate::failure::Failure;
use crate::plan::Chaos;
use crate::stage::{Call, Progress, Stage, Stopped};
use quince_codec::Framer;
use std::task::Waker;

/// What a task can do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    Woken,
    Input,
    Room,
    Timer,
    Answer,
    Finished,
    Lost,
    Drop,
}

/// What came of a call.
pub(crate) struct Done {
    task: Option<Task>,
    outputs: Vec<Output>,
    hub_timeout: Option<Time>,
}

impl Done {
    /// Obeys the pump after a call: everything that the connection asks of its driver.
    fn of(mut task: Task) -> Self {
        let mut outputs = Vec::new();
        while let Some(output) = task.connection.poll_output() {
            outputs.push(output);
        }
        Self {
            task: Some(task),
            outputs,
            hub_timeout: None,
        }
    }
}

impl World<'_> {
    /// A network connection is accepted.
    pub(super) fn accept(&mut self, device: usize) -> usize {
        let number = self.wires.len();
        let id = ConnectionId::new(number as u64);
        let woken = Arc::new(Flag::default());
        let mut connection = quince_core::Connection::new(Arc::clone(&self.hub), id, self.now);
        connection.set_waker(&Waker::from(Arc::clone(&woken)));
        self.wires.push(Wire {
            device,
            task: Some(Task { connection, woken }),
            asks: false,
            closed: false,
            up: crate::wire::Pipe::default(),
            down: crate::wire::Pipe::default(),
            told: false,
            ended: None,
            seen_close: false,
            accepted: false,
            framer: Framer::new(u32::MAX),
            answers: std::collections::VecDeque::new(),
            aliases: std::collections::BTreeMap::new(),
        });
        number
    }

    /// What the task of a connection can do now.
    pub(super) fn ready(&mut self, number: usize) -> Vec<Ready> {
        let (now, capacity) = (self.now, self.capacity);
        let wire = &mut self.wires[number];
        let Some(task) = &mut wire.task else {
            return Vec::new();
        };
        if wire.closed {
            return vec![Ready::Drop];
        }
        let connection = &mut task.connection;
        let reads = connection.wants_input(FlowId::CONTROL);
        let mut ready = Vec::new();
        let mut offer = |is_ready: bool, what: Ready| {
            if is_ready {
                ready.push(what);
            }
        };
        offer(task.woken.is_up(), Ready::Woken);
        offer(reads && wire.up.arrived() > 0, Ready::Input);
        let sink = matches!(wire.ended, Some(Ended::Finished | Ended::Aborted));
        let has_room = sink || wire.down.len() < capacity;
        offer(
            has_room && !connection.writable(FlowId::CONTROL).is_empty(),
            Ready::Room,
        );
        offer(
            connection.next_timeout().is_some_and(|at| at <= now),
            Ready::Timer,
        );
        offer(wire.asks, Ready::Answer);
        let behind = wire.ended == Some(Ended::Finished) && wire.up.len() == 0 && reads;
        offer(behind && !wire.told, Ready::Finished);
        offer(
            wire.ended == Some(Ended::Aborted) && !wire.told,
            Ready::Lost,
        );
        ready
    }

    pub(super) fn some_task_runs(&mut self) -> Step {
        let timer = self.timer_is_ready();
        let numbers: Vec<usize> = (0..self.wires.len())
            .filter(|number| !self.ready(*number).is_empty())
            .collect();
        let count = numbers.len() + usize::from(timer);
        if count == 0 {
            return Ok(());
        }
        let picked = self.random.below(count);
        match numbers.get(picked) {
            Some(number) => {
                let ready = self.ready(*number);
                let call = self.random.pick(&ready);
                self.run(*number, call, false)
            }
            None => self.run_timer(),
        }
    }

    /// Runs one call of a task, which may be overtaken. `all` takes all that there is, where there is a choice.
    pub(super) fn run(&mut self, number: usize, what: Ready, all: bool) -> Step {
        match self.call(number, what, all) {
            Some(call) => self.begin(Caller::Connection(number), call),
            None => Ok(()),
        }
    }

    /// A call that a task is about to make; `None` while another one is under way.
    pub(super) fn call(&mut self, number: usize, what: Ready, all: bool) -> Option<Call<Done>> {
        let mut task = self.wires[number].task.take()?;
        self.trace
            .note(format_args!("{} {number}: {what:?}", self.now.as_millis()));
        let now = self.now;
        let call: Call<Done> = match what {
            Ready::Woken => {
                task.woken.take();
                Box::new(move || {
                    task.connection.advance(now);
                    Done::of(task)
                })
            }
            Ready::Input => {
                let there = self.wires[number].up.arrived().min(READ_AT_MOST);
                let count = if all { there } else { self.some_of(there) };
                let bytes = self.wires[number].up.read(count);
                Box::new(move || {
                    task.connection.receive(now, FlowId::CONTROL, &bytes);
                    Done::of(task)
                })
            }
            Ready::Room => {
                let count = self.write(number, &mut task, all);
                Box::new(move || {
                    task.connection.written(now, FlowId::CONTROL, count);
                    Done::of(task)
                })
            }
            Ready::Timer => Box::new(move || {
                task.connection.handle_timeout(now);
                Done::of(task)
            }),
            Ready::Answer => {
                self.wires[number].asks = false;
                Box::new(move || {
                    task.connection
                        .authenticated(now, Ok(Principal::anonymous()));
                    Done::of(task)
                })
            }
            Ready::Finished => {
                self.wires[number].told = true;
                Box::new(move || {
                    task.connection.flow_finished(now, FlowId::CONTROL);
                    Done::of(task)
                })
            }
            Ready::Lost => {
                self.wires[number].told = true;
                Box::new(move || {
                    task.connection.transport_closed(now);
                    Done::of(task)
                })
            }
            Ready::Drop => Box::new(move || {
                drop(task);
                Done {
                    task: None,
                    outputs: Vec::new(),
                    hub_timeout: None,
                }
            }),
        };
        Some(call)
    }

    /// Hands bytes to the network; how many.
    fn write(&mut self, number: usize, task: &mut Task, all: bool) -> usize {
        let writable = task.connection.writable(FlowId::CONTROL).to_vec();
        let wire = &self.wires[number];
        let sink = matches!(wire.ended, Some(Ended::Finished | Ended::Aborted));
        let room = if sink {
            usize::MAX
        } else {
            self.capacity - wire.down.len()
        };
        let most = writable.len().min(room);
        let count = if all { most } else { self.some_of(most) };
        self.trace.take_in(&writable[..count]);
        if !sink {
            self.wires[number].down.send(&writable[..count]);
        }
        count
    }

    pub(super) fn timer_is_ready(&self) -> bool {
        let due = self.timer.next.is_some_and(|at| at <= self.now);
        !self.timer.busy && (due || self.timer.woken.is_up())
    }

    pub(super) fn timer_round(&mut self) -> Result<bool, Failure> {
        let ready = self.timer_is_ready();
        if ready {
            self.run_timer()?;
        }
        Ok(ready)
    }

    fn run_timer(&mut self) -> Step {
        self.timer.busy = true;
        self.timer.woken.take();
        self.trace
            .note(format_args!("{} the hub's timer", self.now.as_millis()));
        let (hub, now) = (Arc::clone(&self.hub), self.now);
        let call: Call<Done> = Box::new(move || {
            hub.handle_timeout(now);
            Done {
                task: None,
                outputs: Vec::new(),
                hub_timeout: hub.next_timeout(),
            }
        });
        self.begin(Caller::Timer, call)
    }

    /// Begins a call, which may be overtaken.
    fn begin(&mut self, caller: Caller, call: Call<Done>) -> Step {
        let overtaken = self.overtaking && self.random.chance(25);
        let progress = if overtaken {
            let seams = self.seams();
            self.stage.run(call, seams)
        } else if self.stopped.is_empty() {
            Stage::run_through(call)
        } else {
            // It stops where it needs what a stopped one has locked.
            self.stage.run(call, u32::MAX)
        };
        self.take_in(caller, progress)
    }

    fn seams(&mut self) -> u32 {
        let longest = self.random.pick(&[2, 4, 12]);
        u32::try_from(self.random.between(1, longest)).unwrap_or(1)
    }

    pub(super) fn some_call_goes_on(&mut self) -> Step {
        if self.stopped.is_empty() {
            return Ok(());
        }
        let index = self.random.below(self.stopped.len());
        let (caller, stopped) = self.stopped.swap_remove(index);
        let seams = if self.random.chance(60) {
            u32::MAX
        } else {
            self.seams()
        };
        self.let_go_on(caller, stopped, seams)
    }

    pub(super) fn let_go_on(&mut self, caller: Caller, stopped: Stopped<Done>, seams: u32) -> Step {
        self.trace
            .note(format_args!("  {caller:?} goes on from {:?}", stopped.seam));
        let progress = self.stage.go_on(stopped, seams);
        self.take_in(caller, progress)
    }

    pub(super) fn take_in(&mut self, caller: Caller, progress: Progress<Done>) -> Step {
        match progress {
            Progress::Panicked(message) => Err(Failure::Panicked(message)),
            Progress::Stopped(stopped) => {
                self.trace
                    .note(format_args!("  {caller:?} stops at {:?}", stopped.seam));
                self.stopped.push((caller, stopped));
                Ok(())
            }
            Progress::Done(done) => {
                self.finish(caller, done);
                Ok(())
            }
        }
    }

    fn finish(&mut self, caller: Caller, done: Done) {
        let Caller::Connection(number) = caller else {
            self.timer.busy = false;
            self.timer.next = done.hub_timeout;
            return;
        };
        let wire = &mut self.wires[number];
        wire.task = done.task;
        for output in done.outputs {
            match output {
                Output::Authenticate(_) => wire.asks = true,
                Output::EndFlow { flow, .. } => unreachable!("{flow} was never opened"),
                Output::Close { code, by } => {
                    self.trace.note(format_args!(
                        "{} {number}: closed by {by:?}, {code:?}",
                        self.now.as_millis()
                    ));
                    wire.closed = true;
                }
            }
        }
    }

    /// Calls that are stopped run to their end, so that their threads are free for another run.
    pub(crate) fn abandon(&mut self) {
        for _ in 0..1000 {
            let Some((caller, stopped)) = self.stopped.pop() else {
                return;
            };
            if let Progress::Stopped(stopped) = self.stage.go_on(stopped, u32::MAX) {
                self.stopped.insert(0, (caller, stopped));
            }
        }
    }

    pub(super) fn allows(&self, chaos: Chaos) -> bool {
        self.plan.has(chaos)
    }
}
