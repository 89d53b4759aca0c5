//! Mappings, their rebinding and their bound; what kernels make of it is tested between kernels.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::packet::{checksums_are_right, complete_checksums, tests::packet, word};

const SERVER: u16 = 443;

fn inside(version: u8) -> IpAddr {
    match version {
        4 => Ipv4Addr::new(198, 18, 0, 1).into(),
        _ => Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0xa).into(),
    }
}

fn translator(settings: Nat) -> Translator {
    Translator::new(inside(4), settings)
}

/// A packet from A, whose TCP flags are as told.
fn from_a(version: u8, protocol: u8, port: u16, flags: u8) -> Vec<u8> {
    let mut packet = packet(version, protocol, (port, SERVER), b"to b");
    if protocol == TCP {
        let at = if version == 4 { 20 } else { 40 };
        packet[at + 13] = flags;
        complete_checksums(&mut packet);
    }
    packet
}

/// The answer to a translated packet of A.
fn answer_to(sent: &[u8]) -> Vec<u8> {
    let layout = Layout::at(sent, 0).unwrap();
    let mut answer = sent.to_vec();
    let (source, length) = if layout.version == 4 {
        (12, 4)
    } else {
        (8, 16)
    };
    answer[source..source + length].copy_from_slice(&sent[source + length..source + 2 * length]);
    answer[source + length..source + 2 * length].copy_from_slice(&sent[source..source + length]);
    let ports = layout.transport;
    answer[ports..ports + 2].copy_from_slice(&sent[ports + 2..ports + 4]);
    answer[ports + 2..ports + 4].copy_from_slice(&sent[ports..ports + 2]);
    complete_checksums(&mut answer);
    answer
}

fn source(packet: &[u8]) -> (IpAddr, u16) {
    let layout = Layout::at(packet, 0).unwrap();
    (
        layout.address(packet, Of::Source),
        word(packet, layout.transport),
    )
}

fn destination(packet: &[u8]) -> (IpAddr, u16) {
    let layout = Layout::at(packet, 0).unwrap();
    (
        layout.address(packet, Of::Destination),
        word(packet, layout.transport + 2),
    )
}

/// Sends `packet` out: from where it seems to come.
fn out(nat: &mut Translator, mut packet: Vec<u8>) -> (IpAddr, u16) {
    assert_eq!(
        nat.outward(Duration::ZERO, &mut packet),
        Translation::Passes
    );
    assert!(checksums_are_right(&packet));
    source(&packet)
}

#[test]
fn mappings_idle_too_long_are_forgotten() {
    let mut nat = translator(Nat {
        udp_idle: Some(Duration::from_secs(30)),
        tcp_idle: None,
    });
    let second = Duration::from_secs;
    let mut send = |at, protocol, flags| {
        let mut packet = from_a(4, protocol, 1000, flags);
        let translation = nat.outward(second(at), &mut packet);
        (translation == Translation::Passes).then_some(packet)
    };
    let first = send(0, UDP, 0).unwrap();
    send(0, TCP, SYN).unwrap();
    // In use until 29, and so until 59.
    assert_eq!(source(&send(29, UDP, 0).unwrap()), source(&first));
    assert_ne!(source(&send(59, UDP, 0).unwrap()), source(&first));
    assert!(send(1000, TCP, ACK).is_some(), "TCP's is never forgotten");
    let mut late = answer_to(&first);
    assert_eq!(nat.inward(second(1000), &mut late), Translation::Dropped);
}

#[test]
fn tcp_is_mapped_by_syn_only() {
    let mut nat = translator(Nat::default());
    for flags in [ACK, SYN | ACK, RST, FIN | ACK] {
        let mut packet = from_a(4, TCP, 1000, flags);
        assert_eq!(
            nat.outward(Duration::ZERO, &mut packet),
            Translation::Dropped
        );
    }
    let mapped = out(&mut nat, from_a(4, TCP, 1000, SYN));
    assert_eq!(out(&mut nat, from_a(4, TCP, 1000, ACK)), mapped);
}

#[test]
fn when_every_port_is_taken_nothing_more_is_mapped() {
    let mut nat = translator(Nat::default());
    let kept = Rebind {
        to: Public::Port,
        old: OldMapping::Kept,
    };
    let mut seen = BTreeSet::new();
    for index in 0..64_512_u32 {
        // Old mappings are kept, so each takes one port more.
        nat.rebind(kept);
        assert!(seen.insert(out(
            &mut nat,
            from_a(4, UDP, u16::try_from(index % 7).unwrap(), 0)
        )));
    }
    nat.rebind(kept);
    let mut packet = from_a(4, UDP, 1, 0);
    assert_eq!(
        nat.outward(Duration::ZERO, &mut packet),
        Translation::Dropped
    );
    // Another address has all of its ports.
    nat.rebind(Rebind {
        to: Public::PortAndAddress,
        ..kept
    });
    assert!(seen.insert(out(&mut nat, from_a(4, UDP, 1, 0))));
}

