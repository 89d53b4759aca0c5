//! A connection as ordered byte streams and their ends, exactly as the network delivered them.
//!
//! Reading happens in one task per stream, which passes on what it reads through one bounded
//! channel; a slow reader therefore slows its peer down and nothing grows. [`Transport::next`] is
//! safe to cancel.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn::VarInt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::carrier::{Carrier, Half};
use crate::endpoint::Scheme;

/// Chunks that wait between the readers and [`Transport::next`].
const CHUNKS: usize = 64;
/// Largest chunk read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long an orderly close waits for the peer to have everything.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Names one ordered byte stream of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(pub u64);

impl Flow {
    /// The stream that carries CONNECT; the only one of a TCP connection.
    pub const CONTROL: Self = Self(0);
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What the network delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The next bytes of a flow, in order.
    Bytes(Flow, Bytes),
    /// The peer's orderly end of a flow: nothing follows on it (TCP FIN, WebSocket Close, QUIC FIN).
    Finished(Flow),
    /// The peer's abrupt end of a flow, with its code (QUIC RESET_STREAM).
    Reset(Flow, u64),
    /// The whole connection has ended. Comes once, as the last event.
    Closed(Ending),
}

/// How a whole connection ended, as seen from this side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// TCP: FIN, and everything before it was read.
    Finished,
    /// TCP: RST, or another error of the socket or of a layer on it.
    Broken(String),
    /// WebSocket: the peer's Close with this status and reason.
    WebSocket(u16, String),
    /// QUIC: the peer's application closed with this code and reason.
    Application(u64, Vec<u8>),
    /// QUIC: the transport or TLS closed, in its own words.
    Transport(String),
    /// QUIC: nothing was heard for the idle timeout.
    TimedOut,
    /// This side closed.
    Local,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("closed by the peer (FIN)"),
            Self::Broken(reason) => write!(f, "connection broken ({reason})"),
            Self::WebSocket(status, reason) => {
                write!(f, "closed by the peer with WebSocket status {status}")?;
                if reason.is_empty() {
                    return Ok(());
                }
                write!(f, " ({reason})")
            }
            Self::Application(code, reason) if reason.is_empty() => {
                write!(f, "closed by the peer with application code {code:#x}")
            }
            Self::Application(code, reason) => {
                let reason = String::from_utf8_lossy(reason);
                write!(
                    f,
                    "closed by the peer with application code {code:#x} ({reason})"
                )
            }
            Self::Transport(reason) => write!(f, "closed by QUIC ({reason})"),
            Self::TimedOut => f.write_str("idle for too long"),
            Self::Local => f.write_str("closed by this side"),
        }
    }
}

/// Why bytes could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The flow or its connection has ended.
    #[error("the connection has ended: {0}")]
    Ended(String),
    /// No such flow is open on this side.
    #[error("flow {0} is not open")]
    NoSuchFlow(Flow),
    /// This transport has one flow only.
    #[error("{0} carries one flow only")]
    OneFlowOnly(Scheme),
    /// This transport carries bytes, not messages.
    #[error("{0} has no text messages")]
    NoMessages(Scheme),
}

/// One connection to a broker.
#[derive(Debug)]
pub struct Transport {
    events: mpsc::Receiver<Event>,
    sender: Sender,
    /// The tasks that read; they end with the transport, and let go of the socket then.
    readers: JoinSet<()>,
}

#[derive(Debug)]
enum Sender {
    Tcp(Option<OwnedWriteHalf>),
    /// TLS, WebSocket or both; what this side writes.
    Layered(Scheme, Option<Half>),
    Quic {
        connection: quinn::Connection,
        /// Those that this side has not ended; the control stream stays.
        streams: BTreeMap<Flow, quinn::SendStream>,
        /// The number of the next flow.
        next_flow: u64,
        queue: mpsc::Sender<Event>,
        /// Stops the reader of a further flow.
        stops: BTreeMap<Flow, oneshot::Sender<VarInt>>,
        /// Held for reading by each reader, so that the end of the connection is told after the
        /// last bytes of its streams.
        reading: Arc<RwLock<()>>,
    },
}

