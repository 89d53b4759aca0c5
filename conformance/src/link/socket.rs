//! A broker behind real sockets.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use quince_client::{Dialer, Endpoint, Event as NetworkEvent, Flow, Scheme, Transport};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Event, Link, LinkError, LinkId, Medium};

/// How long one write may take before the connection counts as stuck.
const LONGEST_WRITE: Duration = Duration::from_secs(10);

/// How long a peer may take to give credit for one more stream.
const LONGEST_WAIT_FOR_A_STREAM: Duration = Duration::from_secs(2);

/// Connections to the broker behind one URL.
pub struct SocketLink {
    dialer: Arc<Dialer>,
    endpoint: Endpoint,
    began: Instant,
    connections: BTreeMap<LinkId, Connection>,
    /// Data streams: the connection that each is on, and its flow there.
    streams: BTreeMap<LinkId, (LinkId, Flow)>,
    /// What is to be told of them.
    waiting: VecDeque<(LinkId, Event)>,
    next_id: u64,
}

struct Connection {
    transport: Transport,
    /// The last event was taken; there is nothing more to wait for.
    over: bool,
}

impl fmt::Debug for SocketLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketLink")
            .field("endpoint", &self.endpoint.to_string())
            .field("connections", &self.connections.len())
            .finish_non_exhaustive()
    }
}

impl SocketLink {
    /// A link to `endpoint`. Links may share a dialler.
    pub fn new(dialer: Arc<Dialer>, endpoint: Endpoint) -> Self {
        Self {
            dialer,
            endpoint,
            began: Instant::now(),
            connections: BTreeMap::new(),
            streams: BTreeMap::new(),
            waiting: VecDeque::new(),
            next_id: 0,
        }
    }

    /// The connection of that name, or of the stream of that name, unless it was closed; and the flow that is named.
    fn flow(&mut self, id: LinkId) -> Result<(&mut Transport, Flow), LinkError> {
        let (of, flow) = *self.streams.get(&id).unwrap_or(&(id, Flow::CONTROL));
        match self.connections.get_mut(&of) {
            Some(connection) => Ok((&mut connection.transport, flow)),
            None => Err(LinkError("the connection has ended".to_owned())),
        }
    }

    /// What a flow of a connection is called here; `None` if nobody asked for it, or it was closed.
    fn name(&self, of: LinkId, flow: Flow) -> Option<LinkId> {
        if flow == Flow::CONTROL {
            return Some(of);
        }
        let mut streams = self.streams.iter();
        streams.find_map(|(id, stream)| (*stream == (of, flow)).then_some(*id))
    }

    /// The event as the player knows it; `None` if it is about a stream that nobody knows.
    fn event(&mut self, of: LinkId, event: NetworkEvent) -> Option<(LinkId, Event)> {
        let (flow, event) = match event {
            NetworkEvent::Bytes(flow, bytes) => (flow, Event::Bytes(bytes)),
            NetworkEvent::Finished(flow) => (flow, Event::Finished),
            NetworkEvent::Reset(flow, code) => (flow, Event::Reset(code)),
            NetworkEvent::Closed(ending) => {
                if let Some(connection) = self.connections.get_mut(&of) {
                    connection.over = true;
                }
                let end = Event::Closed(ending.to_string());
                let streams = self.streams.iter().filter(|(_, stream)| stream.0 == of);
                let ends = streams.map(|(id, _)| (*id, end.clone()));
                self.waiting.extend(ends);
                (Flow::CONTROL, end)
            }
        };
        Some((self.name(of, flow)?, event))
    }

    /// The next event of any connection.
    async fn any_event(&mut self) -> (LinkId, NetworkEvent) {
        poll_fn(|context| {
            for (id, connection) in self
                .connections
                .iter_mut()
                .filter(|(_, connection)| !connection.over)
            {
                // Safe to make and drop at each poll: `next` loses nothing when it is cancelled.
                if let Poll::Ready(event) = pin!(connection.transport.next()).poll(context) {
                    return Poll::Ready((*id, event));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// What comes of a write, bounded in time.
async fn in_time<E: fmt::Display>(
    writing: impl Future<Output = Result<(), E>>,
) -> Result<(), LinkError> {
    match timeout(LONGEST_WRITE, writing).await {
        Ok(written) => written.map_err(|error| LinkError(error.to_string())),
        Err(_) => Err(LinkError(format!(
            "the broker took nothing for {LONGEST_WRITE:?}"
        ))),
    }
}

impl Link for SocketLink {
    fn medium(&self) -> Medium {
        match self.endpoint.scheme() {
            Scheme::Tcp => Medium::Tcp,
            Scheme::Tls => Medium::Tls,
            Scheme::Ws => Medium::Ws,
            Scheme::Wss => Medium::Wss,
            Scheme::Quic => Medium::Quic,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn open(&mut self, _client: &str) -> Result<LinkId, LinkError> {
        let transport = self
            .dialer
            .dial(&self.endpoint)
            .await
            .map_err(|error| LinkError(error.to_string()))?;
        let id = LinkId(self.next_id);
        self.next_id += 1;
        self.connections.insert(
            id,
            Connection {
                transport,
                over: false,
            },
        );
        Ok(id)
    }

    async fn open_stream(&mut self, of: LinkId, _client: &str) -> Result<LinkId, LinkError> {
        let (transport, _) = self.flow(of)?;
        let flow = match timeout(LONGEST_WAIT_FOR_A_STREAM, transport.open_flow()).await {
            Ok(opened) => opened.map_err(|error| LinkError(error.to_string()))?,
            Err(_) => return Err(LinkError("there is no credit for one more".to_owned())),
        };
        let id = LinkId(self.next_id);
        self.next_id += 1;
        self.streams.insert(id, (of, flow));
        Ok(id)
    }

    async fn write(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError> {
        let (transport, flow) = self.flow(id)?;
        in_time(transport.write(flow, bytes)).await
    }

    async fn write_text(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError> {
        let (transport, _) = self.flow(id)?;
        in_time(transport.write_text(bytes)).await
    }

    async fn finish(&mut self, id: LinkId) {
        if let Ok((transport, flow)) = self.flow(id) {
            // What has ended already needs no end.
            let _ = transport.finish(flow).await;
        }
    }

    async fn reset(&mut self, id: LinkId, code: u32) {
        if let Ok((transport, flow)) = self.flow(id) {
            let _ = transport.reset(flow, code);
        }
    }

    async fn close(&mut self, id: LinkId) {
        if let Some(connection) = self.connections.remove(&id) {
            connection.transport.abort(0);
        } else if let Ok((transport, flow)) = self.flow(id) {
            let _ = transport.reset(flow, 0);
            transport.stop(flow, 0);
            self.streams.remove(&id);
        }
        self.waiting.retain(|(of, _)| *of != id);
    }

    async fn next(&mut self, deadline: u64) -> Option<(LinkId, Event)> {
        let until = self.began + Duration::from_millis(deadline.saturating_add(1));
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return Some(told);
            }
            let (of, event) = timeout_at(until, self.any_event()).await.ok()?;
            if let Some(told) = self.event(of, event) {
                return Some(told);
            }
        }
    }
}
