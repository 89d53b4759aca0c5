//! Closed-loop traffic: each publisher keeps a window of messages under way and sends as fast as that is emptied.
//!
//! A QoS 0 message leaves the window when all its receivers have it, so that nothing is measured that was only sent. One of
//! QoS 1 or 2 leaves it when the broker has completed its handshake. What is counted are deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quince_client::Dialer;
use quince_codec::{Acknowledgement, Packet, PacketId, Properties, Publish, QoS, ReasonCode};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::LoadError;
use crate::case::Setting;
use crate::connection::{Connection, dialer};
use crate::measure::{Outcome, Usage, cpu_for_each};
use crate::target::Running;

/// What is not measured, at the start of each case.
const WARMING_UP: Duration = Duration::from_secs(1);
/// Messages that a publisher hands to the transport at once.
const BATCH: u64 = 64;
/// Connections that are opened at the same time.
const OPENING: usize = 32;

/// Who publishes to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Publisher and subscriber, so many times.
    Pairs(usize),
    /// One publisher, so many subscribers.
    FanOut(usize),
    /// So many publishers, one subscriber.
    FanIn(usize),
}

impl Shape {
    const fn publishers(self) -> usize {
        match self {
            Self::Pairs(count) | Self::FanIn(count) => count,
            Self::FanOut(_) => 1,
        }
    }

    const fn subscribers(self) -> usize {
        match self {
            Self::Pairs(count) | Self::FanOut(count) => count,
            Self::FanIn(_) => 1,
        }
    }

    /// Receivers of each message.
    const fn copies(self) -> u64 {
        match self {
            Self::Pairs(_) | Self::FanIn(_) => 1,
            Self::FanOut(count) => count as u64,
        }
    }

    fn topic(self, publisher: usize) -> String {
        format!("load/{publisher}")
    }

    fn filter(self, subscriber: usize) -> String {
        match self {
            Self::Pairs(_) => self.topic(subscriber),
            Self::FanOut(_) => self.topic(0),
            Self::FanIn(_) => "load/+".to_owned(),
        }
    }
}

/// Traffic of one shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) shape: Shape,
    pub(crate) qos: QoS,
    /// Messages under way per publisher.
    pub(crate) window: u64,
}

/// The messages of one publisher that are under way.
#[derive(Debug, Default)]
struct Window {
    /// Copies received (QoS 0) or handshakes completed.
    returned: AtomicU64,
    changed: Notify,
}

/// What the clients of a case share.
#[derive(Debug)]
struct Shared {
    traffic: Traffic,
    size: usize,
    windows: Vec<Window>,
    delivered: AtomicU64,
    stopped: AtomicBool,
    stop: Notify,
}

impl Traffic {
    pub(crate) async fn play(
        self,
        setting: &Setting,
        running: &Running,
    ) -> Result<Outcome, LoadError> {
        let shared = Arc::new(Shared {
            traffic: self,
            size: setting.size,
            windows: (0..self.shape.publishers())
                .map(|_| Window::default())
                .collect(),
            delivered: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
        });
        let dialer = Arc::new(dialer(setting));
        let subscribers = open(&dialer, setting, "sub", self.shape.subscribers()).await?;
        let publishers = open(&dialer, setting, "pub", self.shape.publishers()).await?;
        let mut clients = JoinSet::new();
        for (index, mut connection) in subscribers {
            connection
                .subscribe(&self.shape.filter(index), self.qos)
                .await?;
            clients.spawn(receive(connection, Arc::clone(&shared)));
        }
        for (index, connection) in publishers {
            clients.spawn(publish(connection, index, Arc::clone(&shared)));
        }
        let measured = tokio::select! {
            // A client that ends before it is told to has failed.
            Some(ended) = clients.join_next() => {
                ended.map_err(|error| LoadError::Spoiled(error.to_string()))??;
                return Err(LoadError::Spoiled("a client ended too early".to_owned()));
            }
            measured = measure(setting.duration, &shared, running) => measured?,
        };
        shared.stopped.store(true, Ordering::Release);
        shared.stop.notify_waiters();
        shared
            .windows
            .iter()
            .for_each(|window| window.changed.notify_one());
        while clients.join_next().await.is_some() {}
        dialer.wait_idle().await;
        Ok(measured)
    }
}

async fn measure(
    duration: Duration,
    shared: &Shared,
    running: &Running,
) -> Result<Outcome, LoadError> {
    let delivered = || shared.delivered.load(Ordering::Relaxed);
    sleep(WARMING_UP).await;
    let (begun, before) = (Instant::now(), Usage::of(running.process()));
    let first = delivered();
    sleep(duration / 2).await;
    let middle = delivered();
    sleep(duration / 2).await;
    let (elapsed, after) = (begun.elapsed(), Usage::of(running.process()));
    let last = delivered();
    if last == middle {
        return Err(LoadError::Spoiled(format!(
            "nothing came any more after {last} deliveries: what a broker drops keeps its place in the window, so all wait for it. \
             Raise the broker's queues, or lower --size"
        )));
    }
    let count = last - first;
    Ok(Outcome::Rate {
        per_second: count as f64 / elapsed.as_secs_f64(),
        cpu: cpu_for_each(before, after, count),
    })
}

