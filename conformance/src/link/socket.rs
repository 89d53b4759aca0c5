//! A broker behind real sockets.

use std::{
    collections::BTreeMap, fmt, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration,
};

use quince_client::{Dialer, Endpoint, Event as NetworkEvent, Flow, Scheme, Transport};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Event, Link, LinkError, LinkId, Medium};

/// How long one write may take before the connection counts as stuck.
const LONGEST_WRITE: Duration = Duration::from_secs(10);

/// Connections to the broker behind one URL.
pub struct SocketLink {
    dialer: Arc<Dialer>,
    endpoint: Endpoint,
    began: Instant,
    connections: BTreeMap<LinkId, Connection>,
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
            next_id: 0,
        }
    }

    /// The connection of that name, unless it was closed.
    fn transport(&mut self, id: LinkId) -> Result<&mut Transport, LinkError> {
        match self.connections.get_mut(&id) {
            Some(connection) => Ok(&mut connection.transport),
            None => Err(LinkError("the connection has ended".to_owned())),
        }
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

    async fn write(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError> {
        in_time(self.transport(id)?.write(Flow::CONTROL, bytes)).await
    }

    async fn write_text(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), LinkError> {
        in_time(self.transport(id)?.write_text(bytes)).await
    }

    async fn finish(&mut self, id: LinkId) {
        if let Ok(transport) = self.transport(id) {
            // What has ended already needs no end.
            let _ = transport.finish(Flow::CONTROL).await;
        }
    }

    async fn reset(&mut self, id: LinkId, code: u32) {
        if let Ok(transport) = self.transport(id) {
            let _ = transport.reset(Flow::CONTROL, code);
        }
    }

    async fn close(&mut self, id: LinkId) {
        if let Some(connection) = self.connections.remove(&id) {
            connection.transport.abort(0);
        }
    }

    async fn next(&mut self, deadline: u64) -> Option<(LinkId, Event)> {
        let until = self.began + Duration::from_millis(deadline.saturating_add(1));
        loop {
            let (id, event) = timeout_at(until, self.any_event()).await.ok()?;
            let event = match event {
                NetworkEvent::Bytes(Flow::CONTROL, bytes) => Event::Bytes(bytes),
                NetworkEvent::Finished(Flow::CONTROL) => Event::Finished,
                NetworkEvent::Reset(Flow::CONTROL, code) => Event::Reset(code),
                NetworkEvent::Bytes(..) | NetworkEvent::Finished(_) | NetworkEvent::Reset(..) => {
                    continue;
                }
                NetworkEvent::Closed(ending) => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.over = true;
                    }
                    Event::Closed(ending.to_string())
                }
            };
            return Some((id, event));
        }
    }
}
