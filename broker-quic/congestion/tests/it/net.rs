//! QUIC clients and one server around a bottleneck, in virtual time: nothing here depends on the machine's clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::congestion::ControllerFactory;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    Event, ServerConfig, StreamEvent, StreamId, TransportConfig, VarInt,
};
use rustls::RootCertStore;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// A payload byte, over and over.
const BULK: [u8; 4096] = [7; 4096];

/// The way from the clients to the server. Back, there is the delay alone.
pub(crate) struct Bottleneck {
    pub(crate) bits_per_second: u64,
    /// Bytes that may wait in front of it; what comes then is lost.
    pub(crate) queue: u64,
    /// In each direction.
    pub(crate) delay: Duration,
    /// Of a thousand packets towards the server this many are lost without a reason.
    pub(crate) lost: u64,
}

struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

struct Host {
    address: SocketAddr,
    endpoint: Endpoint,
    connections: BTreeMap<ConnectionHandle, Connection>,
}

/// The clients come first, the server is the last host.
pub(crate) struct Net {
    bottleneck: Bottleneck,
    start: Instant,
    now: Instant,
    hosts: Vec<Host>,
    /// By arrival, then by number.
    under_way: BinaryHeap<Reverse<(Instant, u64)>>,
    datagrams: BTreeMap<u64, Datagram>,
    next: u64,
    /// When the bottleneck has sent what waits in front of it.
    idle_at: Instant,
    random: u64,
    /// The stream that each client fills.
    streams: Vec<Option<StreamId>>,
    /// Payload that the server has read from each client.
    pub(crate) read: Vec<u64>,
}

impl Net {
    /// One client for each controller, each with a stream that it always has more for. `seed` decides whatever is drawn.
    pub(crate) fn new(
        seed: u8,
        bottleneck: Bottleneck,
        controllers: Vec<Arc<dyn ControllerFactory + Send + Sync>>,
    ) -> Self {
        let start = Instant::now();
        let (server, trust) = server_config();
        let server_address = SocketAddr::from(([198, 18, 1, 1], 14567));
        let mut hosts = Vec::new();
        for (number, controller) in (1_u8..).zip(&controllers) {
            let mut endpoint = Endpoint::new(endpoint_config([seed, number]), None, true, None);
            let mut config = trust.clone();
            let mut transport = TransportConfig::default();
            transport.congestion_controller_factory(Arc::clone(controller));
            // More than any path here holds: congestion control is the only limit.
            transport.send_window(1 << 20);
            config.transport_config(Arc::new(transport));
            let connected = endpoint.connect(start, config, server_address, "localhost");
            let (handle, connection) = connected.expect("a valid address");
            hosts.push(Host {
                address: SocketAddr::from(([198, 18, 0, number], 1)),
                endpoint,
                connections: BTreeMap::from([(handle, connection)]),
            });
        }
        let clients = hosts.len();
        hosts.push(Host {
            address: server_address,
            endpoint: Endpoint::new(
                endpoint_config([seed, 0]),
                Some(Arc::new(server)),
                true,
                None,
            ),
            connections: BTreeMap::new(),
        });
        Self {
            bottleneck,
            start,
            now: start,
            hosts,
            under_way: BinaryHeap::new(),
            datagrams: BTreeMap::new(),
            next: 0,
            idle_at: start,
            random: seed.into(),
            streams: vec![None; clients],
            read: vec![0; clients],
        }
    }

