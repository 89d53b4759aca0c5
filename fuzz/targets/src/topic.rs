//! Topic Filters: validation and matching agree with the rules taken literally, character by character.

use quince_codec::topic::{SharedSubscription, validate_topic_filter, validate_topic_name};
use quince_codec::{
    Framer, Packet, PacketId, PacketType, Properties, Publish, QoS, ReasonCode, Subscribe,
    SubscriptionList, SubscriptionOptions, Version,
};
use quince_core::bench::VirtualBroker;
use quince_core::{ConnectionId, FlowId};

use crate::connection::greeting;

/// The core takes at most 128 levels; longer texts tell nothing about matching.
const LEVELS: usize = 100;

/// Takes the first line as a Topic Filter and the rest as a Topic Name.
///
/// # Panics
/// If the codec judges either of them, or the core matches them, otherwise than the naive rules.
pub fn topic(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    let (filter, name) = text.split_once('\n').unwrap_or((text, ""));
    let name_is_valid = is_name(name);
    assert_eq!(validate_topic_name(name).is_ok(), name_is_valid, "{name:?}");
    for version in Version::ALL {
        let plain = plain_filter(filter, version);
        assert_eq!(
            validate_topic_filter(filter, version).is_ok(),
            plain.is_some(),
            "{filter:?} in {version}"
        );
        if filter.contains('\0') || filter.len() > 1000 || name.len() > 1000 {
            continue;
        }
        if [filter, name]
            .iter()
            .any(|text| text.split('/').count() > LEVELS)
        {
            continue;
        }
        // The former is not delivered at once, nor under this name; the latter is the server's own.
        if name.starts_with("$delayed/") || is_of_server(name) {
            continue;
        }
        // The core takes Shared Subscriptions in every version, so that a Session can change version.
        let plain = plain_filter(filter, Version::V5_0);
        let mut client = Subscriber::connect(version);
        assert_eq!(
            client.subscribe(filter),
            plain.is_some(),
            "{filter:?} in {version}"
        );
        if let Some(plain) = plain
            && name_is_valid
        {
            assert_eq!(
                client.publish(name),
                matches(plain, name),
                "{filter:?} and {name:?} in {version}"
            );
        }
    }
}

/// Topics that clients do not publish to.
fn is_of_server(name: &str) -> bool {
    name == "$SYS" || name.starts_with("$SYS/")
}

fn is_name(name: &str) -> bool {
    (1..=65_535).contains(&name.len()) && !name.contains(['+', '#', '\0'])
}

/// The filter without what makes it a Shared Subscription; `None` if it is not valid.
pub(crate) fn plain_filter(filter: &str, version: Version) -> Option<&str> {
    let mut plain = filter;
    if version == Version::V5_0 && filter.starts_with(SharedSubscription::PREFIX) {
        let mut parts = filter.splitn(3, '/').skip(1);
        let share_name = parts.next()?;
        plain = parts.next()?;
        if share_name.is_empty() || share_name.contains(['+', '#']) {
            return None;
        }
    }
    let bytes = plain.as_bytes();
    let edge = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_none_or(|&byte| byte == b'/')
    };
    let every_wildcard_is_a_level = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'+' => edge(at.checked_sub(1)) && edge(Some(at + 1)),
        b'#' => edge(at.checked_sub(1)) && at + 1 == bytes.len(),
        _ => true,
    });
    let good = !plain.is_empty()
        && filter.len() <= 65_535
        && !filter.contains('\0')
        && every_wildcard_is_a_level;
    good.then_some(plain)
}

/// Sections 4.7.1 and 4.7.2, level by level.
pub(crate) fn matches(filter: &str, name: &str) -> bool {
    fn levels(filter: &[&str], name: &[&str]) -> bool {
        match (filter, name) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, name @ ..]) => levels(filter, name),
            ([one, filter @ ..], [other, name @ ..]) => one == other && levels(filter, name),
            _ => false,
        }
    }
    // [MQTT5-4.7.2-1] [MQTT3-4.7.2-1]
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    levels(
        &filter.split('/').collect::<Vec<_>>(),
        &name.split('/').collect::<Vec<_>>(),
    )
}

/// A client of a broker of its own, which hears what it publishes.
struct Subscriber {
    broker: VirtualBroker,
    id: ConnectionId,
    version: Version,
}

impl Subscriber {
    fn connect(version: Version) -> Self {
        let mut broker = VirtualBroker::default();
        let id = broker.connect();
        broker.write(id, FlowId::CONTROL, &greeting(version, "subscriber"));
        let mut client = Self {
            broker,
            id,
            version,
        };
        client.hear(|packet| assert!(matches!(packet, Packet::ConnAck(_)), "{packet:?}"));
        client
    }

    /// Whether the broker grants the subscription.
    fn subscribe(&mut self, filter: &str) -> bool {
        let mut list = SubscriptionList::new();
        list.push(filter, SubscriptionOptions::default());
        self.send(Packet::Subscribe(Subscribe {
            packet_id: PacketId::new(1).expect("not zero"),
            properties: Properties::EMPTY,
            subscriptions: list.as_ref(),
        }));
        let mut granted = None;
        self.hear(|packet| {
            if let Packet::SubAck(sub_ack) = packet {
                let [code] = *sub_ack.codes else {
                    panic!("one subscription, codes {:?}", sub_ack.codes)
                };
                granted = Some(!ReasonCode(code).is_error());
            }
        });
        granted.unwrap_or(false)
    }

    /// Whether what is published comes back.
    fn publish(&mut self, name: &str) -> bool {
        self.send(Packet::Publish(Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: name,
            packet_id: None,
            properties: Properties::EMPTY,
            payload: b"x",
        }));
        let mut heard = 0;
        self.hear(|packet| {
            assert_eq!(packet.packet_type(), PacketType::Publish);
            heard += 1;
        });
        assert!(heard <= 1, "one subscription, {heard} messages");
        assert!(!self.broker.is_closed(self.id), "a valid PUBLISH");
        heard == 1
    }

    fn send(&mut self, packet: Packet<'_>) {
        let bytes = packet.to_bytes(self.version).expect("it can be encoded");
        self.broker.write(self.id, FlowId::CONTROL, &bytes);
    }

    fn hear(&mut self, mut each: impl FnMut(Packet<'_>)) {
        let mut framer = Framer::new(u32::MAX);
        framer.push(&self.broker.read(self.id));
        while let Some(frame) = framer.next_frame().expect("packets") {
            each(frame.decode(self.version).expect("a packet"));
        }
    }
}
