//! How a run ends: the chaos stops, everybody comes back, and the broker must give all that it owes and keep nothing.

use quince_codec::{QoS, RetainHandling, SubscriptionOptions, Version};

use super::duel::DUEL_TOPICS;
use super::program::TOPICS;
use super::{Ended, Step, World};
use crate::device::{Device, Outgoing};
use crate::failure::Failure;
use crate::plan::PATIENCE;

/// Longer than any Will Delay Interval of a program, and any pause of a publisher.
const LONG: u64 = 130_000 + PATIENCE;

impl World<'_> {
    /// Brings a run to its end.
    pub(crate) fn conclude(&mut self) -> Step {
        self.overtaking = false;
        self.trace.note(format_args!("the chaos is over"));
        self.settle()?;
        self.advance(LONG)?;
        self.come_back()?;
        let probe = self.probe()?;
        self.publish_everywhere(probe)?;
        self.judge.finish(self.millis())?;
        self.leave()
    }

    /// All clients are connected again, each once, and all that was held up goes through.
    fn come_back(&mut self) -> Step {
        for number in 0..self.wires.len() {
            let wire = &self.wires[number];
            if wire.is_open() && self.devices[wire.device].current != Some(number) {
                self.end(number, Ended::Aborted)?;
            }
        }
        self.settle()?;
        self.advance(PATIENCE + 1)?;
        for device in 0..self.devices.len() {
            let excused = self.devices[device].hostile;
            if let Some(current) = self.devices[device].current.filter(|_| excused) {
                self.end(current, Ended::Aborted)?;
                self.settle()?;
                self.advance(PATIENCE + 1)?;
            }
            if self.devices[device].current.is_none() {
                self.connect_with(device, false)?;
                self.settle()?;
            }
        }
        // Publishers that were paused because a queue was full try again.
        for _ in 0..60 {
            self.advance(50)?;
        }
        for device in 0..self.devices.len() {
            let device = &self.devices[device];
            let served = device.current.is_some() && device.current == device.owner;
            if !served {
                return Err(Failure::Stuck(format!("{} is not served", device.name)));
            }
        }
        Ok(())
    }

    /// A new client that subscribes to everything; its connection.
    fn probe(&mut self) -> Result<usize, Failure> {
        let index = self.devices.len();
        let mut probe = Device::new(index, &mut self.random);
        probe.name = "probe".to_owned();
        probe.version = Version::V5_0;
        probe.expiry = 0;
        probe.receive_maximum = None;
        probe.keep_alive = 0;
        self.devices.push(probe);
        let number = self.connect_with(index, true)?;
        self.settle()?;
        let options = SubscriptionOptions {
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
        };
        self.subscribe_with(number, &[("#", options)], None)?;
        self.settle()?;
        Ok(number)
    }

    /// After all that, every message is taken, and comes to everybody who subscribed.
    fn publish_everywhere(&mut self, probe: usize) -> Step {
        let device = self.wires[probe].device;
        for topic in TOPICS {
            self.next_message += 1;
            let outgoing = Outgoing {
                topic,
                payload: format!("p{}", self.next_message),
                qos: QoS::ExactlyOnce,
                retain: false,
                expiry: None,
                released: false,
                place: self.next_message,
            };
            let id = self.devices[device].packet_id();
            self.devices[device].outgoing.insert(id, outgoing.clone());
            self.send_publish(probe, Some(id), &outgoing, false)?;
            self.settle()?;
            if !self.devices[device].outgoing.is_empty() {
                return Err(Failure::Stuck(format!("nobody takes {topic} any more")));
            }
        }
        Ok(())
    }

    /// Everybody ends his Session and every topic is emptied: nothing must be left.
    fn leave(&mut self) -> Step {
        let probe = self.devices.len() - 1;
        if let Some(number) = self.devices[probe].current {
            for topic in TOPICS.into_iter().chain(DUEL_TOPICS) {
                let outgoing = Outgoing {
                    topic,
                    payload: String::new(),
                    qos: QoS::AtMostOnce,
                    retain: true,
                    expiry: None,
                    released: false,
                    place: 1,
                };
                self.send_publish(number, None, &outgoing, false)?;
            }
            self.settle()?;
        }
        for device in 0..self.devices.len() {
            if let Some(current) = self.devices[device].current {
                self.end(current, Ended::Aborted)?;
            }
            self.settle()?;
            self.advance(PATIENCE + 1)?;
            self.devices[device].expiry = 0;
            let number = self.connect_with(device, true)?;
            self.settle()?;
            self.end(number, Ended::Aborted)?;
            self.settle()?;
        }
        self.advance(LONG)?;
        // A will may have been retained meanwhile.
        let retained = self.hub.figures().retained_messages;
        let left = self.hub.figures();
        let clean = left.connections == 0
            && left.sessions == 0
            && left.stored_sessions == 0
            && left.subscriptions == 0
            && (left.buffered_bytes == 0 || retained > 0);
        if clean {
            Ok(())
        } else {
            Err(Failure::Wrong(format!("something is left: {left:?}")))
        }
    }
}