impl Transport {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        let (queue, events) = mpsc::channel(CHUNKS);
        let mut readers = JoinSet::new();
        readers.spawn(read_stream(reader, queue, |_| Ending::Finished));
        Self {
            events,
            sender: Sender::Tcp(Some(writer)),
            readers,
        }
    }

    /// Over a socket with layers on it.
    pub(crate) fn layered(scheme: Scheme, carrier: impl Carrier) -> Self {
        let [reader, writer] = Half::pair(carrier);
        let (queue, events) = mpsc::channel(CHUNKS);
        let mut readers = JoinSet::new();
        readers.spawn(read_stream(reader, queue, Half::ending));
        Self {
            events,
            sender: Sender::Layered(scheme, Some(writer)),
            readers,
        }
    }

    pub(crate) async fn quic(connection: quinn::Connection) -> Result<Self, TransportError> {
        let (queue, events) = mpsc::channel(CHUNKS);
        let reading = Arc::default();
        let mut readers = JoinSet::new();
        readers.spawn(watch_quic(
            connection.clone(),
            queue.clone(),
            Arc::clone(&reading),
        ));
        let sender = Sender::Quic {
            connection,
            streams: BTreeMap::new(),
            next_flow: 0,
            queue,
            stops: BTreeMap::new(),
            reading,
        };
        let mut transport = Self {
            events,
            sender,
            readers,
        };
        transport.open_flow().await?;
        Ok(transport)
    }

    /// Which transport this is.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self.sender {
            Sender::Tcp(_) => Scheme::Tcp,
            Sender::Layered(scheme, _) => scheme,
            Sender::Quic { .. } => Scheme::Quic,
        }
    }

    /// The QUIC connection beneath, whose statistics may be read while it lives.
    #[must_use]
    pub fn quic_connection(&self) -> Option<&quinn::Connection> {
        match &self.sender {
            Sender::Quic { connection, .. } => Some(connection),
            Sender::Tcp(_) | Sender::Layered(..) => None,
        }
    }

    /// The next thing that the network delivers. Safe to cancel: nothing is lost. After
    /// [`Event::Closed`] it says [`Ending::Local`] for ever.
    pub async fn next(&mut self) -> Event {
        self.events
            .recv()
            .await
            .unwrap_or(Event::Closed(Ending::Local))
    }

    /// Opens a further flow (QUIC only).
    ///
    /// # Errors
    /// On a transport with one flow, or when the connection has ended. Waits while the peer grants
    /// no further stream.
    pub async fn open_flow(&mut self) -> Result<Flow, TransportError> {
        let Sender::Quic {
            connection,
            streams,
            next_flow,
            queue,
            stops,
            reading,
        } = &mut self.sender
        else {
            return Err(TransportError::OneFlowOnly(self.scheme()));
        };
        let (send, receive) = connection.open_bi().await.map_err(ended)?;
        let flow = Flow(*next_flow);
        *next_flow += 1;
        streams.insert(flow, send);
        // What is left of flows that have ended.
        while self.readers.try_join_next().is_some() {}
        stops.retain(|_, stop| !stop.is_closed());
        let reading = Arc::clone(reading).read_owned().await;
        let (stop, stopped) = oneshot::channel();
        if flow != Flow::CONTROL {
            stops.insert(flow, stop);
        }
        let queue = queue.clone();
        self.readers.spawn(async move {
            let mut receive = receive;
            tokio::select! {
                () = read_quic(flow, &mut receive, queue, reading) => {}
                Ok(code) = stopped => {
                    let _ = receive.stop(code);
                }
            }
        });
        Ok(flow)
    }

    /// Sends `bytes` on `flow`; waits while the peer reads too slowly.
    ///
    /// # Errors
    /// When the flow or the connection has ended.
    pub async fn write(&mut self, flow: Flow, bytes: &[u8]) -> Result<(), TransportError> {
        match &mut self.sender {
            Sender::Tcp(writer) => {
                let writer = control(writer, flow)?;
                writer.write_all(bytes).await.map_err(ended)
            }
            Sender::Layered(_, writer) => {
                let writer = control(writer, flow)?;
                writer.write_all(bytes).await.map_err(ended)?;
                writer.flush().await.map_err(ended)
            }
            Sender::Quic { streams, .. } => {
                let stream = open_stream(streams, flow)?;
                stream.write_all(bytes).await.map_err(ended)
            }
        }
    }

    /// Sends `bytes` in one WebSocket text message, which MQTT forbids [MQTT5-6.0.0-1]: for those who try servers.
    ///
    /// # Errors
    /// When the connection has ended, or is none over WebSocket.
    pub async fn write_text(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        match &mut self.sender {
            Sender::Layered(scheme, writer) => {
                let writer = control(writer, Flow::CONTROL)?;
                if !writer.write_next_as_text() {
                    return Err(TransportError::NoMessages(*scheme));
                }
                writer.write_all(bytes).await.map_err(ended)?;
                writer.flush().await.map_err(ended)
            }
            Sender::Tcp(_) | Sender::Quic { .. } => Err(TransportError::NoMessages(self.scheme())),
        }
    }

    /// Ends this side of `flow` in order: what was written still arrives (TCP FIN, TLS close_notify
    /// and FIN, WebSocket Close, QUIC FIN).
    ///
    /// # Errors
    /// When the flow is not open on this side.
    pub async fn finish(&mut self, flow: Flow) -> Result<(), TransportError> {
        match &mut self.sender {
            Sender::Tcp(writer) => control(writer, flow)?.shutdown().await.map_err(ended),
            Sender::Layered(_, writer) => control(writer, flow)?.shutdown().await.map_err(ended),
            Sender::Quic { streams, .. } => {
                let finished = open_stream(streams, flow)?.finish().map_err(ended);
                forget(streams, flow);
                finished
            }
        }
    }

    /// Ends this side of `flow` at once; what was written may be lost (QUIC RESET_STREAM with
    /// `code`; on TCP the connection is reset and there is no code).
    ///
    /// # Errors
    /// When the flow is not open on this side.
    pub fn reset(&mut self, flow: Flow, code: u32) -> Result<(), TransportError> {
        match &mut self.sender {
            Sender::Tcp(writer) => {
                control(writer, flow)?
                    .as_ref()
                    .set_zero_linger()
                    .map_err(ended)?;
                if let Some(writer) = writer.take() {
                    writer.forget();
                }
                Ok(())
            }
            Sender::Layered(_, writer) => {
                control(writer, flow)?.reset_at_close().map_err(ended)?;
                *writer = None;
                Ok(())
            }
            Sender::Quic { streams, .. } => {
                let code = VarInt::from_u32(code);
                let reset = open_stream(streams, flow)?.reset(code).map_err(ended);
                forget(streams, flow);
                reset
            }
        }
    }

    /// Says that nothing more is taken on `flow` (QUIC STOP_SENDING with `code`); what comes is dropped from here on. The control
    /// flow, and transports that have no other, go on.
    pub fn stop(&mut self, flow: Flow, code: u32) {
        if let Sender::Quic { stops, .. } = &mut self.sender
            && let Some(stop) = stops.remove(&flow)
        {
            // A reader that is done has nothing to stop.
            let _ = stop.send(VarInt::from_u32(code));
        }
    }

    /// Ends the connection as a vanishing process would: TCP RST, QUIC CONNECTION_CLOSE with
    /// application code `code`. Nothing that was not yet sent arrives.
    pub fn abort(mut self, code: u32) {
        match &mut self.sender {
            Sender::Tcp(_) | Sender::Layered(..) => {
                // A connection that is already gone needs no reset.
                let _ = self.reset(Flow::CONTROL, code);
            }
            Sender::Quic { connection, .. } => connection.close(VarInt::from_u32(code), b""),
        }
    }

    /// Ends the connection so that everything written still arrives: FIN, wait for the peer to have
    /// it, close. Gives up waiting after a second.
    pub async fn close(mut self) {
        let _ = self.finish(Flow::CONTROL).await;
        let farewell = async {
            match &mut self.sender {
                Sender::Quic { streams, .. } => {
                    if let Some(control) = streams.get_mut(&Flow::CONTROL) {
                        let _ = control.stopped().await;
                    }
                }
                // A socket that is closed while bytes of the peer wait in it is reset, and the reset
                // may overtake what was written: read on until the peer has ended too.
                Sender::Tcp(_) | Sender::Layered(..) => {
                    while !matches!(self.next().await, Event::Closed(_)) {}
                }
            }
        };
        let _ = tokio::time::timeout(CLOSE_PATIENCE, farewell).await;
        if let Sender::Quic { connection, .. } = &self.sender {
            connection.close(VarInt::from_u32(0), b"");
        }
    }
}

