//! The embedded broker's core in virtual time: no sockets, no waiting.

use std::collections::BTreeMap;

use bytes::Bytes;
use quince_core::{Config, ConnectionId, FlowEnd, FlowId, Time, bench::VirtualBroker};

use super::{Event, Link, LinkError, LinkId, Medium};

/// Connections to one core of its own.
#[derive(Debug)]
pub struct CoreLink {
    broker: VirtualBroker,
    open: BTreeMap<LinkId, (ConnectionId, FlowId)>,
    next_id: u64,
    medium: Medium,
    /// Connections that ended below the core, not yet told.
    ended: Vec<LinkId>,
}

impl Default for CoreLink {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl CoreLink {
    /// A fresh broker with that configuration.
    pub fn new(config: Config) -> Self {
        Self::around(VirtualBroker::new(config))
    }

    /// Connections to that broker.
    pub const fn around(broker: VirtualBroker) -> Self {
        Self {
            broker,
            open: BTreeMap::new(),
            next_id: 0,
            medium: Medium::Memory,
            ended: Vec::new(),
        }
    }

    /// The same, said to run over that medium. Over WebSocket connections take text messages, and end for them.
    #[must_use]
    pub fn over(self, medium: Medium) -> Self {
        Self { medium, ..self }
    }

    /// What the broker has sent to somebody, the oldest connection first; its end comes last.
    fn take_event(&mut self) -> Option<(LinkId, Event)> {
        if let Some(id) = self.ended.pop() {
            return Some((id, Event::Closed("closed for a text message".to_owned())));
        }
        for (id, (connection, flow)) in &self.open {
            let bytes = self.broker.read_flow(*connection, *flow);
            if !bytes.is_empty() {
                return Some((*id, Event::Bytes(Bytes::from(bytes))));
            }
        }
        let ended = |(id, (connection, flow)): (&LinkId, &(ConnectionId, FlowId))| {
            let end = match self.broker.closed(*connection) {
                Some((code, _)) => {
                    Event::Closed(format!("the broker closed, code {:#04x}", code.0))
                }
                None => match self.broker.flow_end(*connection, *flow)? {
                    FlowEnd::Finished => Event::Finished,
                    FlowEnd::Aborted(code) => Event::Reset(code),
                },
            };
            Some((*id, end))
        };
        let (id, end) = self.open.iter().find_map(ended)?;
        self.open.remove(&id);
        Some((id, end))
    }

    fn name(&mut self, connection: ConnectionId, flow: FlowId) -> LinkId {
        let id = LinkId(self.next_id);
        self.next_id += 1;
        self.open.insert(id, (connection, flow));
        id
    }
}

impl Link for CoreLink {
    fn medium(&self) -> Medium {
        self.medium
    }

    fn now(&self) -> u64 {
        self.broker.now().as_millis()
    }

    async fn open(&mut self, _client: &str) -> Result<LinkId, LinkError> {
        let connection = self.broker.connect();
        Ok(self.name(connection, FlowId::CONTROL))
    }

    async fn open_stream(&mut self, of: LinkId, _client: &str) -> Result<LinkId, LinkError> {
        let (connection, _) = *self.open.get(&of).ok_or_else(has_ended)?;
        // Different from every other one of this connection.
        let flow = FlowId::new(self.next_id + 1);
        self.broker.open_flow(connection, flow);
        Ok(self.name(connection, flow))
    }

    async fn write(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError> {
        let open = self
            .open
            .get(&id)
            .filter(|(connection, _)| !self.broker.is_closed(*connection));
        let (connection, flow) = *open.ok_or_else(has_ended)?;
        self.broker.write(connection, flow, bytes);
        Ok(())
    }

    async fn write_text(&mut self, id: LinkId, _bytes: &[u8]) -> Result<(), LinkError> {
        if self.medium != Medium::Ws {
            return Err(self.medium.has_no_text());
        }
        self.close(id).await;
        self.ended.push(id);
        Ok(())
    }

    async fn finish(&mut self, id: LinkId) {
        if let Some((connection, flow)) = self.open.get(&id) {
            self.broker.finish_flow(*connection, *flow);
        }
    }

    async fn reset(&mut self, id: LinkId, code: u32) {
        match self.open.get(&id) {
            Some((connection, flow)) if *flow != FlowId::CONTROL => {
                self.broker.reset_flow(*connection, *flow, u64::from(code));
            }
            _ => self.close(id).await,
        }
    }

    async fn close(&mut self, id: LinkId) {
        match self.open.remove(&id) {
            Some((connection, FlowId::CONTROL)) => self.broker.abort(connection),
            Some((connection, flow)) => self.broker.reset_flow(connection, flow, 0),
            None => {}
        }
    }

    async fn next(&mut self, deadline: u64) -> Option<(LinkId, Event)> {
        let deadline = Time::from_millis(deadline);
        loop {
            if let Some(event) = self.take_event() {
                return Some(event);
            }
            match self.broker.next_timeout().filter(|due| *due <= deadline) {
                Some(due) => self.broker.advance_to(due),
                None => {
                    self.broker.advance_to(deadline);
                    return self.take_event();
                }
            }
        }
    }
}

fn has_ended() -> LinkError {
    LinkError("the connection has ended".to_owned())
}
