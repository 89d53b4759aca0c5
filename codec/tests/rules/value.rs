//! Properties by their identifiers.

use quince_codec::Property;

/// The property of that identifier, with a value that is allowed.
pub(crate) fn property<'a>(
    identifier: u8,
    number: u32,
    text: &'a str,
    topic: &'a str,
) -> Property<'a> {
    let short = u16::try_from(number >> 16 | 1).unwrap();
    let flag = number % 2 == 1;
    match identifier {
        0x01 => Property::PayloadFormatIndicator(flag),
        0x02 => Property::MessageExpiryInterval(number),
        0x03 => Property::ContentType(text),
        0x08 => Property::ResponseTopic(topic),
        0x09 => Property::CorrelationData(text.as_bytes()),
        0x0b => Property::SubscriptionIdentifier(number),
        0x11 => Property::SessionExpiryInterval(number),
        0x12 => Property::AssignedClientIdentifier(text),
        0x13 => Property::ServerKeepAlive(short),
        0x15 => Property::AuthenticationMethod(text),
        0x16 => Property::AuthenticationData(text.as_bytes()),
        0x17 => Property::RequestProblemInformation(flag),
        0x18 => Property::WillDelayInterval(number),
        0x19 => Property::RequestResponseInformation(flag),
        0x1a => Property::ResponseInformation(text),
        0x1c => Property::ServerReference(text),
        0x1f => Property::ReasonString(text),
        0x21 => Property::ReceiveMaximum(short),
        0x22 => Property::TopicAliasMaximum(short),
        0x23 => Property::TopicAlias(short),
        0x24 => Property::MaximumQoS(u8::from(flag)),
        0x25 => Property::RetainAvailable(flag),
        0x26 => Property::UserProperty(topic, text),
        0x27 => Property::MaximumPacketSize(number),
        0x28 => Property::WildcardSubscriptionAvailable(flag),
        0x29 => Property::SubscriptionIdentifierAvailable(flag),
        0x2a => Property::SharedSubscriptionAvailable(flag),
        _ => panic!("property {identifier:02x} is not in the table"),
    }
}
