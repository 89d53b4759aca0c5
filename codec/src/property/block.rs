//! The properties of one packet: a block of bytes that has been checked once, and is read where it lies.

use alloc::vec::Vec;
use core::fmt;

use bytes::BufMut;

use super::{PERMISSIONS, Place, Property, check_value};
use crate::Version;
use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::reader::Reader;
use crate::writer::{block_len, put_block};

/// The properties of a packet, borrowed: bytes that have been checked, and which of them there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Properties<'a> {
    raw: &'a [u8],
    /// One bit for each identifier that occurs, so that looking for an absent one costs nothing; above them what was
    /// pushed to a list and cannot be written, so that encoding fails. One word, because packets are moved a lot.
    present: u64,
}

const STRING_TOO_LONG: u64 = 1 << 63;
const INTEGER_TOO_LARGE: u64 = 1 << 62;

/// Defines the typed accessors: the value of the first property of that kind, if there is one.
macro_rules! accessors {
    ($($(#[$doc:meta])* $identifier:literal $name:ident: $variant:ident -> $type:ty;)*) => {
        impl<'a> Properties<'a> {
            $(
                $(#[$doc])*
                #[must_use]
                #[inline]
                pub fn $name(&self) -> Option<$type> {
                    match self.find($identifier)? {
                        Property::$variant(value) => Some(value),
                        _ => None,
                    }
                }
            )*
        }
    };
}

accessors! {
    /// Payload Format Indicator: whether the payload is UTF-8; means false if absent.
    0x01 payload_format_indicator: PayloadFormatIndicator -> bool;
    /// Message Expiry Interval in seconds.
    0x02 message_expiry_interval: MessageExpiryInterval -> u32;
    /// Content Type.
    0x03 content_type: ContentType -> &'a str;
    /// Response Topic.
    0x08 response_topic: ResponseTopic -> &'a str;
    /// Correlation Data.
    0x09 correlation_data: CorrelationData -> &'a [u8];
    /// Session Expiry Interval in seconds; `u32::MAX` never expires.
    0x11 session_expiry_interval: SessionExpiryInterval -> u32;
    /// Assigned Client Identifier.
    0x12 assigned_client_identifier: AssignedClientIdentifier -> &'a str;
    /// Server Keep Alive in seconds.
    0x13 server_keep_alive: ServerKeepAlive -> u16;
    /// Authentication Method.
    0x15 authentication_method: AuthenticationMethod -> &'a str;
    /// Authentication Data.
    0x16 authentication_data: AuthenticationData -> &'a [u8];
    /// Request Problem Information; means true if absent.
    0x17 request_problem_information: RequestProblemInformation -> bool;
    /// Will Delay Interval in seconds.
    0x18 will_delay_interval: WillDelayInterval -> u32;
    /// Request Response Information; means false if absent.
    0x19 request_response_information: RequestResponseInformation -> bool;
    /// Response Information.
    0x1a response_information: ResponseInformation -> &'a str;
    /// Server Reference.
    0x1c server_reference: ServerReference -> &'a str;
    /// Reason String.
    0x1f reason_string: ReasonString -> &'a str;
    /// Receive Maximum, never 0 in a decoded packet; means 65,535 if absent.
    0x21 receive_maximum: ReceiveMaximum -> u16;
    /// Topic Alias Maximum; means 0 if absent.
    0x22 topic_alias_maximum: TopicAliasMaximum -> u16;
    /// Topic Alias, never 0 in a decoded packet.
    0x23 topic_alias: TopicAlias -> u16;
    /// Maximum QoS, 0 or 1 in a decoded packet; means 2 if absent.
    0x24 maximum_qos: MaximumQoS -> u8;
    /// Retain Available; means true if absent.
    0x25 retain_available: RetainAvailable -> bool;
    /// Maximum Packet Size in bytes, never 0 in a decoded packet; no limit if absent.
    0x27 maximum_packet_size: MaximumPacketSize -> u32;
    /// Wildcard Subscription Available; means true if absent.
    0x28 wildcard_subscription_available: WildcardSubscriptionAvailable -> bool;
    /// Subscription Identifier Available; means true if absent.
    0x29 subscription_identifier_available: SubscriptionIdentifierAvailable -> bool;
    /// Shared Subscription Available; means true if absent.
    0x2a shared_subscription_available: SharedSubscriptionAvailable -> bool;
}

impl<'a> Properties<'a> {
    /// No properties; what every packet before version 5.0 has.
    pub const EMPTY: Self = Self {
        raw: &[],
        present: 0,
    };

    /// Checks a block of properties as it stands in a packet, without its length.
    ///
    /// # Errors
    /// If a property is not whole, not allowed in that place, there twice, or has a value it may not have. The offset
    /// counts from the start of the block.
    pub fn parse(raw: &'a [u8], place: Place) -> Result<Self, DecodeError> {
        Self::check(Reader::new(raw, 0), place)
    }

    /// Reads the Property Length and the properties, which versions before 5.0 do not have.
    #[inline]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        version: Version,
        place: Place,
    ) -> Result<Self, DecodeError> {
        if !version.has_properties() {
            return Ok(Self::EMPTY);
        }
        let start = *reader;
        let length = reader.variable_byte_integer()?;
        if length == 0 {
            return Ok(Self::EMPTY);
        }
        let block = reader
            .part(length as usize)
            .map_err(|_| start.error(DecodeErrorKind::Truncated))?;
        Self::check(block, place)
    }

    /// Bytes of Property Length and properties.
    #[inline]
    pub(crate) fn encoded_len(&self, version: Version) -> Result<usize, EncodeError> {
        if let Some(error) = self.unencodable() {
            return Err(error);
        }
        if version.has_properties() {
            block_len(self.raw.len())
        } else if self.raw.is_empty() {
            Ok(0)
        } else {
            Err(EncodeError::NotInVersion)
        }
    }

    #[inline]
    const fn unencodable(&self) -> Option<EncodeError> {
        if self.present & STRING_TOO_LONG != 0 {
            Some(EncodeError::StringTooLong)
        } else if self.present & INTEGER_TOO_LARGE != 0 {
            Some(EncodeError::IntegerTooLarge)
        } else {
            None
        }
    }

    /// Writes Property Length and properties, checked by [`Self::encoded_len`].
    #[inline]
    pub(crate) fn write(&self, version: Version, buffer: &mut impl BufMut) {
        if version.has_properties() {
            put_block(self.raw, buffer);
        }
    }

    /// A block that has been checked before, and what was found in it.
    #[inline]
    pub(crate) const fn checked(raw: &'a [u8], present: u64) -> Self {
        Self { raw, present }
    }

    /// One bit for each identifier that occurs.
    #[inline]
    pub(crate) const fn present(&self) -> u64 {
        self.present
    }

    #[inline]
    fn check(mut reader: Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let present = check_all(reader, place.bit())?;
        Ok(Self::checked(reader.take_rest(), present))
    }

    /// The properties in the order in which they stand.
    #[must_use]
    pub fn iter(&self) -> PropertyIter<'a> {
        PropertyIter {
            rest: Reader::new(self.raw, 0),
        }
    }

    /// The User Properties in their order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter_if_present(0x26)
            .filter_map(|property| match property {
                Property::UserProperty(name, value) => Some((name, value)),
                _ => None,
            })
    }

    /// The Subscription Identifiers in their order.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.iter_if_present(0x0b)
            .filter_map(|property| match property {
                Property::SubscriptionIdentifier(identifier) => Some(identifier),
                _ => None,
            })
    }

    /// The block as it stands in the packet, without its length.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there are none, not even one that cannot be written.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.present == 0
    }

    fn iter_if_present(&self, identifier: u8) -> PropertyIter<'a> {
        if self.present & (1 << identifier) == 0 {
            Self::EMPTY.iter()
        } else {
            self.iter()
        }
    }

    #[inline]
    fn find(&self, identifier: u8) -> Option<Property<'a>> {
        if self.present & (1 << identifier) == 0 {
            return None;
        }
        self.iter()
            .find(|property| property.identifier() == identifier)
    }
}

