//! How clients take what comes: tell the judge, answer, and go on after CONNACK.

use quince_codec::{Acknowledgement, Packet, PacketId, QoS};
use quince_model::End;

use super::{Answer, Failure, Outgoing, Play, Step, words};
use crate::link::{Event, Link, LinkId};

impl<L: Link> Play<'_, L> {
    pub(super) async fn on_event(&mut self, id: LinkId, event: Event) -> Step {
        match event {
            Event::Bytes(bytes) => {
                if let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.open) {
                    wire.framer.push(&bytes);
                    self.read(id).await?;
                }
                Ok(())
            }
            Event::Finished | Event::Reset(_) | Event::Closed(_) => {
                let torn = self
                    .wires
                    .get(&id)
                    .is_some_and(|wire| wire.open && wire.framer.buffered() > 0);
                self.ended(id, End::ByServer)?;
                self.link.close(id).await;
                if torn && matches!(event, Event::Finished) {
                    return Err(Failure::Malformed(
                        "half a packet before the end".to_owned(),
                    ));
                }
                Ok(())
            }
        }
    }

    async fn read(&mut self, id: LinkId) -> Step {
        loop {
            let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.open) else {
                return Ok(());
            };
            let device = wire.device;
            let malformed =
                |error: quince_codec::DecodeError| Failure::Malformed(error.to_string());
            let Some(frame) = wire.framer.next_frame().map_err(malformed)? else {
                return Ok(());
            };
            let version = self.devices[device].version;
            let name = self.devices[device].name.clone();
            let told = words(frame.bytes(), version);
            self.note(format_args!("{name} #{} <- {told}", id.0));
            let packet = frame.decode(version).map_err(malformed)?;
            self.judge.received(self.link.now(), id.0, &packet)?;
            self.react(id, device, &packet).await?;
            self.answer_all().await?;
        }
    }

    async fn react(&mut self, id: LinkId, device: usize, packet: &Packet<'_>) -> Step {
        let owns = self.devices[device].owner == Some(id);
        match packet {
            Packet::ConnAck(connack) if connack.code == 0 => {
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.accepted = true;
                }
                if self.devices[device].current == Some(id) {
                    let quota = connack.properties.receive_maximum().unwrap_or(u16::MAX);
                    let device_state = &mut self.devices[device];
                    device_state.quota = usize::from(quota);
                    device_state.owner = Some(id);
                    device_state.asking.clear();
                    if !connack.session_present {
                        device_state.outgoing.clear();
                    }
                    self.send_again(id, device).await?;
                }
            }
            Packet::Publish(publish) => match (publish.packet_id, publish.qos) {
                (Some(packet), QoS::ExactlyOnce) => self.owe(id, Answer::Received(packet)),
                (Some(packet), _) => self.owe(id, Answer::Ack(packet)),
                (None, _) => {}
            },
            Packet::PubRel(ack) => self.owe(id, Answer::Complete(ack.packet_id)),
            Packet::PubAck(ack) | Packet::PubComp(ack) if owns => {
                self.devices[device].outgoing.remove(&ack.packet_id.value());
            }
            Packet::PubRec(ack) if owns => {
                let outgoing = &mut self.devices[device].outgoing;
                if ack.reason_code.is_error() {
                    outgoing.remove(&ack.packet_id.value());
                } else if let Some(one) = outgoing.get_mut(&ack.packet_id.value()) {
                    one.released = true;
                    self.owe(id, Answer::Release(ack.packet_id));
                }
            }
            Packet::SubAck(ack) if owns => {
                self.devices[device].asking.remove(&ack.packet_id.value());
            }
            Packet::UnsubAck(ack) if owns => {
                self.devices[device].asking.remove(&ack.packet_id.value());
            }
            Packet::PingResp => {
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.pings = wire.pings.saturating_sub(1);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn owe(&mut self, id: LinkId, answer: Answer) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.answers.push_back(answer);
        }
    }

    /// What the Session holds unfinished, in its order [MQTT5-4.4.0-1] [MQTT3-4.4.0-1].
    async fn send_again(&mut self, id: LinkId, device: usize) -> Step {
        let mut all: Vec<(u16, Outgoing)> = self.devices[device]
            .outgoing
            .iter()
            .map(|(packet, one)| (*packet, one.clone()))
            .collect();
        all.sort_by_key(|(_, one)| one.place);
        for (packet, outgoing) in all {
            let Some(packet) = PacketId::new(packet) else {
                continue;
            };
            if outgoing.released {
                let release = Packet::PubRel(Acknowledgement::success(packet));
                self.send(id, &release).await?;
            } else {
                self.send_publish(id, Some(packet), &outgoing, true).await?;
            }
        }
        Ok(())
    }

    fn next_answer(&mut self, id: LinkId) -> Option<Answer> {
        let wire = self.wires.get_mut(&id)?;
        if self.devices[wire.device].holds {
            return None;
        }
        wire.answers.pop_front()
    }

    /// Sends all answers that nobody holds up.
    pub(super) async fn answer_all(&mut self) -> Step {
        let ids: Vec<LinkId> = self.wires.keys().copied().collect();
        for id in ids {
            while let Some(answer) = self.next_answer(id) {
                let ack = Acknowledgement::success;
                let packet = match answer {
                    Answer::Ack(packet) => Packet::PubAck(ack(packet)),
                    Answer::Received(packet) => Packet::PubRec(ack(packet)),
                    Answer::Release(packet) => Packet::PubRel(ack(packet)),
                    Answer::Complete(packet) => Packet::PubComp(ack(packet)),
                };
                self.send(id, &packet).await?;
            }
        }
        Ok(())
    }
}
