//! Properties (section 2.2.2): one validated block per carrier, read where it lies.

mod list;
mod table;

use core::fmt;

pub use self::list::PropertyList;
pub use self::table::{Place, PropertyDefinition, PropertyType, TABLE};
use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::reader::Reader;
use crate::writer::{block_len, put_block};
use crate::{PacketType, Version, topic};

/// One property and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the specification's names say it; see TABLE")]
pub enum Property<'a> {
    PayloadFormatIndicator(bool),
    /// In seconds.
    MessageExpiryInterval(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    /// 1 to 268,435,455.
    SubscriptionIdentifier(u32),
    /// In seconds; `u32::MAX` means that the Session does not expire.
    SessionExpiryInterval(u32),
    AssignedClientIdentifier(&'a str),
    /// In seconds.
    ServerKeepAlive(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    RequestProblemInformation(bool),
    /// In seconds.
    WillDelayInterval(u32),
    RequestResponseInformation(bool),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(u16),
    TopicAliasMaximum(u16),
    TopicAlias(u16),
    /// 0 or 1.
    MaximumQoS(u8),
    RetainAvailable(bool),
    UserProperty(&'a str, &'a str),
    /// In bytes, the fixed header included.
    MaximumPacketSize(u32),
    WildcardSubscriptionAvailable(bool),
    SubscriptionIdentifierAvailable(bool),
    SharedSubscriptionAvailable(bool),
}

impl<'a> Property<'a> {
    /// Property Identifier.
    #[must_use]
    pub const fn identifier(&self) -> u8 {
        match self {
            Self::PayloadFormatIndicator(_) => 0x01,
            Self::MessageExpiryInterval(_) => 0x02,
            Self::ContentType(_) => 0x03,
            Self::ResponseTopic(_) => 0x08,
            Self::CorrelationData(_) => 0x09,
            Self::SubscriptionIdentifier(_) => 0x0b,
            Self::SessionExpiryInterval(_) => 0x11,
            Self::AssignedClientIdentifier(_) => 0x12,
            Self::ServerKeepAlive(_) => 0x13,
            Self::AuthenticationMethod(_) => 0x15,
            Self::AuthenticationData(_) => 0x16,
            Self::RequestProblemInformation(_) => 0x17,
            Self::WillDelayInterval(_) => 0x18,
            Self::RequestResponseInformation(_) => 0x19,
            Self::ResponseInformation(_) => 0x1a,
            Self::ServerReference(_) => 0x1c,
            Self::ReasonString(_) => 0x1f,
            Self::ReceiveMaximum(_) => 0x21,
            Self::TopicAliasMaximum(_) => 0x22,
            Self::TopicAlias(_) => 0x23,
            Self::MaximumQoS(_) => 0x24,
            Self::RetainAvailable(_) => 0x25,
            Self::UserProperty(..) => 0x26,
            Self::MaximumPacketSize(_) => 0x27,
            Self::WildcardSubscriptionAvailable(_) => 0x28,
            Self::SubscriptionIdentifierAvailable(_) => 0x29,
            Self::SharedSubscriptionAvailable(_) => 0x2a,
        }
    }

    /// Reads one property and judges its value, but not whether its carrier may hold it.
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = *reader;
        let identifier = reader.variable_byte_integer()?;
        Ok(match identifier {
            0x01 => Self::PayloadFormatIndicator(flag(reader)?),
            0x02 => Self::MessageExpiryInterval(reader.four_byte_integer()?),
            0x03 => Self::ContentType(reader.string()?),
            0x08 => {
                let response_topic = reader.string()?;
                if !topic::is_topic_name(response_topic) {
                    return Err(start.error(DecodeErrorKind::ResponseTopicInvalid));
                }
                Self::ResponseTopic(response_topic)
            }
            0x09 => Self::CorrelationData(reader.binary_data()?),
            0x0b => match reader.variable_byte_integer()? {
                0 => return Err(start.error(DecodeErrorKind::SubscriptionIdentifierZero)),
                number => Self::SubscriptionIdentifier(number),
            },
            0x11 => Self::SessionExpiryInterval(reader.four_byte_integer()?),
            0x12 => Self::AssignedClientIdentifier(reader.string()?),
            0x13 => Self::ServerKeepAlive(reader.two_byte_integer()?),
            0x15 => Self::AuthenticationMethod(reader.string()?),
            0x16 => Self::AuthenticationData(reader.binary_data()?),
            0x17 => Self::RequestProblemInformation(flag(reader)?),
            0x18 => Self::WillDelayInterval(reader.four_byte_integer()?),
            0x19 => Self::RequestResponseInformation(flag(reader)?),
            0x1a => Self::ResponseInformation(reader.string()?),
            0x1c => Self::ServerReference(reader.string()?),
            0x1f => Self::ReasonString(reader.string()?),
            0x21 => match reader.two_byte_integer()? {
                0 => return Err(start.error(DecodeErrorKind::ReceiveMaximumZero)),
                number => Self::ReceiveMaximum(number),
            },
            0x22 => Self::TopicAliasMaximum(reader.two_byte_integer()?),
            0x23 => match reader.two_byte_integer()? {
                0 => return Err(start.error(DecodeErrorKind::TopicAliasZero)),
                number => Self::TopicAlias(number),
            },
            0x24 => Self::MaximumQoS(u8::from(flag(reader)?)),
            0x25 => Self::RetainAvailable(flag(reader)?),
            0x26 => Self::UserProperty(reader.string()?, reader.string()?),
            0x27 => match reader.four_byte_integer()? {
                0 => return Err(start.error(DecodeErrorKind::MaximumPacketSizeZero)),
                bytes => Self::MaximumPacketSize(bytes),
            },
            0x28 => Self::WildcardSubscriptionAvailable(flag(reader)?),
            0x29 => Self::SubscriptionIdentifierAvailable(flag(reader)?),
            0x2a => Self::SharedSubscriptionAvailable(flag(reader)?),
            _ => return Err(start.error(DecodeErrorKind::UnknownProperty)),
        })
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let start = *reader;
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(start.error(DecodeErrorKind::InvalidFlagProperty)),
    }
}

/// The properties of one carrier: a block of bytes whose every rule was checked when it was decoded, or that was put
/// together by [`PropertyList`]. Reading goes through the block again; a block is small.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Properties<'a> {
    raw: &'a [u8],
    /// The list it came from was given a value that cannot be written.
    too_long: bool,
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Properties<'static> = Properties {
        raw: &[],
        too_long: false,
    };

    /// Reads the Property Length and that many bytes, and judges them as those of `place`. Version 3.1.1 has none.
    #[inline]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        version: Version,
        place: Place,
    ) -> Result<Self, DecodeError> {
        if version == Version::V3_1_1 {
            return Ok(Self::default());
        }
        let length = reader.variable_byte_integer()?;
        if length == 0 {
            return Ok(Self::default());
        }
        let mut block = reader.part(length as usize)?;
        let raw = block.peek_rest();
        validate(&mut block, place)?;
        Ok(Self {
            raw,
            too_long: false,
        })
    }

    /// The bytes of the block, without its length.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty() && !self.too_long
    }

    /// The properties in the order they stand.
    #[must_use]
    pub fn iter(&self) -> PropertyIter<'a> {
        PropertyIter {
            reader: Reader::new(self.raw, 0),
        }
    }

    /// Name and value of each User Property, in order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// Each Subscription Identifier, in order.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::SubscriptionIdentifier(number) => Some(number),
            _ => None,
        })
    }

    /// Whether a packet that may leave its properties out can do so.
    #[inline]
    pub(crate) const fn may_be_omitted(&self) -> bool {
        self.is_empty()
    }

    /// Bytes of the block with its length before it.
    #[inline]
    pub(crate) fn encoded_len(&self, version: Version) -> Result<usize, EncodeError> {
        match version {
            _ if self.too_long => Err(EncodeError::StringTooLong),
            Version::V5_0 => block_len(self.raw.len()),
            Version::V3_1_1 if self.raw.is_empty() => Ok(0),
            Version::V3_1_1 => Err(EncodeError::NotInVersion),
        }
    }

    /// Writes what [`Properties::encoded_len`] has counted.
    #[inline]
    pub(crate) fn write(&self, version: Version, buffer: &mut impl bytes::BufMut) {
        if version == Version::V5_0 {
            put_block(self.raw, buffer);
        }
    }
}

