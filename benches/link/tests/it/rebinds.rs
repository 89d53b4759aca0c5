//! Address translation and its rebinding, as UDP and TCP meet it.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use quince_link::{
    Change, Config, Direction, End, Family, Impairment, Link, Nat, OldMapping, Public, Rebind,
};

use crate::{
    test,
    traffic::{connection, inside, one, transfer, udp, wait_until},
};

pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    vec![
        test!(udp_goes_on_from_a_new_port),
        test!(udp_goes_on_from_a_new_address),
        test!(tcp_crosses_the_translation_intact),
        test!(tcp_survives_when_its_mapping_is_kept),
        test!(tcp_is_reset_when_told),
        test!(tcp_falls_silent_when_told),
        test!(a_closed_port_is_told_through_the_translation),
        test!(nothing_gets_in_without_a_mapping),
        test!(rebinding_needs_a_translation),
    ]
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const OLD: [OldMapping; 3] = [OldMapping::Kept, OldMapping::Reset, OldMapping::Silent];

fn translated(family: Family) -> Link {
    let delay = Duration::from_millis(1);
    Link::open(Config {
        family,
        nat: Some(Nat::default()),
        a_to_b: Impairment::delayed(delay),
        b_to_a: Impairment::delayed(delay),
        ..Config::default()
    })
    .unwrap()
}

fn rebind(link: &Link, to: Public, old: OldMapping) {
    link.change(Change::Rebind(Rebind { to, old })).unwrap();
}

fn assert_sound(link: &Link) {
    let statistics = link.statistics();
    assert_eq!(statistics.unconfigured_losses(), 0, "{statistics:#?}");
    for kernel in [statistics.kernel_a, statistics.kernel_b] {
        let errors = (kernel.udp_checksum_errors, kernel.tcp_checksum_errors);
        assert_eq!(errors, (0, 0), "{statistics:#?}");
    }
}

/// A question and its answer before and after: from where B saw both.
fn before_and_after(family: Family, to: Public, old: OldMapping) -> (SocketAddr, SocketAddr) {
    let link = translated(family);
    let (a, b) = (udp(link.side(End::A)), udp(link.side(End::B)));
    let server = b.local_addr().unwrap();
    let before = one(&a, &b, server, b"question");
    assert_ne!(before.ip(), link.side(End::A).address());
    assert_eq!(one(&b, &a, before, b"answer"), server);
    assert_eq!(one(&a, &b, server, b"again"), before, "a mapping stays");

    rebind(&link, to, old);
    let after = one(&a, &b, server, b"new question");
    assert_eq!(one(&b, &a, after, b"new answer"), server);
    if old == OldMapping::Kept {
        assert_eq!(one(&b, &a, before, b"to the old one"), server);
    } else {
        b.send_to(b"to the old one", before).unwrap();
        wait_until(&link, Direction::BToA, |counts| counts.unmapped == 1);
    }
    assert_eq!(one(&a, &b, server, b"and again"), after);
    assert_sound(&link);
    (before, after)
}

fn udp_goes_on_from_a_new_port() {
    for family in FAMILIES {
        for old in OLD {
            let (before, after) = before_and_after(family, Public::Port, old);
            assert_eq!(before.ip(), after.ip());
            assert_ne!(before.port(), after.port());
        }
    }
}

fn udp_goes_on_from_a_new_address() {
    for family in FAMILIES {
        for old in OLD {
            let (before, after) = before_and_after(family, Public::PortAndAddress, old);
            assert_ne!(before.ip(), after.ip());
            assert_ne!(before.port(), after.port());
        }
    }
}

fn tcp_crosses_the_translation_intact() {
    for family in FAMILIES {
        let link = translated(family);
        let (mut client, server) = connection(&link);
        assert_ne!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        transfer(&mut client, server, 2_000_000);
        assert_sound(&link);
    }
}

