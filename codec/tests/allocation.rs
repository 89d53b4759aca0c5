//! Decoding to the borrowed packet allocates nothing, and a framer allocates by what comes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use allocation_counter::measure;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
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
const PACKETS: [(Version, &[u8]); 13] = [
    (
        Version::V3_1,
        b"\x10\x14\x00\x06MQIsdp\x03\x06\x00\x0a\x00\x01c\x00\x01w\x00\x00",
    ),
    (Version::V3_1, b"\x20\x02\x00\x00"),
    (Version::V3_1, b"\x3c\x07\x00\x01t\x00\x01hi"),
    (Version::V3_1, b"\x8a\x06\x00\x01\x00\x01a\x01"),
    (Version::V3_1, b"\x90\x03\x00\x01\x02"),
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

/// Bytes that come, above which 4 times their number holds.
const CONSTANT: u64 = 1024;

/// Pushes the stream in pieces, takes every frame out, and decodes it in every version.
fn digest(stream: &[u8], piece: usize) -> usize {
    let mut framer = Framer::new(1 << 20);
    let mut decoded = 0;
    for piece in stream.chunks(piece) {
        framer.push(piece);
        while let Ok(Some(frame)) = framer.next_frame() {
            let good = |&version: &Version| frame.decode(version).is_ok();
            decoded += Version::ALL.iter().filter(|version| good(version)).count();
        }
    }
    decoded
}

#[test]
fn a_stream_of_packets_allocates_at_most_four_times_its_bytes() {
    let mut stream = Vec::new();
    for (_, bytes) in PACKETS.iter().cycle().take(2000) {
        stream.extend_from_slice(bytes);
    }
    for piece in [1, 2, 7, 64, 1500, 4096, stream.len()] {
        let (decoded, (_, bytes)) = allocated(|| digest(&stream, piece));
        assert!(decoded >= 2000, "{decoded} packets");
        let most = 4 * stream.len() as u64 + CONSTANT;
        assert!(
            bytes <= most,
            "{bytes} bytes in pieces of {piece}, {most} allowed"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_allocate_more_than_four_times_as_many(
        bytes in vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>(), 1 => prop::sample::select(&[0x10_u8, 0x30, 0x82, 0xc0][..])], 0..3000),
        piece in 1..200_usize,
    ) {
        let (_, (_, used)) = allocated(|| digest(&bytes, piece));
        prop_assert!(used <= 4 * bytes.len() as u64 + CONSTANT, "{used} bytes for {}", bytes.len());
        let shared = Bytes::from(bytes);
        let (_, (_, used)) = allocated(|| {
            Frame::parse(shared.clone())
                .map(|frame| Version::ALL.iter().filter(|&&version| frame.decode(version).is_ok()).count())
        });
        // A `Bytes` that is shared for the first time counts its owners.
        prop_assert!(used <= 64, "{used} bytes for a frame");
    }
}

/// One packet in 64 KiB, kept while the rest goes.
#[test]
fn what_is_detached_costs_its_own_size() {
    const BATCHES: usize = 100;
    let small = b"\x31\x17\x00\x05topic0123456789abcdef";
    let filler = [&[0x30, 0x80, 0x08, 0, 1, b't'][..], &[b'x'; 1021]].concat();
    let mut batch = small.to_vec();
    for _ in 0..63 {
        batch.extend_from_slice(&filler);
    }
    let keep = |detached: bool| {
        let mut kept = Vec::with_capacity(BATCHES);
        let counted = measure(|| {
            let mut framer = Framer::new(1 << 20);
            for _ in 0..BATCHES {
                framer.push(&batch);
                while let Some(frame) = framer.next_frame().unwrap() {
                    let owned = frame.into_owned(Version::V3_1_1).unwrap();
                    if owned.as_publish().is_some_and(|publish| publish.retain) {
                        kept.push(if detached { owned.detached() } else { owned });
                    }
                }
            }
        });
        assert_eq!(kept.len(), BATCHES);
        usize::try_from(counted.bytes_current).unwrap()
    };
    let own = BATCHES * small.len();
    let cost = keep(true);
    assert!(cost <= 2 * own, "{cost} bytes for {own}");
    // What the copy is for: without it, each keeps a batch alive.
    let cost = keep(false);
    assert!(cost > 100 * own, "{cost} bytes for {own}");
}