/// The one flow of a connection that has no other.
fn control<W>(writer: &mut Option<W>, flow: Flow) -> Result<&mut W, TransportError> {
    writer
        .as_mut()
        .filter(|_| flow == Flow::CONTROL)
        .ok_or(TransportError::NoSuchFlow(flow))
}

fn open_stream(
    streams: &mut BTreeMap<Flow, quinn::SendStream>,
    flow: Flow,
) -> Result<&mut quinn::SendStream, TransportError> {
    streams
        .get_mut(&flow)
        .ok_or(TransportError::NoSuchFlow(flow))
}

/// Lets go of a flow that this side has ended; the end of the control flow is waited for.
fn forget(streams: &mut BTreeMap<Flow, quinn::SendStream>, flow: Flow) {
    if flow != Flow::CONTROL {
        streams.remove(&flow);
    }
}

fn ended(error: impl fmt::Display) -> TransportError {
    TransportError::Ended(error.to_string())
}

/// Reads to the end, and tells what `ending` makes of it.
async fn read_stream<R: AsyncRead + Unpin>(
    mut reader: R,
    queue: mpsc::Sender<Event>,
    ending: impl Fn(&R) -> Ending,
) {
    let mut buffer = BytesMut::new();
    let ending = loop {
        buffer.reserve(CHUNK_BYTES);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => {
                if queue.send(Event::Finished(Flow::CONTROL)).await.is_err() {
                    return;
                }
                break ending(&reader);
            }
            Ok(_) => {
                let chunk = buffer.split().freeze();
                if queue
                    .send(Event::Bytes(Flow::CONTROL, chunk))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Ending::Broken(error.to_string()),
        }
    };
    // If nobody listens any more, nobody needs to know.
    let _ = queue.send(Event::Closed(ending)).await;
}

