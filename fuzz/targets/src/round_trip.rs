//! Round trip: any valid packet encodes to the length foretold, and decodes to itself however its bytes are cut.

use arbitrary::{Arbitrary as _, Unstructured};
use quince_codec::Framer;

use crate::specimen::Specimen;

/// Takes `bytes` as the choices by which one valid packet is put together, and the length of the pieces it comes in.
///
/// # Panics
/// If a valid packet cannot be encoded, has another length than foretold, or decodes to something else.
pub fn round_trip(bytes: &[u8]) {
    let u = &mut Unstructured::new(bytes);
    let (Ok(piece), Ok(specimen)) = (u8::arbitrary(u), Specimen::draw(u)) else {
        return;
    };
    let (packet, version) = (specimen.packet(), specimen.version);
    let encoded = packet
        .to_bytes(version)
        .expect("a valid packet can be encoded");
    assert_eq!(packet.encoded_len(version), Ok(encoded.len()), "{packet:?}");
    let mut framer = Framer::new(u32::MAX);
    let mut frames = Vec::new();
    for part in encoded.chunks(usize::from(piece).max(1)) {
        framer.push(part);
        frames.extend(framer.next_frame().expect("a packet"));
    }
    let [frame] = frames.as_slice() else {
        panic!("{packet:?} came as {} packets", frames.len());
    };
    assert_eq!(framer.buffered(), 0, "{packet:?}");
    match frame.decode(version) {
        Ok(decoded) => assert_eq!(decoded, packet),
        Err(error) => panic!("{error} in {:02x?}, which is {packet:?}", frame.bytes()),
    }
    assert_eq!(
        frame.connect_version().is_some(),
        matches!(packet, quince_codec::Packet::Connect(_))
    );
}