/// Opens clients, some at a time, in the order of their numbers.
async fn open(
    dialer: &Arc<Dialer>,
    setting: &Setting,
    kind: &str,
    count: usize,
) -> Result<Vec<(usize, Connection)>, LoadError> {
    let mut opening = JoinSet::new();
    let mut opened = Vec::with_capacity(count);
    for index in 0..count {
        if opening.len() == OPENING {
            opened.extend(join(&mut opening).await?);
        }
        let (dialer, setting) = (Arc::clone(dialer), setting.clone());
        let name = format!("load-{kind}-{index}");
        opening.spawn(async move {
            let connection =
                Connection::open(&dialer, &setting.endpoint, setting.version, name).await?;
            Ok((index, connection))
        });
    }
    while let Some(client) = join(&mut opening).await? {
        opened.push(client);
    }
    opened.sort_by_key(|(index, _)| *index);
    Ok(opened)
}

async fn join<T: 'static>(
    tasks: &mut JoinSet<Result<T, LoadError>>,
) -> Result<Option<T>, LoadError> {
    match tasks.join_next().await {
        None => Ok(None),
        Some(Ok(result)) => result.map(Some),
        Some(Err(error)) => Err(LoadError::Spoiled(error.to_string())),
    }
}

async fn publish(
    mut connection: Connection,
    index: usize,
    shared: Arc<Shared>,
) -> Result<(), LoadError> {
    let traffic = shared.traffic;
    let window = &shared.windows[index];
    let copies = if traffic.qos == QoS::AtMostOnce {
        traffic.shape.copies()
    } else {
        1
    };
    let topic = traffic.shape.topic(index);
    let mut payload = vec![b'.'; shared.size];
    payload[8..16].copy_from_slice(&(index as u64).to_be_bytes());
    let mut sent: u64 = 0;
    let mut next_id: u16 = 0;
    while !shared.stopped.load(Ordering::Acquire) {
        let under_way = sent - window.returned.load(Ordering::Acquire) / copies;
        let free = traffic.window.saturating_sub(under_way).min(BATCH);
        if free == 0 {
            tokio::select! {
                came = connection.wait() => came?,
                () = window.changed.notified() => {}
            }
        }
        for _ in 0..free {
            next_id = next_id.checked_add(1).unwrap_or(1);
            let packet_id = (traffic.qos > QoS::AtMostOnce)
                .then(|| PacketId::new(next_id))
                .flatten();
            connection.queue(&Packet::Publish(Publish {
                dup: false,
                qos: traffic.qos,
                retain: false,
                topic: &topic,
                packet_id,
                properties: Properties::EMPTY,
                payload: &payload,
            }))?;
        }
        sent += free;
        connection.flush().await?;
        connection.take_ready()?;
        while let Some(frame) = connection.next()? {
            match connection.decode(&frame)? {
                Packet::PubAck(ack) | Packet::PubComp(ack) if is_good(&ack) => {
                    window.returned.fetch_add(1, Ordering::AcqRel);
                }
                Packet::PubRec(ack) if is_good(&ack) => {
                    connection.queue(&Packet::PubRel(Acknowledgement::success(ack.packet_id)))?;
                }
                other => return Err(connection.error(format!("the broker sent {other:?}"))),
            }
        }
        connection.flush().await?;
    }
    connection.close().await;
    Ok(())
}

/// Also when nobody was there to receive it.
fn is_good(ack: &Acknowledgement<'_>) -> bool {
    !ack.reason_code.is_error() || ack.reason_code == ReasonCode::PACKET_IDENTIFIER_NOT_FOUND
}

async fn receive(mut connection: Connection, shared: Arc<Shared>) -> Result<(), LoadError> {
    let qos = shared.traffic.qos;
    loop {
        let stopped = shared.stop.notified();
        if shared.stopped.load(Ordering::Acquire) {
            break;
        }
        tokio::select! {
            came = connection.wait() => came?,
            () = stopped => continue,
        }
        connection.take_ready()?;
        let mut delivered = 0;
        while let Some(frame) = connection.next()? {
            match connection.decode(&frame)? {
                Packet::Publish(publish) => {
                    delivered += 1;
                    answer(&mut connection, &publish)?;
                    if qos == QoS::AtMostOnce {
                        let window = sender(publish.payload)
                            .and_then(|index| shared.windows.get(index))
                            .ok_or_else(|| connection.error("a payload that nobody sent"))?;
                        window.returned.fetch_add(1, Ordering::AcqRel);
                        window.changed.notify_one();
                    }
                }
                Packet::PubRel(ack) => {
                    connection.queue(&Packet::PubComp(Acknowledgement::success(ack.packet_id)))?;
                }
                other => return Err(connection.error(format!("the broker sent {other:?}"))),
            }
        }
        shared.delivered.fetch_add(delivered, Ordering::Relaxed);
        connection.flush().await?;
    }
    connection.close().await;
    Ok(())
}

/// Acknowledges a message as its QoS asks.
pub(crate) fn answer(connection: &mut Connection, publish: &Publish<'_>) -> Result<(), LoadError> {
    let Some(packet_id) = publish.packet_id else {
        return Ok(());
    };
    let ack = Acknowledgement::success(packet_id);
    connection.queue(&match publish.qos {
        QoS::ExactlyOnce => Packet::PubRec(ack),
        _ => Packet::PubAck(ack),
    })
}

/// The number of the publisher, from bytes 8 to 15 of the payload.
fn sender(payload: &[u8]) -> Option<usize> {
    let bytes = payload.get(8..16)?.try_into().ok()?;
    usize::try_from(u64::from_be_bytes(bytes)).ok()
}
