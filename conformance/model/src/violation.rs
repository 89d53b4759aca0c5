//! What a server must keep, and how a judge says that it did not.

use core::fmt;

/// What a server must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What is delivered was published, to that topic, and is passed on unaltered [MQTT5-3.3.2-17].
    Published,
    /// A delivery matches a subscription that may have existed, and not one with No Local of its publisher
    /// [MQTT5-3.8.3-3].
    Subscribed,
    /// QoS is the lower of that published and that granted [MQTT5-3.8.4-8] [MQTT3-3.8.4-6].
    GrantedQoS,
    /// Subscription Identifiers are those of the subscriptions that match [MQTT5-3.3.4-3] [MQTT5-3.3.4-5].
    SubscriptionIdentifier,
    /// A message comes no more often than subscriptions and repeated sends allow: at QoS 2 once
    /// [MQTT5-4.3.3-10] [MQTT3-4.3.3-2].
    ExactlyOnce,
    /// A message that the server took reaches each Session that certainly subscribed and lived on
    /// [MQTT5-4.3.2-4] [MQTT3-4.3.2-2].
    AtLeastOnce,
    /// Messages of one publisher, topic and QoS come in the order in which they were sent
    /// [MQTT5-4.6.0-6] [MQTT3-4.6.0-6].
    Order,
    /// Unanswered deliveries do not exceed Receive Maximum [MQTT5-3.3.4-9].
    ReceiveMaximum,
    /// A Packet Identifier that is in use names nothing else [MQTT5-2.2.1-4] [MQTT3-2.3.1-4].
    PacketIdentifier,
    /// What was in flight is sent again when the Session goes on [MQTT5-4.4.0-1] [MQTT3-4.4.0-1].
    SentAgain,
    /// CONNACK tells the truth about the Session, and a stored one is kept as long as was agreed
    /// [MQTT5-3.1.2-5] [MQTT3-3.1.2-4] [MQTT5-3.2.2-2].
    SessionPresent,
    /// Of two connections with one Client Identifier only the newer one is served [MQTT5-3.1.4-3] [MQTT3-3.1.4-2].
    OneOwner,
    /// An acknowledgement answers something, with as many codes [MQTT5-3.8.4-6] [MQTT3-3.8.4-5].
    Solicited,
    /// Everything that asks for an answer gets one.
    Answered,
    /// A server does not end a connection whose client kept the protocol.
    Undeserved,
    /// No Matching Subscribers, or Packet Identifier not found, is true where it is said.
    TrueReason,
    /// RETAIN is set as the subscription says [MQTT5-3.3.1-12] [MQTT5-3.3.1-13] [MQTT3-3.3.1-9].
    RetainFlag,
    /// A new subscription gets the retained message that the topic has, not an older one and not none
    /// [MQTT5-3.3.1-9] [MQTT3-3.3.1-6].
    Retained,
    /// The retained message of a topic is the last of the order that its subscribers saw.
    OneOrder,
    /// A message past its Message Expiry Interval does not start out, and what is left of it is true
    /// [MQTT5-3.3.2-5] [MQTT5-3.3.2-6].
    Expiry,
    /// A Will Message is published when its connection ends without DISCONNECT 0x00, once and not too early
    /// [MQTT5-3.1.2-8] [MQTT5-3.1.2-10] [MQTT5-3.1.3-9] [MQTT3-3.1.2-8].
    Will,
    /// A message for a shared subscription goes to one of its members [MQTT5-4.8.2-4] [MQTT5-4.8.2-5].
    Shared,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; Self::Shared as usize + 1] = [
        Self::Published,
        Self::Subscribed,
        Self::GrantedQoS,
        Self::SubscriptionIdentifier,
        Self::ExactlyOnce,
        Self::AtLeastOnce,
        Self::Order,
        Self::ReceiveMaximum,
        Self::PacketIdentifier,
        Self::SentAgain,
        Self::SessionPresent,
        Self::OneOwner,
        Self::Solicited,
        Self::Answered,
        Self::Undeserved,
        Self::TrueReason,
        Self::RetainFlag,
        Self::Retained,
        Self::OneOrder,
        Self::Expiry,
        Self::Will,
        Self::Shared,
    ];

    /// The statements that it stands for, by their catalogue ids; none if it follows from several together.
    #[must_use]
    pub const fn statements(self) -> &'static [&'static str] {
        match self {
            Self::Published => &["MQTT5-3.3.2-17"],
            Self::Subscribed => &["MQTT5-3.8.3-3"],
            Self::GrantedQoS => &["MQTT5-3.8.4-8", "MQTT3-3.8.4-6"],
            Self::SubscriptionIdentifier => &["MQTT5-3.3.4-3", "MQTT5-3.3.4-5"],
            Self::ExactlyOnce => &["MQTT5-4.3.3-10", "MQTT3-4.3.3-2"],
            Self::AtLeastOnce => &["MQTT5-4.3.2-4", "MQTT3-4.3.2-2"],
            Self::Order => &["MQTT5-4.6.0-6", "MQTT3-4.6.0-6"],
            Self::ReceiveMaximum => &["MQTT5-3.3.4-9"],
            Self::PacketIdentifier => &["MQTT5-2.2.1-4", "MQTT3-2.3.1-4"],
            Self::SentAgain => &["MQTT5-4.4.0-1", "MQTT3-4.4.0-1"],
            Self::SessionPresent => &["MQTT5-3.1.2-5", "MQTT3-3.1.2-4", "MQTT5-3.2.2-2"],
            Self::OneOwner => &["MQTT5-3.1.4-3", "MQTT3-3.1.4-2"],
            Self::Solicited => &["MQTT5-3.8.4-6", "MQTT3-3.8.4-5"],
            Self::RetainFlag => &["MQTT5-3.3.1-12", "MQTT5-3.3.1-13", "MQTT3-3.3.1-9"],
            Self::Retained => &["MQTT5-3.3.1-9", "MQTT3-3.3.1-6"],
            Self::Expiry => &["MQTT5-3.3.2-5", "MQTT5-3.3.2-6"],
            Self::Will => &[
                "MQTT5-3.1.2-8",
                "MQTT5-3.1.2-10",
                "MQTT5-3.1.3-9",
                "MQTT3-3.1.2-8",
            ],
            Self::Shared => &["MQTT5-4.8.2-4", "MQTT5-4.8.2-5"],
            Self::Answered | Self::Undeserved | Self::TrueReason | Self::OneOrder => &[],
        }
    }
}

/// A rule that was broken, where, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// Which event of the history, counted from 1; beyond the last if something is missing at the end.
    pub at: usize,
    /// What happened, for people.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} at event {}: {}",
            self.rule, self.at, self.detail
        )
    }
}

impl core::error::Error for Violation {}
