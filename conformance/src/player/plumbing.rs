//! The steps that set the scene: whole handshakes done in one.

use super::{
    Capabilities, FailureKind, Player, Stop,
    expect::mismatch,
    message::{Message, Mismatch, UnnamedCode, value_of},
    seconds,
};
use crate::{
    link::Link,
    scenario::{PacketTemplate, expression::Value, field::PacketName},
    verdict::Direction,
};

impl<L: Link> Player<'_, L> {
    /// Opens, sends CONNECT, and expects the CONNACK.
    pub(super) async fn connect(
        &mut self,
        client: &str,
        connect: &PacketTemplate,
        expect: &PacketTemplate,
        again: bool,
    ) -> Result<(), Stop> {
        let known_id = self.client(client).client_id.clone();
        let mut message = self.packet_to_send(client, connect)?;
        if again {
            if connect.field("clean-start", self.version).is_none() {
                message.put("clean-start", Value::Flag(false));
            }
            if let Some(id) =
                known_id.filter(|_| connect.field("client-id", self.version).is_none())
            {
                message.put("client-id", Value::Text(id.clone()));
                self.client(client).client_id = Some(id);
            }
        }
        self.open(client).await?;
        self.send(client, &message).await?;
        let deadline = self.deadline(self.link.now());
        if !self.wait_for_item(client, deadline).await {
            let words = format!(
                "expected CONNACK, but nothing came to {client} within {}",
                seconds(self.options.patience)
            );
            return Err(Stop::Fail(FailureKind::Silence, words));
        }
        let Some(item) = self.client(client).queue.front().cloned() else {
            return Err(Stop::Error("an item vanished".to_owned()));
        };
        let Some(connack) = item.message() else {
            return Err(mismatch("CONNACK", &item, &[]));
        };
        self.learn(client, connack)?;
        match connack.compare(
            expect,
            self.version,
            &self.variables(),
            UnnamedCode::MustBeSuccess,
        ) {
            Ok(bindings) => {
                self.consume(client);
                self.met(client, bindings);
                Ok(())
            }
            Err(Mismatch::Differs(differences)) => Err(mismatch("CONNACK", &item, &differences)),
            Err(Mismatch::Scenario(words)) => Err(Stop::Error(words)),
        }
    }

    /// What the CONNACK says about the server; a need that it does not meet ends the play.
    fn learn(&mut self, client: &str, connack: &Message) -> Result<(), Stop> {
        if let Some(Value::Text(id)) = connack.value("assigned-client-identifier") {
            self.client(client).client_id = Some(id.clone());
        }
        let success = connack.packet == PacketName::ConnAck && connack.number("code") == Some(0);
        if success && self.is_five() && self.capabilities.is_none() {
            self.capabilities = Some(Capabilities::from_connack(connack));
            self.check_needs()?;
        }
        Ok(())
    }

    /// SUBSCRIBE, and a SUBACK that grants what was asked.
    pub(super) async fn subscribe(
        &mut self,
        client: &str,
        template: &PacketTemplate,
    ) -> Result<(), Stop> {
        let mut subscribe = self.packet_to_send(client, template)?;
        let id = Value::Number(self.client(client).next_id().into());
        subscribe.put("id", id.clone());
        let wanted: Vec<u64> = subscribe
            .filters
            .iter()
            .map(|filter| match value_of(filter, "qos") {
                Some(Value::Number(qos)) => *qos,
                _ => 0,
            })
            .collect();
        self.send(client, &subscribe).await?;
        let answered = |message: &Message| {
            message.packet == PacketName::SubAck && message.value("id") == Some(&id)
        };
        let suback = self.find(client, "SUBACK", answered).await?;
        if suback
            .codes
            .iter()
            .copied()
            .map(u64::from)
            .ne(wanted.iter().copied())
        {
            let words = format!(
                "expected SUBACK with the codes {wanted:?}\n     got {}",
                suback.describe()
            );
            return Err(Stop::mismatch(words));
        }
        Ok(())
    }

    /// PUBLISH and the handshake of its QoS.
    pub(super) async fn publish(
        &mut self,
        client: &str,
        template: &PacketTemplate,
    ) -> Result<(), Stop> {
        let publish = self.packet_to_send(client, template)?;
        self.publish_message(client, publish).await
    }

    pub(super) async fn publish_message(
        &mut self,
        client: &str,
        mut publish: Message,
    ) -> Result<(), Stop> {
        let qos = publish.number("qos").unwrap_or(0);
        let id = Value::Number(self.client(client).next_id().into());
        if qos > 0 {
            publish.put("id", id.clone());
        }
        self.send(client, &publish).await?;
        match qos {
            0 => Ok(()),
            1 => self.acknowledged(client, PacketName::PubAck, &id).await,
            _ => {
                self.acknowledged(client, PacketName::PubRec, &id).await?;
                self.send(client, &answer(PacketName::PubRel, &id)).await?;
                self.acknowledged(client, PacketName::PubComp, &id).await
            }
        }
    }

    /// Waits for an acknowledgement with success.
    async fn acknowledged(
        &mut self,
        client: &str,
        packet: PacketName,
        id: &Value,
    ) -> Result<(), Stop> {
        let wanted =
            |message: &Message| message.packet == packet && message.value("id") == Some(id);
        let message = self.find(client, packet.name(), wanted).await?;
        if message.number("code").unwrap_or(0) >= 0x80 {
            return Err(Stop::mismatch(format!(
                "expected {packet} with success\n     got {}",
                message.describe()
            )));
        }
        Ok(())
    }

    /// Does the receiver's part of the handshake of a message.
    pub(super) async fn acknowledge(
        &mut self,
        client: &str,
        publish: &Message,
    ) -> Result<(), Stop> {
        let Some(id) = publish.value("id") else {
            return Ok(());
        };
        match publish.number("qos") {
            Some(1) => self.send(client, &answer(PacketName::PubAck, id)).await,
            Some(2) => {
                self.send(client, &answer(PacketName::PubRec, id)).await?;
                self.acknowledged(client, PacketName::PubRel, id).await?;
                self.send(client, &answer(PacketName::PubComp, id)).await
            }
            _ => Ok(()),
        }
    }

    /// DISCONNECT, the end of the sending side, and the server's end.
    pub(super) async fn disconnect(
        &mut self,
        client: &str,
        template: &PacketTemplate,
    ) -> Result<(), Stop> {
        let message = self.packet_to_send(client, template)?;
        self.send(client, &message).await?;
        let id = self.open_link(client)?;
        self.note(client, Direction::Sent, "ends its sending side");
        self.link.finish(id).await;
        let deadline = self.deadline(self.link.now());
        loop {
            if !self.wait_for_item(client, deadline).await {
                let waited = seconds(self.options.patience);
                let words = format!(
                    "expected the server to end the connection too, but it did not within {waited}"
                );
                return Err(Stop::Fail(FailureKind::Silence, words));
            }
            let item = self.client(client).queue.pop_front();
            if item.is_some_and(|item| item.is_end()) {
                self.abandon(client).await;
                return Ok(());
            }
        }
    }
}

fn answer(packet: PacketName, id: &Value) -> Message {
    let mut message = Message::bare(packet);
    message.put("id", id.clone());
    message
}
