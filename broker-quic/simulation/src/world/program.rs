//! What clients do of their own accord.

use quince_codec::{
    Connect, Disconnect, FilterList, Packet, Properties, Property, PropertyList, QoS, ReasonCode,
    RetainHandling, Subscribe, SubscriptionList, SubscriptionOptions, Unsubscribe, Version, Will,
};

use super::client::packet_id;
use super::{Ended, Step, World};
use crate::device::Outgoing;
use crate::plan::Chaos;

pub(super) const TOPICS: [&str; 5] = ["a", "a/b", "a/c", "b/x", "c"];
const FILTERS: [&str; 10] = [
    "a",
    "a/b",
    "a/#",
    "+/b",
    "#",
    "b/+",
    "c",
    "a/+",
    "$share/g/a/#",
    "$share/h/c",
];
pub(super) const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// What is no packet, or none that a client may send then.
const WRONG: [&[u8]; 9] = [
    b"\x00\x00",
    b"\x36\x05\x00\x01a\x00\x01",
    b"\x10\x00",
    b"\x82\x02\x00\x01",
    b"\x30\x05\x00\x03a/#",
    b"\x62\x02\x00\x00",
    b"\xf0\x00",
    b"\x30\xff\xff\xff\xff",
    b"\x20\x02\x00\x00",
];