macro_rules! typed_access {
    ($($method:ident -> $property:ident: $value:ty;)*) => {
        impl<'a> Properties<'a> {
            $(
                #[doc = concat!("The value of [`Property::", stringify!($property), "`], if it is there.")]
                #[must_use]
                pub fn $method(&self) -> Option<$value> {
                    self.iter().find_map(|property| match property {
                        Property::$property(value) => Some(value),
                        _ => None,
                    })
                }
            )*
        }
    };
}

typed_access! {
    payload_format_indicator -> PayloadFormatIndicator: bool;
    message_expiry_interval -> MessageExpiryInterval: u32;
    content_type -> ContentType: &'a str;
    response_topic -> ResponseTopic: &'a str;
    correlation_data -> CorrelationData: &'a [u8];
    session_expiry_interval -> SessionExpiryInterval: u32;
    assigned_client_identifier -> AssignedClientIdentifier: &'a str;
    server_keep_alive -> ServerKeepAlive: u16;
    authentication_method -> AuthenticationMethod: &'a str;
    authentication_data -> AuthenticationData: &'a [u8];
    request_problem_information -> RequestProblemInformation: bool;
    will_delay_interval -> WillDelayInterval: u32;
    request_response_information -> RequestResponseInformation: bool;
    response_information -> ResponseInformation: &'a str;
    server_reference -> ServerReference: &'a str;
    reason_string -> ReasonString: &'a str;
    receive_maximum -> ReceiveMaximum: u16;
    topic_alias_maximum -> TopicAliasMaximum: u16;
    topic_alias -> TopicAlias: u16;
    maximum_qos -> MaximumQoS: u8;
    retain_available -> RetainAvailable: bool;
    maximum_packet_size -> MaximumPacketSize: u32;
    wildcard_subscription_available -> WildcardSubscriptionAvailable: bool;
    subscription_identifier_available -> SubscriptionIdentifierAvailable: bool;
    shared_subscription_available -> SharedSubscriptionAvailable: bool;
}

