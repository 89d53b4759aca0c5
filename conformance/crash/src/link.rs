//! One connection: packets out in batches, packets in one by one.

use std::time::Duration;

use quince_client::{Dialer, Endpoint, Event, Flow, Transport, Trust};
use quince_codec::{
    Connect, FilterList, Frame, Framer, Packet, PacketId, Properties, Property, PropertyList, QoS,
    Subscribe, SubscriptionList, SubscriptionOptions, Unsubscribe, Version,
};
use tokio::time::timeout;

use crate::CrashError;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Session Expiry Interval of a Session that is kept, in seconds.
const KEPT: u32 = 3600;

/// The identifier of exchanges that are made one at a time.
pub(crate) const ONE: PacketId = match PacketId::new(1) {
    Some(id) => id,
    None => unreachable!(),
};

/// Who connects, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) version: Version,
    pub(crate) start: Start,
    /// Receive Maximum.
    pub(crate) receive_maximum: u16,
}

/// What becomes of the Session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// It goes on.
    Resume,
    /// It begins anew, and is kept.
    Clean,
    /// It begins anew, and ends with the connection.
    Passing,
}

/// Where the broker is.
#[derive(Debug)]
pub(crate) struct Place {
    dialer: Dialer,
    endpoint: Endpoint,
}

impl Place {
    pub(crate) fn new(scheme: &str, port: u16) -> Result<Self, CrashError> {
        let endpoint = Endpoint::parse(&format!("{scheme}://127.0.0.1:{port}"))
            .map_err(|error| CrashError::Link(error.to_string()))?;
        Ok(Self {
            dialer: Dialer::new(Trust::Anyone, PATIENCE),
            endpoint,
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    transport: Transport,
    framer: Framer,
    version: Version,
    /// How many messages above QoS 0 the broker takes at once.
    pub(crate) receive_maximum: u16,
    output: Vec<u8>,
}

fn ended(reason: impl ToString) -> CrashError {
    CrashError::Link(reason.to_string())
}

impl Link {
    /// Connects; gives Session Present.
    pub(crate) async fn open(place: &Place, hello: Hello<'_>) -> Result<(Self, bool), CrashError> {
        let transport = place.dialer.dial(&place.endpoint).await.map_err(ended)?;
        let mut link = Self {
            transport,
            framer: Framer::new(u32::MAX),
            version: hello.version,
            receive_maximum: u16::MAX,
            output: Vec::new(),
        };
        let mut properties = PropertyList::new();
        if hello.version == Version::V5_0 {
            let expiry = if hello.start == Start::Passing {
                0
            } else {
                KEPT
            };
            properties.push(Property::SessionExpiryInterval(expiry));
            properties.push(Property::ReceiveMaximum(hello.receive_maximum));
        }
        link.send(&Packet::Connect(Connect {
            version: hello.version,
            clean_start: hello.start != Start::Resume,
            keep_alive: 0,
            properties: properties.as_properties(),
            client_id: hello.client_id,
            will: None,
            user_name: None,
            password: None,
        }))
        .await?;
        let frame = link.answer().await?;
        match frame.decode(link.version).map_err(ended)? {
            Packet::ConnAck(answer) if answer.code == 0 => {
                if let Some(maximum) = answer.properties.receive_maximum() {
                    link.receive_maximum = maximum;
                }
                Ok((link, answer.session_present))
            }
            other => Err(ended(format!("CONNECT was answered by {other:?}"))),
        }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Puts a packet behind what waits to be written.
    pub(crate) fn queue(&mut self, packet: &Packet<'_>) -> Result<(), CrashError> {
        packet.encode(self.version, &mut self.output).map_err(ended)
    }

    /// Writes what is queued.
    pub(crate) async fn flush(&mut self) -> Result<(), CrashError> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = self.transport.write(Flow::CONTROL, &self.output).await;
        self.output.clear();
        written.map_err(ended)
    }

    pub(crate) async fn send(&mut self, packet: &Packet<'_>) -> Result<(), CrashError> {
        self.queue(packet)?;
        self.flush().await
    }

    /// A packet that has come already.
    pub(crate) fn ready(&mut self) -> Result<Option<Frame>, CrashError> {
        self.framer.next_frame().map_err(ended)
    }

    /// Waits for the next packet. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Frame, CrashError> {
        loop {
            if let Some(frame) = self.ready()? {
                return Ok(frame);
            }
            match self.transport.next().await {
                Event::Bytes(_, bytes) => self.framer.push(&bytes),
                event => return Err(ended(format!("the broker ended it: {event:?}"))),
            }
        }
    }

    async fn answer(&mut self) -> Result<Frame, CrashError> {
        timeout(PATIENCE, self.next())
            .await
            .map_err(|_| ended("the broker does not answer"))?
    }

    /// Waits for the next packet of which `take` makes something; the others are dropped, so this is for clients that are sent
    /// nothing else that counts.
    async fn expect<T>(
        &mut self,
        take: impl Fn(&Packet<'_>) -> Option<T>,
    ) -> Result<T, CrashError> {
        loop {
            let frame = self.answer().await?;
            let packet = frame.decode(self.version).map_err(ended)?;
            if let Some(taken) = take(&packet) {
                return Ok(taken);
            }
        }
    }

    /// Sends a SUBSCRIBE for one filter, and waits for nothing.
    pub(crate) async fn send_subscribe(
        &mut self,
        filter: &str,
        qos: QoS,
    ) -> Result<(), CrashError> {
        let mut subscriptions = SubscriptionList::new();
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        subscriptions.push(filter, options);
        self.send(&Packet::Subscribe(Subscribe {
            packet_id: ONE,
            properties: Properties::EMPTY,
            subscriptions: subscriptions.as_ref(),
        }))
        .await
    }

    /// Subscribes to one filter, and gives the code of SUBACK.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) -> Result<u8, CrashError> {
        self.send_subscribe(filter, qos).await?;
        self.expect(|packet| match packet {
            Packet::SubAck(answer) => answer.codes.first().copied(),
            _ => None,
        })
        .await
    }

    /// Takes one subscription back.
    pub(crate) async fn unsubscribe(&mut self, filter: &str) -> Result<(), CrashError> {
        let mut filters = FilterList::new();
        filters.push(filter);
        self.send(&Packet::Unsubscribe(Unsubscribe {
            packet_id: ONE,
            properties: Properties::EMPTY,
            filters: filters.as_ref(),
        }))
        .await?;
        self.expect(|packet| matches!(packet, Packet::UnsubAck(_)).then_some(()))
            .await
    }

    /// Sends a PUBLISH at QoS 1, and tells whether it was taken.
    pub(crate) async fn publish_one(
        &mut self,
        publish: quince_codec::Publish<'_>,
    ) -> Result<bool, CrashError> {
        self.send(&Packet::Publish(publish)).await?;
        self.expect(|packet| match packet {
            Packet::PubAck(answer) => Some(!answer.reason_code.is_error()),
            _ => None,
        })
        .await
    }

    /// Ends the connection in order.
    pub(crate) async fn disconnect(mut self, properties: &PropertyList) -> Result<(), CrashError> {
        self.send(&Packet::Disconnect(quince_codec::Disconnect {
            reason_code: quince_codec::ReasonCode::NORMAL_DISCONNECTION,
            properties: properties.as_properties(),
        }))
        .await?;
        self.transport.close().await;
        Ok(())
    }

    /// Drops the connection without a word.
    pub(crate) fn abort(self) {
        self.transport.abort(0);
    }
}
