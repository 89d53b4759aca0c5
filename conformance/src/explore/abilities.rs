//! What a broker says it can do, so that nothing else is asked of it.

use quince_codec::{Connect, Framer, Packet, Properties, QoS, Version};

use super::program::Abilities;
use crate::link::{Event, Link};
use crate::player::unique_prefix;

/// How long the answer to CONNECT may take, in milliseconds.
const PATIENCE: u64 = 5000;

/// What the broker's CONNACK says in this version; `None` if it does not let us in.
pub async fn ask<L: Link>(link: &mut L, version: Version) -> Option<Abilities> {
    let name = unique_prefix();
    let id = link.open(&name).await.ok()?;
    let connect = Packet::Connect(Connect {
        version,
        clean_start: true,
        keep_alive: 0,
        properties: Properties::EMPTY,
        client_id: &name,
        will: None,
        user_name: None,
        password: None,
    });
    link.write(id, &connect.to_bytes(version).ok()?)
        .await
        .ok()?;
    let deadline = link.now() + PATIENCE;
    let mut framer = Framer::new(u32::MAX);
    let mut abilities = None;
    while let Some((_, Event::Bytes(bytes))) = link.next(deadline).await {
        framer.push(&bytes);
        let Ok(Some(frame)) = framer.next_frame() else {
            continue;
        };
        if let Ok(Packet::ConnAck(connack)) = frame.decode(version)
            && connack.code == 0
        {
            let told = connack.properties;
            abilities = Some(Abilities {
                maximum_qos: told
                    .maximum_qos()
                    .and_then(|qos| QoS::try_from(qos).ok())
                    .unwrap_or(QoS::ExactlyOnce),
                retain: told.retain_available().unwrap_or(true),
                shared: told.shared_subscription_available().unwrap_or(true),
                wildcards: told.wildcard_subscription_available().unwrap_or(true),
                identifiers: told.subscription_identifier_available().unwrap_or(true),
            });
        }
        break;
    }
    link.close(id).await;
    abilities
}
