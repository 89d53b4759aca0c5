//! A running broker: listeners, the tasks of their connections, and an orderly end.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use quince_core::{ConnectionId, Hub};
use rustls::NamedGroup;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::certificate::{Certificate, CertificateError};
use crate::driver::{Bell, Clock, serve, sleep_until_some};
use crate::listener::{ListenerUrl, Scheme};
use crate::settings::{QuicSettings, Settings, TcpSettings};
use crate::transport::{Reader, Writer, quic, tcp};
use crate::tuning;

/// How long an accept loop rests when the system has no resources left for a further connection.
const EXHAUSTED: Duration = Duration::from_millis(100);
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
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// TLS refused its settings.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A running broker. Dropping it leaves the listeners running until the runtime ends; end it with
/// [`Server::shut_down`].
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    certificate: Certificate,
    listeners: Vec<BoundListener>,
    quic: Vec<quinn::Endpoint>,
}

#[derive(Debug)]
struct Shared {
    hub: Arc<Hub>,
    clock: Clock,
    quic: QuicSettings,
    tcp: TcpSettings,
    key_exchange: Option<NamedGroup>,
    next_id: AtomicU64,
    handshakes: AtomicUsize,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Server {
    /// Binds every listener and starts to serve. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] for the first listener that cannot be bound; those before it are closed again.
    pub async fn bind(urls: &[ListenerUrl], settings: Settings) -> Result<Self, BindError> {
        let shared = Arc::new(Shared {
            hub: Arc::new(Hub::new(settings.core)),
            clock: Clock::start(),
            quic: settings.quic,
            tcp: settings.tcp,
            key_exchange: settings.key_exchange,
            next_id: AtomicU64::new(1),
            handshakes: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        });
        let certificate = Certificate::ephemeral()?;
        let mut server = Self {
            shared,
            certificate,
            listeners: Vec::new(),
            quic: Vec::new(),
        };
        for &url in urls {
            if let Err(error) = server.listen(url).await {
                server.shut_down().await;
                return Err(error);
            }
        }
        server.spawn(keep_time(Arc::clone(&server.shared)));
        Ok(server)
    }

    /// The listeners, in the order they were asked for.
    #[must_use]
    pub fn listeners(&self) -> &[BoundListener] {
        &self.listeners
    }

    /// The certificate that TLS and QUIC listeners show, in DER form.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// Closes the listeners, sends every client DISCONNECT 0x8B (5.0) and waits, bounded, until all
    /// connections are gone.
    pub async fn shut_down(self) {
        let Self { shared, quic, .. } = self;
        shared.closing.cancel();
        shared.hub.shut_down(shared.clock.now());
        shared.tasks.close();
        if timeout(FAREWELL, shared.tasks.wait()).await.is_err() {
            warn!("some connections did not end in time and are dropped");
        }
        for endpoint in quic {
            endpoint.close(0_u8.into(), b"");
            // The peers learn of it, or are gone; nobody is waited for longer than that.
            let _ = timeout(FAREWELL, endpoint.wait_idle()).await;
        }
    }

    async fn listen(&mut self, url: ListenerUrl) -> Result<(), BindError> {
        let fail = |error: io::Error| BindError::Listen {
            url,
            reason: explain(&error),
        };
        let (address, certificate_sha256) = match url.scheme() {
            Scheme::Tcp => {
                let listener = TcpListener::bind(url.address()).await.map_err(fail)?;
                tuning::set_up(&listener, &self.shared.tcp).map_err(fail)?;
                let address = listener.local_addr().map_err(fail)?;
                self.spawn(accept_tcp(Arc::clone(&self.shared), listener));
                (address, None)
            }
            Scheme::Quic => {
                let endpoint = self.bind_quic(url.address()).map_err(|error| match error {
                    QuicBindError::Socket(error) => fail(error),
                    QuicBindError::Tls(error) => error.into(),
                })?;
                let address = endpoint.local_addr().map_err(fail)?;
                self.quic.push(endpoint.clone());
                self.spawn(accept_quic(Arc::clone(&self.shared), endpoint));
                (address, Some(self.certificate.sha256()))
            }
        };
        let url = ListenerUrl::new(url.scheme(), address);
        self.listeners.push(BoundListener {
            url,
            certificate_sha256,
        });
        Ok(())
    }

    fn bind_quic(&self, address: SocketAddr) -> Result<quinn::Endpoint, QuicBindError> {
        let provider = tuning::provider(self.shared.key_exchange)?;
        let config = quic::server_config(&self.shared.quic, &self.certificate, provider)?;
        let socket = UdpSocket::bind(address)?;
        Ok(quinn::Endpoint::new(
            quinn::EndpointConfig::default(),
            Some(config),
            socket,
            Arc::new(quinn::TokioRuntime),
        )?)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(task);
    }
}

#[derive(Debug, thiserror::Error)]
enum QuicBindError {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
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
    /// Serves one connection, under an identifier of its own, until it has ended.
    async fn serve(&self, reader: impl Reader, writer: impl Writer) {
        let id = ConnectionId::new(self.next_id.fetch_add(1, Ordering::Relaxed));
        serve(Arc::clone(&self.hub), id, self.clock, reader, writer).await;
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

async fn accept_tcp(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = shared.closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                debug!(%peer, "accepted over tcp");
                shared.tasks.spawn(serve_tcp(Arc::clone(&shared), stream));
            }
            Err(error) => {
                // Out of file descriptors or memory, or a client that has gone again: neither is a
                // reason to stop listening.
                warn!(%error, "failed to accept over tcp");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

async fn serve_tcp(shared: Arc<Shared>, stream: TcpStream) {
    if let Ok((reader, writer)) = tcp::split(stream) {
        shared.serve(reader, writer).await;
    }
}

/// Accepts without waiting for anybody: each handshake is a task of its own, so that no client can
/// hold up another.
async fn accept_quic(shared: Arc<Shared>, endpoint: quinn::Endpoint) {
    loop {
        let incoming = tokio::select! {
            () = shared.closing.cancelled() => {
                endpoint.set_server_config(None);
                return;
            }
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let crowded = shared.handshakes.load(Ordering::Relaxed) >= shared.quic.retry_above;
        if crowded && !incoming.remote_address_validated() {
            // Ask for proof of the address before spending anything on it.
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
            continue;
        }
        shared
            .tasks
            .spawn(serve_quic(Arc::clone(&shared), incoming));
    }
}

async fn serve_quic(shared: Arc<Shared>, incoming: quinn::Incoming) {
    let peer = incoming.remote_address();
    let limit = shared.hub.config().connect_timeout;
    let opened = timeout(limit, async {
        let connection = {
            let _counted = Counted::new(&shared.handshakes);
            incoming.await?
        };
        let (send, receive) = connection.accept_bi().await?;
        Ok::<_, quinn::ConnectionError>((connection, send, receive))
    });
    let opened = tokio::select! {
        () = shared.closing.cancelled() => return,
        opened = opened => opened,
    };
    match opened {
        Ok(Ok((connection, send, receive))) => {
            debug!(%peer, "accepted over quic");
            let (reader, writer) = quic::split(connection, send, receive);
            shared.serve(reader, writer).await;
        }
        Ok(Err(error)) => debug!(%peer, %error, "no connection over quic"),
        Err(_) => info!(%peer, "a quic client opened no stream in time"),
    }
}

/// Counts something for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
