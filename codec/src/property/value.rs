//! One property: its value, read, checked and written.

use alloc::vec::Vec;
use bytes::BufMut;

use super::ValueType;
use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::reader::{Reader, variable_byte_integer_len};
use crate::topic;
use crate::writer::{MAX_REMAINING_LENGTH, prefixed_len, put_prefixed, put_variable_byte_integer};

/// A property with its value. Payload Format Indicator is true for UTF-8; Maximum QoS is 0 or 1 in a decoded packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the specification's names say it")]
pub enum Property<'a> {
    PayloadFormatIndicator(bool),
    MessageExpiryInterval(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionIdentifier(u32),
    SessionExpiryInterval(u32),
    AssignedClientIdentifier(&'a str),
    ServerKeepAlive(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    RequestProblemInformation(bool),
    WillDelayInterval(u32),
    RequestResponseInformation(bool),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(u16),
    TopicAliasMaximum(u16),
    TopicAlias(u16),
    MaximumQoS(u8),
    RetainAvailable(bool),
    UserProperty(&'a str, &'a str),
    MaximumPacketSize(u32),
    WildcardSubscriptionAvailable(bool),
    SubscriptionIdentifierAvailable(bool),
    SharedSubscriptionAvailable(bool),
}

/// The value of a property in the form of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the specification's names say it")]
pub enum Value<'a> {
    Byte(u8),
    TwoByteInteger(u16),
    FourByteInteger(u32),
    VariableByteInteger(u32),
    Utf8EncodedString(&'a str),
    BinaryData(&'a [u8]),
    Utf8StringPair(&'a str, &'a str),
}

impl<'a> Property<'a> {
    /// Its Property Identifier.
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

    /// Its value in the form of its type.
    #[must_use]
    pub const fn value(&self) -> Value<'a> {
        match *self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifierAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => Value::Byte(value as u8),
            Self::MaximumQoS(value) => Value::Byte(value),
            Self::ServerKeepAlive(value)
            | Self::ReceiveMaximum(value)
            | Self::TopicAliasMaximum(value)
            | Self::TopicAlias(value) => Value::TwoByteInteger(value),
            Self::MessageExpiryInterval(value)
            | Self::SessionExpiryInterval(value)
            | Self::WillDelayInterval(value)
            | Self::MaximumPacketSize(value) => Value::FourByteInteger(value),
            Self::SubscriptionIdentifier(value) => Value::VariableByteInteger(value),
            Self::ContentType(text)
            | Self::ResponseTopic(text)
            | Self::AssignedClientIdentifier(text)
            | Self::AuthenticationMethod(text)
            | Self::ResponseInformation(text)
            | Self::ServerReference(text)
            | Self::ReasonString(text) => Value::Utf8EncodedString(text),
            Self::CorrelationData(data) | Self::AuthenticationData(data) => Value::BinaryData(data),
            Self::UserProperty(name, value) => Value::Utf8StringPair(name, value),
        }
    }

    /// Reads the value of the property that has this identifier, even if it breaks a rule that [`check_value`] knows.
    pub(super) fn read(identifier: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match identifier {
            0x01 => Self::PayloadFormatIndicator(flag(reader)?),
            0x02 => Self::MessageExpiryInterval(reader.four_byte_integer()?),
            0x03 => Self::ContentType(reader.string()?),
            0x08 => Self::ResponseTopic(reader.string()?),
            0x09 => Self::CorrelationData(reader.binary_data()?),
            0x0b => Self::SubscriptionIdentifier(reader.variable_byte_integer()?),
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
            0x21 => Self::ReceiveMaximum(reader.two_byte_integer()?),
            0x22 => Self::TopicAliasMaximum(reader.two_byte_integer()?),
            0x23 => Self::TopicAlias(reader.two_byte_integer()?),
            0x24 => Self::MaximumQoS(reader.byte()?),
            0x25 => Self::RetainAvailable(flag(reader)?),
            0x26 => Self::UserProperty(reader.string()?, reader.string()?),
            0x27 => Self::MaximumPacketSize(reader.four_byte_integer()?),
            0x28 => Self::WildcardSubscriptionAvailable(flag(reader)?),
            0x29 => Self::SubscriptionIdentifierAvailable(flag(reader)?),
            0x2a => Self::SharedSubscriptionAvailable(flag(reader)?),
            _ => return Err(reader.error(DecodeErrorKind::UnknownProperty)),
        })
    }

    /// Writes identifier and value, whatever the value means; nothing if it cannot be written.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) -> Result<(), EncodeError> {
        let value = self.value();
        buffer.reserve(1 + value.encoded_len()?);
        buffer.put_u8(self.identifier());
        match value {
            Value::Byte(value) => buffer.put_u8(value),
            Value::TwoByteInteger(value) => buffer.put_u16(value),
            Value::FourByteInteger(value) => buffer.put_u32(value),
            Value::VariableByteInteger(value) => put_variable_byte_integer(value, buffer),
            Value::Utf8EncodedString(text) => put_prefixed(text.as_bytes(), buffer),
            Value::BinaryData(data) => put_prefixed(data, buffer),
            Value::Utf8StringPair(name, value) => {
                put_prefixed(name.as_bytes(), buffer);
                put_prefixed(value.as_bytes(), buffer);
            }
        }
        Ok(())
    }
}