/// Checks the properties one after the other, and tells which there are.
fn check_all(mut reader: Reader<'_>, place: u16) -> Result<u64, DecodeError> {
    let mut present = 0_u64;
    while !reader.is_empty() {
        let start = reader;
        let identifier = reader.variable_byte_integer()?;
        let permission = PERMISSIONS
            .get(identifier as usize)
            .filter(|permission| permission.places != 0)
            .ok_or_else(|| start.error(DecodeErrorKind::UnknownProperty))?;
        if permission.places & place == 0 {
            return Err(start.error(DecodeErrorKind::PropertyNotAllowed));
        }
        let bit = 1 << identifier;
        if present & bit != 0 && permission.repeatable & place == 0 {
            return Err(start.error(DecodeErrorKind::DuplicateProperty));
        }
        present |= bit;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below 0x2b, the length of the table"
        )]
        check_value(identifier as u8, permission.value_type, &mut reader)?;
    }
    Ok(present)
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(self.iter());
        if let Some(error) = self.unencodable() {
            list.entry(&error);
        }
        list.finish()
    }
}

impl<'a> IntoIterator for Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = PropertyIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Properties one after the other; see [`Properties::iter`].
#[derive(Clone, Debug)]
pub struct PropertyIter<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // The block is a checked one, or written by a list: reading fails only at its end.
        let identifier = self.rest.byte().ok()?;
        Property::read(identifier, &mut self.rest).ok()
    }
}

/// Properties under construction, in a buffer of their own.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct PropertyList {
    raw: Vec<u8>,
    present: u64,
}

impl PropertyList {
    /// An empty list, without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            raw: Vec::new(),
            present: 0,
        }
    }

    /// Appends a property, whether or not a packet may carry it: only decoding judges that.
    ///
    /// One that cannot be written, with a string above 65,535 bytes or a Subscription Identifier above 268,435,455,
    /// makes every attempt to encode a packet with this list fail.
    pub fn push(&mut self, property: Property<'_>) {
        self.present |= match property.write(&mut self.raw) {
            Ok(()) => 1 << property.identifier(),
            Err(EncodeError::IntegerTooLarge) => INTEGER_TOO_LARGE,
            Err(_) => STRING_TOO_LONG,
        };
    }

    /// Takes all properties out, and keeps the buffer.
    pub fn clear(&mut self) {
        self.raw.clear();
        self.present = 0;
    }

    /// The list as a packet borrows it.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties {
            raw: &self.raw,
            present: self.present,
        }
    }

    /// Whether nothing has been pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_properties().is_empty()
    }

    /// Bytes allocated.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.raw.capacity()
    }
}

impl fmt::Debug for PropertyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_properties().fmt(f)
    }
}

impl From<Properties<'_>> for PropertyList {
    fn from(properties: Properties<'_>) -> Self {
        Self {
            raw: properties.raw.to_vec(),
            present: properties.present,
        }
    }
}

impl<'a> Extend<Property<'a>> for PropertyList {
    fn extend<I: IntoIterator<Item = Property<'a>>>(&mut self, properties: I) {
        properties
            .into_iter()
            .for_each(|property| self.push(property));
    }
}

impl<'a> FromIterator<Property<'a>> for PropertyList {
    fn from_iter<I: IntoIterator<Item = Property<'a>>>(properties: I) -> Self {
        let mut list = Self::new();
        list.extend(properties);
        list
    }
}
