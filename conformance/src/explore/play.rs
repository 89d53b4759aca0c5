//! Plays a program over a link, as honest clients would, and tells the judge what they did and saw.

mod client;
mod ending;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quince_codec::{
    Connect, Disconnect, FilterList, Framer, Packet, PacketId, Properties, Property, PropertyList,
    Publish, QoS, ReasonCode, Subscribe, SubscriptionList, SubscriptionOptions, Unsubscribe,
    Version, Will,
};
use quince_model::{Bounds, End, Judge, Rule, Violation};

use super::failure::Failure;
use super::program::{Action, Program, PublishPlan, SubscribePlan, WillPlan};
use crate::link::{Link, LinkId};
use crate::player::message::Message;

/// How a program is played.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// What all topics and Client Identifiers begin with; no two plays on one broker have the same.
    pub prefix: String,
    /// Milliseconds within which the broker knows what clients did.
    pub patience: u64,
    /// How many milliseconds without a word mean that nothing more comes.
    pub quiet: u64,
}

/// What came of a play.
#[derive(Clone, Debug)]
pub struct Played {
    /// Why it was not clean, if it was not.
    pub failure: Option<Failure>,
    /// What clients did and saw, line by line.
    pub transcript: Vec<String>,
}

type Step = Result<(), Failure>;

/// A message above QoS 0 that the broker has not taken to the end.
#[derive(Clone, Debug)]
struct Outgoing {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    expiry: Option<u32>,
    released: bool,
    place: usize,
}

/// A client over all of its connections.
#[derive(Debug)]
struct Device {
    name: String,
    version: Version,
    /// The newest connection.
    current: Option<LinkId>,
    /// The newest that was accepted.
    owner: Option<LinkId>,
    /// How the newest connection asked for its Session.
    asked: Option<Asked>,
    quota: usize,
    outgoing: BTreeMap<u16, Outgoing>,
    asking: BTreeSet<u16>,
    holds: bool,
    last_packet_id: u16,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    expiry: u32,
    receive_maximum: Option<u16>,
}

/// One connection.
#[derive(Debug)]
struct Wire {
    device: usize,
    framer: Framer,
    accepted: bool,
    answers: VecDeque<Answer>,
    /// PINGREQ without PINGRESP.
    pings: usize,
    will_delay: Option<u64>,
    open: bool,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Ack(PacketId),
    Received(PacketId),
    Release(PacketId),
    Complete(PacketId),
}

struct Play<'a, L> {
    link: &'a mut L,
    setting: &'a Setting,
    judge: Judge,
    devices: Vec<Device>,
    wires: BTreeMap<LinkId, Wire>,
    next_message: usize,
    /// Wills may come until then.
    wills_until: u64,
    transcript: Vec<String>,
}

/// A packet for people.
fn words(bytes: &[u8], version: Version) -> String {
    Message::decode(bytes, version).map_or_else(
        |why| format!("{} bytes: {why}", bytes.len()),
        |message| message.describe(),
    )
}

/// Plays a program.
pub(super) async fn play<L: Link>(link: &mut L, program: &Program, setting: &Setting) -> Played {
    let bounds = Bounds {
        patience: setting.patience,
        queue_messages: 100,
        stored_lose_nothing: false,
        one_order_of_retained: false,
    };
    let devices = program
        .clients
        .iter()
        .enumerate()
        .map(|(index, version)| Device {
            name: format!("{}{index}", setting.prefix),
            version: *version,
            current: None,
            owner: None,
            asked: None,
            quota: 0,
            outgoing: BTreeMap::new(),
            asking: BTreeSet::new(),
            holds: false,
            last_packet_id: 0,
        });
    let mut play = Play {
        devices: devices.collect(),
        link,
        setting,
        judge: Judge::new(bounds),
        wires: BTreeMap::new(),
        next_message: 0,
        wills_until: 0,
        transcript: Vec::new(),
    };
    let failure = play.all(program).await.err();
    play.clean_up().await;
    Played {
        failure,
        transcript: play.transcript,
    }
}

