//! Framing: how the bytes of a stream are cut changes neither the packets nor the error.

use quince_codec::{DecodeError, Frame, Framer};

/// Takes the first byte as the length of the pieces, the second as the largest packet, the rest as the stream.
///
/// # Panics
/// If the stream in pieces gives other frames or another error than in one.
pub fn stream(bytes: &[u8]) {
    let [piece, largest, stream @ ..] = bytes else {
        return;
    };
    // Every few packet sizes around the one-byte and two-byte Remaining Length are worth a limit.
    let largest = match largest {
        255 => u32::MAX,
        _ => u32::from(*largest) * 2,
    };
    let whole = frames(largest, [stream]);
    let cut = frames(largest, stream.chunks(usize::from(*piece).max(1)));
    assert_eq!(cut, whole, "cut at every {piece}, at most {largest} bytes");
    let taken: usize = whole.0.iter().map(|frame| frame.bytes().len()).sum();
    assert!(
        whole
            .0
            .iter()
            .flat_map(|frame| frame.bytes())
            .eq(stream.iter().take(taken)),
        "frames are the bytes of the stream in their order"
    );
}

/// All frames up to the first error, that error, and how many bytes are left.
fn frames<'a>(
    largest: u32,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<DecodeError>, usize) {
    let mut framer = Framer::new(largest);
    let mut frames = Vec::new();
    let mut first = None;
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => {
                    assert!(first.is_none(), "a frame after an error");
                    frames.push(frame);
                }
                Ok(None) => {
                    assert!(first.is_none(), "an error that goes away");
                    break;
                }
                Err(error) => {
                    assert_eq!(*first.get_or_insert(error), error, "an error that changes");
                    break;
                }
            }
        }
    }
    (frames, first, framer.buffered())
}