impl Value<'_> {
    fn encoded_len(&self) -> Result<usize, EncodeError> {
        match *self {
            Self::Byte(_) => Ok(1),
            Self::TwoByteInteger(_) => Ok(2),
            Self::FourByteInteger(_) => Ok(4),
            Self::VariableByteInteger(value) if value > MAX_REMAINING_LENGTH => {
                Err(EncodeError::IntegerTooLarge)
            }
            Self::VariableByteInteger(value) => Ok(variable_byte_integer_len(value)),
            Self::Utf8EncodedString(text) => prefixed_len(text.as_bytes()),
            Self::BinaryData(data) => prefixed_len(data),
            Self::Utf8StringPair(name, value) => {
                Ok(prefixed_len(name.as_bytes())? + prefixed_len(value.as_bytes())?)
            }
        }
    }
}

/// Checks the value of the property that has this identifier and type, which can also be wrong in itself.
#[inline]
pub(super) fn check_value(
    identifier: u8,
    value_type: ValueType,
    reader: &mut Reader<'_>,
) -> Result<(), DecodeError> {
    let start = *reader;
    let number = match value_type {
        ValueType::Byte => match reader.byte()? {
            0 | 1 => return Ok(()),
            _ => return Err(start.error(DecodeErrorKind::InvalidFlagProperty)),
        },
        ValueType::TwoByteInteger => u32::from(reader.two_byte_integer()?),
        ValueType::FourByteInteger => reader.four_byte_integer()?,
        ValueType::VariableByteInteger => reader.variable_byte_integer()?,
        ValueType::Utf8EncodedString => {
            let text = reader.string()?;
            if identifier == RESPONSE_TOPIC && topic::validate_topic_name(text).is_err() {
                return Err(start.error(DecodeErrorKind::ResponseTopicInvalid));
            }
            return Ok(());
        }
        ValueType::BinaryData => return reader.binary_data().map(|_| ()),
        ValueType::Utf8StringPair => {
            reader.string()?;
            return reader.string().map(|_| ());
        }
    };
    if number == 0
        && let Some(fault) = fault_of_zero(identifier)
    {
        return Err(start.error(fault));
    }
    Ok(())
}

const RESPONSE_TOPIC: u8 = 0x08;

/// The error that 0 is, where it is one.
const fn fault_of_zero(identifier: u8) -> Option<DecodeErrorKind> {
    match identifier {
        0x0b => Some(DecodeErrorKind::SubscriptionIdentifierZero),
        0x21 => Some(DecodeErrorKind::ReceiveMaximumZero),
        0x23 => Some(DecodeErrorKind::TopicAliasZero),
        0x27 => Some(DecodeErrorKind::MaximumPacketSizeZero),
        _ => None,
    }
}

/// A byte that means yes or no; another value is a Protocol Error.
fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let start = *reader;
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(start.error(DecodeErrorKind::InvalidFlagProperty)),
    }
}