/// A connection over which a byte went both ways.
fn used(link: &Link) -> (TcpStream, TcpStream) {
    let (mut client, mut server) = connection(link);
    for stream in [&client, &server] {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
    }
    says(&mut client, &mut server);
    says(&mut server, &mut client);
    (client, server)
}

fn says(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"x").unwrap();
    let mut byte = [0];
    to.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"x");
}

fn tcp_survives_when_its_mapping_is_kept() {
    for family in FAMILIES {
        for to in [Public::Port, Public::PortAndAddress] {
            let link = translated(family);
            let (mut client, mut server) = used(&link);
            rebind(&link, to, OldMapping::Kept);
            says(&mut client, &mut server);
            says(&mut server, &mut client);
            assert_sound(&link);
        }
    }
}

fn tcp_is_reset_when_told() {
    for family in FAMILIES {
        // The client speaks first, and hears of it.
        let link = translated(family);
        let (mut client, _server) = used(&link);
        rebind(&link, Public::Port, OldMapping::Reset);
        client.write_all(b"x").unwrap();
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        // Counted after it is handed over.
        wait_until(&link, Direction::BToA, |counts| counts.resets >= 1);
        // The server speaks first, and hears of it.
        let (_client, mut server) = used(&link);
        rebind(&link, Public::Port, OldMapping::Reset);
        server.write_all(b"x").unwrap();
        let error = server.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(link.counts(Direction::AToB).resets >= 1);
        // A new connection is as good as any.
        let _ = used(&link);
        assert_sound(&link);
    }
}

fn tcp_falls_silent_when_told() {
    for family in FAMILIES {
        let link = translated(family);
        let (mut client, mut server) = used(&link);
        rebind(&link, Public::Port, OldMapping::Silent);
        client.write_all(b"x").unwrap();
        server.write_all(b"x").unwrap();
        // Each of them was sent, and vanished; so was its repetition.
        for direction in [Direction::AToB, Direction::BToA] {
            wait_until(&link, direction, |counts| counts.unmapped >= 2);
            assert_eq!(link.counts(direction).resets, 0);
        }
        for stream in [&mut client, &mut server] {
            stream.set_nonblocking(true).unwrap();
            let error = stream.read(&mut [0]).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::WouldBlock,
                "neither data nor a reset"
            );
        }
        assert_sound(&link);
    }
}

/// An ICMP error repeats the packet that it is about, and both are translated.
fn a_closed_port_is_told_through_the_translation() {
    for family in FAMILIES {
        let link = translated(family);
        let a = udp(link.side(End::A));
        // Bound and closed: nobody listens there.
        let closed = udp(link.side(End::B)).local_addr().unwrap();
        a.connect(closed).unwrap();
        a.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        a.send(b"is there anybody").unwrap();
        let error = a.recv(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_sound(&link);
    }
}

fn nothing_gets_in_without_a_mapping() {
    for family in FAMILIES {
        let link = translated(family);
        let (a, b) = (udp(link.side(End::A)), udp(link.side(End::B)));
        b.send_to(b"to the inside", a.local_addr().unwrap())
            .unwrap();
        wait_until(&link, Direction::BToA, |counts| counts.unmapped == 1);
        a.set_nonblocking(true).unwrap();
        assert_eq!(
            a.recv(&mut [0; 16]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    }
}

fn rebinding_needs_a_translation() {
    let link = Link::open(Config::default()).unwrap();
    let rebind = Rebind {
        to: Public::Port,
        old: OldMapping::Kept,
    };
    assert!(link.change(Change::Rebind(rebind)).is_err());
    // The address is nobody's outside of the namespace: a thread must be inside to have it.
    let address = link.side(End::A).address();
    assert!(std::net::UdpSocket::bind((address, 0)).is_err());
    assert!(
        inside(link.side(End::A), move || std::net::UdpSocket::bind((
            address, 0
        )))
        .is_ok()
    );
}
