//! Traffic over a link: datagrams with their number, and TCP connections.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use quince_link::{Checksum, Counts, Direction, End, Link, Side};

/// Datagrams that may be on their way: fewer than any queue or buffer holds.
const WINDOW: u64 = 48;

/// Runs `work` inside a side, and waits for it.
pub(crate) fn inside<T: Send + 'static>(
    side: &Side,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    side.spawn("test", work).unwrap().join().unwrap()
}

/// A UDP socket of a side.
pub(crate) fn udp(side: &Side) -> UdpSocket {
    let address = side.address();
    inside(side, move || UdpSocket::bind((address, 0)).unwrap())
}

/// A TCP listener of a side.
pub(crate) fn listener(side: &Side) -> TcpListener {
    let address = side.address();
    inside(side, move || TcpListener::bind((address, 0)).unwrap())
}

/// A TCP connection from A to B: the ends of A and B.
pub(crate) fn connection(link: &Link) -> (TcpStream, TcpStream) {
    let listener = listener(link.side(End::B));
    let to = listener.local_addr().unwrap();
    let client = inside(link.side(End::A), move || TcpStream::connect(to).unwrap());
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// Waits until `condition` holds of the counts of a direction. Fails after a minute: only what never comes takes so long.
pub(crate) fn wait_until(link: &Link, direction: Direction, condition: impl Fn(&Counts) -> bool) {
    for _ in 0..60_000 {
        if condition(&link.counts(direction)) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("never happened: {:?}", link.counts(direction));
}

/// Sends `count` datagrams from A to B whose first eight bytes are their number: what arrives, in its order.
pub(crate) fn flood(link: &Link, count: u64, length: usize) -> Vec<Vec<u8>> {
    let (sender, receiver) = (udp(link.side(End::A)), udp(link.side(End::B)));
    flood_between(link, &sender, receiver, count, length)
}

fn flood_between(
    link: &Link,
    sender: &UdpSocket,
    receiver: UdpSocket,
    count: u64,
    length: usize,
) -> Vec<Vec<u8>> {
    let before = link.counts(Direction::AToB);
    let to = receiver.local_addr().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let read = Arc::new(AtomicU64::new(0));
    let reading = Arc::clone(&read);
    let reader = thread::spawn(move || {
        receiver
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let (mut got, mut buffer) = (Vec::new(), [0; 2048]);
        loop {
            // Read before the socket: what arrived before the end was told is then read.
            let last = ended.load(Ordering::SeqCst);
            match receiver.recv(&mut buffer) {
                Ok(length) => {
                    got.push(buffer[..length].to_vec());
                    reading.fetch_add(1, Ordering::SeqCst);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if last {
                        return got;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    for number in 0..count {
        if number % 16 == 0 {
            wait_until(link, Direction::AToB, |counts| {
                let gone = gone(link, counts) - gone(link, &before) + read.load(Ordering::SeqCst);
                number + counts.duplicated < gone + WINDOW
            });
        }
        sender.send_to(&datagram(number, length), to).unwrap();
    }
    wait_until(link, Direction::AToB, |counts| {
        counts.packets >= before.packets + count && counts.in_flight == 0
    });
    over.store(true, Ordering::SeqCst);
    reader.join().unwrap()
}

/// Packets from A to B that nobody will read.
fn gone(link: &Link, counts: &Counts) -> u64 {
    let corruption = link.config().a_to_b.corruption.as_ref();
    let found = match corruption.map(|corruption| corruption.checksum) {
        Some(Checksum::Left) => counts.corrupted,
        Some(Checksum::Repaired) | None => 0,
    };
    counts.lost + counts.blacked_out + counts.queue_drops + found
}

/// The datagram with this number.
pub(crate) fn datagram(number: u64, length: usize) -> Vec<u8> {
    let mut datagram: Vec<u8> = number.to_le_bytes().to_vec();
    datagram.extend((8..length).map(|at| u8::try_from((number + at as u64) % 251).unwrap()));
    datagram
}

/// The number of a datagram.
pub(crate) fn number(datagram: impl AsRef<[u8]>) -> u64 {
    u64::from_le_bytes(datagram.as_ref()[..8].try_into().unwrap())
}

/// The numbers from 0 to `count` that are not among the datagrams.
pub(crate) fn missing(count: u64, got: &[Vec<u8>]) -> BTreeSet<u64> {
    let got: BTreeSet<u64> = got.iter().map(number).collect();
    (0..count).filter(|number| !got.contains(number)).collect()
}

/// One datagram from `sender` to `receiver`: where it seems to come from.
pub(crate) fn one(
    sender: &UdpSocket,
    receiver: &UdpSocket,
    to: SocketAddr,
    text: &[u8],
) -> SocketAddr {
    sender.send_to(text, to).unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut buffer = [0; 64];
    let (length, from) = receiver.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], text);
    from
}

/// Sends `count` bytes from `client` to `server` and waits until all of them are acknowledged. The server's end has checked
/// each of them then.
pub(crate) fn transfer(client: &mut TcpStream, mut server: TcpStream, count: usize) {
    let bytes = move || (0..count).map(|at| u8::try_from(at / 7 % 253).unwrap());
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        server.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), count);
        assert!(got.into_iter().eq(bytes()), "other bytes arrived");
    });
    client.write_all(&bytes().collect::<Vec<_>>()).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    reader.join().unwrap();
    // The server's end is closed: so it has acknowledged everything.
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}
