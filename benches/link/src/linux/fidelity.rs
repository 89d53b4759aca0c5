//! How true a running link is: the delay that datagrams have, against the delay that was configured.

use std::{
    io::{self, ErrorKind},
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::link::{Link, Side};
use crate::{Direction, End, Fidelity, Lateness};

/// How long a receiver waits before it looks whether all was sent.
const PATIENCE: Duration = Duration::from_millis(50);
/// Bytes of a datagram: its time, and as much as a small message has.
const LENGTH: usize = 256;

impl Link {
    /// Sends `count` datagrams from A to B, one every `apart`, and measures how long they take. Both ends read one clock.
    /// Takes `count` times `apart`; nothing else should use the link.
    ///
    /// # Errors
    ///
    /// A socket or thread can't be had.
    pub fn measure_fidelity(&self, count: u64, apart: Duration) -> io::Result<Fidelity> {
        let before = self.counts(Direction::AToB);
        let receiver = bind(self.side(End::B))?;
        let sender = bind(self.side(End::A))?;
        let to = receiver.local_addr()?;
        receiver.set_read_timeout(Some(PATIENCE))?;
        let over = Arc::new(AtomicBool::new(false));
        let (opened, delay) = (self.opened(), self.config().a_to_b.delay);
        let reading = Arc::clone(&over);
        let reader = thread::Builder::new()
            .name("fidelity".into())
            .spawn(move || receive(&receiver, opened, delay, &reading))?;
        let start = Instant::now();
        for number in 0..count {
            let due = apart * u32::try_from(number).unwrap_or(u32::MAX);
            thread::sleep(due.saturating_sub(start.elapsed()));
            let mut datagram = [0; LENGTH];
            let now = u64::try_from(opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
            datagram[..8].copy_from_slice(&now.to_le_bytes());
            sender.send_to(&datagram, to)?;
        }
        let wait_from = Instant::now();
        let passed = || {
            let counts = self.counts(Direction::AToB);
            counts.packets - before.packets >= count && counts.in_flight == 0
        };
        // The rest is lost where nobody knows, and that shows.
        while !passed() && wait_from.elapsed() < delay * 2 + Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(1));
        }
        over.store(true, Ordering::Relaxed);
        let received = reader.join();
        let (early, error) = received.map_err(|_| io::Error::other("the receiver panicked"))??;
        Ok(Fidelity {
            sent: count,
            received: error.count(),
            lost: self.counts(Direction::AToB).lost - before.lost,
            early,
            error,
        })
    }
}

fn bind(side: &Side) -> io::Result<UdpSocket> {
    let address = side.address();
    let bound = side.spawn("bind", move || UdpSocket::bind((address, 0)))?;
    bound
        .join()
        .map_err(|_| io::Error::other("the thread panicked"))?
}

/// Receives until nothing more can come: how many came early, and how late all were.
fn receive(
    socket: &UdpSocket,
    opened: Instant,
    delay: Duration,
    over: &AtomicBool,
) -> io::Result<(u64, Lateness)> {
    let (mut early, mut error) = (0, Lateness::default());
    let mut datagram = [0; LENGTH];
    loop {
        let last = over.load(Ordering::Relaxed);
        match socket.recv(&mut datagram) {
            Ok(_) => {
                let now = opened.elapsed();
                let sent = u64::from_le_bytes(std::array::from_fn(|byte| datagram[byte]));
                let due = Duration::from_nanos(sent) + delay;
                early += u64::from(now < due);
                error.record(now.saturating_sub(due));
            }
            Err(waited) if matches!(waited.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if last {
                    return Ok((early, error));
                }
            }
            Err(error) => return Err(error),
        }
    }
}
