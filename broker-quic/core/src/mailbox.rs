//! The bounded queue of one flow of a Session, and how others get its owner's attention.
//!
//! It is made with the Session and outlives network connections, so that a publish to an offline Session is the same
//! push as to a connected one. What is in flight still counts against the bound: a message leaves the account when it
//! is acknowledged, sent at QoS 0, dropped or expired.

use core::task::Waker;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quince_codec::QoS;

use crate::message::Delivery;

/// What a publish to a full queue comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// The publisher is refused: the Session is stored, and a message above QoS 0 must not be lost.
    Refuse,
    /// The oldest message goes.
    DropOldest,
}

/// Room promised to one delivery that is not pushed yet.
#[derive(Debug)]
#[must_use = "a reservation is pushed or cancelled"]
pub(crate) struct Reservation {
    bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Delivery>,
    /// Messages queued, in flight and reserved.
    messages: usize,
    /// Their bytes.
    bytes: usize,
    stored: bool,
    attached: bool,
    yield_requested: bool,
    /// The Session has ended: nobody will read what comes now.
    closed: bool,
    waker: Option<Waker>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Mailbox {
    limit_messages: usize,
    limit_bytes: usize,
    state: Mutex<State>,
}

impl Mailbox {
    pub(crate) fn new(limit_messages: usize, limit_bytes: usize) -> Self {
        Self {
            limit_messages,
            limit_bytes,
            state: Mutex::new(State::default()),
        }
    }

    /// An empty queue with the same limits for the same owner, who has it; it does not outlive the network connection.
    pub(crate) fn another(&self) -> Self {
        let state = State {
            attached: true,
            waker: self.lock().waker.clone(),
            ..State::default()
        };
        Self {
            limit_messages: self.limit_messages,
            limit_bytes: self.limit_bytes,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change below is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fits(&self, state: &State, bytes: usize) -> bool {
        state.messages < self.limit_messages
            && state.bytes.saturating_add(bytes) <= self.limit_bytes
    }

    /// What becomes of a message of this QoS when the queue is full.
    pub(crate) fn when_full(&self, qos: QoS) -> WhenFull {
        if qos > QoS::AtMostOnce && self.lock().stored {
            WhenFull::Refuse
        } else {
            WhenFull::DropOldest
        }
    }

    /// Promises room for a delivery of `bytes`, or `None` when the queue is full.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let mut state = self.lock();
        if !self.fits(&state, bytes) {
            return None;
        }
        state.messages += 1;
        state.bytes += bytes;
        Some(Reservation { bytes })
    }

    /// Gives back what [`Mailbox::reserve`] promised.
    pub(crate) fn cancel(&self, reservation: Reservation) {
        let Reservation { bytes } = reservation;
        settle(&mut self.lock(), bytes);
    }

    /// Queues a delivery into the room reserved for it; gives it back if the Session has ended.
    pub(crate) fn push_reserved(
        &self,
        delivery: Delivery,
        reservation: Reservation,
    ) -> Result<(), Delivery> {
        let Reservation { bytes } = reservation;
        let waker = {
            let mut state = self.lock();
            if state.closed {
                return Err(delivery);
            }
            state.bytes = state
                .bytes
                .saturating_sub(bytes)
                .saturating_add(delivery.allocated());
            state.queue.push_back(delivery);
            state.waker.clone()
        };
        wake(waker);
        Ok(())
    }

    /// Queues a delivery that may be dropped, or may push out the oldest that may be dropped.
    ///
    /// From a stored Session only QoS 0 messages are pushed out: the others are owed to the client. Gives the delivery
    /// back if the Session has ended.
    pub(crate) fn push_droppable(&self, delivery: Delivery) -> Result<(), Delivery> {
        let bytes = delivery.allocated();
        let waker = {
            let mut state = self.lock();
            if state.closed {
                return Err(delivery);
            }
            while !self.fits(&state, bytes) {
                let stored = state.stored;
                let oldest = state
                    .queue
                    .iter()
                    .position(|queued| !stored || queued.qos == QoS::AtMostOnce);
                let Some(pushed_out) = oldest.and_then(|index| state.queue.remove(index)) else {
                    return Ok(());
                };
                settle(&mut state, pushed_out.allocated());
            }
            state.messages += 1;
            state.bytes += bytes;
            state.queue.push_back(delivery);
            state.waker.clone()
        };
        wake(waker);
        Ok(())
    }

    /// Takes the oldest delivery, if it is not above `qos`; it stays charged until [`Mailbox::settle`].
    pub(crate) fn pop_up_to(&self, qos: QoS) -> Option<Delivery> {
        self.lock()
            .queue
            .pop_front_if(|delivery| delivery.qos <= qos)
    }

    /// Ends the account of a delivery taken by [`Mailbox::pop_up_to`].
    pub(crate) fn settle(&self, bytes: usize) {
        settle(&mut self.lock(), bytes);
    }

    /// Charges a delivery that does not come through the queue (a retained message); bounded by Receive Maximum.
    pub(crate) fn charge(&self, bytes: usize) {
        let mut state = self.lock();
        state.messages += 1;
        state.bytes = state.bytes.saturating_add(bytes);
    }

    /// Queues what a store held, whether or not there is room: it was acknowledged.
    pub(crate) fn restore(&self, delivery: Delivery) {
        self.charge(delivery.allocated());
        self.lock().queue.push_back(delivery);
    }

    /// Says whether the Session outlives its network connection.
    pub(crate) fn set_stored(&self, stored: bool) {
        self.lock().stored = stored;
    }

    /// A connection takes the Session.
    pub(crate) fn attach(&self, waker: Option<Waker>) {
        let mut state = self.lock();
        state.attached = true;
        state.yield_requested = false;
        state.waker = waker;
    }

    /// The Session's connection has let it go.
    pub(crate) fn detach(&self) {
        let mut state = self.lock();
        state.attached = false;
        state.yield_requested = false;
        state.waker = None;
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.lock().attached
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.lock().waker = Some(waker.clone());
    }

    /// Asks the owner to let the Session go.
    pub(crate) fn request_yield(&self) {
        let waker = {
            let mut state = self.lock();
            state.yield_requested = true;
            state.waker.clone()
        };
        wake(waker);
    }

    pub(crate) fn yield_requested(&self) -> bool {
        self.lock().yield_requested
    }

    /// The Session has ended: gives everything that waits, oldest first, and takes no more.
    pub(crate) fn close(&self) -> VecDeque<Delivery> {
        let mut state = self.lock();
        state.closed = true;
        let queue = core::mem::take(&mut state.queue);
        for delivery in &queue {
            settle(&mut state, delivery.allocated());
        }
        queue
    }
}

fn settle(state: &mut State, bytes: usize) {
    state.messages = state.messages.saturating_sub(1);
    state.bytes = state.bytes.saturating_sub(bytes);
}

/// Wakes outside of every lock: a waker may run the driver's code.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {

    use quince_codec::Properties;

    use super::*;
    use crate::message::{Budget, Incoming, Message};
    use crate::position::Position;
    use crate::time::Time;

    fn delivery(qos: QoS, payload: &str) -> Delivery {
        let incoming = Incoming {
            topic: "t",
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
            qos,
            retain: false,
        };
        let message =
            Message::copy(&Budget::new(usize::MAX), &incoming, None, Time::ZERO).expect("room");
        Delivery {
            message,
            qos,
            retain: false,
            identifiers: Vec::new(),
            after: Position::START,
            authorized: 0,
            may_repeat: false,
            shared: None,
            id: None,
        }
    }

    fn payloads(mailbox: &Mailbox) -> Vec<String> {
        core::iter::from_fn(|| mailbox.pop_up_to(QoS::ExactlyOnce))
            .map(|delivery| String::from_utf8_lossy(&delivery.message.payload).into_owned())
            .collect()
    }

    #[test]
    fn room_ends_at_the_last_message_and_at_the_last_byte() {
        let bytes = delivery(QoS::AtLeastOnce, "x").allocated();
        for mailbox in [Mailbox::new(2, usize::MAX), Mailbox::new(9, 2 * bytes)] {
            let first = mailbox.reserve(bytes).expect("room for one");
            let second = mailbox.reserve(bytes).expect("room for two");
            assert!(mailbox.reserve(bytes).is_none());
            mailbox.cancel(first);
            assert!(
                mailbox
                    .push_reserved(delivery(QoS::AtLeastOnce, "x"), second)
                    .is_ok()
            );
            let third = mailbox.reserve(bytes).expect("room again");
            mailbox.cancel(third);
            // What is taken is charged until it is settled.
            assert!(mailbox.pop_up_to(QoS::AtMostOnce).is_none());
            assert!(mailbox.pop_up_to(QoS::AtLeastOnce).is_some());
            let fourth = mailbox.reserve(bytes).expect("one is out, one is free");
            assert!(mailbox.reserve(bytes).is_none());
            mailbox.cancel(fourth);
            mailbox.settle(bytes);
            assert!(mailbox.reserve(2 * bytes).is_some());
        }
    }

    #[test]
    fn the_oldest_that_may_go_goes() {
        let mailbox = Mailbox::new(2, usize::MAX);
        for payload in ["1", "2", "3"] {
            assert!(
                mailbox
                    .push_droppable(delivery(QoS::AtLeastOnce, payload))
                    .is_ok()
            );
        }
        assert_eq!(payloads(&mailbox), ["2", "3"]);
        mailbox.settle(0);
        mailbox.settle(0);
        mailbox.set_stored(true);
        let owed = delivery(QoS::AtLeastOnce, "owed");
        let reservation = mailbox.reserve(owed.allocated()).expect("room");
        assert!(mailbox.push_reserved(owed, reservation).is_ok());
        for payload in ["1", "2"] {
            assert!(
                mailbox
                    .push_droppable(delivery(QoS::AtMostOnce, payload))
                    .is_ok()
            );
        }
        assert_eq!(payloads(&mailbox), ["owed", "2"]);
    }

    #[test]
    fn a_message_larger_than_the_whole_queue_is_dropped() {
        let mailbox = Mailbox::new(2, 100);
        assert!(
            mailbox
                .push_droppable(delivery(QoS::AtMostOnce, &"x".repeat(100)))
                .is_ok()
        );
        assert!(payloads(&mailbox).is_empty());
    }
    #[test]
    fn what_comes_when_the_session_has_ended_goes_back() {
        let mailbox = Mailbox::new(9, usize::MAX);
        let waits = delivery(QoS::AtLeastOnce, "waits");
        let first = mailbox.reserve(waits.allocated()).expect("room");
        let second = mailbox.reserve(waits.allocated()).expect("room");
        assert!(mailbox.push_reserved(waits, first).is_ok());
        assert_eq!(mailbox.close().len(), 1);
        let late = mailbox.push_reserved(delivery(QoS::AtLeastOnce, "late"), second);
        assert_eq!(&late.expect_err("closed").message.payload[..], b"late");
        let late = mailbox.push_droppable(delivery(QoS::AtMostOnce, "later"));
        assert_eq!(&late.expect_err("closed").message.payload[..], b"later");
    }
}