/// Reads one stream to its end. What the end of the connection means is told by [`watch_quic`].
async fn read_quic(
    flow: Flow,
    stream: &mut quinn::RecvStream,
    queue: mpsc::Sender<Event>,
    _reading: OwnedRwLockReadGuard<()>,
) {
    loop {
        let event = match stream.read_chunk(CHUNK_BYTES, true).await {
            Ok(Some(chunk)) => Event::Bytes(flow, chunk.bytes),
            Ok(None) => Event::Finished(flow),
            Err(quinn::ReadError::Reset(code)) => Event::Reset(flow, code.into_inner()),
            Err(_) => return,
        };
        let last = !matches!(event, Event::Bytes(..));
        if queue.send(event).await.is_err() || last {
            return;
        }
    }
}

/// Tells the end of the connection, after the streams' readers are done.
async fn watch_quic(
    connection: quinn::Connection,
    queue: mpsc::Sender<Event>,
    reading: Arc<RwLock<()>>,
) {
    let ending = match connection.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => {
            Ending::Application(close.error_code.into_inner(), close.reason.to_vec())
        }
        quinn::ConnectionError::TimedOut => Ending::TimedOut,
        quinn::ConnectionError::LocallyClosed => Ending::Local,
        other => Ending::Transport(other.to_string()),
    };
    let _all_readers_done = reading.write().await;
    let _ = queue.send(Event::Closed(ending)).await;
}