impl<L: Link> Play<'_, L> {
    async fn all(&mut self, program: &Program) -> Step {
        for action in &program.actions {
            self.act(action).await?;
            self.take_in(self.link.now()).await?;
        }
        self.conclude().await
    }

    async fn act(&mut self, action: &Action) -> Step {
        match action {
            Action::Connect {
                client,
                clean,
                expiry,
                receive_maximum,
                will,
            } => {
                let asked = Asked {
                    expiry: *expiry,
                    receive_maximum: *receive_maximum,
                };
                self.connect(*client, *clean, asked, will.as_ref()).await
            }
            Action::Publish { client, plan } => self.publish(*client, plan).await,
            Action::Subscribe { client, plan } => self.subscribe(*client, plan).await,
            Action::Unsubscribe {
                client,
                filter,
                shared,
            } => self.unsubscribe(*client, filter, *shared).await,
            Action::Hold { client } => {
                self.devices[*client].holds = true;
                Ok(())
            }
            Action::Answer { client } => {
                self.devices[*client].holds = false;
                self.answer_all().await
            }
            Action::Goodbye { client, with_will } => self.goodbye(*client, *with_will).await,
            Action::Cut { client, after } => self.cut(*client, *after).await,
            Action::Wait { millis } => self.take_in(self.link.now() + millis).await,
            Action::Settle => self.settle().await,
        }
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        self.transcript
            .push(format!("{:>6} {line}", self.link.now()));
    }

    /// The connection of a client that may be used, if there is one.
    fn usable(&self, client: usize) -> Option<LinkId> {
        let current = self.devices[client].current?;
        self.wires
            .get(&current)
            .is_some_and(|wire| wire.open && wire.accepted)
            .then_some(current)
    }

    /// A topic or filter of this play.
    fn below(&self, topic: &str, shared: bool) -> String {
        let share = if shared { "$share/g/" } else { "" };
        format!("{share}{}/{topic}", self.setting.prefix)
    }

    fn fresh_payload(&mut self, kind: char) -> Vec<u8> {
        self.next_message += 1;
        format!("{}{kind}{}", self.setting.prefix, self.next_message).into_bytes()
    }

    async fn send(&mut self, id: LinkId, packet: &Packet<'_>) -> Step {
        let Some(wire) = self.wires.get(&id) else {
            return Ok(());
        };
        let device = &self.devices[wire.device];
        let (version, name) = (device.version, device.name.clone());
        let bytes = packet
            .to_bytes(version)
            .map_err(|error| Failure::Unreachable(format!("a client's packet: {error}")))?;
        let words = words(&bytes, version);
        self.note(format_args!("{name} #{} -> {words}", id.0));
        self.judge.sent(self.link.now(), id.0, packet);
        // A connection that has ended says so as an event.
        _ = self.link.write(id, &bytes).await;
        Ok(())
    }

    /// The client's end of a connection is over.
    fn ended(&mut self, id: LinkId, end: End) -> Step {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.open) else {
            return Ok(());
        };
        wire.open = false;
        wire.answers.clear();
        let device = wire.device;
        if let Some(delay) = wire.will_delay {
            let until = self.link.now() + delay + 2 * self.setting.patience;
            self.wills_until = self.wills_until.max(until);
        }
        if self.devices[device].current == Some(id) {
            self.devices[device].current = None;
        }
        let name = self.devices[device].name.clone();
        self.note(format_args!("{name} #{} ends: {end:?}", id.0));
        self.judge.ended(self.link.now(), id.0, end)?;
        Ok(())
    }

    /// Takes in what comes until `deadline`.
    async fn take_in(&mut self, deadline: u64) -> Step {
        while let Some((id, event)) = self.link.next(deadline).await {
            self.on_event(id, event).await?;
        }
        Ok(())
    }

    /// Whether anything came until `deadline`: takes in one event.
    async fn take_one(&mut self, deadline: u64) -> Result<bool, Failure> {
        let Some((id, event)) = self.link.next(deadline).await else {
            return Ok(false);
        };
        self.on_event(id, event).await?;
        Ok(true)
    }

    async fn connect(
        &mut self,
        client: usize,
        clean: bool,
        asked: Asked,
        will: Option<&WillPlan>,
    ) -> Step {
        let will_payload = self.fresh_payload('w');
        let device = &self.devices[client];
        let (version, name) = (device.version, device.name.clone());
        let id = self
            .link
            .open(&name)
            .await
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let (mut properties, mut will_properties) = (PropertyList::new(), PropertyList::new());
        if version == Version::V5_0 {
            if asked.expiry > 0 {
                properties.push(Property::SessionExpiryInterval(asked.expiry));
            }
            if let Some(maximum) = asked.receive_maximum {
                properties.push(Property::ReceiveMaximum(maximum));
            }
            if let Some(delay) = will.map(|will| will.delay).filter(|delay| *delay > 0) {
                will_properties.push(Property::WillDelayInterval(delay));
            }
        }
        let will_topic = will.map_or_else(String::new, |will| self.below(&will.topic, false));
        let delay = if version == Version::V5_0 {
            will.map(|will| u64::from(will.delay) * 1000)
        } else {
            will.map(|_| 0)
        };
        let wire = Wire {
            device: client,
            framer: Framer::new(u32::MAX),
            accepted: false,
            answers: VecDeque::new(),
            pings: 0,
            will_delay: delay,
            open: true,
        };
        self.wires.insert(id, wire);
        self.devices[client].current = Some(id);
        self.devices[client].asked = Some(asked);
        let connect = Connect {
            version,
            clean_start: clean,
            keep_alive: 0,
            properties: properties.as_properties(),
            client_id: &name,
            will: will.map(|will| Will {
                qos: will.qos,
                retain: will.retain,
                properties: will_properties.as_properties(),
                topic: &will_topic,
                payload: &will_payload,
            }),
            user_name: None,
            password: None,
        };
        self.send(id, &Packet::Connect(connect)).await?;
        let deadline = self.link.now() + self.setting.patience;
        while self
            .wires
            .get(&id)
            .is_some_and(|wire| wire.open && !wire.accepted)
        {
            if !self.take_one(deadline).await? {
                break;
            }
        }
        Ok(())
    }

    async fn publish(&mut self, client: usize, plan: &PublishPlan) -> Step {
        let Some(id) = self.usable(client) else {
            return Ok(());
        };
        let payload = if plan.empty {
            Vec::new()
        } else {
            self.fresh_payload('m')
        };
        let device = &self.devices[client];
        let full = device.outgoing.len() >= device.quota.min(20);
        let outgoing = Outgoing {
            topic: self.below(&plan.topic, false),
            payload,
            qos: if full { QoS::AtMostOnce } else { plan.qos },
            retain: plan.retain,
            expiry: plan.expiry,
            released: false,
            place: self.next_message,
        };
        let packet_id = (outgoing.qos > QoS::AtMostOnce).then(|| self.packet_id(client));
        if let Some(packet_id) = packet_id {
            let device = &mut self.devices[client];
            device.outgoing.insert(packet_id.value(), outgoing.clone());
        }
        self.send_publish(id, packet_id, &outgoing, false).await
    }

    async fn send_publish(
        &mut self,
        id: LinkId,
        packet_id: Option<PacketId>,
        outgoing: &Outgoing,
        again: bool,
    ) -> Step {
        let Some(wire) = self.wires.get(&id) else {
            return Ok(());
        };
        let mut properties = PropertyList::new();
        if self.devices[wire.device].version == Version::V5_0 {
            if let Some(seconds) = outgoing.expiry {
                properties.push(Property::MessageExpiryInterval(seconds));
            }
            if outgoing.place.is_multiple_of(3) {
                properties.push(Property::UserProperty("k", "v"));
                properties.push(Property::ContentType("text"));
            }
        }
        let publish = Publish {
            dup: again,
            qos: outgoing.qos,
            retain: outgoing.retain,
            topic: &outgoing.topic,
            packet_id,
            properties: properties.as_properties(),
            payload: &outgoing.payload,
        };
        self.send(id, &Packet::Publish(publish)).await
    }

    async fn subscribe(&mut self, client: usize, plan: &SubscribePlan) -> Step {
        let Some(id) = self.usable(client) else {
            return Ok(());
        };
        let is_v5 = self.devices[client].version == Version::V5_0;
        if plan.shared && !is_v5 {
            // Version 3.1.1 knows none: it is an ordinary filter there, or an extension.
            return Ok(());
        }
        let options = if is_v5 {
            plan.options
        } else {
            SubscriptionOptions {
                qos: plan.options.qos,
                ..SubscriptionOptions::default()
            }
        };
        let filter = self.below(&plan.filter, plan.shared);
        let mut list = SubscriptionList::new();
        list.push(&filter, options);
        let mut properties = PropertyList::new();
        if let Some(identifier) = plan.identifier.filter(|_| is_v5) {
            properties.push(Property::SubscriptionIdentifier(identifier));
        }
        let packet_id = self.packet_id(client);
        self.devices[client].asking.insert(packet_id.value());
        let subscribe = Subscribe {
            packet_id,
            properties: properties.as_properties(),
            subscriptions: list.as_ref(),
        };
        self.send(id, &Packet::Subscribe(subscribe)).await
    }

    async fn unsubscribe(&mut self, client: usize, filter: &str, shared: bool) -> Step {
        let Some(id) = self.usable(client) else {
            return Ok(());
        };
        let filter = self.below(filter, shared);
        let mut list = FilterList::new();
        list.push(&filter);
        let packet_id = self.packet_id(client);
        self.devices[client].asking.insert(packet_id.value());
        let unsubscribe = Unsubscribe {
            packet_id,
            properties: Properties::EMPTY,
            filters: list.as_ref(),
        };
        self.send(id, &Packet::Unsubscribe(unsubscribe)).await
    }

    async fn goodbye(&mut self, client: usize, with_will: bool) -> Step {
        let Some(id) = self.usable(client) else {
            return Ok(());
        };
        let with_will = with_will && self.devices[client].version == Version::V5_0;
        let goodbye = Disconnect {
            reason_code: if with_will {
                ReasonCode::DISCONNECT_WITH_WILL_MESSAGE
            } else {
                ReasonCode::NORMAL_DISCONNECTION
            },
            properties: Properties::EMPTY,
        };
        self.send(id, &Packet::Disconnect(goodbye)).await?;
        self.link.finish(id).await;
        self.ended(id, End::Finished)
    }

    async fn cut(&mut self, client: usize, after: Option<usize>) -> Step {
        let Some(id) = self.devices[client].current else {
            return Ok(());
        };
        let partial = after.filter(|_| self.usable(client).is_some());
        if let Some(bytes) = partial {
            // Nobody is told of this message: what is not whole must not take effect.
            let (topic, payload) = (self.below("a", false), self.fresh_payload('x'));
            let publish = Packet::Publish(Publish {
                dup: false,
                qos: QoS::AtMostOnce,
                retain: false,
                topic: &topic,
                packet_id: None,
                properties: Properties::EMPTY,
                payload: &payload,
            });
            let version = self.devices[client].version;
            if let Ok(all) = publish.to_bytes(version) {
                let part = &all[..bytes.min(all.len() - 1)];
                _ = self.link.write(id, part).await;
            }
        }
        self.link.close(id).await;
        self.ended(id, End::Aborted)
    }

    fn packet_id(&mut self, client: usize) -> PacketId {
        let device = &mut self.devices[client];
        loop {
            device.last_packet_id = device.last_packet_id % 1000 + 1;
            let id = device.last_packet_id;
            let free = !device.outgoing.contains_key(&id) && !device.asking.contains(&id);
            if let Some(id) = PacketId::new(id).filter(|_| free) {
                return id;
            }
        }
    }

    /// What the broker never answered although there was time.
    fn unanswered(&self, what: &str) -> Failure {
        Failure::Refused(Violation {
            rule: Rule::Answered,
            at: self.transcript.len(),
            detail: what.to_owned(),
        })
    }
}
