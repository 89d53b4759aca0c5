//! The clients' side: what they read, and how they answer.

use quince_codec::{Acknowledgement, Packet, PacketId, QoS, Version};
use quince_model::End;

use super::{Answer, Step, World};
use crate::device::Outgoing;
use crate::failure::Failure;

/// A Packet Identifier of a client's own counting, which never is 0.
pub(super) fn packet_id(number: u16) -> Result<PacketId, Failure> {
    PacketId::new(number).ok_or_else(|| Failure::Wrong("a client's identifier 0".to_owned()))
}

impl World<'_> {
    pub(super) fn some_client_reads(&mut self) -> Step {
        let readable: Vec<usize> = (0..self.wires.len())
            .filter(|number| {
                let wire = &self.wires[*number];
                wire.is_open() && (wire.down.arrived() > 0 || wire.closed)
            })
            .collect();
        if readable.is_empty() {
            return Ok(());
        }
        let number = self.random.pick(&readable);
        let arrived = self.wires[number].down.arrived();
        let bytes = self.some_of(arrived);
        self.client_reads(number, bytes)?;
        Ok(())
    }

    /// Reads at most `bytes` and takes what is complete; whether there was anything.
    pub(super) fn client_reads(&mut self, number: usize, bytes: usize) -> Result<bool, Failure> {
        let wire = &mut self.wires[number];
        if !wire.is_open() {
            return Ok(false);
        }
        let read = wire.down.read(bytes);
        wire.framer.push(&read);
        while let Some(frame) = self.wires[number]
            .framer
            .next_frame()
            .map_err(|error| Failure::Wrong(format!("the broker's frames: {error}")))?
        {
            let version = self.devices[self.wires[number].device].version;
            let packet = frame
                .decode(version)
                .map_err(|error| Failure::Wrong(format!("the broker's packets: {error}")))?;
            self.trace.note(format_args!(
                "{} {number}: {} receives {packet:?}",
                self.now.as_millis(),
                self.devices[self.wires[number].device].name
            ));
            self.judge
                .received(self.now.as_millis(), number as u64, &packet)?;
            self.react(number, &packet)?;
        }
        let wire = &mut self.wires[number];
        if wire.closed && wire.task.is_none() && wire.down.len() == 0 {
            return self.sees_close(number).map(|()| true);
        }
        Ok(!read.is_empty())
    }

    fn sees_close(&mut self, number: usize) -> Step {
        let wire = &mut self.wires[number];
        wire.seen_close = true;
        wire.answers.clear();
        let torn = wire.framer.buffered() > 0;
        let device = &mut self.devices[wire.device];
        if device.current == Some(number) {
            device.current = None;
        }
        self.trace.note(format_args!(
            "{} {number}: the client sees the end",
            self.now.as_millis()
        ));
        self.judge
            .ended(self.now.as_millis(), number as u64, End::ByServer)?;
        if torn {
            return Err(Failure::Wrong("half a packet before the end".to_owned()));
        }
        Ok(())
    }

    fn react(&mut self, number: usize, packet: &Packet<'_>) -> Step {
        let device = self.wires[number].device;
        let owns = self.devices[device].owner == Some(number);
        match packet {
            Packet::ConnAck(connack) if connack.code == 0 => {
                self.wires[number].accepted = true;
                if self.devices[device].current == Some(number) {
                    let quota = connack.properties.receive_maximum().unwrap_or(u16::MAX);
                    self.devices[device].quota = usize::from(quota);
                    self.devices[device].owner = Some(number);
                    self.devices[device].asking.clear();
                    self.go_on_with(number, connack.session_present)?;
                }
            }
            Packet::Publish(publish) => {
                let Some(id) = publish.packet_id.map(PacketId::value) else {
                    return Ok(());
                };
                let answer = if publish.qos == QoS::ExactlyOnce {
                    if owns {
                        self.devices[device].received.insert(id);
                    }
                    Answer::Received(id)
                } else {
                    Answer::Ack(id)
                };
                self.wires[number].answers.push_back(answer);
            }
            Packet::PubRel(ack) => {
                let id = ack.packet_id.value();
                if owns {
                    self.devices[device].received.remove(&id);
                }
                self.wires[number].answers.push_back(Answer::Complete(id));
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) if owns => {
                self.devices[device].outgoing.remove(&ack.packet_id.value());
            }
            Packet::PubRec(ack) if owns => {
                let id = ack.packet_id.value();
                if ack.reason_code.is_error() {
                    self.devices[device].outgoing.remove(&id);
                } else if let Some(outgoing) = self.devices[device].outgoing.get_mut(&id) {
                    outgoing.released = true;
                    self.wires[number].answers.push_back(Answer::Release(id));
                }
            }
            Packet::SubAck(ack) if owns => {
                self.devices[device].asking.remove(&ack.packet_id.value());
            }
            Packet::UnsubAck(ack) if owns => {
                self.devices[device].asking.remove(&ack.packet_id.value());
            }
            _ => {}
        }
        Ok(())
    }

    /// After CONNACK: forgets, or sends again what is not finished.
    fn go_on_with(&mut self, number: usize, present: bool) -> Step {
        let device = self.wires[number].device;
        if !present {
            self.devices[device].forget();
            return Ok(());
        }
        for (id, outgoing) in self.devices[device].unfinished() {
            if outgoing.released {
                let ack = Acknowledgement::success(packet_id(id)?);
                self.send(number, &Packet::PubRel(ack))?;
            } else {
                self.send_publish(number, Some(id), &outgoing, true)?;
            }
        }
        Ok(())
    }

    pub(super) fn some_client_answers(&mut self) -> Step {
        let owing: Vec<usize> = (0..self.wires.len())
            .filter(|number| !self.wires[*number].answers.is_empty())
            .collect();
        if owing.is_empty() {
            return Ok(());
        }
        let number = self.random.pick(&owing);
        self.client_answers(number)?;
        Ok(())
    }

    /// Sends the next answer that is owed; whether there was one.
    pub(super) fn client_answers(&mut self, number: usize) -> Result<bool, Failure> {
        let Some(answer) = self.wires[number].answers.pop_front() else {
            return Ok(false);
        };
        let ack = |id| packet_id(id).map(Acknowledgement::success);
        let packet = match answer {
            Answer::Ack(id) => Packet::PubAck(ack(id)?),
            Answer::Received(id) => Packet::PubRec(ack(id)?),
            Answer::Release(id) => Packet::PubRel(ack(id)?),
            Answer::Complete(id) => Packet::PubComp(ack(id)?),
        };
        self.send(number, &packet)?;
        Ok(true)
    }

    /// A PUBLISH of a client, perhaps with a Topic Alias.
    pub(super) fn send_publish(
        &mut self,
        number: usize,
        id: Option<u16>,
        outgoing: &Outgoing,
        again: bool,
    ) -> Step {
        let mut properties = quince_codec::PropertyList::new();
        let mut topic = outgoing.topic;
        if self.devices[self.wires[number].device].version == Version::V5_0 {
            if let Some(seconds) = outgoing.expiry {
                properties.push(quince_codec::Property::MessageExpiryInterval(seconds));
            }
            if outgoing.place.is_multiple_of(3) {
                properties.push(quince_codec::Property::UserProperty("k", "v"));
                properties.push(quince_codec::Property::ContentType("text"));
            }
            let most = self.hub.config().topic_alias_maximum;
            let aliases = &mut self.wires[number].aliases;
            if let Some(alias) = aliases.get(topic) {
                properties.push(quince_codec::Property::TopicAlias(*alias));
                topic = "";
            } else if aliases.len() < usize::from(most) && outgoing.place.is_multiple_of(2) {
                let alias = u16::try_from(aliases.len() + 1).unwrap_or(1);
                aliases.insert(topic, alias);
                properties.push(quince_codec::Property::TopicAlias(alias));
            }
        }
        let packet = Packet::Publish(quince_codec::Publish {
            dup: again,
            qos: outgoing.qos,
            retain: outgoing.retain,
            topic,
            packet_id: id.map(packet_id).transpose()?,
            properties: properties.as_properties(),
            payload: outgoing.payload.as_bytes(),
        });
        self.send(number, &packet)
    }
}
