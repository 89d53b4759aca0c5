//! The whole core at byte level: several clients at once, bytes cut anywhere, time that passes, clients that stall, break
//! off and take each other's sessions over.

use core::time::Duration;

use quince_codec::Version;
use quince_core::bench::VirtualBroker;
use quince_core::{ConnectionId, FlowId};

use crate::hearing::Hearing;
use crate::limits::{assert_nothing_leaks, assert_within, config};

/// Connections of one run, dead ones included.
const CONNECTIONS: usize = 8;
/// Places for clients; each has its latest connection.
const CLIENTS: usize = 4;

/// How long the next step takes, in milliseconds: around the broker's own limits.
const PAUSES: [u64; 8] = [1, 50, 999, 1001, 5001, 10_001, 91_000, 4_000_000];

/// Takes the first byte as the limits of the broker and the rest as a script. Each entry is a byte (three bits what
/// happens, two bits to whom) and another that says more; bytes to be sent follow it.
///
/// # Panics
/// If the core panics, goes beyond a limit, sends what a server must not send, or leaves something behind.
pub fn broker(bytes: &[u8]) {
    let [limits, script @ ..] = bytes else {
        return;
    };
    let mut room = Room::new(*limits);
    let mut script = script;
    while let [entry, more, rest @ ..] = script {
        script = rest;
        let client = usize::from(entry >> 3) % CLIENTS;
        match entry & 7 {
            // The most that a fuzzer can learn lies in the bytes.
            0..=2 => {
                let (said, rest) = rest.split_at(rest.len().min(usize::from(*more)));
                script = rest;
                room.say(client, said);
            }
            3 => room.greet(client, *more),
            4 => room.pass(Duration::from_millis(PAUSES[usize::from(more % 8)])),
            5 => room.stall(client, *more),
            6 => room.leave(client, *more),
            _ => room.disturb(*more),
        }
        room.look();
    }
    room.close();
}

struct Guest {
    id: ConnectionId,
    hearing: Hearing,
    /// Whether it ever refused to take bytes, so that a packet may end halfway.
    stalled: bool,
}

/// The broker and everybody who is or was connected to it.
struct Room {
    broker: VirtualBroker,
    guests: Vec<Guest>,
    /// Who speaks for each client now.
    latest: [Option<usize>; CLIENTS],
}

impl Room {
    fn new(limits: u8) -> Self {
        Self {
            broker: VirtualBroker::new(config(limits)),
            guests: Vec::new(),
            latest: [None; CLIENTS],
        }
    }

    /// The client's connection; a new one if it has none, or its last one is closed.
    fn guest(&mut self, client: usize) -> Option<usize> {
        if let Some(index) = self.latest[client]
            && !self.broker.is_closed(self.guests[index].id)
        {
            return Some(index);
        }
        if self.guests.len() == CONNECTIONS {
            return None;
        }
        self.guests.push(Guest {
            id: self.broker.connect(),
            hearing: Hearing::new(),
            stalled: false,
        });
        self.latest[client] = Some(self.guests.len() - 1);
        self.latest[client]
    }

    fn say(&mut self, client: usize, bytes: &[u8]) {
        if let Some(index) = self.guest(client) {
            let guest = &mut self.guests[index];
            guest.hearing.say(bytes);
            self.broker.write(guest.id, FlowId::CONTROL, bytes);
        }
    }

    /// A CONNECT under one of two names, on a new connection: the older one is taken over.
    fn greet(&mut self, client: usize, choice: u8) {
        self.latest[client] = None;
        let mut connect = Vec::from(match Version::ALL[usize::from(choice) % Version::ALL.len()] {
            // With a Session Expiry Interval of 100 s, a Receive Maximum of 2 and a Topic Alias Maximum of 1.
            Version::V5_0 => {
                &b"\x10\x19\x00\x04MQTT\x05\x00\x00\x00\x0b\x11\0\0\0\x64\x21\0\x02\x22\0\x01\0\x01a"[..]
            }
            _ => &b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a"[..],
        });
        // Clean Start, the other name, a Keep Alive of 2 s.
        connect[9] |= choice >> 2 & 2;
        if let Some(name) = connect.last_mut() {
            *name += choice >> 4 & 1;
        }
        connect[11] = choice >> 4 & 2;
        self.say(client, &connect);
    }

    fn pass(&mut self, pause: Duration) {
        self.broker.advance(pause);
        let now = self.broker.now();
        assert!(
            self.broker.next_timeout().is_none_or(|next| next > now),
            "a timer that has fired is still due"
        );
    }

    /// The client takes only so many bytes more; all again at 255.
    fn stall(&mut self, client: usize, bytes: u8) {
        if let Some(index) = self.latest[client] {
            let guest = &mut self.guests[index];
            guest.stalled = true;
            let room = (bytes < u8::MAX).then_some(usize::from(bytes));
            self.broker.set_room(guest.id, room);
        }
    }

    fn leave(&mut self, client: usize, how: u8) {
        if let Some(index) = self.latest[client] {
            let id = self.guests[index].id;
            match how % 2 {
                0 => self.broker.abort(id),
                _ => self.broker.finish(id),
            }
        }
    }

    /// What comes from elsewhere: the store, and once in a while the operator.
    fn disturb(&mut self, what: u8) {
        if what == u8::MAX {
            self.broker.shut_down();
        } else {
            let end = self.broker.hub().take_records().end;
            self.broker.hub().durable_up_to(end);
            self.broker.settle();
        }
    }

    /// Everybody hears what there is, and the broker is within its limits.
    fn look(&mut self) {
        for guest in &mut self.guests {
            guest.hearing.hear(&self.broker.read(guest.id));
            if !guest.stalled {
                guest.hearing.assert_complete();
            }
        }
        assert_within(self.broker.hub(), self.guests.len());
    }

    /// Everybody leaves, and nothing stays but what must.
    fn close(mut self) {
        for index in 0..self.guests.len() {
            self.broker.abort(self.guests[index].id);
            self.look();
        }
        // Past every Session Expiry Interval and Will Delay Interval but the endless ones; a message that waits for room is
        // tried again every second.
        let is_retried = self.broker.hub().figures().delayed_messages > 0;
        let last = if is_retried {
            100
        } else {
            2 * u64::from(u32::MAX)
        };
        self.broker.advance(Duration::from_secs(last));
        self.look();
        if !is_retried {
            assert_nothing_leaks(self.broker.hub());
        }
    }
}
