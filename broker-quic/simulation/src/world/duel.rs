//! Two calls that are made to meet: schedules of chance seldom stop one call at the seam where the other one hurts.
//!
//! Each duel has a topic of its own, so that nothing else hides what came of it until somebody reads it at the end.

use quince_codec::{QoS, RetainHandling, SubscriptionOptions};

use super::program::QOS;
use super::server::Ready;
use super::{Caller, Step, World};
use crate::device::Outgoing;

/// Topics of duels, one for each.
pub(super) const DUEL_TOPICS: [&str; 6] = ["d/0", "d/1", "d/2", "d/3", "d/4", "d/5"];
/// What covers all of them.
const ALL_DUELS: &str = "d/+";

impl World<'_> {
    /// Somebody publishes a retained message and is stopped in it, while another one publishes to the same topic or
    /// subscribes to it.
    pub(super) fn duel(&mut self) -> Step {
        if !self.overtaking || self.duels == DUEL_TOPICS.len() {
            return Ok(());
        }
        self.settle()?;
        let ready = |world: &Self| -> Vec<usize> {
            let all = world.devices.iter().filter(|device| !device.hostile);
            all.filter(|device| device.current == device.owner && device.outgoing.is_empty())
                .filter_map(|device| device.current)
                .collect()
        };
        let present = ready(self);
        if present.len() < 2 {
            return Ok(());
        }
        let witness = self.random.pick(&present);
        self.subscribe_to_duels(witness, ALL_DUELS)?;
        self.settle()?;
        let mut present = ready(self);
        if present.len() < 2 {
            return Ok(());
        }
        let topic = DUEL_TOPICS[self.duels];
        self.duels += 1;
        let first = present.swap_remove(self.random.below(present.len()));
        let second = self.random.pick(&present);
        self.trace
            .note(format_args!("{first} and {second} meet at {topic}"));
        self.publish_in_duel(first, topic)?;
        if self.random.chance(50) {
            self.publish_in_duel(second, topic)?;
        } else {
            self.subscribe_to_duels(second, topic)?;
        }
        for number in [first, second] {
            let flying = self.pipe(number, true).flying();
            self.pipe(number, true).carry(flying);
        }
        let seams = u32::try_from(self.random.between(1, 8)).unwrap_or(1);
        self.run_to_a_seam(first, seams)?;
        // The other one comes through, unless it needs what the first has locked.
        while let Some(call) = self.ready(second).first().copied() {
            self.run_to_a_seam_of(second, call, u32::MAX)?;
        }
        if self.random.chance(50) {
            return Ok(());
        }
        self.settle()
    }

    fn run_to_a_seam(&mut self, number: usize, seams: u32) -> Step {
        if self.ready(number).contains(&Ready::Input) {
            self.run_to_a_seam_of(number, Ready::Input, seams)?;
        }
        Ok(())
    }

    fn run_to_a_seam_of(&mut self, number: usize, what: Ready, seams: u32) -> Step {
        let Some(call) = self.call(number, what, true) else {
            return Ok(());
        };
        let progress = self.stage.run(call, seams);
        self.take_in(Caller::Connection(number), progress)
    }

    fn publish_in_duel(&mut self, number: usize, topic: &'static str) -> Step {
        self.next_message += 1;
        let outgoing = Outgoing {
            topic,
            payload: format!("d{}", self.next_message),
            qos: self.random.pick(&QOS[1..]),
            retain: true,
            expiry: None,
            released: false,
            place: self.next_message,
        };
        let device = &mut self.devices[self.wires[number].device];
        let id = device.packet_id();
        device.outgoing.insert(id, outgoing.clone());
        self.send_publish(number, Some(id), &outgoing, false)
    }

    fn subscribe_to_duels(&mut self, number: usize, filter: &'static str) -> Step {
        let options = SubscriptionOptions {
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
        };
        self.subscribe_with(number, &[(filter, options)], None)
    }
}
