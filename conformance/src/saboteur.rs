//! A saboteur on the wire between player and broker: does what a fault says to the packets that pass.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::PoisonError,
};

use bytes::Bytes;
use quince_codec::Version;

use crate::{
    link::{Event, Link, LinkError, LinkId, Medium},
    player::{
        SharedVariables,
        message::{Message, UnnamedCode},
    },
    scenario::{
        PacketTemplate,
        expression::Variables,
        fault::{Effect, Fault, FaultOperation, Inserted, Place},
        field::PacketName,
        malformed::fixed_header,
    },
    verdict::Direction,
};

/// What a saboteur has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sabotage {
    /// How many packets or ends each operation of the fault touched, in their order.
    pub touched: Vec<u64>,
    /// Whether a CONNECT or CONNACK was touched or made up.
    pub connecting: bool,
    /// What was wrong with the fault itself.
    pub error: Option<String>,
}

/// A link that does what a fault says to what passes through another link.
pub struct Saboteur<L> {
    inner: L,
    operations: Vec<FaultOperation>,
    version: Version,
    variables: SharedVariables,
    connections: BTreeMap<LinkId, Connection>,
    ready: VecDeque<(LinkId, Event)>,
    timers: Vec<Timer>,
    sabotage: Sabotage,
}

/// One connection that passes through.
#[derive(Default)]
struct Connection {
    client: String,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
    /// How often each operation matched.
    matches: Vec<u64>,
    /// Packets that pass after the next one, from and to the server.
    delayed_in: Vec<Vec<u8>>,
    delayed_out: Vec<Vec<u8>>,
    /// Nothing more reaches the client.
    deaf: bool,
}

/// What becomes of the player's end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The server does not see it.
    Held,
    /// It passes behind what was put before it.
    Follows,
    /// It passes as it is.
    Passes,
}

/// A packet that passes at a time.
struct Timer {
    due: u64,
    id: LinkId,
    direction: Direction,
    packet: Vec<u8>,
}

/// What becomes of one packet.
#[derive(Default)]
struct Passage {
    before: Vec<Vec<u8>>,
    packets: Vec<Vec<u8>>,
    after: Vec<Vec<u8>>,
    later: Vec<Vec<u8>>,
    timed: Vec<(u64, Vec<u8>)>,
    close: Option<CloseAt>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CloseAt {
    Before,
    After,
}

impl<L: Link> Saboteur<L> {
    /// Puts a fault between a player and a link. The player must keep its variables in `variables`.
    pub fn new(inner: L, fault: &Fault, version: Version, variables: SharedVariables) -> Self {
        let sabotage = Sabotage {
            touched: vec![0; fault.operations.len()],
            ..Sabotage::default()
        };
        Self {
            inner,
            operations: fault.operations.clone(),
            version,
            variables,
            connections: BTreeMap::new(),
            ready: VecDeque::new(),
            timers: Vec::new(),
            sabotage,
        }
    }

    /// What was done so far.
    pub const fn sabotage(&self) -> &Sabotage {
        &self.sabotage
    }

