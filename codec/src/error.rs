//! What can be wrong with bytes, and with packets to be encoded.

use core::fmt;

use crate::PacketType;

/// Why bytes are no packet. Small, `Copy`, in words by `Display`; [`error_response`](crate::error_response) tells what
/// the peer hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The packet it is wrong with, as far as it is known.
    pub packet_type: Option<PacketType>,
    /// Where the offending field begins, in bytes from the start of the packet.
    pub offset: u32,
}

/// What a [`DecodeErrorKind`] is in the specification's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeErrorClass {
    /// A Malformed Packet.
    Malformed,
    /// A Protocol Error.
    Protocol,
    /// A packet beyond the receiver's Maximum Packet Size.
    TooLarge,
    /// A protocol or a version that is not spoken here.
    UnsupportedVersion,
}

/// What can be wrong with the bytes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeErrorKind {
    /// The Remaining Length has more than four bytes.
    RemainingLengthTooLong,
    /// The Remaining Length has more bytes than it needs [MQTT5-1.5.5-1]. Earlier versions have no such
    /// rule.
    RemainingLengthNotMinimal,
    /// The packet is larger than the receiver takes.
    PacketTooLarge,
    /// The packet type is reserved.
    ReservedPacketType,
    /// The flags of the fixed header are not those of the packet type [MQTT5-2.1.3-1]
    /// [MQTT3-2.2.2-2].
    ReservedFlags,
    /// A field reaches beyond the end of what holds it.
    Truncated,
    /// Bytes follow the last field.
    TrailingBytes,
    /// A Variable Byte Integer has more than four bytes.
    VariableByteIntegerTooLong,
    /// A Variable Byte Integer has more bytes than it needs [MQTT5-1.5.5-1].
    VariableByteIntegerNotMinimal,
    /// A string is not UTF-8 [MQTT5-1.5.4-1] [MQTT3-1.5.3-1].
    InvalidUtf8,
    /// A string holds U+0000 [MQTT5-1.5.4-2] [MQTT3-1.5.3-2].
    NullCharacter,
    /// The Packet Identifier is 0 [MQTT5-2.2.1-3] [MQTT3-2.3.1-1].
    PacketIdentifierZero,
    /// The Protocol Name is not MQTT [MQTT5-3.1.2-1] [MQTT3-3.1.2-1], nor MQIsdp, that of version 3.1.
    InvalidProtocolName,
    /// The Protocol Version is not one spoken here under that Protocol Name [MQTT5-3.1.2-2] [MQTT3-3.1.2-2].
    UnsupportedProtocolVersion,
    /// The reserved bit of the Connect Flags is set [MQTT5-3.1.2-3] [MQTT3-3.1.2-3].
    ReservedConnectFlag,
    /// Will QoS or Will Retain is set without the Will Flag [MQTT5-3.1.2-11] [MQTT5-3.1.2-13]
    /// [MQTT3-3.1.2-13] [MQTT3-3.1.2-15]. Version 3.1 passes them over.
    WillFlagsWithoutWill,
    /// The Will QoS is 3 [MQTT5-3.1.2-12] [MQTT3-3.1.2-14].
    WillQoS3,
    /// The Will Message of version 3.1 is not ASCII (section 3.1 there).
    WillMessageNotAscii,
    /// The Client Identifier of version 3.1 has not 1 to 23 characters (section 3.1 there).
    ClientIdentifierLength,
    /// There is a password without a user name [MQTT3-3.1.2-22]. Version 5.0 allows it.
    PasswordWithoutUserName,
    /// A reserved bit of the Connect Acknowledge Flags is set [MQTT5-3.2.2-1].
    ReservedConnAckFlags,
    /// Session Present is set in a CONNACK that refuses [MQTT5-3.2.2-6] [MQTT3-3.2.2-4].
    SessionPresentWithError,
    /// The QoS of PUBLISH is 3 [MQTT5-3.3.1-4] [MQTT3-3.3.1-4].
    PublishQoS3,
    /// DUP is set at QoS 0 [MQTT5-3.3.1-2] [MQTT3-3.3.1-2].
    DupWithQoS0,
    /// The Topic Name is empty, and in PUBLISH no Topic Alias stands for it [MQTT5-4.7.3-1]
    /// [MQTT3-4.7.3-1].
    TopicNameEmpty,
    /// The Topic Name holds a wildcard character [MQTT5-3.3.2-2] [MQTT3-3.3.2-2].
    TopicNameWildcard,
    /// The Topic Name of version 3.1 has more than 32,767 characters (section 2.2 there).
    TopicNameTooLong,
    /// The packet holds no Topic Filter [MQTT5-3.8.3-2] [MQTT5-3.10.3-2] [MQTT3-3.8.3-3]
    /// [MQTT3-3.10.3-2].
    NoSubscriptions,
    /// A reserved bit of the Subscription Options is set [MQTT5-3.8.3-5] [MQTT3-3-8.3-4].
    ReservedSubscriptionOptions,
    /// The QoS of a subscription is 3 [MQTT3-3-8.3-4].
    SubscriptionQoS3,
    /// The Retain Handling of a subscription is 3.
    RetainHandling3,
    /// No Local is set on a Shared Subscription [MQTT5-3.8.3-4].
    NoLocalOnSharedSubscription,
    /// The packet holds no Reason Code.
    NoReasonCodes,
    /// The packet may not carry this Reason Code.
    ReasonCodeNotAllowed,
    /// The Property Identifier is not defined.
    UnknownProperty,
    /// The packet may not carry this property.
    PropertyNotAllowed,
    /// A property stands twice that may stand once.
    DuplicateProperty,
    /// A property that is 0 or 1 has another value.
    InvalidFlagProperty,
    /// The Receive Maximum is 0.
    ReceiveMaximumZero,
    /// The Maximum Packet Size is 0.
    MaximumPacketSizeZero,
    /// The Topic Alias is 0 [MQTT5-3.3.2-8].
    TopicAliasZero,
    /// The Subscription Identifier is 0.
    SubscriptionIdentifierZero,
    /// The Response Topic is empty or holds a wildcard character [MQTT5-3.3.2-14].
    ResponseTopicInvalid,
    /// There is Authentication Data without an Authentication Method.
    AuthenticationDataWithoutMethod,
    /// AUTH has no Authentication Method.
    AuthenticationMethodMissing,
}

