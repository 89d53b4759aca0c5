//! What a packet says, whatever the order of its properties: how contenders are checked before they are timed.

use crate::packets::Sample;
use quince_codec::{Packet, Properties};

/// Panics unless `encoded` says the same as `sample`. What a contender decoded is judged by what it encodes again.
///
/// # Panics
/// If it does not.
pub(crate) fn assert_same(name: &str, sample: &Sample, encoded: &[u8]) {
    let expected = meaning(sample, &sample.bytes);
    assert_eq!(
        meaning(sample, encoded),
        expected,
        "{name}: {}",
        sample.name
    );
}

/// The packet without properties, and the properties in alphabetical order.
fn meaning(sample: &Sample, bytes: &[u8]) -> (String, Vec<String>) {
    let mut packet = Packet::decode(bytes, sample.version).expect("one packet");
    let mut texts = Vec::new();
    let mut take = |of: &str, properties: &mut Properties<'_>| {
        texts.extend(
            properties
                .iter()
                .map(|property| format!("{of}{property:?}")),
        );
        *properties = Properties::EMPTY;
    };
    match &mut packet {
        Packet::Publish(publish) => take("", &mut publish.properties),
        Packet::Subscribe(subscribe) => take("", &mut subscribe.properties),
        Packet::Connect(connect) => {
            take("", &mut connect.properties);
            if let Some(will) = &mut connect.will {
                take("will ", &mut will.properties);
            }
        }
        _ => panic!("no sample is a {:?}", packet.packet_type()),
    }
    texts.sort();
    (format!("{packet:?}"), texts)
}
