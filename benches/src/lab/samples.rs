//! What the senders say of themselves while a trial runs: TCP_INFO of the kernel, the statistics of quinn.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use quince_link::Side;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::clock::Instant;
use super::fault::Fault;
use super::sockets::{TcpSocket, TcpSockets};

/// How often it is looked.
const INTERVAL: Duration = Duration::from_millis(100);

/// One look at a sender.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Look {
    /// Milliseconds since the sampling began.
    pub(crate) at: u64,
    /// Congestion window: segments for TCP, bytes for QUIC.
    pub(crate) window: u64,
    /// Smoothed round trip time in milliseconds.
    pub(crate) rtt: f64,
    /// Segments sent again (TCP), packets taken for lost (QUIC), since the connection began.
    pub(crate) lost: u64,
}

/// What one end's kernel said of its socket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TcpSamples {
    /// Congestion control in force, as read back.
    pub(crate) congestion: String,
    /// Segments sent again in the whole connection.
    pub(crate) retransmitted: u32,
    /// Segments of data sent, those sent again included.
    pub(crate) data_segments: u32,
    /// Of the segments sent again those that the peer had already.
    pub(crate) needless: u32,
    /// Smallest round trip time, in milliseconds.
    pub(crate) min_rtt: f64,
    /// The looks over time.
    pub(crate) looks: Vec<Look>,
}

/// Looks at the TCP connections of one side that cross the link.
pub(crate) struct TcpSampler {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<io::Result<Vec<TcpSamples>>>,
}

impl TcpSampler {
    /// Starts to look at the connections of `side`.
    ///
    /// # Errors
    /// When no thread can be started there.
    pub(crate) fn start(side: &Side) -> Result<Self, Fault> {
        let (stop, stopped) = mpsc::channel();
        let own = side.address();
        let thread = side.spawn("tcp-info", move || look_at_tcp(own, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Looks once more, and ends. One entry for each connection that there was.
    ///
    /// # Errors
    /// When the kernel's answers could not be had.
    pub(crate) fn stop(self) -> Result<Vec<TcpSamples>, Fault> {
        // Without a listener it has ended already, and says why below.
        let _ = self.stop.send(());
        let samples = self
            .thread
            .join()
            .map_err(|_| Fault::Harness("the sampler of TCP_INFO panicked".to_owned()))?;
        samples.map_err(|error| Fault::Harness(format!("failed to read TCP_INFO: {error}")))
    }
}

fn look_at_tcp(own: IpAddr, stopped: &mpsc::Receiver<()>) -> io::Result<Vec<TcpSamples>> {
    let sockets = TcpSockets::open()?;
    let begin = Instant::now();
    let mut connections = BTreeMap::new();
    loop {
        let last = stopped.recv_timeout(INTERVAL) != Err(mpsc::RecvTimeoutError::Timeout);
        for socket in sockets.list()? {
            // A connection of the side with itself does not cross the link.
            if socket.remote.ip() != own {
                let ends = (socket.local, socket.remote);
                let samples = connections.entry(ends).or_insert_with(TcpSamples::default);
                samples.note(&socket, begin);
            }
        }
        if last {
            return Ok(connections.into_values().collect());
        }
    }
}

impl TcpSamples {
    fn note(&mut self, socket: &TcpSocket, begin: Instant) {
        self.congestion.clone_from(&socket.congestion);
        self.retransmitted = socket.retransmitted;
        self.data_segments = socket.data_segments;
        self.needless = socket.needless;
        self.min_rtt = f64::from(socket.min_rtt) / 1_000.0;
        self.looks.push(Look {
            at: elapsed(begin),
            window: socket.window.into(),
            rtt: f64::from(socket.rtt) / 1_000.0,
            lost: socket.retransmitted.into(),
        });
    }
}

fn elapsed(begin: Instant) -> u64 {
    u64::try_from(Instant::now().since(begin).as_millis()).unwrap_or(u64::MAX)
}

/// What quinn said of a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct QuicSamples {
    /// Packets taken for lost. Those that only came late are among them.
    pub(crate) lost_packets: u64,
    /// Packets sent.
    pub(crate) sent_packets: u64,
    /// How often the congestion window was cut.
    pub(crate) congestion_events: u64,
    /// Largest UDP payload that the path was found to carry, in bytes.
    pub(crate) mtu: u16,
    /// The looks over time.
    pub(crate) looks: Vec<Look>,
}

/// Looks at a QUIC connection.
pub(crate) struct QuicSampler {
    connection: quinn::Connection,
    stop: oneshot::Sender<()>,
    looks: tokio::task::JoinHandle<Vec<Look>>,
}

impl QuicSampler {
    /// Starts to look; needs a runtime.
    pub(crate) fn start(connection: quinn::Connection) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let watched = connection.clone();
        let looks = tokio::spawn(async move {
            let begin = Instant::now();
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut looks = Vec::new();
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = &mut stopped => return looks,
                }
                let path = watched.stats().path;
                looks.push(Look {
                    at: elapsed(begin),
                    window: path.cwnd,
                    rtt: path.rtt.as_secs_f64() * 1_000.0,
                    lost: path.lost_packets,
                });
            }
        });
        Self {
            connection,
            stop,
            looks,
        }
    }

    /// Ends, with what there is to tell.
    pub(crate) async fn stop(self) -> QuicSamples {
        // It runs until told, unless it panicked; then there are no looks.
        let _ = self.stop.send(());
        let looks = self.looks.await.unwrap_or_default();
        let path = self.connection.stats().path;
        QuicSamples {
            lost_packets: path.lost_packets,
            sent_packets: path.sent_packets,
            congestion_events: path.congestion_events,
            mtu: path.current_mtu,
            looks,
        }
    }
}
