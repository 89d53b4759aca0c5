//! The framer: any cut gives the same packets, and nothing is held or allocated beyond the bounds.

use proptest::collection::vec;
use proptest::prelude::*;
use quince_codec::{DecodeError, DecodeErrorKind, Frame, Framer, PacketType, Version};

use crate::bytes_to::hex;
use crate::specimen::specimen;

fn frames(framer: &mut Framer) -> Result<Vec<Frame>, DecodeError> {
    std::iter::from_fn(|| framer.next_frame().transpose()).collect()
}

fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Frame>, DecodeError> {
    let mut framer = Framer::new(u32::MAX);
    let mut taken = Vec::new();
    for piece in pieces {
        framer.push(piece);
        taken.extend(frames(&mut framer)?);
    }
    assert_eq!(framer.buffered(), 0);
    Ok(taken)
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let mut stream = hex("10 0c 0004 4d515454 04 02 000a 0000 c000 30 08 0003 612f62 00 6869 e000");
    stream.extend(hex("30 8001 0003 612f62"));
    stream.extend([0x2e; 123]);
    stream.extend(hex("d000"));
    let whole = in_pieces([&stream[..]]).unwrap();
    assert_eq!(whole.len(), 6);
    for at in 0..=stream.len() {
        let (front, back) = stream.split_at(at);
        assert_eq!(in_pieces([front, back]).as_ref(), Ok(&whole), "cut at {at}");
    }
    assert_eq!(in_pieces(stream.chunks(1)), Ok(whole));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packets_come_out_as_they_went_in(specimens in vec(specimen(), 1..6), chunk in 1..40_usize) {
        let packets: Vec<Vec<u8>> =
            specimens.iter().map(|one| one.with(|packet| packet.to_bytes(one.version).unwrap().to_vec())).collect();
        let taken = in_pieces(packets.concat().chunks(chunk)).unwrap();
        let taken: Vec<Vec<u8>> = taken.iter().map(|frame| frame.bytes().to_vec()).collect();
        prop_assert_eq!(taken, packets);
    }
}

#[test]
fn the_limit_counts_the_whole_packet() {
    for (limit, fits) in [(130, true), (129, false)] {
        let mut framer = Framer::new(limit);
        framer.push(&hex("30 7f"));
        assert_eq!(framer.next_frame().is_ok(), 129 <= limit);
        let mut framer = Framer::new(limit);
        framer.push(&hex("30 7f"));
        framer.push(&[0; 127]);
        assert!(framer.next_frame().unwrap().is_some());
        let mut framer = Framer::new(limit);
        // The second byte may be followed by one that makes the packet longer: nothing is known before it is there.
        framer.push(&hex("30 80"));
        assert_eq!(framer.next_frame(), Ok(None));
        framer.push(&hex("01"));
        assert_eq!(framer.next_frame().is_ok(), 131 <= limit);
        let exact = Framer::new(limit);
        let mut exact = exact;
        exact.push(&[0x30, 0xff, 0x00]);
        exact.push(&[0; 127]);
        assert_eq!(
            exact.next_frame().is_ok(),
            fits,
            "130 bytes at a limit of {limit}"
        );
    }
}

#[test]
fn too_large_a_packet_is_refused_by_its_header_alone() {
    let mut framer = Framer::new(1000);
    framer.push(&hex("32 ffffff7f"));
    let error = DecodeError {
        kind: DecodeErrorKind::PacketTooLarge,
        packet_type: Some(PacketType::Publish),
        offset: 1,
    };
    assert_eq!(framer.next_frame(), Err(error));
    framer.push(&hex("c000"));
    assert_eq!(
        framer.next_frame(),
        Err(error),
        "the stream stays unreadable"
    );
}

#[test]
fn a_length_without_end_is_refused_at_its_fourth_byte() {
    let mut framer = Framer::new(u32::MAX);
    framer.push(&hex("30 80 80 80"));
    assert_eq!(framer.next_frame(), Ok(None));
    framer.push(&hex("80"));
    let error = framer.next_frame().unwrap_err();
    assert_eq!(
        (error.kind, error.offset),
        (DecodeErrorKind::RemainingLengthTooLong, 1)
    );
}

#[test]
fn a_declared_length_allocates_nothing() {
    let mut framer = Framer::new(u32::MAX);
    framer.push(&hex("30 ffffff7f"));
    assert_eq!(framer.next_frame(), Ok(None));
    framer.push(&[0; 100]);
    assert_eq!(framer.next_frame(), Ok(None));
    assert_eq!(framer.buffered(), 105);
    assert!(framer.buffer_mut().capacity() < 1024);
}

#[test]
fn the_limit_can_be_changed_between_packets() {
    let mut framer = Framer::new(2);
    framer.push(&hex("c000 3003 000174"));
    assert!(framer.next_frame().unwrap().is_some());
    assert_eq!(
        framer.next_frame().unwrap_err().kind,
        DecodeErrorKind::PacketTooLarge
    );
    framer.set_max_packet_size(5);
    let frame = framer.next_frame().unwrap().unwrap();
    assert!(frame.decode(Version::V3_1_1).is_ok());
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn a_frame_is_exactly_one_packet() {
    assert_eq!(
        Frame::parse(hex("c0").into()).unwrap_err().kind,
        DecodeErrorKind::Truncated
    );
    assert_eq!(
        Frame::parse(hex("").into()).unwrap_err().kind,
        DecodeErrorKind::Truncated
    );
    assert_eq!(
        Frame::parse(hex("3002 00").into()).unwrap_err().kind,
        DecodeErrorKind::Truncated
    );
    assert_eq!(
        Frame::parse(hex("c000 00").into()).unwrap_err().kind,
        DecodeErrorKind::TrailingBytes
    );
    let frame = Frame::parse(hex("3d 07 0003 612f62 0a0b").into()).unwrap();
    assert_eq!(
        (frame.packet_type(), frame.flags()),
        (Some(PacketType::Publish), 0x0d)
    );
    assert_eq!(frame.body(), hex("0003 612f62 0a0b"));
}
