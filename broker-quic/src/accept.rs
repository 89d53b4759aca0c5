//! Accepting: from a listening socket to a connection that the driver serves.
//!
//! No loop here waits for a client. Whatever a handshake takes happens in a task of its own, out of
//! the time that the client has for its CONNECT: a client that stalls costs itself that time, and
//! nobody else anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quince_core::Time;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::listener::Scheme;
use crate::peer::{Peer, PeerCertificate};
use crate::server::Shared;
use crate::settings::ListenerSettings;
use crate::standing::Standing;
use crate::tls::Tls;
use crate::transport::{quic, stream, tcp, websocket};

/// How long an accept loop rests when the system has no resources left for a further connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A client that has been accepted, and when: its time for CONNECT runs from there.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: Peer,
    pub(crate) at: Time,
    /// What becomes of the certificate that it has shown, if it has shown one.
    pub(crate) standing: Option<Standing>,
    /// From before its handshake: what a reload changes meanwhile is not missed.
    tls: watch::Receiver<Arc<Tls>>,
    /// Counts it among the connections for as long as it lives.
    _place: OwnedSemaphorePermit,
    /// The same among those of its listener.
    _own_place: Option<OwnedSemaphorePermit>,
}

/// A listener's entrance: whom it lets in, and how many.
#[derive(Debug)]
struct Door {
    listener: ListenerSettings,
    /// One permit for each further connection that may come through it, if it has a limit of its own.
    places: Option<Arc<Semaphore>>,
}

impl Door {
    fn new(listener: ListenerSettings) -> Self {
        let places = listener.connections.map(|it| Arc::new(Semaphore::new(it)));
        Self { listener, places }
    }

    /// `None` when there are as many connections as there may be, here or in all.
    fn admit(&self, shared: &Shared, address: SocketAddr) -> Option<Arrival> {
        let transport = self.listener.url.scheme();
        let place = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned();
        let (Ok(own), Ok(place)) = (
            self.places.as_ref().map(place).transpose(),
            place(&shared.places),
        ) else {
            debug!(peer = %address, %transport, "turned away: there are too many connections");
            return None;
        };
        debug!(peer = %address, %transport, "accepted");
        Some(Arrival {
            peer: Peer {
                transport,
                address,
                admission: self.listener.admission,
                certificate: None,
            },
            at: shared.clock.now(),
            standing: None,
            tls: shared.tls.subscribe(),
            _place: place,
            _own_place: own,
        })
    }
}

