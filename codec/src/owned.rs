//! A decoded packet that keeps its bytes.

use crate::error::DecodeError;
use crate::packet::Layout;
use crate::{Frame, Packet, Publish, Version};

/// A packet that has been decoded, with the bytes it lies in: for other tasks, and for later.
///
/// It is one [`Bytes`](bytes::Bytes) and where the parts of a PUBLISH lie. Making it allocates nothing; it is cheap to clone, and keeps alive
/// whatever buffer the bytes were received in ([`OwnedPacket::detached`] does not).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedPacket {
    frame: Frame,
    version: Version,
    /// `Some` for PUBLISH, which is read without being checked again.
    publish: Option<Layout>,
}

impl OwnedPacket {
    #[inline]
    pub(crate) fn decode(frame: Frame, version: Version) -> Result<Self, DecodeError> {
        let publish = match frame.decode(version)? {
            Packet::Publish(publish) => Some(Layout::of(&publish)),
            _ => None,
        };
        Ok(Self {
            frame,
            version,
            publish,
        })
    }

    /// The packet. A PUBLISH is put together from its parts; another packet is decoded anew.
    #[must_use]
    pub fn packet(&self) -> Packet<'_> {
        match self.as_publish() {
            Some(publish) => Packet::Publish(publish),
            #[expect(
                clippy::expect_used,
                reason = "the same bytes have been decoded before"
            )]
            None => self.frame.decode(self.version).expect("it was decoded"),
        }
    }

    /// The packet if it is a PUBLISH.
    #[must_use]
    #[inline]
    pub fn as_publish(&self) -> Option<Publish<'_>> {
        let layout = self.publish?;
        Some(layout.publish(self.frame.flags(), self.frame.body()))
    }

    /// The version it was decoded in.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The bytes it was decoded from.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The same packet in a buffer of its own size, so that it does not keep alive what came beside it.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            frame: self.frame.detached(),
            ..*self
        }
    }
}
