//! Connections themselves: how fast they are made, and what an idle one costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quince_codec::QoS;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::LoadError;
use crate::case::Setting;
use crate::connection::{Connection, dialer};
use crate::measure::{Outcome, Usage, cpu_for_each};
use crate::target::Running;

/// Clients that connect at the same time.
const CONNECTING: usize = 32;
/// How long the broker's memory may settle.
const SETTLING: Duration = Duration::from_millis(500);

/// Connects, is accepted and disconnects, as often as goes.
pub(crate) async fn connect(setting: &Setting, running: &Running) -> Result<Outcome, LoadError> {
    let dialer = Arc::new(dialer(setting));
    let made = Arc::new(AtomicU64::new(0));
    let stopped = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    let (begun, before) = (Instant::now(), Usage::of(running.process()));
    for client in 0..CONNECTING {
        let (dialer, setting) = (Arc::clone(&dialer), setting.clone());
        let (made, stopped) = (Arc::clone(&made), Arc::clone(&stopped));
        clients.spawn(async move {
            let mut turn = 0;
            while !stopped.load(Ordering::Acquire) {
                turn += 1;
                let name = format!("load-{client}-{turn}");
                let connection =
                    Connection::open(&dialer, &setting.endpoint, setting.version, name).await?;
                made.fetch_add(1, Ordering::Relaxed);
                connection.close().await;
            }
            Ok::<(), LoadError>(())
        });
    }
    sleep(setting.duration).await;
    let count = made.load(Ordering::Relaxed);
    let (elapsed, after) = (begun.elapsed(), Usage::of(running.process()));
    stopped.store(true, Ordering::Release);
    while let Some(ended) = clients.join_next().await {
        ended.map_err(|error| LoadError::Spoiled(error.to_string()))??;
    }
    Ok(Outcome::Rate {
        per_second: count as f64 / elapsed.as_secs_f64(),
        cpu: cpu_for_each(before, after, count),
    })
}

/// Opens `count` connections with one subscription each and looks at the broker's memory.
pub(crate) async fn idle(
    setting: &Setting,
    running: &Running,
    count: usize,
) -> Result<Outcome, LoadError> {
    raise_limit(count)?;
    let dialer = Arc::new(dialer(setting));
    // What the first connection makes the broker allocate once is not counted.
    let first = Connection::open(
        &dialer,
        &setting.endpoint,
        setting.version,
        "load-first".into(),
    );
    let mut held = vec![first.await?];
    sleep(SETTLING).await;
    let before = Usage::of(running.process());
    let mut opening = JoinSet::new();
    for index in 0..count {
        if opening.len() == CONNECTING {
            held.extend(joined(opening.join_next().await)?);
        }
        let (dialer, setting) = (Arc::clone(&dialer), setting.clone());
        opening.spawn(async move {
            let name = format!("load-idle-{index}");
            let mut connection =
                Connection::open(&dialer, &setting.endpoint, setting.version, name).await?;
            connection
                .subscribe(&format!("load/idle/{index}"), QoS::AtMostOnce)
                .await?;
            Ok(connection)
        });
    }
    while let Some(connection) = joined(opening.join_next().await)? {
        held.push(connection);
    }
    sleep(SETTLING).await;
    let after = Usage::of(running.process());
    let mut closing = JoinSet::new();
    for connection in held {
        closing.spawn(connection.close());
    }
    while closing.join_next().await.is_some() {}
    let bytes = before.zip(after).map(|(before, after)| {
        after.resident_bytes.saturating_sub(before.resident_bytes) as f64 / count as f64
    });
    Ok(Outcome::Memory { bytes })
}

type Joined = Result<Result<Connection, LoadError>, tokio::task::JoinError>;

fn joined(task: Option<Joined>) -> Result<Option<Connection>, LoadError> {
    match task {
        None => Ok(None),
        Some(Ok(opened)) => opened.map(Some),
        Some(Err(error)) => Err(LoadError::Spoiled(error.to_string())),
    }
}

/// Each connection is a descriptor here, and one in a broker that inherits the limit.
fn raise_limit(connections: usize) -> Result<(), LoadError> {
    let wanted = connections as u64 + 256;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    limit.current = limit.maximum;
    let enough = limit.maximum.is_none_or(|maximum| maximum >= wanted);
    if enough && setrlimit(Resource::Nofile, limit).is_ok() {
        return Ok(());
    }
    Err(LoadError::Usage(format!(
        "{connections} connections need {wanted} open files, which this process may not have: raise `ulimit -n`"
    )))
}
