//! What a target can do, as its CONNACK says; and what a scenario needs of it.

use super::message::Message;
use crate::{
    link::Medium,
    scenario::{Scenario, field::PacketName, model::Needs},
};

/// What the CONNACK of MQTT 5.0 says about the server. What it does not say has the default of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Retain Available.
    pub retain: bool,
    /// Wildcard Subscription Available.
    pub wildcard_subscriptions: bool,
    /// Subscription Identifiers Available.
    pub subscription_identifiers: bool,
    /// Shared Subscription Available.
    pub shared_subscriptions: bool,
    /// There is no Server Keep Alive.
    pub own_keep_alive: bool,
    /// There is no Session Expiry Interval in the CONNACK.
    pub own_session_expiry: bool,
    /// Maximum QoS.
    pub maximum_qos: u64,
    /// Topic Alias Maximum.
    pub topic_alias_maximum: u64,
    /// Receive Maximum.
    pub receive_maximum: u64,
    /// Maximum Packet Size.
    pub maximum_packet_size: u64,
}

impl Default for Capabilities {
    /// Those of a server whose CONNACK says nothing.
    fn default() -> Self {
        Self::from_connack(&Message::bare(PacketName::ConnAck))
    }
}

impl Capabilities {
    /// What a CONNACK of MQTT 5.0 says.
    pub fn from_connack(connack: &Message) -> Self {
        let number = |name: &str, otherwise: u64| connack.number(name).unwrap_or(otherwise);
        Self {
            retain: number("retain-available", 1) == 1,
            wildcard_subscriptions: number("wildcard-subscription-available", 1) == 1,
            subscription_identifiers: number("subscription-identifier-available", 1) == 1,
            shared_subscriptions: number("shared-subscription-available", 1) == 1,
            own_keep_alive: connack.value("server-keep-alive").is_none(),
            own_session_expiry: connack.value("session-expiry-interval").is_none(),
            maximum_qos: number("maximum-qos", 2),
            topic_alias_maximum: number("topic-alias-maximum", 0),
            receive_maximum: number("receive-maximum", 65_535),
            maximum_packet_size: number("maximum-packet-size", 268_435_460),
        }
    }

    /// What is missing for these needs: the reason of a skip.
    pub fn missing(&self, needs: &Needs) -> Option<String> {
        let flags = [
            (needs.retain, self.retain, "retain"),
            (
                needs.wildcard_subscriptions,
                self.wildcard_subscriptions,
                "wildcard-subscriptions",
            ),
            (
                needs.subscription_identifiers,
                self.subscription_identifiers,
                "subscription-identifiers",
            ),
            (
                needs.shared_subscriptions,
                self.shared_subscriptions,
                "shared-subscriptions",
            ),
            (needs.own_keep_alive, self.own_keep_alive, "own-keep-alive"),
            (
                needs.own_session_expiry,
                self.own_session_expiry,
                "own-session-expiry",
            ),
        ];
        let numbers = [
            (needs.maximum_qos, self.maximum_qos, "maximum-qos"),
            (
                needs.topic_alias_maximum,
                self.topic_alias_maximum,
                "topic-alias-maximum",
            ),
            (
                needs.receive_maximum,
                self.receive_maximum,
                "receive-maximum",
            ),
            (
                needs.maximum_packet_size,
                self.maximum_packet_size,
                "maximum-packet-size",
            ),
        ];
        let flag = flags
            .into_iter()
            .find(|(needed, there, _)| *needed && !there);
        let number = numbers
            .into_iter()
            .find(|(needed, there, _)| !needed.allows(*there));
        match (flag, number) {
            (Some((_, _, name)), _) => Some(format!("needs {name}")),
            (None, Some((needed, there, name))) => {
                Some(format!("needs {name} of {needed}, the server has {there}"))
            }
            (None, None) => None,
        }
    }
}

/// Why a scenario cannot be played over that medium: the reason of a skip.
pub fn medium_missing(scenario: &Scenario, medium: Medium) -> Option<&'static str> {
    if !scenario.streams().is_empty() && !medium.has_streams() {
        return Some("needs quic");
    }
    if scenario.needs_quic() && medium != Medium::Quic {
        return Some("needs quic");
    }
    if scenario.needs_websocket() && !matches!(medium, Medium::Ws | Medium::Wss) {
        return Some("needs websocket");
    }
    (scenario.needs.tcp && medium != Medium::Tcp).then_some("needs tcp")
}
