//! A publisher with a window of messages under way, which it completes after a crash as its Session demands.

use std::collections::VecDeque;
use std::time::Duration;

use quince_codec::{
    Acknowledgement, Packet, PacketId, Properties, PropertyList, Publish, QoS, Version,
};
use quince_model::delivery::{Fault, MessageName};

use crate::CrashError;
use crate::link::{Hello, Link, Place, Start};
use crate::stage::{Phase, Stage, Wake, packet};

/// How many messages it has under way, if the broker takes so many at once.
const WINDOW: u16 = 100;
/// How long it rests after a refusal.
const REFUSED: Duration = Duration::from_millis(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) name: u16,
    client_id: String,
    version: Version,
    /// The QoS of its messages, one after the other.
    pattern: &'static [QoS],
    last_number: u64,
    last_id: u16,
    flights: VecDeque<Flight>,
    /// Whether the broker should have a Session of it.
    is_known: bool,
}

#[derive(Debug)]
struct Flight {
    message: MessageName,
    qos: QoS,
    packet_id: PacketId,
    /// PUBREC has come.
    is_released: bool,
}

impl Publisher {
    pub(crate) fn new(name: u16, version: Version, pattern: &'static [QoS]) -> Self {
        Self {
            name,
            client_id: format!("publisher {name}"),
            version,
            pattern,
            last_number: 0,
            last_id: 0,
            flights: VecDeque::new(),
            is_known: false,
        }
    }

    /// Connects, and sends again what is under way.
    pub(crate) async fn connect(
        &mut self,
        place: &Place,
        stage: &Stage,
    ) -> Result<Link, CrashError> {
        let hello = Hello {
            client_id: &self.client_id,
            version: self.version,
            // Before 5.0 a Session that begins clean is not kept.
            start: if self.is_known || self.version < Version::V5_0 {
                Start::Resume
            } else {
                Start::Clean
            },
            receive_maximum: u16::MAX,
        };
        let (mut link, present) = Link::open(place, hello).await?;
        if self.is_known && !present {
            let what = self.client_id.clone();
            stage.deliveries().find(Fault::SessionLost, what);
            // What the broker has taken over is its own; the rest is sent anew.
            self.flights.retain(|flight| !flight.is_released);
        }
        self.is_known = true;
        for flight in &self.flights {
            if flight.is_released {
                let release = Acknowledgement::success(flight.packet_id);
                link.queue(&Packet::PubRel(release))?;
            } else {
                send(&mut link, stage, flight, present)?;
            }
        }
        link.flush().await?;
        Ok(link)
    }

    /// Ends its Session and forgets what was under way.
    pub(crate) async fn begin_anew(&mut self, place: &Place) -> Result<(), CrashError> {
        let hello = Hello {
            client_id: &self.client_id,
            version: self.version,
            start: Start::Passing,
            receive_maximum: u16::MAX,
        };
        let (link, _) = Link::open(place, hello).await?;
        self.flights.clear();
        self.is_known = false;
        link.disconnect(&PropertyList::new()).await
    }

    /// Publishes while there is load; then, or after a crash, completes what is under way.
    pub(crate) async fn run(
        &mut self,
        link: &mut Link,
        stage: &mut Stage,
    ) -> Result<(), CrashError> {
        let window = usize::from(link.receive_maximum.min(WINDOW));
        loop {
            while stage.phase() == Phase::Load && self.flights.len() < window {
                self.publish(link, stage)?;
            }
            link.flush().await?;
            if stage.phase() == Phase::Drain && self.flights.is_empty() {
                return Ok(());
            }
            match stage.wake(link).await {
                Wake::Packet(frame) => {
                    let mut refused = self.take(&packet(link, &frame)?, link, stage)?;
                    while let Some(frame) = link.ready()? {
                        refused |= self.take(&packet(link, &frame)?, link, stage)?;
                    }
                    if refused && stage.phase() == Phase::Load {
                        tokio::time::sleep(REFUSED).await;
                    }
                }
                Wake::Phase => {}
                Wake::Gone(error) => return Err(error),
            }
        }
    }

    fn publish(&mut self, link: &mut Link, stage: &Stage) -> Result<(), CrashError> {
        self.last_number += 1;
        let packet_id = loop {
            self.last_id = self.last_id.wrapping_add(1);
            let is_free = |id: &PacketId| self.flights.iter().all(|other| other.packet_id != *id);
            if let Some(id) = PacketId::new(self.last_id).filter(is_free) {
                break id;
            }
        };
        let place = usize::try_from(self.last_number).unwrap_or_default() % self.pattern.len();
        let flight = Flight {
            message: MessageName {
                publisher: self.name,
                number: self.last_number,
            },
            qos: self.pattern[place],
            packet_id,
            is_released: false,
        };
        send(link, stage, &flight, false)?;
        self.flights.push_back(flight);
        Ok(())
    }

    /// Takes an answer; tells whether it is a refusal.
    fn take(
        &mut self,
        packet: &Packet<'_>,
        link: &mut Link,
        stage: &Stage,
    ) -> Result<bool, CrashError> {
        let (Packet::PubAck(answer) | Packet::PubRec(answer) | Packet::PubComp(answer)) = packet
        else {
            return Err(CrashError::Link(format!("a publisher got {packet:?}")));
        };
        let of_it = |flight: &Flight| flight.packet_id == answer.packet_id;
        let Some(index) = self.flights.iter().position(of_it) else {
            return Ok(false);
        };
        let flight = &mut self.flights[index];
        let is_refusal = answer.reason_code.is_error();
        if !matches!(packet, Packet::PubComp(_)) && !flight.is_released {
            stage.deliveries().answered(flight.message, is_refusal);
        }
        if matches!(packet, Packet::PubRec(_)) && !is_refusal {
            flight.is_released = true;
            let release = Acknowledgement::success(flight.packet_id);
            link.queue(&Packet::PubRel(release))?;
            return Ok(false);
        }
        self.flights.remove(index);
        Ok(is_refusal)
    }
}

fn send(link: &mut Link, stage: &Stage, flight: &Flight, dup: bool) -> Result<(), CrashError> {
    stage.deliveries().sent(flight.message, flight.qos);
    link.queue(&Packet::Publish(Publish {
        dup,
        qos: flight.qos,
        retain: false,
        topic: &format!("load/{}/{}", stage.round, flight.message.publisher),
        packet_id: Some(flight.packet_id),
        properties: Properties::EMPTY,
        payload: &stage.payload(flight.message, flight.qos),
    }))
}
