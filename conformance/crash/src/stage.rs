//! What the clients of one round share: the phase it is in, and the history that they write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quince_codec::{Packet, QoS};
use quince_model::delivery::{Deliveries, MessageName};
use tokio::sync::watch;

use crate::CrashError;
use crate::link::Link;

/// How long a client goes on reading what a dead broker has sent.
const LAST_WORDS: Duration = Duration::from_millis(30);

/// Where a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Clients make load.
    Load,
    /// The broker is dead: what it has sent is read, then the connections go.
    Cut,
    /// What is under way is completed, and what waits is fetched.
    Drain,
    /// Everything has come.
    Finish,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) round: u64,
    phase: watch::Receiver<Phase>,
    deliveries: Arc<Mutex<Deliveries>>,
    is_killed: Arc<AtomicBool>,
}

/// What a client wakes up for.
pub(crate) enum Wake {
    Packet(quince_codec::Frame),
    Phase,
    /// The connection is of no use any more.
    Gone(CrashError),
}

impl Stage {
    pub(crate) fn new(round: u64, phase: watch::Receiver<Phase>) -> Self {
        Self {
            round,
            phase,
            deliveries: Arc::default(),
            is_killed: Arc::default(),
        }
    }

    /// From now on connections may end.
    pub(crate) fn set_killed(&self) {
        self.is_killed.store(true, Ordering::Release);
    }

    /// Does what a client does under load, until that ends with the broker. What was under way then is given up.
    pub(crate) async fn under_load(
        &self,
        client: impl Future<Output = Result<(), CrashError>>,
    ) -> Result<(), CrashError> {
        let mut phase = self.phase.clone();
        let dead = async {
            // The round is over as well when nobody is left to tell.
            let _ = phase.wait_for(|phase| *phase == Phase::Cut).await;
            tokio::time::sleep(LAST_WORDS * 2).await;
        };
        tokio::select! {
            done = client => match done {
                Err(error) if !self.is_killed.load(Ordering::Acquire) => Err(error),
                _ => Ok(()),
            },
            () = dead => Ok(()),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a packet or for the next phase. Safe to cancel.
    pub(crate) async fn wake(&mut self, link: &mut Link) -> Wake {
        let is_cut = self.phase() == Phase::Cut;
        tokio::select! {
            packet = link.next() => match packet {
                Ok(frame) => Wake::Packet(frame),
                Err(error) => Wake::Gone(error),
            },
            changed = self.phase.changed(), if !is_cut => match changed {
                Ok(()) => Wake::Phase,
                Err(_) => Wake::Gone(CrashError::Link("the round is over".to_owned())),
            },
            () = tokio::time::sleep(LAST_WORDS), if is_cut => {
                Wake::Gone(CrashError::Link("the broker is dead".to_owned()))
            }
        }
    }

    /// The payload of a message: it says which one it is, and the rest follows from that.
    pub(crate) fn payload(&self, message: MessageName, qos: QoS) -> Vec<u8> {
        let MessageName { publisher, number } = message;
        let mut payload =
            format!("{} {publisher} {number} {} ", self.round, qos as u8).into_bytes();
        let mut random = crate::random::Random(number << 16 | u64::from(publisher));
        // Most are small, some are not.
        let longest = if number.is_multiple_of(50) { 4000 } else { 200 };
        let length = random.below(longest);
        payload.extend((0..length).map(|index| b'a' + (((number + index) % 26) as u8)));
        payload
    }

    /// Which message a payload is, with its QoS; `None` when it is none of this round, or is altered.
    pub(crate) fn message(&self, payload: &[u8]) -> Option<(MessageName, QoS)> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (_, publisher, number, qos) = (number()?, number()?, number()?, number()?);
        let message = MessageName {
            publisher: publisher.try_into().ok()?,
            number,
        };
        let qos = match qos {
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            _ => return None,
        };
        (self.payload(message, qos) == payload).then_some((message, qos))
    }
}

/// The packet of a frame.
pub(crate) fn packet<'a>(
    link: &Link,
    frame: &'a quince_codec::Frame,
) -> Result<Packet<'a>, CrashError> {
    frame
        .decode(link.version())
        .map_err(|error| CrashError::Link(error.to_string()))
}
