//! A block of properties that is being put together.

use crate::writer::{put_prefixed, put_variable_byte_integer};
use crate::{Properties, Property};

/// Properties in the order they were pushed, ready to be encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyList {
    raw: Vec<u8>,
    too_long: bool,
}

impl PropertyList {
    /// A list without properties; it allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            raw: Vec::new(),
            too_long: false,
        }
    }

    /// Adds a property at the end. Nothing is checked here: what the specification forbids can be put together, so
    /// that it can be sent on purpose. A string or binary value above 65,535 bytes cannot be written at all; packets
    /// with such a list do not encode ([`EncodeError::StringTooLong`](crate::EncodeError::StringTooLong)).
    pub fn push(&mut self, property: Property<'_>) {
        use Property as P;
        let raw = &mut self.raw;
        let longest = match property {
            P::ContentType(text)
            | P::ResponseTopic(text)
            | P::AssignedClientIdentifier(text)
            | P::AuthenticationMethod(text)
            | P::ResponseInformation(text)
            | P::ServerReference(text)
            | P::ReasonString(text) => text.len(),
            P::CorrelationData(data) | P::AuthenticationData(data) => data.len(),
            P::UserProperty(name, value) => name.len().max(value.len()),
            _ => 0,
        };
        if longest > usize::from(u16::MAX) {
            self.too_long = true;
            return;
        }
        raw.push(property.identifier());
        match property {
            P::PayloadFormatIndicator(flag)
            | P::RequestProblemInformation(flag)
            | P::RequestResponseInformation(flag)
            | P::RetainAvailable(flag)
            | P::WildcardSubscriptionAvailable(flag)
            | P::SubscriptionIdentifierAvailable(flag)
            | P::SharedSubscriptionAvailable(flag) => raw.push(u8::from(flag)),
            P::MaximumQoS(number) => raw.push(number),
            P::ServerKeepAlive(number)
            | P::ReceiveMaximum(number)
            | P::TopicAliasMaximum(number)
            | P::TopicAlias(number) => raw.extend_from_slice(&number.to_be_bytes()),
            P::MessageExpiryInterval(number)
            | P::SessionExpiryInterval(number)
            | P::WillDelayInterval(number)
            | P::MaximumPacketSize(number) => raw.extend_from_slice(&number.to_be_bytes()),
            P::SubscriptionIdentifier(number) => put_variable_byte_integer(number, raw),
            P::ContentType(text)
            | P::ResponseTopic(text)
            | P::AssignedClientIdentifier(text)
            | P::AuthenticationMethod(text)
            | P::ResponseInformation(text)
            | P::ServerReference(text)
            | P::ReasonString(text) => put_prefixed(text.as_bytes(), raw),
            P::CorrelationData(data) | P::AuthenticationData(data) => put_prefixed(data, raw),
            P::UserProperty(name, value) => {
                put_prefixed(name.as_bytes(), raw);
                put_prefixed(value.as_bytes(), raw);
            }
        }
    }

    /// The properties, to be put into a packet.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties {
            raw: &self.raw,
            too_long: self.too_long,
        }
    }

    /// Bytes allocated.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.raw.capacity()
    }
}

impl<'a> FromIterator<Property<'a>> for PropertyList {
    fn from_iter<I: IntoIterator<Item = Property<'a>>>(properties: I) -> Self {
        let mut list = Self::new();
        properties
            .into_iter()
            .for_each(|property| list.push(property));
        list
    }
}
