//! `Connection` operation by operation: two to four clients with several flows each, under a driver that calls in any order,
//! forgets what it should do, and does what it should not.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use quince_codec::{ReasonCode, Version};
use quince_core::{
    Connection, ConnectionId, FlowEnd, FlowId, Hub, Output, Principal, READ_AT_MOST, Time,
};

use crate::hearing::Hearing;
use crate::limits::{assert_nothing_leaks, assert_within, config};
use crate::words;

/// Connections of one run, dead ones included.
const CONNECTIONS: u64 = 10;

/// Takes `bytes` as choices: the limits of the broker, how many clients, and then one operation after the other.
///
/// # Panics
/// If the core panics, goes beyond a limit, sends what a server must not send, or leaves something behind.
pub fn operations(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok((limits, clients)) = first_choices(&mut u) else {
        return;
    };
    let mut driver = Driver::new(limits, clients);
    while !u.is_empty() && driver.operate(&mut u).is_ok() {
        driver.look();
    }
    driver.close();
}

fn first_choices(u: &mut Unstructured<'_>) -> Result<(u8, usize)> {
    Ok((u.arbitrary()?, u.int_in_range(2..=4)?))
}

/// A connection, and what its client has said and heard.
struct Line {
    connection: Connection,
    version: Version,
    hearing: Hearing,
    data: BTreeMap<FlowId, DataFlow>,
    /// How many data flows its client has opened: no number is used twice.
    opened: u64,
    closed: bool,
}

/// A data flow that is open, as its client knows it.
#[derive(Default)]
struct DataFlow {
    /// What was said before anything was heard.
    said: Vec<u8>,
    hearing: Option<Hearing>,
}

impl DataFlow {
    fn say(&mut self, bytes: &[u8]) {
        match &mut self.hearing {
            Some(hearing) => hearing.say(bytes),
            None => self.said.extend(bytes),
        }
    }

    fn hear(&mut self, control: &Hearing, bytes: &[u8]) {
        let hearing = self.hearing.get_or_insert_with(|| {
            let mut hearing = Hearing::on_data_flow(control).expect("nothing comes before CONNECT");
            hearing.say(&self.said);
            hearing
        });
        hearing.hear(bytes);
    }
}

impl Line {
    /// The control flow, or one of those that were opened last, whether or not it has ended.
    fn flow(&self, u: &mut Unstructured<'_>) -> Result<FlowId> {
        let behind = u.int_in_range(0..=3)?;
        Ok(FlowId::new(match behind {
            0 => 0,
            _ => self.opened.saturating_sub(behind - 1),
        }))
    }

    /// Offers what may leave; the transport takes `at_most` of it.
    fn transmit(&mut self, now: Time, flow: FlowId, at_most: usize) -> usize {
        let writable = self.connection.writable(flow);
        let count = writable.len().min(at_most);
        if flow == FlowId::CONTROL {
            self.hearing.hear(&writable[..count]);
        } else if count > 0 {
            let open = self.data.get_mut(&flow);
            open.expect("nothing leaves on a flow that is not open")
                .hear(&self.hearing, &writable[..count]);
        }
        self.connection.written(now, flow, count);
        count
    }

    /// Takes what the connection asks for, and answers as told.
    fn obey(&mut self, now: Time, answer: Option<std::result::Result<Principal, ReasonCode>>) {
        while let Some(output) = self.connection.poll_output() {
            assert!(!self.closed, "{output:?} after the close");
            match output {
                Output::Authenticate(request) => {
                    assert_eq!(request.connection, self.connection.id());
                    if let Some(answer) = &answer {
                        self.connection.authenticated(now, answer.clone());
                    }
                }
                Output::EndFlow { flow, end } => {
                    let ended = self.data.remove(&flow).expect("it was open");
                    if end == FlowEnd::Finished
                        && let Some(hearing) = ended.hearing
                    {
                        hearing.assert_complete();
                    }
                    assert!(self.connection.writable(flow).is_empty());
                    assert!(!self.connection.wants_input(flow));
                }
                Output::Close { .. } => {
                    self.closed = true;
                    assert_eq!(self.connection.next_timeout(), None);
                    assert_eq!(self.connection.flows_with_output().count(), 0);
                    let flows = core::iter::once(&FlowId::CONTROL).chain(self.data.keys());
                    let reads = flows
                        .filter(|flow| self.connection.wants_input(**flow))
                        .count();
                    assert!(self.connection.is_ended() && reads == 0);
                }
            }
        }
    }

    /// What a driver does that keeps the pump true.
    fn run(&mut self, now: Time) {
        loop {
            self.connection.advance(now);
            self.obey(now, Some(Ok(Principal::anonymous())));
            let flow = self.connection.flows_with_output().next();
            match flow {
                Some(flow) => _ = self.transmit(now, flow, usize::MAX),
                None => break,
            }
        }
    }
}

struct Driver {
    hub: Arc<Hub>,
    now: Time,
    lines: Vec<Line>,
    made: u64,
}

impl Driver {
    fn new(limits: u8, clients: usize) -> Self {
        let mut driver = Self {
            hub: Arc::new(Hub::new(config(limits))),
            now: Time::ZERO,
            lines: Vec::new(),
            made: 0,
        };
        for _ in 0..clients {
            let line = driver.line(Version::V5_0);
            driver.lines.push(line);
        }
        driver
    }

    fn line(&mut self, version: Version) -> Line {
        self.made += 1;
        let id = ConnectionId::new(self.made);
        Line {
            connection: Connection::new(Arc::clone(&self.hub), id, self.now),
            version,
            hearing: Hearing::new(),
            data: BTreeMap::new(),
            opened: 0,
            closed: false,
        }
    }

