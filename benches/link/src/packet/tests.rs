//! Checksums against packets that were summed by hand, and against each other.

use proptest::prelude::*;

use super::*;

/// An IPv4 header as RFC 1071's algorithm is usually shown with: its checksum is b861.
const HEADER: [u8; 20] = [
    0x45, 0x00, 0x00, 0x14, 0x00, 0x00, 0x40, 0x00, 0x40, 0xfe, 0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01,
    0xc0, 0xa8, 0x00, 0xc7,
];

/// A packet of any family and transport, complete but for its checksums.
pub(crate) fn packet(version: u8, protocol: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut transport = Vec::new();
    transport.extend(ports.0.to_be_bytes());
    transport.extend(ports.1.to_be_bytes());
    match protocol {
        UDP => {
            transport.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
            transport.extend([0; 2]);
        }
        _ => {
            // Sequence 1, acknowledgement 2, ACK, a window.
            transport.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 16, 0x12, 0x34, 0, 0, 0, 0]);
        }
    }
    transport.extend(payload);
    let length = u16::try_from(transport.len()).unwrap();
    let mut packet = if version == 4 {
        let mut header = vec![0x45, 0];
        header.extend((20 + length).to_be_bytes());
        header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        header.extend([198, 18, 0, 1, 198, 18, 1, 1]);
        header
    } else {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(length.to_be_bytes());
        header.extend([protocol, 64]);
        for last in [0xa, 0xb] {
            header.extend([0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        header
    };
    packet.extend(transport);
    complete_checksums(&mut packet);
    packet
}

#[test]
fn a_header_summed_by_hand() {
    let mut header = HEADER;
    assert!(!checksums_are_right(&header));
    complete_checksums(&mut header);
    // 4500 + 0014 + 0000 + 4000 + 40fe + c0a8 + 0001 + c0a8 + 00c7 = 2482a; 2 + 482a... in one's complement.
    let words = [
        0x4500_u32, 0x0014, 0, 0x4000, 0x40fe, 0xc0a8, 1, 0xc0a8, 0xc7,
    ];
    let sum: u32 = words.iter().sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    assert_eq!(u32::from(word(&header, 10)), !sum & 0xffff);
    assert!(checksums_are_right(&header));
}

#[test]
fn the_example_of_rfc_1624() {
    assert_eq!(adjusted(0xdd2f, 0x5555, 0x3285), 0x0000);
}

#[test]
fn a_udp_checksum_of_zero_means_none_in_ipv4_only() {
    let mut packet4 = packet(4, UDP, (1, 2), b"abc");
    let mut packet6 = packet(6, UDP, (1, 2), b"abc");
    set_word(&mut packet4, 26, 0);
    set_word(&mut packet6, 46, 0);
    assert!(checksums_are_right(&packet4));
    assert!(!checksums_are_right(&packet6));
}

#[test]
fn a_computed_zero_is_written_as_all_ones() {
    // Some payload makes the sum all ones, and so its complement zero.
    let found = (0..=u16::MAX).find(|word| {
        let packet = packet(4, UDP, (1, 2), &word.to_be_bytes());
        super::word(&packet, 26) == 0xffff
    });
    let packet = packet(4, UDP, (1, 2), &found.unwrap().to_be_bytes());
    assert!(checksums_are_right(&packet));
}

#[test]
fn an_adjusted_zero_is_written_as_all_ones() {
    let original = packet(4, UDP, (1, 2), b"abc");
    let layout = Layout::at(&original, 0).unwrap();
    let address = Ipv4Addr::new(198, 18, 2, 1).into();
    let mut all_ones = 0;
    // Some port makes it zero.
    for port in 0..=u16::MAX {
        let mut packet = original.clone();
        readdress(&mut packet, &layout, Of::Source, address, (20, port));
        assert_ne!(word(&packet, 26), 0);
        assert!(checksums_are_right(&packet));
        all_ones += u32::from(word(&packet, 26) == 0xffff);
    }
    assert!(all_ones > 0);
    // And where there was none, none is made up.
    let mut without = original;
    set_word(&mut without, 26, 0);
    readdress(&mut without, &layout, Of::Source, address, (20, 9));
    assert_eq!(word(&without, 26), 0);
}

#[test]
fn short_and_foreign_bytes_are_no_packets() {
    for length in 0..40 {
        assert!(!checksums_are_right(&vec![0x60; length]));
        assert!(Layout::at(&vec![0x60; length], 0).is_none());
    }
    assert!(!is_for_one(&[]));
    assert!(!is_for_one(&[0x10; 60]));
}

#[test]
fn extension_headers_are_passed_over() {
    let plain = packet(6, UDP, (1, 2), b"abc");
    let mut extended = plain[..40].to_vec();
    extended[6] = 0;
    extended[5] += 8;
    extended.extend([UDP, 0, 1, 4, 0, 0, 0, 0]);
    extended.extend(&plain[40..]);
    let layout = Layout::at(&extended, 0).unwrap();
    assert_eq!((layout.protocol, layout.transport), (UDP, 48));
    assert!(checksums_are_right(&extended));
    // A header that never ends.
    extended[40] = 0;
    extended[41] = 255;
    assert!(!checksums_are_right(&extended));
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let payload = proptest::collection::vec(any::<u8>(), 0..100);
    let kinds = prop_oneof![
        Just((4, UDP)),
        Just((6, UDP)),
        Just((4, TCP)),
        Just((6, TCP))
    ];
    (kinds, any::<(u16, u16)>(), payload).prop_map(|((version, protocol), ports, payload)| {
        packet(version, protocol, ports, &payload)
    })
}

proptest! {
    #[test]
    fn any_flipped_bit_is_found(packet in any_packet(), at: proptest::sample::Index, bit in 0..8) {
        prop_assert!(checksums_are_right(&packet));
        let mut other = packet.clone();
        other[at.index(packet.len())] ^= 1_u8 << bit;
        let layout = Layout::at(&packet, 0).unwrap();
        let at = at.index(packet.len());
        // No checksum covers the first fields of IPv6's header, nor the hop limit; and another protocol may have none.
        let uncovered = layout.version == 6 && (at < 4 || at == 6 || at == 7);
        // Without a checksum IPv4's UDP is taken as it is.
        let no_checksum = layout.version == 4 && layout.protocol == UDP && word(&other, 26) == 0;
        prop_assert!(uncovered || no_checksum || !checksums_are_right(&other));
    }

    #[test]
    fn damage_is_one_bit_and_found_unless_repaired(packet in any_packet(), draw: u64) {
        let different = |other: &[u8], range: std::ops::Range<usize>| -> u32 {
            range.map(|at| (packet[at] ^ other[at]).count_ones()).sum()
        };
        let layout = Layout::at(&packet, 0).unwrap();
        let checksum_at = layout.checksum_at(&packet).unwrap();

        let mut left = packet.clone();
        let done = damage(&mut left, Damage { draw, checksum: Checksum::Left });
        prop_assert!(done);
        prop_assert_eq!(different(&left, 0..packet.len()), 1);
        prop_assert_eq!(different(&left, 0..layout.transport), 0);
        let no_checksum = layout.version == 4 && layout.protocol == UDP && word(&left, 26) == 0;
        prop_assert!(no_checksum || !checksums_are_right(&left));

        let mut repaired = packet.clone();
        let payload = layout.payload_at(&packet);
        let done = damage(&mut repaired, Damage { draw, checksum: Checksum::Repaired });
        prop_assert_eq!(done, payload.is_some());
        prop_assert!(checksums_are_right(&repaired));
        if let Some(payload) = payload {
            prop_assert_eq!(different(&repaired, payload..packet.len()), 1);
            let elsewhere = different(&repaired, 0..payload) - different(&repaired, checksum_at..checksum_at + 2);
            prop_assert_eq!(elsewhere, 0);
        }
    }

    #[test]
    fn a_new_address_and_port_leave_checksums_as_right_as_they_were(
        packet in any_packet(),
        number: u8,
        port: u16,
        source: bool,
        wrong in 0_u16..3,
    ) {
        let layout = Layout::at(&packet, 0).unwrap();
        let of = if source { Of::Source } else { Of::Destination };
        let address: IpAddr = if layout.version == 4 {
            Ipv4Addr::new(198, 18, 2, number).into()
        } else {
            Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0xc, number.into()).into()
        };
        let port_at = layout.transport + if source { 0 } else { 2 };
        let mut packet = packet;
        let checksum_at = layout.checksum_at(&packet).unwrap();
        let checksum = word(&packet, checksum_at);
        prop_assume!(checksum < 0xff00);
        set_word(&mut packet, checksum_at, checksum + wrong);
        prop_assume!(word(&packet, checksum_at) != 0);
        readdress(&mut packet, &layout, of, address, (port_at, port));
        prop_assert_eq!(layout.address(&packet, of), address);
        prop_assert_eq!(word(&packet, port_at), port);
        prop_assert_eq!(checksums_are_right(&packet), wrong == 0);
    }

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), first in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()], draw: u64) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        is_for_one(&bytes);
        checksums_are_right(&bytes);
        for checksum in [Checksum::Left, Checksum::Repaired] {
            damage(&mut bytes, Damage { draw, checksum });
        }
    }
}