impl DecodeErrorKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::RemainingLengthTooLong,
        Self::RemainingLengthNotMinimal,
        Self::PacketTooLarge,
        Self::ReservedPacketType,
        Self::ReservedFlags,
        Self::Truncated,
        Self::TrailingBytes,
        Self::VariableByteIntegerTooLong,
        Self::VariableByteIntegerNotMinimal,
        Self::InvalidUtf8,
        Self::NullCharacter,
        Self::PacketIdentifierZero,
        Self::InvalidProtocolName,
        Self::UnsupportedProtocolVersion,
        Self::ReservedConnectFlag,
        Self::WillFlagsWithoutWill,
        Self::WillQoS3,
        Self::WillMessageNotAscii,
        Self::ClientIdentifierLength,
        Self::PasswordWithoutUserName,
        Self::ReservedConnAckFlags,
        Self::SessionPresentWithError,
        Self::PublishQoS3,
        Self::DupWithQoS0,
        Self::TopicNameEmpty,
        Self::TopicNameWildcard,
        Self::TopicNameTooLong,
        Self::NoSubscriptions,
        Self::ReservedSubscriptionOptions,
        Self::SubscriptionQoS3,
        Self::RetainHandling3,
        Self::NoLocalOnSharedSubscription,
        Self::NoReasonCodes,
        Self::ReasonCodeNotAllowed,
        Self::UnknownProperty,
        Self::PropertyNotAllowed,
        Self::DuplicateProperty,
        Self::InvalidFlagProperty,
        Self::ReceiveMaximumZero,
        Self::MaximumPacketSizeZero,
        Self::TopicAliasZero,
        Self::SubscriptionIdentifierZero,
        Self::ResponseTopicInvalid,
        Self::AuthenticationDataWithoutMethod,
        Self::AuthenticationMethodMissing,
    ];

    /// What it is in the specification's terms.
    #[must_use]
    pub const fn class(self) -> DecodeErrorClass {
        match self {
            Self::RemainingLengthTooLong
            | Self::RemainingLengthNotMinimal
            | Self::ReservedPacketType
            | Self::ReservedFlags
            | Self::Truncated
            | Self::TrailingBytes
            | Self::VariableByteIntegerTooLong
            | Self::VariableByteIntegerNotMinimal
            | Self::InvalidUtf8
            | Self::NullCharacter
            | Self::ReservedConnectFlag
            | Self::WillFlagsWithoutWill
            | Self::WillQoS3
            | Self::WillMessageNotAscii
            | Self::PasswordWithoutUserName
            | Self::ReservedConnAckFlags
            | Self::PublishQoS3
            | Self::DupWithQoS0
            | Self::ReservedSubscriptionOptions
            | Self::UnknownProperty
            | Self::PropertyNotAllowed => DecodeErrorClass::Malformed,
            Self::PacketIdentifierZero
            | Self::ClientIdentifierLength
            | Self::SessionPresentWithError
            | Self::TopicNameEmpty
            | Self::TopicNameWildcard
            | Self::TopicNameTooLong
            | Self::NoSubscriptions
            | Self::SubscriptionQoS3
            | Self::RetainHandling3
            | Self::NoLocalOnSharedSubscription
            | Self::NoReasonCodes
            | Self::ReasonCodeNotAllowed
            | Self::DuplicateProperty
            | Self::InvalidFlagProperty
            | Self::ReceiveMaximumZero
            | Self::MaximumPacketSizeZero
            | Self::TopicAliasZero
            | Self::SubscriptionIdentifierZero
            | Self::ResponseTopicInvalid
            | Self::AuthenticationDataWithoutMethod
            | Self::AuthenticationMethodMissing => DecodeErrorClass::Protocol,
            Self::PacketTooLarge => DecodeErrorClass::TooLarge,
            Self::InvalidProtocolName | Self::UnsupportedProtocolVersion => {
                DecodeErrorClass::UnsupportedVersion
            }
        }
    }

    /// The same in words, without a full stop.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::RemainingLengthTooLong => "the Remaining Length has more than four bytes",
            Self::RemainingLengthNotMinimal => "the Remaining Length has more bytes than it needs",
            Self::PacketTooLarge => "the packet is larger than the receiver takes",
            Self::ReservedPacketType => "the packet type is reserved",
            Self::ReservedFlags => "the flags of the fixed header are not those of the packet type",
            Self::Truncated => "a field reaches beyond the end of what holds it",
            Self::TrailingBytes => "bytes follow the last field",
            Self::VariableByteIntegerTooLong => "a Variable Byte Integer has more than four bytes",
            Self::VariableByteIntegerNotMinimal => {
                "a Variable Byte Integer has more bytes than it needs"
            }
            Self::InvalidUtf8 => "a string is not UTF-8",
            Self::NullCharacter => "a string holds U+0000",
            Self::PacketIdentifierZero => "the Packet Identifier is 0",
            Self::InvalidProtocolName => "the Protocol Name is neither MQTT nor MQIsdp",
            Self::UnsupportedProtocolVersion => "the Protocol Version is not one spoken here",
            Self::ReservedConnectFlag => "the reserved bit of the Connect Flags is set",
            Self::WillFlagsWithoutWill => "Will QoS or Will Retain is set without the Will Flag",
            Self::WillQoS3 => "the Will QoS is 3",
            Self::WillMessageNotAscii => "the Will Message is not ASCII",
            Self::ClientIdentifierLength => "the Client Identifier has not 1 to 23 characters",
            Self::PasswordWithoutUserName => "there is a password without a user name",
            Self::ReservedConnAckFlags => "a reserved bit of the Connect Acknowledge Flags is set",
            Self::SessionPresentWithError => "Session Present is set in a CONNACK that refuses",
            Self::PublishQoS3 => "the QoS of PUBLISH is 3",
            Self::DupWithQoS0 => "DUP is set at QoS 0",
            Self::TopicNameEmpty => {
                "the Topic Name is empty, and in PUBLISH no Topic Alias stands for it"
            }
            Self::TopicNameWildcard => "the Topic Name holds a wildcard character",
            Self::TopicNameTooLong => "the Topic Name has more than 32,767 characters",
            Self::NoSubscriptions => "the packet holds no Topic Filter",
            Self::ReservedSubscriptionOptions => {
                "a reserved bit of the Subscription Options is set"
            }
            Self::SubscriptionQoS3 => "the QoS of a subscription is 3",
            Self::RetainHandling3 => "the Retain Handling of a subscription is 3",
            Self::NoLocalOnSharedSubscription => "No Local is set on a Shared Subscription",
            Self::NoReasonCodes => "the packet holds no Reason Code",
            Self::ReasonCodeNotAllowed => "the packet may not carry this Reason Code",
            Self::UnknownProperty => "the Property Identifier is not defined",
            Self::PropertyNotAllowed => "the packet may not carry this property",
            Self::DuplicateProperty => "a property stands twice that may stand once",
            Self::InvalidFlagProperty => "a property that is 0 or 1 has another value",
            Self::ReceiveMaximumZero => "the Receive Maximum is 0",
            Self::MaximumPacketSizeZero => "the Maximum Packet Size is 0",
            Self::TopicAliasZero => "the Topic Alias is 0",
            Self::SubscriptionIdentifierZero => "the Subscription Identifier is 0",
            Self::ResponseTopicInvalid => {
                "the Response Topic is empty or holds a wildcard character"
            }
            Self::AuthenticationDataWithoutMethod => {
                "there is Authentication Data without an Authentication Method"
            }
            Self::AuthenticationMethodMissing => "AUTH has no Authentication Method",
        }
    }

    pub(crate) const fn at(self, offset: usize) -> DecodeError {
        // A packet has at most 268,435,460 bytes.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        let offset = offset as u32;
        DecodeError {
            kind: self,
            packet_type: None,
            offset,
        }
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(packet_type) = self.packet_type {
            write!(f, "{packet_type}: ")?;
        }
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// Why a packet cannot be encoded. Nothing has been written then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncodeError {
    /// A string or binary value is longer than 65,535 bytes.
    StringTooLong,
    /// A Subscription Identifier is above 268,435,455.
    IntegerTooLarge,
    /// The Remaining Length would be above 268,435,455.
    PacketTooLarge,
    /// The version has no place for something that the packet holds: properties, Reason Codes, Subscription Options,
    /// AUTH, or a password without a user name before 5.0, Session Present in 3.1.
    NotInVersion,
    /// A PUBLISH above QoS 0 has no Packet Identifier.
    PacketIdentifierMissing,
    /// A PUBLISH of QoS 0 has a Packet Identifier.
    PacketIdentifierWithQoS0,
    /// The buffer has no room for the packet.
    BufferTooSmall,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StringTooLong => "a string or binary value is longer than 65,535 bytes",
            Self::IntegerTooLarge => "a Variable Byte Integer is above 268,435,455",
            Self::PacketTooLarge => "the packet would be larger than the protocol allows",
            Self::NotInVersion => {
                "the packet holds something that this version of MQTT has no place for"
            }
            Self::PacketIdentifierMissing => "a PUBLISH above QoS 0 needs a Packet Identifier",
            Self::PacketIdentifierWithQoS0 => "a PUBLISH of QoS 0 has no Packet Identifier",
            Self::BufferTooSmall => "the buffer has no room for the packet",
        })
    }
}

impl core::error::Error for EncodeError {}