#[test]
fn after_the_last_address_comes_the_first() {
    let mut nat = translator(Nat::default());
    let first = out(&mut nat, from_a(4, UDP, 1, 0)).0;
    for number in 1..=u32::from(ADDRESSES) {
        nat.rebind(Rebind {
            to: Public::PortAndAddress,
            old: OldMapping::Silent,
        });
        let address = out(&mut nat, from_a(4, UDP, 1, 0)).0;
        assert_eq!(address == first, number == u32::from(ADDRESSES));
    }
}

#[test]
fn a_reset_answers_as_the_receiver_would() {
    for version in [4, 6] {
        let mut nat = Translator::new(inside(version), Nat::default());
        nat.rebind(Rebind {
            to: Public::Port,
            old: OldMapping::Reset,
        });
        let at = if version == 4 { 20 } else { 40 };
        let long = |packet: &[u8], at: usize| {
            u32::from_be_bytes(std::array::from_fn(|byte| packet[at + byte]))
        };
        // With an acknowledgement: the sequence number that it asks for.
        let mut data = from_a(version, TCP, 1000, ACK);
        let before = data.clone();
        let Translation::Answered(answer) = nat.outward(Duration::ZERO, &mut data) else {
            panic!("no answer");
        };
        assert!(checksums_are_right(&answer));
        assert_eq!(
            (source(&answer), destination(&answer)),
            (destination(&before), source(&before))
        );
        assert_eq!((answer[at + 13], long(&answer, at + 4)), (RST, 2));
        // Without one: all that it occupied is acknowledged. Sequence 1, four bytes and FIN.
        let mut data = from_a(version, TCP, 1000, FIN);
        let Translation::Answered(answer) = nat.outward(Duration::ZERO, &mut data) else {
            panic!("no answer");
        };
        assert_eq!((answer[at + 13], long(&answer, at + 8)), (RST | ACK, 6));
        // A reset is never answered, lest two of them go on for ever.
        let mut data = from_a(version, TCP, 1000, RST);
        assert_eq!(nat.outward(Duration::ZERO, &mut data), Translation::Dropped);
    }
}

proptest! {
    #[test]
    fn what_goes_out_comes_back(
        version in prop_oneof![Just(4_u8), Just(6)],
        protocol in prop_oneof![Just(UDP), Just(TCP)],
        ports in proptest::collection::vec(any::<u16>(), 1..50),
        rebinds in proptest::collection::vec(any::<bool>(), 50),
    ) {
        let mut nat = Translator::new(inside(version), Nat::default());
        let mut latest = BTreeMap::new();
        for (port, rebind) in ports.into_iter().zip(rebinds) {
            if rebind {
                nat.rebind(Rebind { to: Public::PortAndAddress, old: OldMapping::Kept });
            }
            let mut sent = from_a(version, protocol, port, SYN);
            prop_assert_eq!(nat.outward(Duration::ZERO, &mut sent), Translation::Passes);
            prop_assert!(checksums_are_right(&sent));
            latest.insert(source(&sent), port);
            let mut answer = answer_to(&sent);
            prop_assert_eq!(nat.inward(Duration::ZERO, &mut answer), Translation::Passes);
            prop_assert!(checksums_are_right(&answer));
            prop_assert_eq!(destination(&answer), (inside(version), port));
        }
        // Two ports inside never share one outside.
        let inside: BTreeSet<_> = latest.values().collect();
        prop_assert!(latest.len() >= inside.len());
    }

    #[test]
    fn no_bytes_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 40..120),
        first in prop_oneof![Just(0x45_u8), Just(0x60)],
        protocol in prop_oneof![Just(TCP), Just(UDP), Just(ICMP), Just(ICMP6)],
        kind in prop_oneof![Just(0_u8), Just(1), Just(3), Just(8), Just(128), any::<u8>()],
        old in prop_oneof![Just(OldMapping::Kept), Just(OldMapping::Reset)],
    ) {
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[0] = first;
        if first == 0x45 {
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[6..8].copy_from_slice(&[0, 0]);
            bytes[9] = protocol;
            bytes[20] = kind;
        } else {
            bytes[4..6].copy_from_slice(&(length - 40).to_be_bytes());
            bytes[6] = protocol;
            if bytes.len() > 40 {
                bytes[40] = kind;
            }
        }
        let mut nat = translator(Nat::default());
        nat.rebind(Rebind { to: Public::Port, old });
        let _ = nat.outward(Duration::ZERO, &mut bytes);
        let _ = nat.inward(Duration::ZERO, &mut bytes);
    }
}
