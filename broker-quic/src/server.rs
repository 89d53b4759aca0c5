//! A running broker: listeners, the tasks of their connections, and an orderly end.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use quince_core::{Config, Connection, ConnectionId, Durability, Hub, Time};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::accept::{Arrival, accept_quic, accept_tcp};
use crate::access::{Access, AccessSettings, Admission, Login};
use crate::driver::{Bell, Clock, serve, sleep_until_some};
use crate::listener::{ListenerUrl, Scheme};
use crate::problem::Problem;
use crate::settings::{ListenerSettings, Settings};
use crate::store::{self, DataSettings, Durable, Opened, StoreError};
use crate::tls::{Tls, TlsError};
use crate::transport::{Reader, Writer};
use crate::tuning;

/// How long connections may take to say goodbye at shutdown.
const FAREWELL: Duration = Duration::from_secs(5);

/// A listener that is bound.
#[derive(Clone, Debug)]
pub struct BoundListener {
    url: ListenerUrl,
    certificate_sha256: Option<String>,
}

impl BoundListener {
    /// The real URL: a port chosen by the system is in it.
    #[must_use]
    pub fn url(&self) -> ListenerUrl {
        self.url
    }
}

/// The line that the daemon prints for a listener: URL, then what a client needs to know of it.
impl fmt::Display for BoundListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)?;
        match &self.certificate_sha256 {
            Some(digest) => write!(f, " certificate-sha256={digest}"),
            None => Ok(()),
        }
    }
}

/// Why a broker could not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is in use, not ours, or needs more rights.
    #[error("failed to listen on {url}: {reason}")]
    Listen {
        /// The listener as asked for.
        url: ListenerUrl,
        /// The system's reason, and the way out where there is one.
        reason: String,
    },
    /// The store, or what is in it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("failed to start the store's thread: {0}")]
    Thread(io::Error),
    /// No certificate, or none that TLS takes.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file that says who may do what.
    #[error(transparent)]
    Access(#[from] Problem),
}

/// A running broker. Dropping it leaves the listeners running until the runtime ends; end it with
/// [`Server::shut_down`].
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<BoundListener>,
    quic: Vec<quinn::Endpoint>,
    store: Option<quince_store::Writer>,
    store_failure: Option<oneshot::Receiver<io::Error>>,
}

/// What all tasks of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hub: Arc<Hub>,
    access: Arc<Access>,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    /// What handshakes go by; whose certificate was seen watches for what a reload makes of it.
    pub(crate) tls: watch::Sender<Arc<Tls>>,
    /// One permit for each further connection that there may be.
    pub(crate) places: Arc<Semaphore>,
    next_id: AtomicU64,
    /// QUIC handshakes under way.
    pub(crate) handshakes: AtomicUsize,
    /// Tasks that a panic has ended.
    panics: AtomicU64,
    tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
}

