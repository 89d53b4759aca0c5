//! How a play comes to rest: barriers, the return of all clients, the last word of the judge, and cleaning up.

use quince_codec::{Packet, Version};

use super::{Asked, Failure, Play, Step};
use crate::explore::program::TOPICS;
use crate::link::{Link, LinkId};

/// Rounds after which a broker that always has one more word is left alone.
const ROUNDS: usize = 200;

impl<L: Link> Play<'_, L> {
    fn served(&self) -> Vec<LinkId> {
        (0..self.devices.len())
            .filter_map(|client| self.usable(client))
            .collect()
    }

    /// Every connection answers PINGREQ.
    pub(super) async fn settle(&mut self) -> Step {
        for id in self.served() {
            if let Some(wire) = self.wires.get_mut(&id) {
                wire.pings += 1;
            }
            self.send(id, &Packet::PingReq).await?;
        }
        let deadline = self.link.now() + 2 * self.setting.patience;
        while self.waits_for_pings() {
            if !self.take_one(deadline).await? {
                return Err(self.unanswered("PINGREQ is not answered"));
            }
        }
        Ok(())
    }

    fn waits_for_pings(&self) -> bool {
        self.served()
            .iter()
            .any(|id| self.wires.get(id).is_some_and(|wire| wire.pings > 0))
    }

    /// Everybody comes back, everything that is owed must come, and the judge has the last word.
    pub(super) async fn conclude(&mut self) -> Step {
        for device in &mut self.devices {
            device.holds = false;
        }
        self.answer_all().await?;
        self.take_in(self.wills_until).await?;
        for client in 0..self.devices.len() {
            // One that never was there has nothing to come back to.
            let Some(asked) = self.devices[client].asked else {
                continue;
            };
            if self.usable(client).is_none() {
                let asked = Asked {
                    receive_maximum: None,
                    ..asked
                };
                self.connect(client, false, asked, None).await?;
            }
        }
        self.settle().await?;
        let mut rounds = 0;
        while self.take_one(self.link.now() + self.setting.quiet).await? {
            rounds += 1;
            if rounds > ROUNDS {
                break;
            }
        }
        self.settle().await?;
        self.judge.finish(self.link.now())?;
        Ok(())
    }

    /// Leaves nothing on the broker: no Session and no retained message. Nobody judges this.
    pub(super) async fn clean_up(&mut self) {
        let _: Result<(), Failure> = self.try_clean_up().await;
        let ids: Vec<LinkId> = self.wires.keys().copied().collect();
        for id in ids {
            self.link.close(id).await;
        }
    }

    async fn try_clean_up(&mut self) -> Step {
        for (index, device) in self.devices.iter().enumerate() {
            let Ok(id) = self.link.open(&device.name).await else {
                return Ok(());
            };
            let connect = quince_codec::Connect {
                version: device.version,
                clean_start: true,
                keep_alive: 0,
                properties: quince_codec::Properties::EMPTY,
                client_id: &device.name,
                will: None,
                user_name: None,
                password: None,
            };
            let mut bytes = Packet::Connect(connect)
                .to_bytes(device.version)
                .map(|bytes| bytes.to_vec())
                .unwrap_or_default();
            let topics = if index == 0 { &TOPICS[..] } else { &[] };
            for topic in topics {
                let topic = format!("{}/{topic}", self.setting.prefix);
                bytes.extend(forget(&topic, device.version));
            }
            _ = self.link.write(id, &bytes).await;
            self.link.finish(id).await;
        }
        // The broker closes when it has read all that.
        let deadline = self.link.now() + self.setting.patience;
        let mut open = self.devices.len();
        while open > 0 {
            match self.link.next(deadline).await {
                Some((_, crate::link::Event::Bytes(_))) => {}
                Some(_) => open -= 1,
                None => break,
            }
        }
        Ok(())
    }
}

/// PUBLISH that removes what a topic retains.
fn forget(topic: &str, version: Version) -> Vec<u8> {
    let publish = quince_codec::Publish {
        dup: false,
        qos: quince_codec::QoS::AtMostOnce,
        retain: true,
        topic,
        packet_id: None,
        properties: quince_codec::Properties::EMPTY,
        payload: b"",
    };
    Packet::Publish(publish)
        .to_bytes(version)
        .map(|bytes| bytes.to_vec())
        .unwrap_or_default()
}
