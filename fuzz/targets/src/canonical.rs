//! Encoding: what decodes encodes to a canonical form, which is a fixed point and as long as foretold.

use bytes::Bytes;
use quince_codec::{Frame, Version};

/// Takes `bytes` as one packet of each version; what decodes is encoded, decoded and encoded again.
///
/// # Panics
/// If the second packet differs from the first, or its bytes from the first encoding, or a length is not as foretold.
pub fn canonical(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    for version in Version::ALL {
        let Ok(packet) = frame.decode(version) else {
            continue;
        };
        let encoded = packet
            .to_bytes(version)
            .expect("what decodes can be encoded");
        assert_eq!(packet.encoded_len(version), Ok(encoded.len()), "{packet:?}");
        assert!(
            encoded.len() <= bytes.len(),
            "the canonical form is a shortest one: {packet:?}"
        );
        let again = Frame::parse(encoded.clone()).expect("what was encoded is one packet");
        let decoded = again.decode(version).expect("what was encoded decodes");
        assert_eq!(decoded, packet);
        assert_eq!(
            decoded.to_bytes(version).expect("it was encoded before"),
            encoded,
            "{packet:?}"
        );
    }
}