impl Arrival {
    /// Takes down what the client has shown in its handshake.
    fn has_shown(&mut self, chain: Option<&[CertificateDer<'_>]>) {
        self.peer.certificate = PeerCertificate::of_chain(chain);
        self.standing = Standing::of(chain, self.tls.clone());
    }
}

/// Accepts everything that comes over TCP, whatever lies between TCP and MQTT.
pub(crate) async fn accept_tcp(
    shared: Arc<Shared>,
    socket: TcpListener,
    listener: ListenerSettings,
) {
    let door = Door::new(listener);
    loop {
        let accepted = tokio::select! {
            () = shared.closing.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((socket, address)) => {
                // Who is turned away finds its connection closed.
                if let Some(arrival) = door.admit(&shared, address) {
                    serve_tcp(&shared, arrival, socket);
                }
            }
            Err(error) => {
                // Out of file descriptors or memory, or a client that has gone again: neither is a
                // reason to stop listening.
                warn!(%error, listener = %listener.url, "failed to accept");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

fn serve_tcp(shared: &Arc<Shared>, arrival: Arrival, socket: TcpStream) {
    // Acknowledgements are small and waited for: holding them back costs tens of milliseconds.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    match arrival.peer.transport {
        Scheme::Tls | Scheme::Ws | Scheme::Wss => {
            shared.spawn(shake_hands(Arc::clone(shared), arrival, socket));
        }
        Scheme::Tcp | Scheme::Quic => {
            let (reader, writer) = tcp::split(socket);
            shared.serve(arrival, reader, writer);
        }
    }
}

/// Does what lies between TCP and MQTT, then serves.
async fn shake_hands(shared: Arc<Shared>, mut arrival: Arrival, socket: TcpStream) {
    match arrival.peer.transport {
        Scheme::Tcp | Scheme::Quic => {}
        Scheme::Tls => {
            let acceptor = TlsAcceptor::from(Arc::clone(&arrival.tls.borrow().mqtt));
            let Some(tls) = in_time(&shared, &arrival, acceptor.accept(socket)).await else {
                return;
            };
            arrival.has_shown(tls.get_ref().1.peer_certificates());
            let (reader, writer) = stream::split(tls);
            shared.serve(arrival, reader, writer);
        }
        Scheme::Ws => {
            let opening = websocket::accept(socket, &shared.settings.websocket);
            let Some(web) = in_time(&shared, &arrival, opening).await else {
                return;
            };
            let (reader, writer) = stream::split(web);
            shared.serve(arrival, reader, writer);
        }
        Scheme::Wss => {
            let acceptor = TlsAcceptor::from(Arc::clone(&arrival.tls.borrow().web));
            let Some(tls) = in_time(&shared, &arrival, acceptor.accept(socket)).await else {
                return;
            };
            arrival.has_shown(tls.get_ref().1.peer_certificates());
            let opening = websocket::accept(tls, &shared.settings.websocket);
            let Some(web) = in_time(&shared, &arrival, opening).await else {
                return;
            };
            let (reader, writer) = stream::split(web);
            shared.serve(arrival, reader, writer);
        }
    }
}

/// The outcome of a handshake; `None` if it fails, or has not ended when CONNECT must be there.
async fn in_time<T, E: std::fmt::Display>(
    shared: &Shared,
    arrival: &Arrival,
    handshake: impl Future<Output = Result<T, E>>,
) -> Option<T> {
    let deadline = shared.clock.instant(arrival.at) + shared.hub.config().connect_timeout;
    let outcome = tokio::select! {
        () = shared.closing.cancelled() => return None,
        outcome = timeout_at(deadline, handshake) => outcome,
    };
    let Peer {
        transport, address, ..
    } = arrival.peer;
    match outcome {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            debug!(peer = %address, %transport, %error, "no connection");
            None
        }
        Err(_) => {
            debug!(peer = %address, %transport, "not connected in time");
            None
        }
    }
}

/// Accepts QUIC connections.
pub(crate) async fn accept_quic(
    shared: Arc<Shared>,
    endpoint: quinn::Endpoint,
    listener: ListenerSettings,
) {
    let door = Door::new(listener);
    loop {
        let incoming = tokio::select! {
            () = shared.closing.cancelled() => {
                endpoint.set_server_config(None);
                return;
            }
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let crowded = shared.handshakes.load(Ordering::Relaxed) >= shared.settings.quic.retry_above;
        if crowded && !incoming.remote_address_validated() {
            // Ask for proof of the address before spending anything on it.
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
            continue;
        }
        let address = incoming.remote_address();
        let Some(arrival) = door.admit(&shared, address) else {
            incoming.refuse();
            continue;
        };
        shared.spawn(serve_quic(Arc::clone(&shared), arrival, incoming));
    }
}

async fn serve_quic(shared: Arc<Shared>, mut arrival: Arrival, incoming: quinn::Incoming) {
    let opened = in_time(&shared, &arrival, async {
        let connection = {
            let _counted = Counted::new(&shared.handshakes);
            incoming.await?
        };
        let (send, receive) = connection.accept_bi().await?;
        Ok::<_, quinn::ConnectionError>((connection, send, receive))
    });
    let Some((connection, send, receive)) = opened.await else {
        return;
    };
    arrival.has_shown(quic::chain(&connection).as_deref());
    let (reader, writer) = quic::split(connection, send, receive);
    shared.serve(arrival, reader, writer);
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
