//! Streams and connections that come and go leave nothing behind, in the broker's driver and in QUIC below it. Broker and
//! client share one thread, whose heap is measured. What the core keeps is measured exactly by its own tests.
//!
//! `GROWTH_ROUNDS=1000000 cargo test --release -p quince-broker --test it growth` plays as many rounds as one likes.

use allocation_counter::measure;
use quince_broker::{Server, Settings};
use tokio::runtime::{Builder, Runtime};

use crate::peer::{CONNECT_5, Peer, quic_endpoint};
use crate::streams::{Client, DISCONNECT};
use crate::transports::{QUIC, TCP, TLS, WS, WSS, start};

const ROUNDS: u32 = 3_000;
/// Rounds until buffers and tables have the size that they keep: TLS remembers 256 sessions.
const WARM_UP: u32 = 3_000;
/// What the buffers of one connection may hold more at one moment than at another, in bytes.
const BREATH: i64 = 32 * 1024;
/// The same with connections that are at their end, and what QUIC remembers of tokens that were used, bounded by quinn.
const BREATH_OF_MANY: i64 = 128 * 1024;

fn rounds() -> u32 {
    std::env::var("GROWTH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number of rounds"))
}

fn broker() -> (Runtime, Server) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let server = runtime.block_on(start(Settings::default()));
    (runtime, server)
}

/// The heap has not grown by more than `breath` after many more rounds.
fn stays(breath: i64, mut play: impl FnMut(u32)) {
    play(WARM_UP);
    let measured = measure(|| play(rounds()));
    let grown = measured.bytes_current;
    assert!(grown < breath, "{grown} bytes more than before");
    assert!(measured.count_total > u64::from(rounds()));
}

#[test]
fn data_streams_that_are_opened_and_ended_in_every_way() {
    let (runtime, server) = broker();
    let mut client = runtime.block_on(Client::connect(&server));
    stays(BREATH, |rounds| {
        runtime.block_on(async {
            for round in 0..rounds {
                let mut stream = client.open().await;
                match round % 3 {
                    0 => {
                        stream.subscribe().await;
                        stream.send.finish().expect("open");
                        stream.expect_end().await;
                    }
                    1 => {
                        stream.subscribe().await;
                        stream.send.reset(7_u8.into()).expect("open");
                        stream.expect_reset(7).await;
                    }
                    _ => {
                        // No packet: the broker ends the stream.
                        stream.write(b"\x00\x00").await;
                        stream.expect_abort(0x81).await;
                    }
                }
            }
        });
    });
    runtime.block_on(client.assert_well());
    runtime.block_on(server.shut_down());
}

#[test]
fn connections_over_tcp_that_come_and_go() {
    let (runtime, server) = broker();
    stays(BREATH_OF_MANY, |rounds| {
        runtime.block_on(async {
            for _ in 0..rounds / 10 {
                for index in [TCP, TLS, WS, WSS] {
                    let mut peer = Peer::connect(&server, index).await;
                    peer.write(CONNECT_5).await;
                    peer.connected().await;
                    peer.write(DISCONNECT).await;
                    assert_eq!(peer.read_to_end().await, b"");
                }
            }
        });
    });
    runtime.block_on(server.shut_down());
}

#[test]
fn connections_over_quic_that_come_and_go() {
    let (runtime, server) = broker();
    let address = server.listeners()[QUIC].url().address();
    // One for all: what an endpoint receives into is large.
    let (endpoint, config) = runtime.block_on(async { quic_endpoint(&server.certificate()) });
    stays(BREATH_OF_MANY, |rounds| {
        runtime.block_on(async {
            for _ in 0..rounds / 10 {
                let connecting = endpoint.connect_with(config.clone(), address, "localhost");
                let connection = connecting.expect("a valid address").await;
                let connection = connection.expect("a handshake");
                let mut client = Client::on(endpoint.clone(), connection).await;
                client.control.write(CONNECT_5).await;
                client.connected().await;
                client.control.write(DISCONNECT).await;
                client.control.expect_end().await;
            }
            // Connections are remembered for a moment after their end.
            endpoint.wait_idle().await;
        });
    });
    runtime.block_on(server.shut_down());
}
