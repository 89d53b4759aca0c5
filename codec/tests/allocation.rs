//! Decoding to the borrowed packet allocates nothing, and a framer allocates by what comes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use allocation_counter::measure;
use quince_codec::{Frame, Framer, Packet, Version};

/// Calls of the allocator, and bytes asked for, in `work` on this thread.
fn allocated<R>(work: impl FnOnce() -> R) -> (R, (u64, u64)) {
    let mut result = None;
    let counted = measure(|| result = Some(work()));
    (result.unwrap(), (counted.count_total, counted.bytes_total))
}

#[test]
fn the_allocator_counts() {
    let (_, counted) = allocated(|| std::hint::black_box(vec![0_u8; 100]));
    assert_eq!(counted, (1, 100));
}

/// Packets with everything that is read lazily, in the version they are of.
const PACKETS: [(Version, &[u8]); 8] = [
    (
        Version::V3_1_1,
        b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01c",
    ),
    (
        Version::V5_0,
        b"\x10\x14\x00\x04MQTT\x05\x02\x00\x0a\x07\x26\x00\x01k\x00\x01v\x00\x00",
    ),
    (Version::V5_0, b"\x20\x06\x00\x00\x03\x21\x00\x01"),
    (
        Version::V5_0,
        b"\x32\x0f\x00\x01t\x00\x01\x07\x26\x00\x01k\x00\x01vhi",
    ),
    (Version::V5_0, b"\x40\x08\x00\x01\x00\x04\x1f\x00\x01r"),
    (
        Version::V5_0,
        b"\x82\x0d\x00\x01\x02\x0b\x01\x00\x01a\x00\x00\x01#\x2e",
    ),
    (Version::V3_1_1, b"\xa2\x08\x00\x01\x00\x01a\x00\x01b"),
    (Version::V5_0, b"\xe0\x05\x00\x03\x1f\x00\x00"),
];

#[test]
fn decoding_and_reading_allocates_nothing() {
    for (version, bytes) in PACKETS {
        let frame = Frame::parse(bytes.into()).unwrap();
        let (read, counted) = allocated(|| {
            let packet = frame.decode(version).unwrap();
            match packet {
                Packet::Connect(connect) => connect.properties.iter().count(),
                Packet::Publish(publish) => publish.properties.user_properties().count(),
                Packet::Subscribe(subscribe) => subscribe.subscriptions.iter().count(),
                Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().count(),
                _ => 0,
            }
        });
        assert_eq!(counted, (0, 0), "{:?} read {read}", frame.packet_type());
    }
}

/// The owned form shares the bytes that it came in.
#[test]
fn owning_a_packet_allocates_nothing() {
    for (version, bytes) in PACKETS {
        let frame = Frame::parse(bytes.into()).unwrap();
        let kept = frame.clone();
        let (same, counted) = allocated(|| {
            let owned = frame.into_owned(version).unwrap();
            owned.packet() == kept.decode(version).unwrap()
        });
        assert_eq!((same, counted), (true, (0, 0)), "{:?}", kept.packet_type());
    }
}

#[test]
fn encoding_into_room_allocates_nothing() {
    for (version, bytes) in PACKETS {
        let frame = Frame::parse(bytes.into()).unwrap();
        let packet = frame.decode(version).unwrap();
        let mut buffer = Vec::with_capacity(100);
        let (result, counted) = allocated(|| packet.encode(version, &mut buffer));
        assert_eq!((result, counted), (Ok(()), (0, 0)));
    }
}

#[test]
fn refusing_allocates_nothing() {
    for (version, bytes) in PACKETS {
        for at in 2..bytes.len() {
            let mut broken = bytes.to_vec();
            broken[at] ^= 0x80;
            let frame = Frame::parse(broken.into()).unwrap();
            let (_, counted) = allocated(|| frame.decode(version).is_ok());
            assert_eq!(counted, (0, 0), "{:?} byte {at}", frame.packet_type());
        }
    }
}

#[test]
fn a_framer_allocates_by_what_comes() {
    let mut framer = Framer::new(u32::MAX);
    let ((), (_, bytes)) = allocated(|| {
        // 256 MiB are announced.
        framer.push(b"\x30\xff\xff\xff\x7f");
        for _ in 0..100 {
            framer.push(&[0; 10]);
            assert_eq!(framer.next_frame(), Ok(None));
        }
    });
    assert!(bytes < 4 * 1005, "{bytes} bytes for 1,005");
}
