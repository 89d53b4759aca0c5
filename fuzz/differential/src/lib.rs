//! The codec beside others on the same bytes: whoever disagrees is named, and each way to disagree is settled by the
//! specification, in [`DIFFERENCES`] and in `docs/codec-differences.md`.

mod differences;
mod foreign;
mod meaning;

use bytes::Bytes;
pub use differences::{DIFFERENCES, Difference, Right};
pub use foreign::{Foreign, Reading};
pub use meaning::same;
use quince_codec::{DecodeError, Frame, Packet, Version};

/// The versions that are compared.
pub const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5_0];

/// How a codec differs from ours on one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It takes what we refuse.
    Takes,
    /// It refuses what we take.
    Refuses,
    /// It takes what we take, but for another packet, or as one that it cannot encode or that we refuse.
    Misreads,
    /// It panics.
    Panics,
}

/// One disagreement.
#[derive(Clone, Debug)]
pub struct Disagreement<'a> {
    /// With whom.
    pub foreign: Foreign,
    /// In which version.
    pub version: Version,
    /// The packet.
    pub frame: &'a Frame,
    /// What we make of it.
    pub ours: Result<Packet<'a>, DecodeError>,
    /// How the other differs.
    pub way: Way,
    /// What the other makes of it.
    pub reading: Reading,
}

/// Takes `bytes` as one packet of each version and asks all codecs.
///
/// # Panics
/// If one of them disagrees in a way that [`DIFFERENCES`] does not explain.
pub fn differential(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    for disagreement in disagreements(&frame) {
        assert!(
            disagreement.explanation().is_some(),
            "unexplained: {disagreement:#?}"
        );
    }
}

/// Everything that the codecs disagree about in this packet.
#[must_use]
pub fn disagreements(frame: &Frame) -> Vec<Disagreement<'_>> {
    let mut found = Vec::new();
    for version in VERSIONS {
        // CONNECT tells its version itself.
        if frame
            .connect_version()
            .is_some_and(|named| named != version)
        {
            continue;
        }
        let ours = frame.decode(version);
        for foreign in Foreign::ALL {
            let reading = foreign.read(frame, version);
            if let Some(way) = differs(&ours, &reading, version) {
                found.push(Disagreement {
                    foreign,
                    version,
                    frame,
                    ours,
                    way,
                    reading,
                });
            }
        }
    }
    found
}

fn differs(
    ours: &Result<Packet<'_>, DecodeError>,
    reading: &Reading,
    version: Version,
) -> Option<Way> {
    match (ours, reading) {
        (_, Reading::Panicked) => Some(Way::Panics),
        (_, Reading::NotAsked) | (Err(_), Reading::Refused(_)) => None,
        (Err(_), Reading::Taken(_)) => Some(Way::Takes),
        (Ok(_), Reading::Refused(_)) => Some(Way::Refuses),
        (Ok(_), Reading::Taken(None)) => Some(Way::Misreads),
        (Ok(packet), Reading::Taken(Some(bytes))) => {
            let equal = Frame::parse(Bytes::copy_from_slice(bytes)).is_ok_and(|frame| {
                frame
                    .decode(version)
                    .is_ok_and(|theirs| same(packet, &theirs))
            });
            (!equal).then_some(Way::Misreads)
        }
    }
}

impl Disagreement<'_> {
    /// What the other took, in its own bytes.
    #[must_use]
    pub fn again(&self) -> Option<Frame> {
        match &self.reading {
            Reading::Taken(Some(bytes)) => Frame::parse(Bytes::copy_from_slice(bytes)).ok(),
            _ => None,
        }
    }

    /// The row of [`DIFFERENCES`] that it belongs to.
    #[must_use]
    pub fn explanation(&self) -> Option<&'static Difference> {
        DIFFERENCES
            .iter()
            .find(|difference| difference.covers(self))
    }
}
