//! Decoding undoes encoding, encoding is canonical, and no bytes make decoding panic.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use quince_codec::{DecodeErrorKind, Frame, Framer, Packet, PacketType, Version};

use crate::bytes_to::frame;
use crate::specimen::specimen;

/// Takes everything out of a decoded packet that is read lazily.
fn read_all(frame: &Frame, version: Version) -> Option<String> {
    frame
        .decode(version)
        .ok()
        .map(|packet| format!("{packet:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_undoes_encoding(specimen in specimen()) {
        specimen.with(|packet| {
            let bytes = packet.to_bytes(specimen.version).unwrap();
            prop_assert_eq!(packet.encoded_len(specimen.version), Ok(bytes.len()));
            let frame = frame(&bytes);
            prop_assert_eq!(frame.packet_type(), Some(packet.packet_type()));
            prop_assert_eq!(frame.decode(specimen.version), Ok(packet));
            Ok(())
        })?;
    }

    /// Three ways to the same packet: from bytes, from a frame, and owned.
    #[test]
    fn an_owned_packet_is_the_same_packet(specimen in specimen()) {
        specimen.with(|packet| {
            let bytes = packet.to_bytes(specimen.version).unwrap();
            prop_assert_eq!(Packet::decode(&bytes, specimen.version), Ok(packet));
            let owned = frame(&bytes).into_owned(specimen.version).unwrap();
            prop_assert_eq!(owned.version(), specimen.version);
            prop_assert_eq!(owned.frame().bytes(), &bytes);
            for owned in [owned.clone(), owned.detached()] {
                prop_assert_eq!(owned.packet(), packet);
                prop_assert_eq!(owned.packet().to_bytes(specimen.version), Ok(bytes.clone()));
                let is_publish = packet.packet_type() == PacketType::Publish;
                prop_assert_eq!(owned.as_publish().is_some(), is_publish);
            }
            Ok(())
        })?;
    }

    /// A packet that has lost its end, or has a byte too many, is not taken for a whole one.
    #[test]
    fn a_packet_without_its_end_is_not_taken_for_one(specimen in specimen(), at in any::<prop::sample::Index>()) {
        let bytes = specimen.with(|packet| packet.to_bytes(specimen.version).unwrap());
        let cut = at.index(bytes.len());
        let short = Packet::decode(&bytes[..cut], specimen.version).unwrap_err();
        prop_assert_eq!(short.kind, DecodeErrorKind::Truncated);
        prop_assert_eq!(Frame::parse(bytes.slice(..cut)), Err(short));
        let mut longer = bytes.to_vec();
        longer.push(0);
        let long = Packet::decode(&longer, specimen.version).unwrap_err();
        prop_assert_eq!((long.kind, long.offset as usize), (DecodeErrorKind::TrailingBytes, bytes.len()));
        prop_assert_eq!(Frame::parse(longer.clone().into()), Err(long));
    }

    /// What differs in one byte from a packet decodes or not, but what decodes encodes to a fixed point.
    #[test]
    fn encoding_is_canonical(specimen in specimen(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = specimen.with(|packet| packet.to_bytes(specimen.version).unwrap()).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let Ok(frame) = Frame::parse(bytes.into()) else { return Ok(()) };
        for version in Version::ALL {
            let Ok(packet) = frame.decode(version) else { continue };
            let canonical = packet.to_bytes(version).unwrap();
            prop_assert!(canonical.len() <= frame.bytes().len());
            let again = Frame::parse(canonical.clone()).unwrap();
            let decoded = again.decode(version).unwrap();
            prop_assert_eq!(decoded, packet);
            prop_assert_eq!(decoded.to_bytes(version).unwrap(), canonical);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), small in any::<bool>()) {
        let mut framer = Framer::new(if small { 20 } else { u32::MAX });
        framer.push(&bytes);
        while let Ok(Some(frame)) = framer.next_frame() {
            for version in Version::ALL {
                read_all(&frame, version);
            }
            let _ = frame.connect_version();
        }
    }

    /// Any body under a right header gets further than any bytes.
    #[test]
    fn no_body_makes_it_panic(first in any::<u8>(), body in vec(prop_oneof![0..4_u8, any::<u8>()], 0..100)) {
        let mut bytes = vec![first, u8::try_from(body.len()).unwrap()];
        bytes.extend_from_slice(&body);
        let frame = frame(&bytes);
        for version in Version::ALL {
            read_all(&frame, version);
        }
    }
}

#[test]
fn a_detached_packet_has_a_buffer_of_its_own() {
    let frame = frame(b"\x30\x05\x00\x01tab");
    let owned = frame.clone().into_owned(Version::V3_1_1).unwrap();
    assert_eq!(owned.frame().bytes().as_ptr(), frame.bytes().as_ptr());
    let detached = owned.detached();
    assert_ne!(detached.frame().bytes().as_ptr(), frame.bytes().as_ptr());
    assert_eq!(detached.as_publish().unwrap().payload, b"ab");
    let bad = Frame::parse(b"\x36\x00"[..].into()).unwrap();
    assert_eq!(
        bad.clone().into_owned(Version::V3_1_1).unwrap_err(),
        bad.decode(Version::V3_1_1).unwrap_err()
    );
}

#[test]
fn slices_of_a_frame_share_its_bytes() {
    let frame = frame(b"\x30\x05\x00\x01tab");
    let body = frame.slice_of(&frame.body()[3..]);
    assert_eq!(body, "ab");
    assert_eq!(body.as_ptr(), frame.body()[3..].as_ptr());
    let elsewhere = Bytes::from_static(b"elsewhere");
    assert_eq!(frame.slice_of(&elsewhere), elsewhere);
    let whole = Bytes::from_static(b"\xc0\x00");
    let frame = Frame::parse(whole.clone()).unwrap();
    assert_eq!(frame.bytes().as_ptr(), whole.as_ptr());
}
