//! A store that a broker has written: some of everything that one can hold, in several frames and after it has begun anew.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use quince_codec::{
    Connect, Packet, PacketId, Properties, Property, PropertyList, Publish, QoS, Subscribe,
    SubscriptionList, SubscriptionOptions, Version, Will,
};
use quince_core::bench::VirtualBroker;
use quince_core::{Config, Contents, Durability, FlowId, Hub, Image, Time};
use quince_store::simulated::Simulated;
use quince_store::{Disk, Log, Loss};

use super::{LOG, SALT, WATERMARK, seams, shown};

/// Who has a Session there.
const CLIENTS: [&str; 3] = ["keeper", "member", "publisher"];
/// Those of them for whom messages wait.
pub(super) const RECEIVERS: [&str; 2] = ["keeper", "member"];

/// Who was shown what, and on which topic.
pub(super) type Shown = BTreeSet<(&'static str, String, Vec<u8>)>;

/// The files, and what they come to.
pub(super) struct Real {
    pub(super) log: Vec<u8>,
    pub(super) watermark: Vec<u8>,
    /// Where the frames of the log begin, and where the last one ends.
    pub(super) seams: Vec<usize>,
    pub(super) contents: Contents,
    pub(super) shown: Shown,
    /// Where something was sent to.
    pub(super) topics: BTreeSet<String>,
}

pub(super) fn config() -> Config {
    Config {
        durability: Durability::Store,
        ..Config::default()
    }
}

/// What is sent to a topic, always.
pub(super) fn payload(topic: &str) -> String {
    format!("this was sent to {topic}")
}

fn encode(packet: &Packet<'_>) -> Vec<u8> {
    packet.to_bytes(Version::V5_0).expect("encodes").to_vec()
}

fn hello(client_id: &str, clean_start: bool, expiry: u32, will: Option<Will<'_>>) -> Vec<u8> {
    let mut properties = PropertyList::new();
    properties.push(Property::SessionExpiryInterval(expiry));
    encode(&Packet::Connect(Connect {
        version: Version::V5_0,
        clean_start,
        keep_alive: 0,
        properties: properties.as_properties(),
        client_id,
        will,
        user_name: None,
        password: None,
    }))
}

/// CONNECT of a client that begins its Session anew.
pub(super) fn connect(client_id: &str, expiry: u32) -> Vec<u8> {
    hello(client_id, true, expiry, None)
}

/// CONNECT of a client that goes on with its Session.
pub(super) fn resume(client_id: &str) -> Vec<u8> {
    hello(client_id, false, u32::MAX, None)
}

pub(super) fn subscribe(filter: &str) -> Vec<u8> {
    let mut subscriptions = SubscriptionList::new();
    let options = SubscriptionOptions {
        qos: QoS::ExactlyOnce,
        ..SubscriptionOptions::default()
    };
    subscriptions.push(filter, options);
    encode(&Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(1).expect("not zero"),
        properties: Properties::EMPTY,
        subscriptions: subscriptions.as_ref(),
    }))
}

fn message(topic: &str, sent_to: &str, qos: QoS, number: u16, retain: bool) -> Vec<u8> {
    encode(&Packet::Publish(Publish {
        dup: false,
        qos,
        retain,
        topic: sent_to,
        packet_id: PacketId::new(number),
        properties: Properties::EMPTY,
        payload: payload(topic).as_bytes(),
    }))
}

/// PUBLISH of a retained message at QoS 1.
pub(super) fn publish(topic: &str, number: u16) -> Vec<u8> {
    message(topic, topic, QoS::AtLeastOnce, number, true)
}