    /// Lets everything happen that happens until `end` after the start.
    pub(crate) fn run_until(&mut self, end: Duration) {
        let end = self.start + end;
        loop {
            for host in 0..self.hosts.len() {
                self.serve(host);
            }
            let arrival = self.under_way.peek().map(|Reverse((at, _))| *at);
            let connections = self
                .hosts
                .iter_mut()
                .flat_map(|it| it.connections.values_mut());
            let timer = connections.filter_map(Connection::poll_timeout).min();
            let Some(next) = arrival
                .into_iter()
                .chain(timer)
                .min()
                .filter(|it| *it <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.deliver();
            let now = self.now;
            for host in &mut self.hosts {
                for connection in host.connections.values_mut() {
                    if connection.poll_timeout().is_some_and(|at| at <= now) {
                        connection.handle_timeout(now);
                    }
                }
            }
        }
    }

    /// Everything that a host does at this moment.
    fn serve(&mut self, index: usize) {
        let is_server = index == self.streams.len();
        let handles: Vec<_> = self.hosts[index].connections.keys().copied().collect();
        for handle in handles {
            if is_server {
                self.read_all(handle);
            } else {
                self.fill(index, handle);
            }
            let now = self.now;
            let mut sent = Vec::new();
            let Host {
                address,
                endpoint,
                connections,
            } = &mut self.hosts[index];
            let connection = connections.get_mut(&handle).expect("there");
            while let Some(event) = connection.poll_endpoint_events() {
                if let Some(event) = endpoint.handle_event(handle, event) {
                    connection.handle_event(event);
                }
            }
            let mut bytes = Vec::new();
            while let Some(transmit) = connection.poll_transmit(now, 1, &mut bytes) {
                sent.push(Datagram {
                    from: *address,
                    to: transmit.destination,
                    bytes: std::mem::take(&mut bytes),
                });
            }
            for datagram in sent {
                self.send(datagram);
            }
        }
    }

    /// The client writes all that its stream takes.
    fn fill(&mut self, index: usize, handle: ConnectionHandle) {
        let connection = self.hosts[index].connections.get_mut(&handle);
        let connection = connection.expect("there");
        while let Some(event) = connection.poll() {
            if let Event::Connected = event {
                self.streams[index] = connection.streams().open(Dir::Uni);
            }
        }
        if let Some(stream) = self.streams[index] {
            let mut stream = connection.send_stream(stream);
            while stream.write(&BULK).is_ok_and(|count| count > 0) {}
        }
    }

    /// The server reads all that is there.
    fn read_all(&mut self, handle: ConnectionHandle) {
        let (server, clients) = self.hosts.split_last_mut().expect("a server");
        let connection = server.connections.get_mut(&handle).expect("there");
        let from = connection.remote_address();
        let client = clients.iter().position(|host| host.address == from);
        let client = client.expect("a client");
        let mut readable = Vec::new();
        while let Some(event) = connection.poll() {
            match event {
                Event::Stream(StreamEvent::Opened { dir }) => {
                    readable.extend(connection.streams().accept(dir));
                }
                Event::Stream(StreamEvent::Readable { id }) => readable.push(id),
                _ => {}
            }
        }
        for id in readable {
            let mut stream = connection.recv_stream(id);
            let mut chunks = stream.read(true).expect("not reset");
            let mut count = 0;
            while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
                count += chunk.bytes.len() as u64;
            }
            let _ = chunks.finalize();
            self.read[client] += count;
        }
    }

    fn send(&mut self, datagram: Datagram) {
        let to_server = datagram.to == self.hosts[self.streams.len()].address;
        let mut leaves = self.now;
        if to_server {
            // splitmix64
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.random;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            if (mixed ^ (mixed >> 31)) % 1000 < self.bottleneck.lost {
                return;
            }
            let takes = |bytes: u64| {
                Duration::from_nanos(bytes * 8 * 1_000_000_000 / self.bottleneck.bits_per_second)
            };
            // An IP header and a UDP header.
            let size = datagram.bytes.len() as u64 + 28;
            let begins = self.idle_at.max(self.now);
            if begins - self.now > takes(self.bottleneck.queue) {
                return;
            }
            self.idle_at = begins + takes(size);
            leaves = self.idle_at;
        }
        let arrival = leaves + self.bottleneck.delay;
        self.under_way.push(Reverse((arrival, self.next)));
        self.datagrams.insert(self.next, datagram);
        self.next += 1;
    }

    /// What has arrived by now.
    fn deliver(&mut self) {
        while let Some(Reverse((at, number))) = self.under_way.peek().copied() {
            if at > self.now {
                return;
            }
            self.under_way.pop();
            let datagram = self.datagrams.remove(&number).expect("under way");
            let host = self.hosts.iter_mut().find(|it| it.address == datagram.to);
            let host = host.expect("a host");
            let bytes = BytesMut::from(&datagram.bytes[..]);
            let mut answer = Vec::new();
            let event =
                host.endpoint
                    .handle(self.now, datagram.from, None, None, bytes, &mut answer);
            match event {
                Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                    let connection = host.connections.get_mut(&handle).expect("there");
                    connection.handle_event(event);
                }
                Some(DatagramEvent::NewConnection(incoming)) => {
                    let accepted = host.endpoint.accept(incoming, self.now, &mut answer, None);
                    let (handle, connection) = accepted.expect("accepted");
                    host.connections.insert(handle, connection);
                }
                Some(DatagramEvent::Response(_)) | None => {}
            }
        }
    }
}

fn endpoint_config(seed: [u8; 2]) -> Arc<EndpointConfig> {
    let mut config = EndpointConfig::default();
    let mut whole = [0; 32];
    whole[..2].copy_from_slice(&seed);
    config.rng_seed(Some(whole));
    Arc::new(config)
}

/// A server that takes in whatever comes, and what its clients have to know.
fn server_config() -> (ServerConfig, ClientConfig) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let certified = certified.expect("a certificate");
    let certificate = certified.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.expect("TLS 1.3").with_no_client_auth();
    let tls = builder.with_single_cert(vec![certificate.clone()], key.into());
    let crypto = QuicServerConfig::try_from(tls.expect("a key")).expect("QUIC cipher suites");
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::MAX);
    server.transport_config(Arc::new(transport));

    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.expect("TLS 1.3").with_root_certificates(roots);
    let tls = QuicClientConfig::try_from(builder.with_no_client_auth());
    let client = ClientConfig::new(Arc::new(tls.expect("QUIC cipher suites")));
    (server, client)
}