    fn operate(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let index = u.choose_index(self.lines.len())?;
        let now = self.now;
        match u.int_in_range(0..=19)? {
            0..=6 => return self.receive(u, index),
            7 | 8 => self.lines[index].run(now),
            9 => {
                for line in &mut self.lines {
                    line.run(now);
                }
            }
            10 => return self.replace(u, index),
            11 => return self.pass(u),
            12 => self.lines[index].connection.handle_timeout(now),
            13 => self.hub.handle_timeout(now),
            14 => {
                let answer = match u.int_in_range(0..=2)? {
                    0 => None,
                    1 => Some(Ok(Principal::anonymous())),
                    _ => Some(Err(ReasonCode::NOT_AUTHORIZED)),
                };
                self.lines[index].obey(now, answer);
            }
            15 => {
                // Nobody may have asked.
                let answer = Ok(Principal::anonymous());
                self.lines[index].connection.authenticated(now, answer);
            }
            16 => {
                let flow = self.lines[index].flow(u)?;
                let at_most = u.int_in_range(0..=40)?;
                self.lines[index].transmit(now, flow, at_most);
            }
            17 => return self.change_flow(u, index),
            18 => {
                let end = self.hub.take_records().end;
                self.hub.durable_up_to(end);
            }
            _ if u.ratio(1, 16)? => self.hub.shut_down(now),
            _ => self.lines[index].connection.advance(now),
        }
        Ok(())
    }

    /// Bytes come on a flow, whole packets or pieces, whether the connection wants them or not.
    fn receive(&mut self, u: &mut Unstructured<'_>, index: usize) -> Result<()> {
        let line = &mut self.lines[index];
        let flow = if u.ratio(3, 4)? {
            FlowId::CONTROL
        } else {
            line.flow(u)?
        };
        let mut said = Vec::new();
        for _ in 0..u.int_in_range(1..=3)? {
            said.extend(words::packet(u, line.version)?);
        }
        if u.ratio(1, 16)? {
            said.truncate(u.int_in_range(0..=20)?);
        }
        assert!(said.len() <= READ_AT_MOST);
        if u.ratio(15, 16)? && !line.connection.wants_input(flow) {
            return Ok(());
        }
        if flow == FlowId::CONTROL {
            line.hearing.say(&said);
        } else if let Some(data) = line.data.get_mut(&flow) {
            data.say(&said);
        }
        line.connection.receive(self.now, flow, &said);
        Ok(())
    }

    /// A client comes again on a new connection; the driver may forget to tell that the old one is gone.
    fn replace(&mut self, u: &mut Unstructured<'_>, index: usize) -> Result<()> {
        if self.made == CONNECTIONS {
            return Ok(());
        }
        let version = *u.choose(&Version::ALL)?;
        let connect = words::connect(u, version)?;
        let mut line = self.line(version);
        line.hearing.say(&connect);
        line.connection.receive(self.now, FlowId::CONTROL, &connect);
        if u.ratio(3, 4)? {
            line.run(self.now);
        }
        let old = core::mem::replace(&mut self.lines[index], line);
        if u.arbitrary()? && self.lines.len() < 4 {
            // The old one stays, and its client may be taken over.
            self.lines.push(old);
        }
        Ok(())
    }

    fn pass(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.now = self
            .now
            .plus_millis(*u.choose(&[1, 49, 50, 999, 1001, 5000, 100_000, 5_000_000])?);
        if u.ratio(7, 8)? {
            self.hub.handle_timeout(self.now);
            for line in &mut self.lines {
                line.connection.handle_timeout(self.now);
            }
        }
        Ok(())
    }

    fn change_flow(&mut self, u: &mut Unstructured<'_>, index: usize) -> Result<()> {
        let line = &mut self.lines[index];
        let flow = line.flow(u)?;
        let connection = &mut line.connection;
        match u.int_in_range(0..=15)? {
            0..=7 => {
                line.opened += 1;
                let flow = FlowId::new(line.opened);
                if !connection.is_ended() {
                    line.data.insert(flow, DataFlow::default());
                }
                connection.flow_opened(self.now, flow);
            }
            // It is open always.
            8 => connection.flow_opened(self.now, FlowId::CONTROL),
            9..=11 => connection.flow_finished(self.now, flow),
            12 | 13 => connection.flow_reset(self.now, flow, u.arbitrary()?),
            14 => connection.flow_stopped(self.now, flow, u.arbitrary()?),
            _ => connection.transport_closed(self.now),
        }
        Ok(())
    }

    /// The broker is within its limits, and so is each connection.
    fn look(&mut self) {
        assert_within(&self.hub, self.lines.len());
        let config = self.hub.config();
        // One packet may go beyond the limit of the outbox, and a refusal or DISCONNECT comes on top.
        let packet = 1024 + config.packet_after_connack as usize;
        for line in &self.lines {
            for flow in line.connection.flows_with_output() {
                let waiting = line.connection.writable(flow).len();
                assert!(
                    waiting <= config.outbox_bytes + packet,
                    "{waiting} bytes wait on {flow}"
                );
            }
        }
    }

    fn close(mut self) {
        self.look();
        for line in &mut self.lines {
            line.run(self.now);
            line.connection.transport_closed(self.now);
            line.obey(self.now, None);
            assert!(line.closed, "no close after the end of the transport");
        }
        self.look();
        self.lines.clear();
        self.now = self.now + Duration::from_secs(2 * u64::from(u32::MAX));
        self.hub.handle_timeout(self.now);
        // A delayed message found no room, and then the session ended that had none: it is tried again.
        self.now = self.now + Duration::from_secs(2);
        self.hub.handle_timeout(self.now);
        assert_nothing_leaks(&self.hub);
    }
}
