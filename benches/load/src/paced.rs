//! Messages at a steady rate: how long each takes.
//!
//! The publisher has a thread of its own that sleeps until each message is due. Latency counts from the instant at which the
//! message was due, not from when it was sent: a publisher that is held up must not make its waiting disappear
//! (coordinated omission).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use quince_codec::{Packet, PacketId, Properties, Publish, QoS};
use tokio::runtime::Handle;

use crate::LoadError;
use crate::case::Setting;
use crate::connection::{Connection, dialer};
use crate::measure::{Outcome, Usage, cpu_for_each};
use crate::target::Running;
use crate::traffic::answer;

const WARMING_UP: Duration = Duration::from_secs(1);
/// How long the last messages are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const TOPIC: &str = "load/paced";
/// The longest latency that is told apart, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

pub(crate) async fn play(
    setting: &Setting,
    running: &Running,
    qos: QoS,
) -> Result<Outcome, LoadError> {
    let dialer = dialer(setting);
    let open = |name: &str| {
        Connection::open(
            &dialer,
            &setting.endpoint,
            setting.version,
            format!("load-{name}"),
        )
    };
    let mut subscriber = open("sub").await?;
    subscriber.subscribe(TOPIC, qos).await?;
    let publisher = open("pub").await?;
    let origin = Instant::now();
    let stopped = Arc::new(AtomicBool::new(false));
    let pace = Pace {
        origin,
        begins: origin + WARMING_UP,
        period: Duration::from_secs(1) / setting.rate,
        count: messages(setting.duration + WARMING_UP, setting.rate),
        qos,
        size: setting.size,
    };
    let sender = {
        let (runtime, pace, stopped) = (Handle::current(), pace.clone(), Arc::clone(&stopped));
        thread::spawn(move || runtime_publish(&runtime, publisher, &pace, &stopped))
    };
    let received = tokio::select! {
        received = receive(&mut subscriber, &pace, running) => received,
        () = tokio::time::sleep(setting.duration + 2 * WARMING_UP + PATIENCE) => {
            Err(LoadError::Spoiled("the paced messages did not come in time".to_owned()))
        }
    };
    stopped.store(true, Ordering::Release);
    // The thread ends with its next message.
    let sent = tokio::task::spawn_blocking(move || sender.join()).await;
    match sent {
        Ok(Ok(sent)) => sent?.close().await,
        _ => {
            return Err(LoadError::Spoiled(
                "the publisher's thread failed".to_owned(),
            ));
        }
    }
    subscriber.close().await;
    received
}

#[derive(Clone, Debug)]
struct Pace {
    origin: Instant,
    begins: Instant,
    period: Duration,
    count: u64,
    qos: QoS,
    size: usize,
}

fn messages(time: Duration, rate: u32) -> u64 {
    let count = time.as_secs_f64() * f64::from(rate);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a day times the rate"
    )]
    let count = count as u64;
    count.max(1)
}

impl Pace {
    fn due(&self, number: u64) -> Instant {
        let nanos = u128::from(number) * self.period.as_nanos();
        self.begins + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Messages that are due before the measurement begins.
    fn warming_up(&self) -> u64 {
        u64::try_from(WARMING_UP.as_nanos() / self.period.as_nanos().max(1)).unwrap_or(u64::MAX)
    }
}

fn runtime_publish(
    runtime: &Handle,
    mut connection: Connection,
    pace: &Pace,
    stopped: &AtomicBool,
) -> Result<Connection, LoadError> {
    let mut payload = vec![b'.'; pace.size];
    for number in 0..pace.count {
        let due = pace.due(number);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if stopped.load(Ordering::Acquire) {
            break;
        }
        let nanos = due.duration_since(pace.origin).as_nanos();
        payload[..8].copy_from_slice(&u64::try_from(nanos).unwrap_or(u64::MAX).to_be_bytes());
        payload[8..16].copy_from_slice(&number.to_be_bytes());
        let identifier = u16::try_from(number % 65_535).unwrap_or(0) + 1;
        connection.queue(&Packet::Publish(Publish {
            dup: false,
            qos: pace.qos,
            retain: false,
            topic: TOPIC,
            packet_id: (pace.qos > QoS::AtMostOnce)
                .then(|| PacketId::new(identifier))
                .flatten(),
            properties: Properties::EMPTY,
            payload: &payload,
        }))?;
        runtime.block_on(connection.flush())?;
        connection.take_ready()?;
        // Acknowledgements are not what is measured.
        while connection.next()?.is_some() {}
    }
    Ok(connection)
}

async fn receive(
    connection: &mut Connection,
    pace: &Pace,
    running: &Running,
) -> Result<Outcome, LoadError> {
    let histogram = Histogram::new_with_bounds(1, LONGEST, 3);
    let mut histogram = histogram.map_err(|error| connection.error(error))?;
    let first = pace.warming_up();
    let mut before = None;
    let mut last = 0;
    while last + 1 < pace.count {
        connection.wait().await?;
        let now = Instant::now().duration_since(pace.origin).as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        while let Some(frame) = connection.next()? {
            if let Packet::Publish(publish) = connection.decode(&frame)? {
                answer(connection, &publish)?;
                let word = |at: usize| -> Option<u64> {
                    let bytes = publish.payload.get(at..at + 8)?;
                    Some(u64::from_be_bytes(bytes.try_into().ok()?))
                };
                let (Some(due), Some(number)) = (word(0), word(8)) else {
                    return Err(connection.error("a payload that nobody sent"));
                };
                last = last.max(number);
                if number >= first {
                    before = before.or_else(|| Usage::of(running.process()));
                    histogram.saturating_record(now.saturating_sub(due).max(1));
                }
            }
        }
        connection.flush().await?;
    }
    let after = Usage::of(running.process());
    let measured = histogram.len();
    Ok(Outcome::Latency {
        missing: (pace.count - first.min(pace.count)).saturating_sub(measured),
        cpu: cpu_for_each(before, after, measured),
        histogram: Box::new(histogram),
    })
}
