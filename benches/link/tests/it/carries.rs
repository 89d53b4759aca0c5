//! What is sent arrives, over UDP and TCP.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use libtest_mimic::Trial;
use quince_link::{Config, End, Impairment, Link};

use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("tcp_crosses_intact", tcp_crosses_intact)]
}

fn tcp_crosses_intact() {
    let link = Link::open(Config {
        a_to_b: Impairment::delayed(Duration::from_millis(5)).losing(0.01),
        b_to_a: Impairment::delayed(Duration::from_millis(5)).losing(0.01),
        ..Config::default()
    })
    .unwrap();
    let (a, b) = (link.side(End::A), link.side(End::B));
    let address = b.address();
    let listener = b
        .spawn("listen", move || TcpListener::bind((address, 0)).unwrap())
        .unwrap();
    let listener = listener.join().unwrap();
    let to = listener.local_addr().unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let expected = sent.clone();
    let client = a
        .spawn("client", move || {
            TcpStream::connect(to).unwrap().write_all(&sent).unwrap();
        })
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    client.join().unwrap();
    assert!(got == expected, "{} bytes of {}", got.len(), expected.len());
    let statistics = link.statistics();
    assert!(statistics.a_to_b.lost > 0, "{statistics:?}");
    assert_eq!(statistics.unconfigured_losses(), 0, "{statistics:?}");
}
