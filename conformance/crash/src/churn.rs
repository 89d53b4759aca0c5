//! Clients that change one thing after the other, and whose things are read after each crash: retained values, subscriptions, and the
//! subscriptions of a client that begins anew all the time.

use std::collections::BTreeMap;
use std::time::Duration;

use quince_codec::{Acknowledgement, Packet, Properties, PropertyList, Publish, QoS, Version};
use quince_model::delivery::{Fault, Register};

use crate::CrashError;
use crate::link::{Hello, Link, ONE, Place, Start};
use crate::random::Random;
use crate::stage::{Phase, Stage};

/// How many things each has.
const THINGS: usize = 8;
/// When nothing has come for so long, nothing more comes.
const QUIET: Duration = Duration::from_millis(150);

fn hello(client_id: &str, start: Start) -> Hello<'_> {
    Hello {
        client_id,
        version: Version::V5_0,
        start,
        receive_maximum: 100,
    }
}

fn message<'a>(topic: &'a str, payload: &'a [u8], retain: bool) -> Publish<'a> {
    Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain,
        topic,
        packet_id: Some(ONE),
        properties: Properties::EMPTY,
        payload,
    }
}

/// Everything that comes until it is quiet, by topic.
async fn collect(link: &mut Link) -> Result<BTreeMap<String, Vec<u8>>, CrashError> {
    let mut found = BTreeMap::new();
    while let Ok(frame) = tokio::time::timeout(QUIET, link.next()).await {
        let frame = frame?;
        if let Packet::Publish(publish) = crate::stage::packet(link, &frame)? {
            found.insert(publish.topic.to_owned(), publish.payload.to_vec());
            if let Some(id) = publish.packet_id {
                let answer = Acknowledgement::success(id);
                link.send(&Packet::PubAck(answer)).await?;
            }
        }
    }
    Ok(found)
}

/// Sets retained values.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    /// 0 stands for no value.
    values: [Register<u64>; THINGS],
    last: u64,
    random: Random,
}

impl Keeper {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            values: std::array::from_fn(|_| Register::new(0)),
            last: 0,
            random: Random(seed),
        }
    }

    pub(crate) async fn run(&mut self, place: &Place, stage: &Stage) -> Result<(), CrashError> {
        let (mut link, _) = Link::open(place, hello("keeper", Start::Passing)).await?;
        while stage.phase() == Phase::Load {
            let thing = self.random.index(THINGS);
            self.last += 1;
            let value = if self.random.below(10) == 0 {
                0
            } else {
                self.last
            };
            let payload = if value == 0 {
                String::new()
            } else {
                value.to_string()
            };
            self.values[thing].begin(value);
            let topic = format!("kept/{thing}");
            if link
                .publish_one(message(&topic, payload.as_bytes(), true))
                .await?
            {
                self.values[thing].acknowledged(value);
            }
        }
        Ok(())
    }

    /// Reads all values.
    pub(crate) async fn check(&mut self, place: &Place, stage: &Stage) -> Result<(), CrashError> {
        let (mut link, _) = Link::open(place, hello("reader", Start::Passing)).await?;
        link.send_subscribe("kept/+", QoS::AtMostOnce).await?;
        let found = collect(&mut link).await?;
        for (thing, register) in self.values.iter_mut().enumerate() {
            let payload = found.get(&format!("kept/{thing}"));
            let value = payload.map_or(Some(0), |payload| {
                std::str::from_utf8(payload).ok()?.parse().ok()
            });
            let what = match value.map(|value| register.read(value)) {
                Some(Ok(())) => continue,
                Some(Err(what)) => what,
                None => format!("{payload:?}"),
            };
            let what = format!("kept/{thing} is {what}");
            stage.deliveries().find(Fault::WrongRetained, what);
        }
        link.disconnect(&PropertyList::new()).await
    }
}

/// Subscribes and unsubscribes.
#[derive(Debug)]
pub(crate) struct Changer {
    client_id: &'static str,
    /// Whether it begins a new Session before each subscription, instead of taking subscriptions back.
    begins_anew: bool,
    subscriptions: [Register<bool>; THINGS],
    is_known: bool,
    random: Random,
}

impl Changer {
    pub(crate) fn new(client_id: &'static str, begins_anew: bool, seed: u64) -> Self {
        Self {
            client_id,
            begins_anew,
            subscriptions: std::array::from_fn(|_| Register::new(false)),
            is_known: false,
            random: Random(seed),
        }
    }

    fn filter(&self, thing: usize) -> String {
        format!("{}/{thing}", self.client_id)
    }

    pub(crate) async fn run(&mut self, place: &Place, stage: &Stage) -> Result<(), CrashError> {
        let mut link = self.connect(place, stage, !self.is_known).await?;
        while stage.phase() == Phase::Load {
            if self.begins_anew {
                link.abort();
                link = self.connect(place, stage, true).await?;
            }
            let thing = self.random.index(THINGS);
            let is_wanted = self.begins_anew || self.random.below(2) == 0;
            self.subscriptions[thing].begin(is_wanted);
            let filter = self.filter(thing);
            if !is_wanted {
                link.unsubscribe(&filter).await?;
            } else if link.subscribe(&filter, QoS::AtLeastOnce).await? != 1 {
                continue;
            }
            self.subscriptions[thing].acknowledged(is_wanted);
        }
        Ok(())
    }

    async fn connect(
        &mut self,
        place: &Place,
        stage: &Stage,
        is_clean: bool,
    ) -> Result<Link, CrashError> {
        let start = if is_clean {
            self.subscriptions
                .iter_mut()
                .for_each(|subscription| subscription.begin(false));
            Start::Clean
        } else {
            Start::Resume
        };
        let (link, present) = Link::open(place, hello(self.client_id, start)).await?;
        if !present {
            if !is_clean && self.is_known {
                let what = self.client_id.to_owned();
                stage.deliveries().find(Fault::SessionLost, what);
            }
            self.subscriptions
                .iter_mut()
                .for_each(|subscription| subscription.acknowledged(false));
        }
        self.is_known = true;
        Ok(link)
    }

    /// Publishes to each filter, and sees what comes.
    pub(crate) async fn check(&mut self, place: &Place, stage: &Stage) -> Result<(), CrashError> {
        let mut link = self.connect(place, stage, false).await?;
        let (mut prober, _) = Link::open(place, hello("prober", Start::Passing)).await?;
        let payload = stage.round.to_string();
        for thing in 0..THINGS {
            let topic = self.filter(thing);
            let taken = prober
                .publish_one(message(&topic, payload.as_bytes(), false))
                .await?;
            if !taken {
                return Err(CrashError::Link("a probe was refused".to_owned()));
            }
        }
        let found = collect(&mut link).await?;
        for thing in 0..THINGS {
            let filter = self.filter(thing);
            let is_there = match found.get(&filter) {
                Some(found) if found == payload.as_bytes() => true,
                Some(found) => {
                    let what = format!("{filter} got {found:?}");
                    stage.deliveries().find(Fault::Altered, what);
                    continue;
                }
                None => false,
            };
            let fault = if is_there {
                Fault::SubscriptionResurrected
            } else {
                Fault::SubscriptionLost
            };
            if self.subscriptions[thing].read(is_there).is_err() {
                stage.deliveries().find(fault, filter);
            }
        }
        prober.disconnect(&PropertyList::new()).await?;
        link.disconnect(&PropertyList::new()).await
    }
}