/// What a broker was told, one step after the other.
fn steps() -> Vec<(&'static str, Vec<u8>)> {
    let mut delay = PropertyList::new();
    delay.push(Property::WillDelayInterval(50));
    let last_words = payload("w/publisher");
    let will = Will {
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: delay.as_properties(),
        topic: "w/publisher",
        payload: last_words.as_bytes(),
    };
    let exactly_once = |topic, number| message(topic, topic, QoS::ExactlyOnce, number, false);
    let at_least_once = |topic, number| message(topic, topic, QoS::AtLeastOnce, number, false);
    vec![
        ("keeper", connect("keeper", u32::MAX)),
        ("keeper", subscribe("q/#")),
        ("member", connect("member", 3600)),
        ("member", subscribe("$share/group/s/+")),
        ("publisher", hello("publisher", true, 3600, Some(will))),
        ("publisher", publish("r/1", 1)),
        ("publisher", publish("r/2", 2)),
        ("publisher", at_least_once("q/1", 3)),
        ("publisher", exactly_once("q/2", 4)),
        ("publisher", b"\x62\x02\x00\x04".to_vec()),
        ("publisher", exactly_once("q/3", 5)),
        ("publisher", exactly_once("s/1", 6)),
        // The first message to the keeper, at QoS 1, and the second, at QoS 2.
        ("keeper", b"\x40\x02\x00\x01".to_vec()),
        ("keeper", b"\x50\x02\x00\x02".to_vec()),
        (
            "publisher",
            message("d/1", "$delayed/60/d/1", QoS::AtLeastOnce, 7, false),
        ),
        ("publisher", publish("r/1", 8)),
        ("publisher", at_least_once("q/4", 9)),
        ("publisher", at_least_once("s/2", 10)),
    ]
}

/// The store that is damaged.
pub(super) fn real() -> &'static Real {
    static REAL: LazyLock<Real> = LazyLock::new(Real::make);
    &REAL
}

impl Real {
    fn make() -> Self {
        let disk = Simulated::default();
        let (mut log, mut image, _) = Log::open(
            Box::new(disk.clone()),
            Image::new(&config()),
            Loss::Refuse,
            SALT,
        )
        .expect("an empty disk");
        let mut broker = VirtualBroker::new(config());
        let ids = CLIENTS.map(|name| (name, broker.connect()));
        for (number, (name, bytes)) in steps().into_iter().enumerate() {
            let (_, id) = ids.iter().find(|(known, _)| *known == name).expect("one");
            broker.write(*id, FlowId::CONTROL, &bytes);
            write(broker.hub(), &mut log, &mut image);
            if number == 9 {
                log.compact(&image, Time::from_millis(1)).expect("written");
            }
        }
        let topics = ["r/1", "r/2", "q/1", "q/2", "q/3", "q/4", "s/1", "s/2"];
        let topics = topics.into_iter().chain(["d/1", "w/publisher"]);
        let log = disk.read(LOG).expect("written");
        Self {
            seams: seams(&log),
            log,
            watermark: disk.read(WATERMARK).expect("written"),
            contents: image.contents(),
            shown: shown(&image, Time::from_millis(1)).expect("packets"),
            topics: topics.map(str::to_owned).collect(),
        }
    }
}

/// One batch, in a frame of its own.
fn write(hub: &Arc<Hub>, log: &mut Log, image: &mut Image) {
    let batch = hub.take_records();
    log.append(&batch.records, Time::from_millis(1))
        .expect("written");
    log.sync().expect("durable");
    for record in batch.records {
        image.apply(record);
    }
    hub.durable_up_to(batch.end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_store_holds_some_of_everything() {
        let real = real();
        let contents = Contents {
            sessions: 3,
            subscriptions: 2,
            deliveries: 4,
            exchanges: 3,
            retained: 2,
            delayed: 1,
            wills: 1,
        };
        assert_eq!(real.contents, contents);
        let shown = real.shown.iter().map(|(_, topic, _)| topic.clone());
        // The keeper has had the others.
        let expected = real
            .topics
            .iter()
            .filter(|topic| !matches!(topic.as_str(), "q/1" | "q/2"));
        assert_eq!(shown.collect::<BTreeSet<_>>(), expected.cloned().collect());
    }
}
