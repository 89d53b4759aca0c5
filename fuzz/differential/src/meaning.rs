//! Whether two packets mean the same: properties may stand in another order, but for those that repeat.

use quince_codec::{Packet, Properties, Property};

/// Whether the packets are equal, but for the order of properties of different kinds.
#[must_use]
pub fn same(one: &Packet<'_>, other: &Packet<'_>) -> bool {
    let ((one, ours), (other, theirs)) = (apart(*one), apart(*other));
    one == other
        && ours.len() == theirs.len()
        && ours
            .into_iter()
            .zip(theirs)
            .all(|(ours, theirs)| sorted(ours) == sorted(theirs))
}

/// The same, where properties at the value that their absence means count for nothing.
pub(crate) fn same_but_defaults(one: &Packet<'_>, other: &Packet<'_>) -> bool {
    let ((one, ours), (other, theirs)) = (apart(*one), apart(*other));
    let telling = |properties| {
        let mut list = sorted(properties);
        list.retain(|property| !is_default(property));
        list
    };
    one == other
        && ours.len() == theirs.len()
        && ours
            .into_iter()
            .zip(theirs)
            .all(|(ours, theirs)| telling(ours) == telling(theirs))
}

/// Whether the property has the value that its absence means.
fn is_default(property: &Property<'_>) -> bool {
    matches!(
        property,
        Property::PayloadFormatIndicator(false)
            | Property::SessionExpiryInterval(0)
            | Property::ReceiveMaximum(u16::MAX)
            | Property::TopicAliasMaximum(0)
            | Property::RequestResponseInformation(false)
            | Property::RequestProblemInformation(true)
            | Property::WillDelayInterval(0)
            | Property::RetainAvailable(true)
            | Property::WildcardSubscriptionAvailable(true)
            | Property::SubscriptionIdentifierAvailable(true)
            | Property::SharedSubscriptionAvailable(true)
    )
}

fn sorted(properties: Properties<'_>) -> Vec<Property<'_>> {
    let mut list: Vec<_> = properties.iter().collect();
    list.sort_by_key(Property::identifier);
    list
}

/// The packet without its properties, and they.
fn apart<'a>(mut packet: Packet<'a>) -> (Packet<'a>, Vec<Properties<'a>>) {
    let mut all = Vec::new();
    let mut take = |properties: &mut Properties<'a>| {
        all.push(*properties);
        *properties = Properties::EMPTY;
    };
    match &mut packet {
        Packet::Connect(connect) => {
            take(&mut connect.properties);
            if let Some(will) = &mut connect.will {
                take(&mut will.properties);
            }
        }
        Packet::ConnAck(packet) => take(&mut packet.properties),
        Packet::Publish(packet) => take(&mut packet.properties),
        Packet::PubAck(packet)
        | Packet::PubRec(packet)
        | Packet::PubRel(packet)
        | Packet::PubComp(packet) => take(&mut packet.properties),
        Packet::Subscribe(packet) => take(&mut packet.properties),
        Packet::SubAck(packet) => take(&mut packet.properties),
        Packet::Unsubscribe(packet) => take(&mut packet.properties),
        Packet::UnsubAck(packet) => take(&mut packet.properties),
        Packet::Disconnect(packet) => take(&mut packet.properties),
        Packet::Auth(packet) => take(&mut packet.properties),
        Packet::PingReq | Packet::PingResp => {}
    }
    (packet, all)
}
