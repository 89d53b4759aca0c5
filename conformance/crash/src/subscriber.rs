//! A subscriber whose Session outlives connections, rounds and crashes.

use std::collections::BTreeMap;
use std::time::Duration;

use quince_codec::{Acknowledgement, Packet, PacketId, PropertyList, Publish, QoS, Version};
use quince_model::delivery::{Fault, MessageName};

use crate::CrashError;
use crate::link::{Hello, Link, Place, Start};
use crate::stage::{Phase, Stage, Wake, packet};

/// How long a slow subscriber takes for a message.
const SLOWNESS: Duration = Duration::from_millis(2);

/// What a subscriber does while there is load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Acknowledges at once.
    Prompt,
    /// Takes its time, so that much waits for it.
    Slow,
    /// Is not there.
    Away,
    /// Acknowledges nothing, and ends its Session in the middle.
    Leaves,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) name: u16,
    client_id: String,
    /// With `{}` for the round.
    filter: &'static str,
    pub(crate) habit: Habit,
    receive_maximum: u16,
    subscribed: Option<String>,
    /// QoS 2 messages that it has, and whose PUBREL has not come.
    unreleased: BTreeMap<u16, MessageName>,
    is_known: bool,
}

impl Subscriber {
    pub(crate) fn new(name: u16, filter: &'static str, habit: Habit) -> Self {
        Self {
            name,
            client_id: format!("subscriber {name}"),
            filter,
            habit,
            receive_maximum: match habit {
                Habit::Prompt | Habit::Away => 200,
                Habit::Slow | Habit::Leaves => 10,
            },
            subscribed: None,
            unreleased: BTreeMap::new(),
            is_known: false,
        }
    }

    pub(crate) async fn connect(
        &mut self,
        place: &Place,
        stage: &Stage,
    ) -> Result<Link, CrashError> {
        let hello = Hello {
            client_id: &self.client_id,
            version: Version::V5_0,
            start: if self.is_known {
                Start::Resume
            } else {
                Start::Clean
            },
            receive_maximum: self.receive_maximum,
        };
        let (link, present) = Link::open(place, hello).await?;
        if !present {
            self.unreleased.clear();
            if self.is_known {
                let what = self.client_id.clone();
                stage.deliveries().find(Fault::SessionLost, what);
            }
        }
        self.is_known = true;
        Ok(link)
    }

    /// Moves its subscription to the topics of a new round.
    pub(crate) async fn prepare(
        &mut self,
        link: &mut Link,
        stage: &Stage,
    ) -> Result<(), CrashError> {
        let filter = self.filter.replace("{}", &stage.round.to_string());
        if let Some(old) = self.subscribed.take() {
            link.unsubscribe(&old).await?;
        }
        match link.subscribe(&filter, QoS::ExactlyOnce).await? {
            2 => {
                self.subscribed = Some(filter);
                Ok(())
            }
            code => Err(CrashError::Link(format!("SUBACK with {code:#x}"))),
        }
    }

    /// Takes what comes until the round finishes or the broker dies.
    pub(crate) async fn run(
        &mut self,
        link: &mut Link,
        stage: &mut Stage,
    ) -> Result<(), CrashError> {
        let mut is_asked = false;
        loop {
            if stage.phase() == Phase::Finish && !is_asked {
                is_asked = true;
                link.queue(&Packet::PingReq)?;
            }
            link.flush().await?;
            match stage.wake(link).await {
                Wake::Packet(frame) => {
                    let mut next = Some(frame);
                    while let Some(frame) = next {
                        let packet = packet(link, &frame)?;
                        if matches!(packet, Packet::PingResp) {
                            return Ok(());
                        }
                        self.take(&packet, link, stage)?;
                        next = link.ready()?;
                    }
                    if self.habit == Habit::Slow && stage.phase() == Phase::Load {
                        tokio::time::sleep(SLOWNESS).await;
                    }
                }
                Wake::Phase => {}
                Wake::Gone(error) => return Err(error),
            }
        }
    }

    /// Acknowledges nothing for a while, and ends its Session: what it was sent is owed to the other members, since all of it is QoS 1.
    pub(crate) async fn leave(
        &mut self,
        mut link: Link,
        stage: &mut Stage,
        after: Duration,
    ) -> Result<(), CrashError> {
        let _ = tokio::time::timeout(after, async {
            while stage.phase() == Phase::Load {
                match stage.wake(&mut link).await {
                    Wake::Packet(_) | Wake::Phase => {}
                    Wake::Gone(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await;
        let mut properties = PropertyList::new();
        properties.push(quince_codec::Property::SessionExpiryInterval(0));
        link.disconnect(&properties).await
    }

    /// Ends its Session for certain.
    pub(crate) async fn end_session(&mut self, place: &Place) -> Result<(), CrashError> {
        let hello = Hello {
            client_id: &self.client_id,
            version: Version::V5_0,
            start: Start::Passing,
            receive_maximum: self.receive_maximum,
        };
        let (link, _) = Link::open(place, hello).await?;
        (self.is_known, self.subscribed) = (false, None);
        link.disconnect(&PropertyList::new()).await
    }

    fn take(
        &mut self,
        packet: &Packet<'_>,
        link: &mut Link,
        stage: &Stage,
    ) -> Result<(), CrashError> {
        match packet {
            Packet::Publish(publish) => {
                let id = publish
                    .packet_id
                    .ok_or_else(|| CrashError::Link("a message came at QoS 0".to_owned()))?;
                self.take_message(publish, id, stage);
                let answer = Acknowledgement::success(id);
                link.queue(&match publish.qos {
                    QoS::ExactlyOnce => Packet::PubRec(answer),
                    _ => Packet::PubAck(answer),
                })
            }
            Packet::PubRel(release) => {
                self.unreleased.remove(&release.packet_id.value());
                let answer = Acknowledgement::success(release.packet_id);
                link.queue(&Packet::PubComp(answer))
            }
            other => Err(CrashError::Link(format!("a subscriber got {other:?}"))),
        }
    }

    fn take_message(&mut self, publish: &Publish<'_>, id: PacketId, stage: &Stage) {
        let mut deliveries = stage.deliveries();
        let Some((message, qos)) = stage.message(publish.payload) else {
            let payload = String::from_utf8_lossy(publish.payload);
            let start: String = payload.chars().take(60).collect();
            let what = format!("{} got '{start}' on {}", self.client_id, publish.topic);
            deliveries.find(Fault::Altered, what);
            return;
        };
        if qos == QoS::ExactlyOnce {
            match self.unreleased.insert(id.value(), message) {
                Some(before) if before == message => return,
                Some(before) => {
                    let what = format!("{} got {message} as {id}, which is {before}", self.name);
                    deliveries.find(Fault::Altered, what);
                }
                None => {}
            }
        }
        deliveries.received(self.name, message, publish.qos, publish.dup);
    }
}