impl Server {
    /// Binds every listener and serves everybody who comes, whoever it is. Needs a tokio runtime.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn bind(urls: &[ListenerUrl], settings: Settings) -> Result<Self, BindError> {
        let admission = Admission {
            anonymous: true,
            certificate_name: None,
        };
        let listeners: Vec<ListenerSettings> = urls
            .iter()
            .map(|&url| ListenerSettings {
                url,
                admission,
                connections: None,
            })
            .collect();
        let access = Access::load(AccessSettings::default())?;
        Self::start(&listeners, settings, access).await
    }

    /// Binds every listener and starts to serve. Needs a tokio runtime. Which methods of enhanced authentication are
    /// offered is for `access` to say, not for `settings`.
    ///
    /// # Errors
    /// [`BindError`] for the first listener that cannot be bound; those before it are closed again.
    pub async fn start(
        listeners: &[ListenerSettings],
        settings: Settings,
        access: Access,
    ) -> Result<Self, BindError> {
        if let Some(data) = &settings.data {
            store::make_folder(&data.directory)?;
        }
        let tls = Tls::load(&settings, None)?;
        let core = Config {
            authentication_methods: access.methods(),
            // One stream is the control flow's.
            data_flows: usize::try_from(settings.quic.bidirectional_streams.saturating_sub(1))
                .unwrap_or(usize::MAX),
            ..settings.core.clone()
        };
        let (hub, clock, opened) = Self::recover(core, &settings, &access)?;
        let shared = Arc::new(Shared {
            hub: Arc::new(hub),
            access: Arc::new(access),
            clock,
            tls: watch::Sender::new(Arc::new(tls)),
            places: Arc::new(Semaphore::new(settings.connections)),
            settings,
            next_id: AtomicU64::new(1),
            handshakes: AtomicUsize::new(0),
            panics: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        });
        let mut server = Self {
            shared,
            listeners: Vec::new(),
            quic: Vec::new(),
            store: None,
            store_failure: None,
        };
        if let Some(opened) = opened {
            let hub = Arc::clone(&server.shared.hub);
            let (writer, failure) = store::start(opened, hub, clock).map_err(BindError::Thread)?;
            (server.store, server.store_failure) = (Some(writer), Some(failure));
        }
        for &listener in listeners {
            if let Err(error) = server.listen(listener).await {
                server.shut_down().await;
                return Err(error);
            }
        }
        server.shared.spawn(keep_time(Arc::clone(&server.shared)));
        Ok(server)
    }

    /// The broker as the store knows it, or an empty one, and the time that it goes on from.
    fn recover(
        core: Config,
        settings: &Settings,
        access: &Access,
    ) -> Result<(Hub, Clock, Option<Opened>), BindError> {
        let stored = |data: &&DataSettings| data.durable != Durable::Memory;
        let Some(data) = settings.data.as_ref().filter(stored) else {
            let clock = Clock::start(Time::ZERO);
            return Ok((Hub::with_policy(core, access.policy()), clock, None));
        };
        let core = Config {
            durability: Durability::Store,
            ..core
        };
        let opened = store::open(data, &core)?;
        let clock = Clock::start(opened.time);
        let hub = Hub::recover(core, access.policy(), &opened.image, clock.now());
        Ok((hub, clock, Some(opened)))
    }

    /// How many tasks a panic has ended, each with the one connection that it served: bugs of the broker. The log names them.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Waits until the store has failed, and says why: from then on nothing is acknowledged that must be stored, and the broker
    /// should end. Safe to cancel.
    pub async fn store_failed(&mut self) -> io::Error {
        match &mut self.store_failure {
            Some(failure) => match failure.await {
                Ok(error) => error,
                Err(_) => io::Error::other("the store's thread is gone"),
            },
            None => std::future::pending().await,
        }
    }

    /// The listeners, in the order they were asked for.
    #[must_use]
    pub fn listeners(&self) -> &[BoundListener] {
        &self.listeners
    }

    /// The certificate that TLS and QUIC listeners show, in DER form.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.shared.tls.borrow().certificate.der().clone()
    }

    /// Whether a start would find fault with what `settings.tls` names.
    ///
    /// # Errors
    /// The fault.
    pub fn check_tls(settings: &Settings) -> Result<(), TlsError> {
        Tls::load(settings, None).map(drop)
    }

    /// Reads the files of `settings.tls` again. Handshakes from now on see what is in them. Connections that are up stay
    /// up, except those whose client's certificate would not be let in any more: they end with 0x87. Without certificate
    /// files the certificate stays what it is.
    ///
    /// # Errors
    /// [`TlsError`]: then everything stays as it was.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        let shared = &self.shared;
        let before = Arc::clone(&shared.tls.borrow());
        let tls = Tls::load(&shared.settings, Some(&before))?;
        for endpoint in &self.quic {
            endpoint.set_server_config(Some(tls.quic.clone()));
        }
        shared.tls.send_replace(Arc::new(tls));
        Ok(())
    }

    /// Closes the listeners, sends every client DISCONNECT 0x8B (5.0) and waits, bounded, until all
    /// connections are gone.
    pub async fn shut_down(self) {
        let Self {
            shared,
            quic,
            store,
            ..
        } = self;
        shared.closing.cancel();
        shared.hub.shut_down(shared.clock.now());
        shared.tasks.close();
        if timeout(FAREWELL, shared.tasks.wait()).await.is_err() {
            warn!("some connections did not end in time and are dropped");
        }
        // What a test has not looked for, it still must not have caused.
        debug_assert_eq!(shared.panics.load(Ordering::Relaxed), 0, "tasks panicked");
        for endpoint in quic {
            endpoint.close(0_u8.into(), b"");
            // The peers learn of it, or are gone; nobody is waited for longer than that.
            let _ = timeout(FAREWELL, endpoint.wait_idle()).await;
        }
        if let Some(store) = store
            && let Err(error) = tokio::task::spawn_blocking(move || store.stop()).await
        {
            warn!("the store did not end in order: {error}");
        }
    }

    /// Reads passwords, tokens' key and access rules again, without dropping a connection. Users that are gone,
    /// or whose password is another, are disconnected; a right that is gone counts from now on.
    ///
    /// # Errors
    /// The first problem in a file; then everything stays as it was.
    pub fn reload(&self) -> Result<(), Problem> {
        self.shared.access.reload(&self.shared.hub)
    }

    async fn listen(&mut self, settings: ListenerSettings) -> Result<(), BindError> {
        let url = settings.url;
        let fail = |error: io::Error| BindError::Listen {
            url,
            reason: explain(&error),
        };
        let address = match url.scheme() {
            Scheme::Tcp | Scheme::Tls | Scheme::Ws | Scheme::Wss => {
                let listener = TcpListener::bind(url.address()).await.map_err(fail)?;
                tuning::set_up(&listener, &self.shared.settings.tcp).map_err(fail)?;
                let address = listener.local_addr().map_err(fail)?;
                let shared = Arc::clone(&self.shared);
                self.shared.spawn(accept_tcp(shared, listener, settings));
                address
            }
            Scheme::Quic => {
                let endpoint = self.bind_quic(url.address()).map_err(fail)?;
                let address = endpoint.local_addr().map_err(fail)?;
                self.quic.push(endpoint.clone());
                let shared = Arc::clone(&self.shared);
                self.shared.spawn(accept_quic(shared, endpoint, settings));
                address
            }
        };
        let url = ListenerUrl::new(url.scheme(), address);
        self.listeners.push(BoundListener {
            url,
            certificate_sha256: url
                .scheme()
                .is_encrypted()
                .then(|| self.shared.tls.borrow().certificate.sha256()),
        });
        Ok(())
    }

    fn bind_quic(&self, address: SocketAddr) -> io::Result<quinn::Endpoint> {
        let socket = UdpSocket::bind(address)?;
        quinn::Endpoint::new(
            quinn::EndpointConfig::default(),
            Some(self.shared.tls.borrow().quic.clone()),
            socket,
            Arc::new(quinn::TokioRuntime),
        )
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use: stop what uses it, or name another with --listen".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

impl Shared {
    /// Runs a task until it ends. If it panics, it ends alone, and is counted.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let witness = Witness(Arc::clone(self));
        // An async block around the task would hold it twice.
        self.tasks.spawn(task.map(move |()| drop(witness)));
    }

    /// Serves one connection, under an identifier of its own, in a task that ends with it. A task is as large as the largest
    /// thing that ever happens in it, so that an idle connection would pay for the handshake if it shared its task.
    pub(crate) fn serve(
        self: &Arc<Self>,
        arrival: Arrival,
        reader: impl Reader + 'static,
        writer: impl Writer + 'static,
    ) {
        let id = ConnectionId::new(self.next_id.fetch_add(1, Ordering::Relaxed));
        let connection = Box::new(Connection::new(Arc::clone(&self.hub), id, arrival.at));
        let login = Login::new(Arc::clone(&self.access), arrival);
        self.spawn(serve(connection, login, self.clock, reader, writer));
    }
}