impl World<'_> {
    /// Some client does something.
    pub(super) fn act(&mut self) -> Step {
        let device = self.random.below(self.devices.len());
        let older: Vec<usize> = (0..self.wires.len())
            .filter(|number| {
                let wire = &self.wires[*number];
                wire.device == device
                    && wire.is_open()
                    && wire.accepted
                    && self.devices[device].current != Some(*number)
            })
            .collect();
        if !older.is_empty() && self.random.chance(30) {
            let number = self.random.pick(&older);
            return if self.random.chance(70) {
                self.send(number, &Packet::PingReq)
            } else {
                self.end(number, Ended::Aborted)
            };
        }
        let Some(current) = self.devices[device].current else {
            return self.connect(device);
        };
        if !self.wires[current].accepted {
            return self.act_while_waiting(device, current);
        }
        match self.random.below(100) {
            0..=44 => self.publish(current),
            45..=64 => self.subscribe(current),
            65..=72 => self.unsubscribe(current),
            73..=81 => self.send(current, &Packet::PingReq),
            82..=86 => self.say_goodbye(current),
            87..=91 if self.allows(Chaos::Cuts) => self.end(current, Ended::Aborted),
            92..=95 if self.allows(Chaos::Takeovers) => self.connect(device),
            96 if self.allows(Chaos::Vanishing) => self.end(current, Ended::Vanished),
            97..=99 if self.devices[device].hostile && self.allows(Chaos::Hostility) => {
                self.break_protocol(current)
            }
            _ => Ok(()),
        }
    }

    fn act_while_waiting(&mut self, device: usize, current: usize) -> Step {
        match self.random.below(100) {
            0..=2 if self.allows(Chaos::Cuts) => self.end(current, Ended::Aborted),
            3..=4 if self.allows(Chaos::Takeovers) => self.connect(device),
            _ => Ok(()),
        }
    }

    /// A topic; one is used more than the others, so that publishers meet.
    fn topic(&mut self) -> &'static str {
        if self.random.chance(45) {
            TOPICS[1]
        } else {
            self.random.pick(&TOPICS)
        }
    }

    fn fresh_payload(&mut self, kind: char) -> String {
        self.next_message += 1;
        format!("{kind}{}", self.next_message)
    }

    fn connect(&mut self, device: usize) -> Step {
        let clean = self.random.chance(12);
        self.connect_with(device, clean).map(|_| ())
    }

    /// Opens a connection and sends CONNECT.
    pub(super) fn connect_with(
        &mut self,
        device: usize,
        clean: bool,
    ) -> Result<usize, crate::Failure> {
        let number = self.accept(device);
        let will_payload = self.random.chance(40).then(|| self.fresh_payload('w'));
        let will_topic = self.topic();
        let (will_qos, will_retain) = (self.random.pick(&QOS), self.random.chance(20));
        let delay = self.random.pick(&[0, 0, 15, 120]);
        let device = &mut self.devices[device];
        device.current = Some(number);
        let is_v5 = device.version == Version::V5_0;
        let mut properties = PropertyList::new();
        let mut will_properties = PropertyList::new();
        if is_v5 {
            properties.push(Property::SessionExpiryInterval(device.expiry));
            if let Some(maximum) = device.receive_maximum {
                properties.push(Property::ReceiveMaximum(maximum));
            }
            if device.aliases > 0 {
                properties.push(Property::TopicAliasMaximum(device.aliases));
            }
            if delay > 0 {
                will_properties.push(Property::WillDelayInterval(delay));
            }
        }
        let name = device.name.clone();
        let connect = Connect {
            version: device.version,
            clean_start: clean,
            keep_alive: device.keep_alive,
            properties: properties.as_properties(),
            client_id: &name,
            will: will_payload.as_ref().map(|payload| Will {
                qos: will_qos,
                retain: will_retain,
                properties: will_properties.as_properties(),
                topic: will_topic,
                payload: payload.as_bytes(),
            }),
            user_name: None,
            password: None,
        };
        self.send(number, &Packet::Connect(connect))?;
        Ok(number)
    }

    fn publish(&mut self, number: usize) -> Step {
        let device = self.wires[number].device;
        let mut qos = self.random.pick(&QOS);
        let full = self.devices[device].outgoing.len() >= self.devices[device].quota.min(10);
        if full {
            qos = QoS::AtMostOnce;
        }
        let retain = self.random.chance(35);
        let payload = if retain && self.random.chance(20) {
            String::new()
        } else {
            self.fresh_payload('m')
        };
        let expiry = self.random.pick(&[None, None, None, Some(5), Some(60)]);
        let is_v5 = self.devices[device].version == Version::V5_0;
        self.next_message += 1;
        let outgoing = Outgoing {
            topic: self.topic(),
            payload,
            qos,
            retain,
            expiry: expiry.filter(|_| is_v5),
            released: false,
            place: self.next_message,
        };
        if qos == QoS::AtMostOnce {
            return self.send_publish(number, None, &outgoing, false);
        }
        let id = self.devices[device].packet_id();
        self.devices[device].outgoing.insert(id, outgoing.clone());
        self.send_publish(number, Some(id), &outgoing, false)
    }

    fn subscribe(&mut self, number: usize) -> Step {
        let device = self.wires[number].device;
        if self.devices[device].asking.len() > 3 {
            return Ok(());
        }
        let is_v5 = self.devices[device].version == Version::V5_0;
        let mut chosen: Vec<(&'static str, SubscriptionOptions)> = Vec::new();
        for _ in 0..self.random.between(1, 2) {
            let filter = self.random.pick(&FILTERS);
            if chosen.iter().any(|(other, _)| *other == filter) {
                continue;
            }
            let shared = filter.starts_with("$share/");
            chosen.push((
                filter,
                SubscriptionOptions {
                    qos: self.random.pick(&QOS),
                    no_local: is_v5 && !shared && self.random.chance(20),
                    retain_as_published: is_v5 && self.random.chance(30),
                    retain_handling: if is_v5 {
                        self.random.pick(&[
                            RetainHandling::SendAtSubscribe,
                            RetainHandling::SendAtSubscribe,
                            RetainHandling::SendIfNew,
                            RetainHandling::DoNotSend,
                        ])
                    } else {
                        RetainHandling::SendAtSubscribe
                    },
                },
            ));
        }
        let identifier = (is_v5 && self.random.chance(40))
            .then(|| u32::try_from(self.random.between(1, 9)).unwrap_or(1));
        self.subscribe_with(number, &chosen, identifier)
    }

    /// Sends SUBSCRIBE.
    pub(super) fn subscribe_with(
        &mut self,
        number: usize,
        chosen: &[(&'static str, SubscriptionOptions)],
        identifier: Option<u32>,
    ) -> Step {
        let mut properties = PropertyList::new();
        if let Some(identifier) = identifier {
            properties.push(Property::SubscriptionIdentifier(identifier));
        }
        let mut list = SubscriptionList::new();
        for (filter, options) in chosen {
            list.push(filter, *options);
        }
        let device = &mut self.devices[self.wires[number].device];
        let id = device.packet_id();
        device.asking.insert(id);
        device
            .filters
            .extend(chosen.iter().map(|(filter, _)| *filter));
        self.send(
            number,
            &Packet::Subscribe(Subscribe {
                packet_id: packet_id(id)?,
                properties: properties.as_properties(),
                subscriptions: list.as_ref(),
            }),
        )
    }

    fn unsubscribe(&mut self, number: usize) -> Step {
        let device = self.wires[number].device;
        let filters: Vec<&str> = self.devices[device].filters.iter().copied().collect();
        if filters.is_empty() || self.devices[device].asking.len() > 3 {
            return Ok(());
        }
        let filter = self.random.pick(&filters);
        self.devices[device].filters.remove(filter);
        let id = self.devices[device].packet_id();
        self.devices[device].asking.insert(id);
        let mut list = FilterList::new();
        list.push(filter);
        self.send(
            number,
            &Packet::Unsubscribe(Unsubscribe {
                packet_id: packet_id(id)?,
                properties: Properties::EMPTY,
                filters: list.as_ref(),
            }),
        )
    }

    /// DISCONNECT, with the will in version 5.0 now and then.
    fn say_goodbye(&mut self, number: usize) -> Step {
        let is_v5 = self.devices[self.wires[number].device].version == Version::V5_0;
        let reason_code = if is_v5 && self.random.chance(30) {
            ReasonCode::DISCONNECT_WITH_WILL_MESSAGE
        } else {
            ReasonCode::NORMAL_DISCONNECTION
        };
        let goodbye = Disconnect {
            reason_code,
            properties: Properties::EMPTY,
        };
        self.send(number, &Packet::Disconnect(goodbye))?;
        self.end(number, Ended::Finished)
    }

    fn break_protocol(&mut self, number: usize) -> Step {
        let bytes = self.random.pick(&WRONG);
        self.trace.note(format_args!(
            "{} {number}: a client sends {bytes:02x?}",
            self.now.as_millis()
        ));
        self.judge.excuse(number as u64);
        self.wires[number].up.send(bytes);
        Ok(())
    }
}