    fn variables(&self) -> Variables {
        self.variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the operations make of one packet.
    fn pass(&mut self, id: LinkId, direction: Direction, packet: Vec<u8>) -> Passage {
        let variables = self.variables();
        let client = self.client(id);
        let decoded = Message::decode(&packet, self.version).ok();
        let mut passage = Passage {
            packets: vec![packet.clone()],
            ..Passage::default()
        };
        for index in 0..self.operations.len() {
            let operation = self.operations[index].clone();
            if let Some(template) = chosen(&operation.effect)
                && self.applies(index, &client, direction)
                && matches(
                    template,
                    &packet,
                    decoded.as_ref(),
                    self.version,
                    &variables,
                )
                && self.is_the_one(index, &operation, id, &variables)
            {
                self.touch(
                    index,
                    PacketName::from_first_byte(packet[0]),
                    &operation.effect,
                );
                if let Err(words) = self.alter(
                    &operation.effect,
                    &mut passage,
                    decoded.as_ref(),
                    &variables,
                ) {
                    self.sabotage.error.get_or_insert(words);
                }
            }
        }
        passage
    }

    /// The name of the client whose connection it is.
    fn client(&self, id: LinkId) -> String {
        let connection = self.connections.get(&id);
        connection.map_or_else(String::new, |connection| connection.client.clone())
    }

    /// Whether an operation is about what this client hears, or says.
    fn applies(&self, index: usize, client: &str, direction: Direction) -> bool {
        let operation = &self.operations[index];
        operation.direction == direction
            && operation.client.as_deref().is_none_or(|of| of == client)
    }

    /// Counts a match; whether it is the one that `nth` wants.
    fn is_the_one(
        &mut self,
        index: usize,
        operation: &FaultOperation,
        id: LinkId,
        variables: &Variables,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        connection.matches[index] += 1;
        let count = connection.matches[index];
        operation
            .nth
            .as_ref()
            .is_none_or(|nth| nth.number(variables) == Ok(count))
    }

    fn touch(&mut self, index: usize, packet: Option<PacketName>, effect: &Effect) {
        self.sabotage.touched[index] += 1;
        let is_connecting = |packet: Option<PacketName>| {
            matches!(packet, Some(PacketName::Connect | PacketName::ConnAck))
        };
        self.sabotage.connecting |= match effect {
            Effect::Insert(Inserted::Packet(template), _) => is_connecting(template.packet),
            Effect::Insert(Inserted::Raw(_), _) | Effect::Close(_) => false,
            _ => is_connecting(packet),
        };
    }

    fn alter(
        &self,
        effect: &Effect,
        passage: &mut Passage,
        decoded: Option<&Message>,
        variables: &Variables,
    ) -> Result<(), String> {
        match effect {
            Effect::Drop(_) => passage.packets.clear(),
            Effect::Set(_, change) => {
                let mut message = decoded
                    .cloned()
                    .ok_or("the packet to be changed does not decode")?;
                message.apply(change, self.version, variables)?;
                passage.packets = vec![message.encode(self.version)?];
            }
            Effect::Edit(_, edit) => {
                for packet in &mut passage.packets {
                    *packet = edit.apply(packet, variables)?;
                }
            }
            Effect::Duplicate(_) => {
                let copies = passage.packets.clone();
                passage.packets.extend(copies);
            }
            Effect::Delay(_, None) => passage.later.append(&mut passage.packets),
            Effect::Delay(_, Some(by)) => {
                let due = self.inner.now() + by.milliseconds(variables)?;
                passage
                    .timed
                    .extend(passage.packets.drain(..).map(|packet| (due, packet)));
            }
            Effect::Replace(_, with) => passage.packets = vec![self.made_up(with, variables)?],
            Effect::Insert(what, Place::Before(_)) => {
                passage.before.push(self.made_up(what, variables)?)
            }
            Effect::Insert(what, Place::After(_)) => {
                passage.after.push(self.made_up(what, variables)?)
            }
            Effect::Close(Place::Before(_)) => passage.close = Some(CloseAt::Before),
            Effect::Close(Place::After(_)) => passage.close = Some(CloseAt::After),
            Effect::Insert(_, Place::BeforeClose)
            | Effect::Close(Place::BeforeClose)
            | Effect::HoldClose
            | Effect::RefuseHandshake => {}
        }
        Ok(())
    }

    fn made_up(&self, what: &Inserted, variables: &Variables) -> Result<Vec<u8>, String> {
        match what {
            Inserted::Packet(template) => {
                Message::build(template, self.version, variables)?.encode(self.version)
            }
            Inserted::Raw(parts) => parts.bytes(variables),
        }
    }

    /// What is put before the end of a connection, and whether the end is held back.
    fn at_the_end(&mut self, id: LinkId, direction: Direction) -> (Vec<Vec<u8>>, bool) {
        let variables = self.variables();
        let client = self.client(id);
        let mut inserted = Vec::new();
        let mut held = false;
        for index in 0..self.operations.len() {
            if !self.applies(index, &client, direction) {
                continue;
            }
            let effect = self.operations[index].effect.clone();
            match &effect {
                Effect::HoldClose => held = true,
                Effect::Insert(what, Place::BeforeClose) => match self.made_up(what, &variables) {
                    Ok(packet) => inserted.push(packet),
                    Err(words) => {
                        self.sabotage.error.get_or_insert(words);
                    }
                },
                _ => continue,
            }
            self.touch(index, None, &effect);
        }
        (inserted, held)
    }

    /// Takes in what the server sent.
    async fn incoming(&mut self, id: LinkId, event: Event) {
        let Some(connection) = self.connections.get_mut(&id) else {
            self.ready.push_back((id, event));
            return;
        };
        if connection.deaf {
            return;
        }
        let Event::Bytes(bytes) = event else {
            self.incoming_end(id, event);
            return;
        };
        connection.inbound.extend(&bytes);
        for packet in whole_packets(&mut connection.inbound) {
            let passage = self.pass(id, Direction::Received, packet);
            if passage.close == Some(CloseAt::Before) {
                self.cut(id).await;
                return;
            }
            let close = passage.close;
            for packet in self.in_order(id, Direction::Received, passage) {
                self.ready
                    .push_back((id, Event::Bytes(Bytes::from(packet))));
            }
            if close.is_some() {
                self.cut(id).await;
                return;
            }
        }
    }

    fn incoming_end(&mut self, id: LinkId, event: Event) {
        let (inserted, held) = self.at_the_end(id, Direction::Received);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let unfinished = std::mem::take(&mut connection.inbound);
        let late = std::mem::take(&mut connection.delayed_in);
        connection.deaf = held;
        let unfinished = (!unfinished.is_empty()).then_some(unfinished);
        for packet in late.into_iter().chain(inserted).chain(unfinished) {
            self.ready
                .push_back((id, Event::Bytes(Bytes::from(packet))));
        }
        if !held {
            self.ready.push_back((id, event));
        }
    }

    /// The packets that pass now; those delayed before follow the first of them.
    fn in_order(&mut self, id: LinkId, direction: Direction, passage: Passage) -> Vec<Vec<u8>> {
        let timed = passage.timed.into_iter();
        self.timers.extend(timed.map(|(due, packet)| Timer {
            due,
            id,
            direction,
            packet,
        }));
        let mut out: Vec<Vec<u8>> = passage
            .before
            .into_iter()
            .chain(passage.packets)
            .chain(passage.after)
            .collect();
        if let Some(connection) = self.connections.get_mut(&id) {
            let delayed = match direction {
                Direction::Received => &mut connection.delayed_in,
                Direction::Sent => &mut connection.delayed_out,
            };
            if !out.is_empty() {
                out.append(delayed);
            }
            delayed.extend(passage.later);
        }
        out
    }

    /// Ends a connection in both directions, in the middle of it.
    async fn cut(&mut self, id: LinkId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.deaf = true;
        }
        self.inner.close(id).await;
        self.ready
            .push_back((id, Event::Closed("the connection was closed".to_owned())));
    }

