//! Calls on the core that can be stopped between their steps: each on a thread of its own, one of which runs at a time.
//!
//! A call that is never stopped runs in the caller's thread. The schedule says after how many seams a call stops, and when it
//! goes on; threads are only the places where half-done calls wait, so that nothing depends on the operating system.

use core::any::Any;
use core::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use quince_core::{Interleave, Seam};

/// What a call is: it gives what it had borrowed, and what came of it.
pub(crate) type Call<T> = Box<dyn FnOnce() -> T + Send>;

enum Order<T> {
    Run(Call<T>, u32),
    GoOn(u32),
}

enum Word<T> {
    Done(Result<T, String>),
    Stopped(Seam),
}

/// The thread's own end of a call that runs on it.
trait Stops {
    fn at(&self, seam: Seam);
}

thread_local! {
    static CALL: RefCell<Option<Box<dyn Stops>>> = const { RefCell::new(None) };
}

/// Listens in the core.
#[derive(Debug)]
pub(crate) struct Listener;

impl Interleave for Listener {
    fn at(&self, seam: Seam) {
        CALL.with(|call| match &*call.borrow() {
            Some(stops) => stops.at(seam),
            None => assert!(
                seam != Seam::Contended,
                "a lock is kept by a call that is over"
            ),
        });
    }
}

struct Performer<T> {
    orders: Receiver<Order<T>>,
    words: Sender<Word<T>>,
    seams_left: Cell<u32>,
}

impl<T: Send + 'static> Performer<T> {
    fn perform(orders: Receiver<Order<T>>, words: Sender<Word<T>>) {
        let performer = Rc::new(Self {
            orders,
            words,
            seams_left: Cell::new(0),
        });
        let stops = Rc::clone(&performer);
        CALL.with(|call| *call.borrow_mut() = Some(Box::new(stops)));
        while let Ok(order) = performer.orders.recv() {
            let Order::Run(call, seams) = order else {
                continue;
            };
            performer.seams_left.set(seams);
            let result = catch_unwind(AssertUnwindSafe(call)).map_err(message);
            if performer.words.send(Word::Done(result)).is_err() {
                return;
            }
        }
    }
}

impl<T> Stops for Rc<Performer<T>> {
    fn at(&self, seam: Seam) {
        let left = self.seams_left.get();
        if seam != Seam::Contended && left > 1 {
            self.seams_left.set(left - 1);
            return;
        }
        if self.words.send(Word::Stopped(seam)).is_err() {
            return;
        }
        match self.orders.recv() {
            Ok(Order::GoOn(seams)) => self.seams_left.set(seams),
            // Nobody wants the rest: it runs to its end.
            Ok(Order::Run(..)) | Err(_) => self.seams_left.set(u32::MAX),
        }
    }
}

fn message(panic: Box<dyn Any + Send>) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "no message".to_owned())
}

struct Worker<T> {
    orders: Sender<Order<T>>,
    words: Receiver<Word<T>>,
}

/// A call that waits between two of its steps.
pub(crate) struct Stopped<T> {
    worker: Worker<T>,
    pub(crate) seam: Seam,
}

/// What came of running a call.
pub(crate) enum Progress<T> {
    Done(T),
    Stopped(Stopped<T>),
    Panicked(String),
}

/// The threads.
pub(crate) struct Stage<T> {
    idle: Vec<Worker<T>>,
}

impl<T: Send + 'static> Stage<T> {
    pub(crate) const fn new() -> Self {
        Self { idle: Vec::new() }
    }

    /// Runs a call to its end, in this thread. No other call may be stopped.
    pub(crate) fn run_through(call: Call<T>) -> Progress<T> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(done) => Progress::Done(done),
            Err(panic) => Progress::Panicked(message(panic)),
        }
    }

    /// Runs a call until it has come to `seams` seams, or cannot go on.
    pub(crate) fn run(&mut self, call: Call<T>, seams: u32) -> Progress<T> {
        let worker = self.idle.pop().unwrap_or_else(Self::hire);
        self.order(worker, Order::Run(call, seams))
    }

    /// Lets a stopped call go on.
    pub(crate) fn go_on(&mut self, stopped: Stopped<T>, seams: u32) -> Progress<T> {
        self.order(stopped.worker, Order::GoOn(seams))
    }

    fn hire() -> Worker<T> {
        let (orders, taken) = channel();
        let (words, heard) = channel();
        thread::spawn(move || Performer::perform(taken, words));
        Worker {
            orders,
            words: heard,
        }
    }

    fn order(&mut self, worker: Worker<T>, order: Order<T>) -> Progress<T> {
        let word = worker
            .orders
            .send(order)
            .ok()
            .and_then(|()| worker.words.recv().ok());
        match word {
            Some(Word::Done(Ok(done))) => {
                self.idle.push(worker);
                Progress::Done(done)
            }
            Some(Word::Done(Err(message))) => Progress::Panicked(message),
            Some(Word::Stopped(seam)) => Progress::Stopped(Stopped { worker, seam }),
            None => Progress::Panicked("the thread of a call is gone".to_owned()),
        }
    }
}