/// Judges a block as that of `carrier`: who may hold what, how often, and with which value.
fn validate(block: &mut Reader<'_>, place: Place) -> Result<(), DecodeError> {
    let mut seen = 0_u64;
    while !block.is_empty() {
        let start = *block;
        let property = Property::read(block)?;
        let identifier = property.identifier();
        let Some(definition) = PropertyDefinition::of(identifier) else {
            return Err(start.error(DecodeErrorKind::UnknownProperty));
        };
        if !definition.allowed_in(place) {
            return Err(start.error(DecodeErrorKind::PropertyNotAllowed));
        }
        let bit = 1 << identifier;
        let repeatable = definition.repeatable
            && !(identifier == 0x0b && place == Place::Packet(PacketType::Subscribe));
        if seen & bit != 0 && !repeatable {
            return Err(start.error(DecodeErrorKind::DuplicateProperty));
        }
        seen |= bit;
    }
    let (method, data) = (1 << 0x15, 1 << 0x16);
    if seen & data != 0 && seen & method == 0 {
        return Err(block.error(DecodeErrorKind::AuthenticationDataWithoutMethod));
    }
    Ok(())
}

/// See [`Properties::iter`].
#[derive(Clone, Debug)]
pub struct PropertyIter<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        if self.reader.is_empty() {
            return None;
        }
        // The block was checked when it was decoded or written by PropertyList; the list lets values through that
        // a decoder refuses (a Receive Maximum of 0), and what follows such a one is not read.
        Property::read(&mut self.reader).ok()
    }
}

impl<'a> IntoIterator for &Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = PropertyIter<'a>;

    fn into_iter(self) -> PropertyIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