    /// What leaves before the player's end of a connection, and what becomes of the end.
    async fn outgoing_end(&mut self, id: LinkId) -> End {
        let (inserted, held) = self.at_the_end(id, Direction::Sent);
        let inserted_any = !inserted.is_empty();
        let Some(connection) = self.connections.get_mut(&id) else {
            return End::Passes;
        };
        let unfinished = std::mem::take(&mut connection.outbound);
        let late = std::mem::take(&mut connection.delayed_out);
        let unfinished = (!unfinished.is_empty()).then_some(unfinished);
        for packet in late.into_iter().chain(inserted).chain(unfinished) {
            // A connection that is gone takes nothing; the player will see its end.
            let _ = self.inner.write(id, &packet).await;
        }
        if held {
            End::Held
        } else if inserted_any {
            End::Follows
        } else {
            End::Passes
        }
    }

    /// From here on the operations see what crosses it.
    fn admit(&mut self, id: LinkId, client: &str) {
        let matches = vec![0; self.operations.len()];
        self.connections.insert(
            id,
            Connection {
                client: client.to_owned(),
                matches,
                ..Connection::default()
            },
        );
    }

    async fn fire_timers(&mut self) {
        let now = self.inner.now();
        let (due, waiting): (Vec<Timer>, Vec<Timer>) = std::mem::take(&mut self.timers)
            .into_iter()
            .partition(|timer| timer.due <= now);
        self.timers = waiting;
        for timer in due {
            match timer.direction {
                Direction::Received => self
                    .ready
                    .push_back((timer.id, Event::Bytes(Bytes::from(timer.packet)))),
                Direction::Sent => {
                    let _ = self.inner.write(timer.id, &timer.packet).await;
                }
            }
        }
    }
}

impl<L: Link> Link for Saboteur<L> {
    fn medium(&self) -> Medium {
        self.inner.medium()
    }

    fn now(&self) -> u64 {
        self.inner.now()
    }

