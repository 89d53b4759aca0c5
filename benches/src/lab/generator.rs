//! The clockwork of the open loop: hands out each message at its scheduled instant, whatever became of those before.

use std::io;
use std::num::NonZeroU64;
use std::thread::{Builder, JoinHandle};

use hdrhistogram::Histogram;
use tokio::sync::mpsc::UnboundedSender;

use super::clock::Instant;
use super::load::{Load, Message};
use super::tally;

/// What there is to tell of a finished schedule.
#[derive(Debug)]
pub(crate) struct Generated {
    /// How late each message was handed out, in microseconds. It counts as latency, and taints the trial when it is much.
    pub(crate) lateness: Histogram<u64>,
}

/// Starts the schedule of `load` at `start`, on a thread of its own: a timer of the runtime is too coarse, and waiting in
/// the publisher would hold the schedule up.
///
/// The channel has no bound, because a bound would make the loop a closed one; it holds at most the messages of the load.
///
/// # Errors
/// When the system starts no further thread.
pub(crate) fn start(
    load: Load,
    start: Instant,
    messages: UnboundedSender<Message>,
) -> io::Result<JoinHandle<Generated>> {
    Builder::new().name("generator".to_owned()).spawn(move || {
        // By default the kernel may wake a sleeper 50 us late to save energy.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut lateness = tally::histogram();
        for index in 0..load.messages() {
            let due = load.due(start, index);
            due.sleep();
            let late = Instant::now().since(due).as_micros();
            lateness.saturating_record(u64::try_from(late).unwrap_or(u64::MAX).max(1));
            if messages.send(Message { index, due }).is_err() {
                // The publisher is gone: the rest counts as never sent.
                break;
            }
        }
        Generated { lateness }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_comes_once_in_order_with_its_instant() {
        let load = Load {
            topics: 3,
            rate: 400.0,
            payload: 64,
            qos: 0,
            seconds: 0.1,
        };
        let origin = Instant::now();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let generated = start(load, origin, sender)
            .expect("a thread")
            .join()
            .expect("no panic");
        assert_eq!(generated.lateness.len(), 120);
        let messages: Vec<_> = std::iter::from_fn(|| receiver.blocking_recv()).collect();
        let expected: Vec<_> = (0..120)
            .map(|index| Message {
                index,
                due: load.due(origin, index),
            })
            .collect();
        assert_eq!(messages, expected);
    }
}
