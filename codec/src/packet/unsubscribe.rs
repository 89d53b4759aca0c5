//! UNSUBSCRIBE, section 3.10 of both specifications.

use alloc::vec::Vec;
use core::fmt;

use bytes::BufMut;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::writer::{prefixed_len, put_prefixed};
use crate::{PacketId, PacketType, Properties, Version};

/// UNSUBSCRIBE.
///
/// Whether the Topic Filters are valid is left to [`validate_topic_filter`](crate::topic::validate_topic_filter), so
/// that a server can answer for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unsubscribe<'a> {
    /// Packet Identifier.
    pub packet_id: PacketId,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
    /// Topic Filters, at least one in a decoded packet.
    pub filters: Filters<'a>,
}

/// The Topic Filters of an UNSUBSCRIBE, borrowed: bytes that have been checked, read where they lie.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Filters<'a> {
    raw: &'a [u8],
    /// Set when a list holds a filter that cannot be written; encoding fails with it.
    unencodable: Option<EncodeError>,
}

impl<'a> Filters<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Err(reader.error(DecodeErrorKind::NoSubscriptions));
        }
        let mut copy = *reader;
        while !reader.is_empty() {
            reader.string()?;
        }
        Ok(Self {
            raw: copy.take_rest(),
            unencodable: None,
        })
    }

    /// The Topic Filters in the order in which they stand, not judged.
    #[must_use]
    pub fn iter(&self) -> FilterIter<'a> {
        FilterIter {
            rest: Reader::new(self.raw, 0),
        }
    }

    /// Whether there are none; a decoded packet has at least one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    #[inline]
    fn encoded_len(&self) -> Result<usize, EncodeError> {
        match self.unencodable {
            Some(error) => Err(error),
            None => Ok(self.raw.len()),
        }
    }
}

impl fmt::Debug for Filters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for Filters<'a> {
    type Item = &'a str;
    type IntoIter = FilterIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Topic Filters one after the other; see [`Filters::iter`].
#[derive(Clone, Debug)]
pub struct FilterIter<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for FilterIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        // The bytes are checked, or written by a list: reading fails only at their end.
        self.rest.string().ok()
    }
}

/// Topic Filters under construction, in a buffer of their own.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct FilterList {
    raw: Vec<u8>,
    unencodable: Option<EncodeError>,
}

impl FilterList {
    /// An empty list, without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            raw: Vec::new(),
            unencodable: None,
        }
    }

    /// Appends a filter, whether or not it is valid. One above 65,535 bytes makes every attempt to encode a packet with
    /// this list fail.
    pub fn push(&mut self, filter: &str) {
        match prefixed_len(filter.as_bytes()) {
            Ok(_) => put_prefixed(filter.as_bytes(), &mut self.raw),
            Err(error) => self.unencodable = Some(error),
        }
    }

    /// The list as a packet borrows it.
    #[must_use]
    pub fn as_ref(&self) -> Filters<'_> {
        Filters {
            raw: &self.raw,
            unencodable: self.unencodable,
        }
    }
}

impl fmt::Debug for FilterList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties =
            Properties::decode(reader, version, Place::Packet(PacketType::Unsubscribe))?;
        let filters = Filters::decode(reader)?;
        Ok(Self {
            packet_id,
            properties,
            filters,
        })
    }

    #[inline]
    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        Ok(2 + self.properties.encoded_len(version)? + self.filters.encoded_len()?)
    }

    #[inline]
    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        buffer.put_u16(self.packet_id.value());
        self.properties.write(version, buffer);
        buffer.put_slice(self.filters.raw);
    }
}