    async fn open(&mut self, client: &str) -> Result<LinkId, LinkError> {
        // The server's side of the handshake is what it sends.
        let refusing = (0..self.operations.len()).find(|index| {
            matches!(self.operations[*index].effect, Effect::RefuseHandshake)
                && self.applies(*index, client, Direction::Received)
        });
        if let Some(index) = refusing {
            self.touch(index, None, &Effect::RefuseHandshake);
            return Err(LinkError(
                "the handshake is not what it should be".to_owned(),
            ));
        }
        let id = self.inner.open(client).await?;
        self.admit(id, client);
        Ok(id)
    }

    async fn open_stream(&mut self, of: LinkId, client: &str) -> Result<LinkId, LinkError> {
        let id = self.inner.open_stream(of, client).await?;
        self.admit(id, client);
        Ok(id)
    }

    async fn write(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError> {
        let any = self.operations.iter().any(|operation| {
            operation.direction == Direction::Sent && chosen(&operation.effect).is_some()
        });
        let Some(connection) = self.connections.get_mut(&id).filter(|_| any) else {
            return self.inner.write(id, bytes).await;
        };
        connection.outbound.extend(bytes);
        for packet in whole_packets(&mut connection.outbound) {
            let passage = self.pass(id, Direction::Sent, packet);
            if passage.close == Some(CloseAt::Before) {
                self.cut(id).await;
                return Ok(());
            }
            let close = passage.close;
            for packet in self.in_order(id, Direction::Sent, passage) {
                self.inner.write(id, &packet).await?;
            }
            if close.is_some() {
                self.cut(id).await;
                return Ok(());
            }
        }
        Ok(())
    }

    async fn write_text(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError> {
        self.inner.write_text(id, bytes).await
    }

    async fn finish(&mut self, id: LinkId) {
        if self.outgoing_end(id).await != End::Held {
            self.inner.finish(id).await;
        }
    }

    async fn reset(&mut self, id: LinkId, code: u32) {
        match self.outgoing_end(id).await {
            End::Held => {}
            End::Follows => self.inner.finish(id).await,
            End::Passes => self.inner.reset(id, code).await,
        }
    }

    async fn close(&mut self, id: LinkId) {
        let end = self.outgoing_end(id).await;
        self.ready.retain(|(of, _)| *of != id);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.deaf = true;
        }
        match end {
            End::Held => {}
            // An end at once could overtake what was put before it.
            End::Follows => self.inner.finish(id).await,
            End::Passes => self.inner.close(id).await,
        }
    }

    async fn next(&mut self, deadline: u64) -> Option<(LinkId, Event)> {
        loop {
            self.fire_timers().await;
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let timer = self.timers.iter().map(|timer| timer.due).min();
            let until = timer.map_or(deadline, |due| due.min(deadline));
            match self.inner.next(until).await {
                Some((id, event)) => self.incoming(id, event).await,
                None if until >= deadline => {
                    self.fire_timers().await;
                    return self.ready.pop_front();
                }
                None => {}
            }
        }
    }
}

/// The packet that makes an operation act.
const fn chosen(effect: &Effect) -> Option<&PacketTemplate> {
    match effect {
        Effect::Drop(template)
        | Effect::Set(template, _)
        | Effect::Edit(template, _)
        | Effect::Duplicate(template)
        | Effect::Delay(template, _)
        | Effect::Replace(template, _)
        | Effect::Insert(_, Place::Before(template) | Place::After(template))
        | Effect::Close(Place::Before(template) | Place::After(template)) => Some(template),
        Effect::Insert(_, Place::BeforeClose)
        | Effect::Close(Place::BeforeClose)
        | Effect::HoldClose
        | Effect::RefuseHandshake => None,
    }
}

/// Whether a packet is one that a template chooses. One that does not decode can only be chosen by its name.
fn matches(
    template: &PacketTemplate,
    bytes: &[u8],
    decoded: Option<&Message>,
    version: Version,
    variables: &Variables,
) -> bool {
    match decoded {
        Some(message) => message
            .compare(template, version, variables, UnnamedCode::MayBeAnything)
            .is_ok(),
        None => {
            let name = PacketName::from_first_byte(bytes[0]);
            template.packet.is_none_or(|packet| Some(packet) == name)
                && template.parts_in(version).next().is_none()
        }
    }
}

/// The packets that are whole; bytes that cannot be framed pass as they are.
fn whole_packets(buffer: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    loop {
        match fixed_header(buffer) {
            Ok(Some((start, length))) if buffer.len() >= start + length => {
                packets.push(buffer.drain(..start + length).collect());
            }
            Ok(_) => return packets,
            Err(_) => {
                packets.push(std::mem::take(buffer));
                return packets;
            }
        }
    }
}
