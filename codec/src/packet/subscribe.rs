//! SUBSCRIBE, section 3.8 of both specifications.

use alloc::vec::Vec;
use core::fmt;

use bytes::BufMut;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::topic::SharedSubscription;
use crate::writer::{prefixed_len, put_prefixed};
use crate::{PacketId, PacketType, Properties, QoS, Version};

const NO_LOCAL: u8 = 1 << 2;
const RETAIN_AS_PUBLISHED: u8 = 1 << 3;

/// SUBSCRIBE.
///
/// Whether the Topic Filters are valid is left to [`validate_topic_filter`](crate::topic::validate_topic_filter), so
/// that a server can answer for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subscribe<'a> {
    /// Packet Identifier.
    pub packet_id: PacketId,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
    /// Topic Filters and their options, at least one in a decoded packet.
    pub subscriptions: Subscriptions<'a>,
}

/// What becomes of retained messages when a subscription is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// They are sent.
    #[default]
    SendAtSubscribe = 0,
    /// They are sent if the subscription is a new one.
    SendIfNew = 1,
    /// They are not sent.
    DoNotSend = 2,
}

impl TryFrom<u8> for RetainHandling {
    type Error = InvalidRetainHandling;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self::SendAtSubscribe),
            1 => Ok(Self::SendIfNew),
            2 => Ok(Self::DoNotSend),
            _ => Err(InvalidRetainHandling(number)),
        }
    }
}

/// The number is no Retain Handling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRetainHandling(pub u8);

impl fmt::Display for InvalidRetainHandling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a Retain Handling; expected 0, 1 or 2", self.0)
    }
}

impl core::error::Error for InvalidRetainHandling {}

/// Subscription Options. Before version 5.0 there is only the QoS; the rest is as by `Default` there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubscriptionOptions {
    /// Maximum QoS.
    pub qos: QoS,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Retain Handling.
    pub retain_handling: RetainHandling,
}

impl SubscriptionOptions {
    /// The options of a byte; its reserved bits are ignored.
    fn from_byte(byte: u8) -> Result<Self, DecodeErrorKind> {
        Ok(Self {
            qos: QoS::from_bits(byte).ok_or(DecodeErrorKind::SubscriptionQoS3)?,
            no_local: byte & NO_LOCAL != 0,
            retain_as_published: byte & RETAIN_AS_PUBLISHED != 0,
            retain_handling: RetainHandling::try_from(byte >> 4 & 0b11)
                .map_err(|_| DecodeErrorKind::RetainHandling3)?,
        })
    }

    fn to_byte(self) -> u8 {
        u8::from(self.qos)
            | if self.no_local { NO_LOCAL } else { 0 }
            | if self.retain_as_published {
                RETAIN_AS_PUBLISHED
            } else {
                0
            }
            | (self.retain_handling as u8) << 4
    }
}

/// One subscription of a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subscription<'a> {
    /// Topic Filter, not judged.
    pub filter: &'a str,
    /// Subscription Options.
    pub options: SubscriptionOptions,
}

impl<'a> Subscription<'a> {
    fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let filter = reader.string()?;
        let start = *reader;
        let byte = reader.byte()?;
        let reserved = match version {
            Version::V3_1 | Version::V3_1_1 => 0b1111_1100,
            Version::V5_0 => 0b1100_0000,
        };
        if byte & reserved != 0 {
            return Err(start.error(DecodeErrorKind::ReservedSubscriptionOptions));
        }
        let options = SubscriptionOptions::from_byte(byte).map_err(|kind| start.error(kind))?;
        if options.no_local && filter.starts_with(SharedSubscription::PREFIX) {
            return Err(start.error(DecodeErrorKind::NoLocalOnSharedSubscription));
        }
        Ok(Self { filter, options })
    }
}

/// The subscriptions of a SUBSCRIBE, borrowed: bytes that have been checked, read where they lie.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Subscriptions<'a> {
    raw: &'a [u8],
    /// Set when a list holds a filter that cannot be written; encoding fails with it.
    unencodable: Option<EncodeError>,
}

impl<'a> Subscriptions<'a> {
    fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Err(reader.error(DecodeErrorKind::NoSubscriptions));
        }
        let mut copy = *reader;
        while !reader.is_empty() {
            Subscription::decode(reader, version)?;
        }
        Ok(Self {
            raw: copy.take_rest(),
            unencodable: None,
        })
    }

    /// The subscriptions in the order in which they stand.
    #[must_use]
    pub fn iter(&self) -> SubscriptionIter<'a> {
        SubscriptionIter {
            rest: Reader::new(self.raw, 0),
        }
    }

    /// Whether there are none; a decoded packet has at least one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    #[inline]
    fn encoded_len(&self, version: Version) -> Result<usize, EncodeError> {
        let only_qos =
            |options: SubscriptionOptions| options.to_byte() <= u8::from(QoS::ExactlyOnce);
        match (self.unencodable, version) {
            (Some(error), _) => Err(error),
            (None, Version::V3_1 | Version::V3_1_1)
                if !self
                    .iter()
                    .all(|subscription| only_qos(subscription.options)) =>
            {
                Err(EncodeError::NotInVersion)
            }
            (None, _) => Ok(self.raw.len()),
        }
    }
}

impl fmt::Debug for Subscriptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for Subscriptions<'a> {
    type Item = Subscription<'a>;
    type IntoIter = SubscriptionIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Subscriptions one after the other; see [`Subscriptions::iter`].
#[derive(Clone, Debug)]
pub struct SubscriptionIter<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for SubscriptionIter<'a> {
    type Item = Subscription<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // The bytes are checked, or written by a list: reading fails only at their end.
        let filter = self.rest.string().ok()?;
        let options = SubscriptionOptions::from_byte(self.rest.byte().ok()?).ok()?;
        Some(Subscription { filter, options })
    }
}

/// Subscriptions under construction, in a buffer of their own.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct SubscriptionList {
    raw: Vec<u8>,
    unencodable: Option<EncodeError>,
}

impl SubscriptionList {
    /// An empty list, without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            raw: Vec::new(),
            unencodable: None,
        }
    }

    /// Appends a subscription, whether or not the filter is valid. One above 65,535 bytes makes every attempt to encode
    /// a packet with this list fail.
    pub fn push(&mut self, filter: &str, options: SubscriptionOptions) {
        match prefixed_len(filter.as_bytes()) {
            Ok(_) => {
                put_prefixed(filter.as_bytes(), &mut self.raw);
                self.raw.put_u8(options.to_byte());
            }
            Err(error) => self.unencodable = Some(error),
        }
    }

    /// The list as a packet borrows it.
    #[must_use]
    pub fn as_ref(&self) -> Subscriptions<'_> {
        Subscriptions {
            raw: &self.raw,
            unencodable: self.unencodable,
        }
    }
}

impl fmt::Debug for SubscriptionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = Properties::decode(reader, version, Place::Packet(PacketType::Subscribe))?;
        let subscriptions = Subscriptions::decode(reader, version)?;
        Ok(Self {
            packet_id,
            properties,
            subscriptions,
        })
    }

    #[inline]
    pub(super) fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        Ok(2 + self.properties.encoded_len(version)? + self.subscriptions.encoded_len(version)?)
    }

    #[inline]
    pub(super) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        buffer.put_u16(self.packet_id.value());
        self.properties.write(version, buffer);
        buffer.put_slice(self.subscriptions.raw);
    }
}
