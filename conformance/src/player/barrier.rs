//! Barriers: the proofs that nothing more came, and that a connection is served.

use super::{FailureKind, Player, Stop, client::Item, expect::mismatch, message::Message, seconds};
use crate::{
    link::Link,
    scenario::{
        expression::Value,
        field::{Kind, PacketName},
        model::Sentinel,
    },
};

impl<L: Link> Player<'_, L> {
    async fn ping(&mut self, client: &str) -> Result<(), Stop> {
        if !self.client(client).rest.is_empty() {
            return Err(Stop::Error(format!(
                "{client} still has to send the rest of a packet"
            )));
        }
        self.send(client, &Message::bare(PacketName::PingReq)).await
    }

    /// Nothing comes before the answer to a PINGREQ.
    pub(super) async fn quiet(&mut self, client: &str) -> Result<(), Stop> {
        self.ping(client).await?;
        let deadline = self.deadline(self.link.now());
        loop {
            if !self.wait_for_item(client, deadline).await {
                let waited = seconds(self.options.patience);
                let words =
                    format!("expected PINGRESP, but nothing came to {client} within {waited}");
                return Err(Stop::Fail(FailureKind::Silence, words));
            }
            let Some(item) = self.client(client).queue.front().cloned() else {
                continue;
            };
            if is(&item, PacketName::PingResp) {
                self.consume(client);
                self.met(client, Vec::new());
                return Ok(());
            }
            if !self.tolerate(client, &item)? {
                return Err(mismatch("nothing but the answer to PINGREQ", &item, &[]));
            }
        }
    }

    /// Nothing comes before a sentinel that another client publishes.
    pub(super) async fn quiet_by(&mut self, client: &str, sentinel: &Sentinel) -> Result<(), Stop> {
        let variables = self.variables();
        let topic = sentinel.topic.value(Kind::Text, &variables)?;
        let Value::Number(qos) = sentinel.qos.value(Kind::Number(2), &variables)? else {
            return Err(Stop::Error(
                "the QoS of the sentinel is no number".to_owned(),
            ));
        };
        self.sentinels += 1;
        let payload = Value::Bytes(format!("sentinel {}", self.sentinels).into_bytes());
        let mut publish = Message::bare(PacketName::Publish);
        publish.put("topic", topic);
        publish.put("payload", payload.clone());
        publish.put("qos", Value::Number(qos));
        self.publish_message(&sentinel.by, publish).await?;

        let deadline = self.deadline(self.link.now());
        loop {
            if !self.wait_for_item(client, deadline).await {
                let words = format!(
                    "expected the sentinel that {} published, but nothing came to {client} within {}",
                    sentinel.by,
                    seconds(self.options.patience)
                );
                return Err(Stop::Fail(FailureKind::Silence, words));
            }
            let Some(item) = self.client(client).queue.front().cloned() else {
                continue;
            };
            let arrived = item.message().filter(|message| {
                message.packet == PacketName::Publish && message.value("payload") == Some(&payload)
            });
            if let Some(arrived) = arrived {
                self.consume(client);
                self.met(client, Vec::new());
                return self.acknowledge(client, arrived).await;
            }
            if !self.tolerate(client, &item)? {
                return Err(mismatch("nothing but the sentinel", &item, &[]));
            }
        }
    }

    /// PINGREQ is answered; what comes before stays for later steps.
    pub(super) async fn alive(&mut self, client: &str) -> Result<(), Stop> {
        self.ping(client).await?;
        self.find(client, "PINGRESP", |message| {
            message.packet == PacketName::PingResp
        })
        .await
        .map(drop)
    }

    /// Whether the broker answers a PINGREQ: the last question to a client whose step has failed.
    pub(super) async fn answers_ping(&mut self, client: &str) -> bool {
        self.alive(client).await.is_ok()
    }

    /// Waits for a packet wherever it stands in the queue, takes it out, and leaves the others.
    pub(super) async fn find(
        &mut self,
        client: &str,
        expected: &str,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Message, Stop> {
        let deadline = self.deadline(self.link.now());
        loop {
            let queue = &mut self.client(client).queue;
            if let Some(item) = queue.iter().find(|item| item.is_broken() || item.is_end()) {
                let found = queue
                    .iter()
                    .position(|item| item.message().is_some_and(&wanted));
                let stop_at = queue.iter().position(|other| other.order == item.order);
                if found.is_none() || found > stop_at {
                    return Err(mismatch(expected, item, &[]));
                }
            }
            if let Some(at) = queue
                .iter()
                .position(|item| item.message().is_some_and(&wanted))
                && let Some(item) = queue.remove(at)
                && let Some(message) = item.message().cloned()
            {
                self.trace(client, item.trace());
                self.client(client).optional.clear();
                return Ok(message);
            }
            if self.client(client).link.is_none() || !self.pump(deadline).await {
                let waited = seconds(self.options.patience);
                let words =
                    format!("expected {expected}, but it did not come to {client} within {waited}");
                return Err(Stop::Fail(FailureKind::Silence, words));
            }
        }
    }
}

fn is(item: &Item, packet: PacketName) -> bool {
    item.message()
        .is_some_and(|message| message.packet == packet)
}
