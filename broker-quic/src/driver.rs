//! The one loop that serves every connection, whatever its transport.
//!
//! It keeps the pump of `quince-core` true: obey outputs, offer what may leave, set the timer, read
//! only when asked to. It awaits readiness and cancel-safe calls, never a call that would have to
//! finish.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quince_codec::ReasonCode;
use quince_core::{Connection, FlowId, Output, READ_AT_MOST, Time};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use crate::access::{Login, Verdict};
use crate::transport::{Incoming, Reader, Writer, Written};

/// How long the peer may take to have the last bytes and to close its own side.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes that are read and dropped while waiting for the peer to close its side.
const LINGER_BYTES: usize = 256 * 1024;

/// The core's time: milliseconds since 1970 by the system's clock at the start, and from there on by a clock that nobody
/// sets, so that deadlines can be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    start: u64,
}

impl Clock {
    /// A clock that shows no time before `earliest`, which was shown before.
    pub(crate) fn start(earliest: Time) -> Self {
        let system = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Self {
            origin: Instant::now(),
            start: u64::try_from(system)
                .unwrap_or(u64::MAX)
                .max(earliest.as_millis()),
        }
    }

    pub(crate) fn now(self) -> Time {
        let elapsed = self.origin.elapsed().as_millis();
        Time::from_millis(self.start).plus_millis(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    pub(crate) fn instant(self, time: Time) -> Instant {
        self.origin + time.since(Time::from_millis(self.start))
    }
}

/// Wakes a task; remembers a wake that comes while the task is busy.
#[derive(Debug, Default)]
pub(crate) struct Bell(Notify);

impl Bell {
    /// Waits for the next wake, or takes the one that came before. Safe to cancel.
    pub(crate) async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Waits until `deadline`, or for ever without one. Safe to cancel.
pub(crate) async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

/// What happened first.
enum Step {
    Incoming(Incoming),
    Written(Written),
    Judged(Verdict),
    Woken,
    Timer,
}

/// Serves one connection until it has ended and the peer has had its last bytes.
pub(crate) async fn serve(
    mut connection: Box<Connection>,
    mut login: Login,
    clock: Clock,
    mut reader: impl Reader,
    mut writer: impl Writer,
) {
    let bell = Arc::new(Bell::default());
    connection.set_waker(&Waker::from(Arc::clone(&bell)));
    loop {
        while let Some(output) = connection.poll_output() {
            match output {
                Output::Authenticate(request) => login.ask(request, clock.now()),
                Output::EndFlow { flow, end } => {
                    reader.end_flow(flow, end);
                    writer.end_flow(flow, end);
                }
                Output::Close { code, by } => {
                    debug!(connection = connection.id().number(), %code, ?by, "closing");
                    close(reader, writer).await;
                    return;
                }
            }
        }
        let step = next_step(
            &bell,
            clock,
            &mut connection,
            &mut reader,
            &mut writer,
            &mut login,
        )
        .await;
        let now = clock.now();
        match step {
            Step::Incoming(incoming) => receive(&mut connection, now, incoming),
            Step::Written(Written::Some(flow, count)) => connection.written(now, flow, count),
            Step::Written(Written::Stopped(flow, code)) => {
                connection.flow_stopped(now, flow, code);
            }
            Step::Written(Written::Lost) => connection.transport_closed(now),
            Step::Judged(Verdict::Answer(answer)) => connection.authenticated(now, answer),
            Step::Judged(Verdict::Unwelcome) => {
                connection.turn_away(now, ReasonCode::NOT_AUTHORIZED);
            }
            Step::Woken => connection.advance(now),
            Step::Timer => connection.handle_timeout(now),
        }
    }
}

async fn next_step(
    bell: &Bell,
    clock: Clock,
    connection: &mut Connection,
    reader: &mut impl Reader,
    writer: &mut impl Writer,
    login: &mut Login,
) -> Step {
    let connection: &Connection = connection;
    let timer = connection.next_timeout().map(|time| clock.instant(time));
    let flows = connection.flows_with_output();
    let writes = flows.clone().next().is_some();
    let offers = flows.map(|flow| (flow, connection.writable(flow)));
    tokio::select! {
        written = writer.write(offers), if writes => Step::Written(written),
        incoming = reader.read(|flow| connection.wants_input(flow)) => Step::Incoming(incoming),
        () = bell.rung() => Step::Woken,
        verdict = login.verdict() => Step::Judged(verdict),
        () = sleep_until_some(timer) => Step::Timer,
    }
}

fn receive(connection: &mut Connection, now: Time, incoming: Incoming) {
    match incoming {
        Incoming::Bytes(flow, bytes) => {
            for chunk in bytes.chunks(READ_AT_MOST) {
                connection.receive(now, flow, chunk);
            }
        }
        Incoming::Opened(flow) => connection.flow_opened(now, flow),
        Incoming::Finished(flow) => connection.flow_finished(now, flow),
        Incoming::Reset(flow, code) => connection.flow_reset(now, flow, code),
        Incoming::Lost => connection.transport_closed(now),
    }
}

/// Ends a connection so that its last bytes arrive: end of stream, then wait for the peer, bounded.
///
/// A socket that is dropped while unread bytes wait in it is reset, and the reset may overtake the
/// DISCONNECT that explains it.
async fn close(mut reader: impl Reader, mut writer: impl Writer) {
    let farewell = async {
        writer.finish().await;
        let mut dropped = 0;
        loop {
            match reader.read(|flow| flow == FlowId::CONTROL).await {
                Incoming::Bytes(_, bytes) => dropped += bytes.len(),
                Incoming::Finished(FlowId::CONTROL)
                | Incoming::Reset(FlowId::CONTROL, _)
                | Incoming::Lost => break,
                // Data flows go with the connection.
                _ => {}
            }
            if dropped > LINGER_BYTES {
                break;
            }
        }
    };
    // A peer that does not close in time is not waited for.
    let _ = timeout(LINGER, farewell).await;
}