/// Is dropped with the task that it watches, and sees how that ends.
struct Witness(Arc<Shared>);

impl Drop for Witness {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.panics.fetch_add(1, Ordering::Relaxed);
            error!(
                "a task has panicked, which is a bug: its connection has ended, all others go on"
            );
        }
    }
}

/// Fires delayed wills and ends of sessions when they are due.
async fn keep_time(shared: Arc<Shared>) {
    let bell = Arc::new(Bell::default());
    shared.hub.set_timer_waker(&Waker::from(Arc::clone(&bell)));
    loop {
        let due = shared
            .hub
            .next_timeout()
            .map(|time| shared.clock.instant(time));
        tokio::select! {
            () = shared.closing.cancelled() => return,
            // A nearer time than the one waited for has appeared.
            () = bell.rung() => {}
            () = sleep_until_some(due) => shared.hub.handle_timeout(shared.clock.now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    #[expect(clippy::panic, reason = "a panic is what is tested")]
    async fn a_task_that_panics_ends_alone_and_is_counted() {
        let url = "tcp://127.0.0.1:0".parse().expect("a URL");
        let server = Server::bind(&[url], Settings::default()).await;
        let server = server.expect("bound");
        assert_eq!(server.panics(), 0);
        let (told, hears) = oneshot::channel();
        server.shared.spawn(async move {
            let _told: oneshot::Sender<()> = told;
            panic!("on purpose");
        });
        // The channel's end goes with the task.
        assert!(hears.await.is_err());
        let address = server.listeners()[0].url().address();
        let mut client = TcpStream::connect(address).await.expect("connected");
        let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01b";
        client.write_all(connect).await.expect("written");
        let mut connack = [0; 4];
        client.read_exact(&mut connack).await.expect("an answer");
        assert_eq!(connack, [0x20, 2, 0, 0]);
        while server.panics() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.panics(), 1);
    }
}
