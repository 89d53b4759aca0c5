//! The two clients of a trial: an open-loop publisher and a subscriber that keeps the tally.

use std::collections::BTreeMap;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use quince_client::{
    Client, ConnectOptions, Dialer, Endpoint, Flow, StreamStrategy, Trust, Tuning,
};
use quince_codec::{
    Packet, PacketId, Properties, Publish, QoS, Subscribe, SubscriptionList, SubscriptionOptions,
    Version,
};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::clock::Instant;
use super::contender::Contender;
use super::fault::Fault;
use super::load::{Load, Message};
use super::network::KEY_EXCHANGE;
use super::samples::{QuicSampler, QuicSamples};
use super::tally::Tally;

/// How long a client may take from the first packet to CONNACK. A bad link needs several tries of the handshake.
pub(crate) const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
/// QoS 1 messages that may wait for their PUBACK: what the broker's Receive Maximum allows.
const IN_FLIGHT: usize = 256;
const VERSION: Version = Version::V5_0;

/// Whom a client dials, and how.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    pub(crate) endpoint: Endpoint,
    pub(crate) contender: Contender,
    pub(crate) client_id: &'static str,
}

impl Dial {
    /// Connects with a dialler of its own, so that nothing is resumed; gives the client and the time from the first
    /// packet to CONNACK.
    pub(crate) async fn connect(&self) -> Result<(Client, Duration), String> {
        // The broker's certificate is made at its start and names no address of the link. Its signature is still checked.
        let dialer = Dialer::new(Trust::Anyone, CONNECT_PATIENCE).tuned(Tuning {
            tcp_congestion: self.contender.tcp_congestion.clone(),
            key_exchange: Some(KEY_EXCHANGE),
        });
        let options = ConnectOptions {
            version: VERSION,
            client_id: self.client_id.to_owned(),
            keep_alive: 0,
            clean_start: true,
            patience: CONNECT_PATIENCE,
        };
        let begin = Instant::now();
        let transport = dialer
            .dial(&self.endpoint)
            .await
            .map_err(|error| error.to_string())?;
        let client = Client::connect(transport, &options)
            .await
            .map_err(|error| error.to_string())?;
        Ok((client, Instant::now().since(begin)))
    }

    async fn connect_as(&self, who: &'static str) -> Result<(Client, Duration), Fault> {
        self.connect()
            .await
            .map_err(|reason| Fault::Client { who, reason })
    }
}

/// What a publisher has to tell at the end.
#[derive(Debug)]
pub(crate) struct Published {
    /// Messages that it could hand to its connection.
    pub(crate) written: u64,
    /// QoS 1 messages that the broker acknowledged.
    pub(crate) acknowledged: u64,
    /// Why its connection ended, if it did before it should.
    pub(crate) ended: Option<String>,
    /// QUIC's own statistics, if it is QUIC.
    pub(crate) quic: Option<QuicSamples>,
}

/// Publishes every message that comes, until `over` says true. Tells when all are `handed_over`: written, and with QoS 1
/// acknowledged.
pub(crate) async fn publish(
    dial: Dial,
    load: Load,
    mut messages: mpsc::UnboundedReceiver<Message>,
    ready: &std_mpsc::Sender<Result<Duration, Fault>>,
    handed_over: &std_mpsc::Sender<()>,
    mut over: watch::Receiver<bool>,
) -> Option<Published> {
    let (mut client, took) = match dial.connect_as("publisher").await {
        Ok(connected) => connected,
        Err(fault) => {
            // The trial waits for this, or has given up already.
            let _ = ready.send(Err(fault));
            return None;
        }
    };
    let quic = client
        .transport()
        .quic_connection()
        .cloned()
        .map(QuicSampler::start);
    ready.send(Ok(took)).ok()?;
    let mut published = Published {
        written: 0,
        acknowledged: 0,
        ended: None,
        quic: None,
    };
    let topics: Vec<_> = (0..u64::from(load.topics))
        .map(|index| load.topic(index))
        .collect();
    let mut in_flight = InFlight::default();
    let mut over_while_sending = over.clone();
    let mut open = true;
    loop {
        let may_send = open && in_flight.has_room(load.qos);
        tokio::select! {
            message = messages.recv(), if may_send => match message {
                None => open = false,
                Some(message) => {
                    let topic = usize::try_from(message.index).unwrap_or_default() % topics.len();
                    let id = (load.qos > 0).then(|| in_flight.start());
                    // A connection whose path is gone takes no more bytes, and the trial is over all the same.
                    let sent = tokio::select! {
                        sent = send(&mut client, dial.contender.streams, &load, &topics[topic], message, id) => sent,
                        _ = over_while_sending.wait_for(|over| *over) => break,
                    };
                    if let Err(error) = sent {
                        published.ended = Some(error);
                        break;
                    }
                    published.written += 1;
                    if load.qos == 0 && published.written == load.messages() {
                        // The trial may have given up already.
                        let _ = handed_over.send(());
                    }
                }
            },
            received = client.receive_from() => match received.as_ref().map(|(_, frame)| frame.decode(VERSION)) {
                Ok(Ok(Packet::PubAck(ack))) => {
                    published.acknowledged += 1;
                    // Identifiers are drawn from one counter, so that no two streams have the same one in flight.
                    in_flight.end(ack.packet_id);
                    if published.acknowledged == load.messages() {
                        let _ = handed_over.send(());
                    }
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    published.ended = Some(error.to_string());
                    break;
                }
                Err(error) => {
                    published.ended = Some(error.to_string());
                    break;
                }
            },
            _ = over.wait_for(|over| *over) => break,
        }
    }
    if let Some(quic) = quic {
        published.quic = Some(quic.stop().await);
    }
    if published.ended.is_none() {
        // The trial is over; whether the goodbye arrives changes nothing.
        let _ = timeout(Duration::from_secs(1), client.disconnect()).await;
    }
    Some(published)
}

async fn send(
    client: &mut Client,
    streams: StreamStrategy,
    load: &Load,
    topic: &str,
    message: Message,
    packet_id: Option<PacketId>,
) -> Result<(), String> {
    let payload = message.payload(load.payload);
    let publish = Publish {
        dup: false,
        qos: qos(load),
        retain: false,
        topic,
        packet_id,
        properties: Properties::EMPTY,
        payload: &payload,
    };
    client
        .publish(streams, &publish)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

fn qos(load: &Load) -> QoS {
    if load.qos == 0 {
        QoS::AtMostOnce
    } else {
        QoS::AtLeastOnce
    }
}

/// The packet identifiers that wait for their PUBACK.
#[derive(Debug, Default)]
struct InFlight {
    last: u16,
    waiting: BTreeMap<u16, ()>,
}

impl InFlight {
    fn has_room(&self, qos: u8) -> bool {
        qos == 0 || self.waiting.len() < IN_FLIGHT
    }

    /// The next free identifier; there is one, because far fewer than all may wait.
    fn start(&mut self) -> PacketId {
        loop {
            self.last = self.last.wrapping_add(1);
            if let Some(id) = PacketId::new(self.last)
                && self.waiting.insert(self.last, ()).is_none()
            {
                return id;
            }
        }
    }

    fn end(&mut self, id: PacketId) {
        self.waiting.remove(&id.value());
    }
}

/// Takes what comes until everything has come or `over` says true.
pub(crate) async fn subscribe(
    dial: Dial,
    load: Load,
    ready: &std_mpsc::Sender<Result<Duration, Fault>>,
    complete: &std_mpsc::Sender<()>,
    mut over: watch::Receiver<bool>,
) -> Option<Subscribed> {
    let subscribed = async {
        let (mut client, took) = dial.connect_as("subscriber").await?;
        subscribe_to_all(&mut client, dial.contender.streams, &load)
            .await
            .map_err(|reason| Fault::Client {
                who: "subscriber",
                reason,
            })?;
        Ok((client, took))
    };
    let mut client = match subscribed.await {
        Ok((client, took)) => {
            ready.send(Ok(took)).ok()?;
            client
        }
        Err(fault) => {
            // The trial waits for this, or has given up already.
            let _ = ready.send(Err(fault));
            return None;
        }
    };
    let mut tally = Tally::new(load.messages());
    let mut ended = None;
    let mut told = false;
    // It stays after the last message, so that copies that come late are seen.
    loop {
        let received = tokio::select! {
            received = client.receive_from() => received,
            _ = over.wait_for(|over| *over) => break,
        };
        let now = Instant::now();
        let result = match &received {
            Ok((flow, frame)) => match frame.decode(VERSION) {
                Ok(Packet::Publish(publish)) => {
                    tally.arrive(publish.payload, now);
                    client
                        .acknowledge_on(*flow, &publish)
                        .await
                        .map_err(|error| error.to_string())
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = result {
            ended = Some(reason);
            break;
        }
        if tally.is_complete() && !told {
            told = true;
            // Nobody needs to know any more.
            let _ = complete.send(());
        }
    }
    if ended.is_none() {
        // The trial is over; whether the goodbye arrives changes nothing.
        let _ = timeout(Duration::from_secs(1), client.disconnect()).await;
    }
    Some(Subscribed { tally, ended })
}

/// What a subscriber has to tell at the end.
#[derive(Debug)]
pub(crate) struct Subscribed {
    pub(crate) tally: Tally,
    /// Why its connection ended, if it did before it should.
    pub(crate) ended: Option<String>,
}

/// Subscribes to all topics, on the streams that the contender has for them.
async fn subscribe_to_all(
    client: &mut Client,
    streams: StreamStrategy,
    load: &Load,
) -> Result<(), String> {
    if streams == StreamStrategy::Single {
        return subscribe_on(client, Flow::CONTROL, "lab/+", load).await;
    }
    for topic in (0..u64::from(load.topics)).map(|index| load.topic(index)) {
        let opened = timeout(CONNECT_PATIENCE, client.open_flow()).await;
        let flow = opened
            .map_err(|_| format!("the broker gives no stream for {topic}: take fewer --topics"))?
            .map_err(|error| error.to_string())?;
        subscribe_on(client, flow, &topic, load).await?;
    }
    Ok(())
}

async fn subscribe_on(
    client: &mut Client,
    flow: Flow,
    filter: &str,
    load: &Load,
) -> Result<(), String> {
    let mut list = SubscriptionList::new();
    let options = SubscriptionOptions {
        qos: qos(load),
        ..SubscriptionOptions::default()
    };
    list.push(filter, options);
    let subscribe = Subscribe {
        packet_id: PacketId::new(1).ok_or("no packet identifier")?,
        properties: Properties::EMPTY,
        subscriptions: list.as_ref(),
    };
    client
        .send_on(flow, &Packet::Subscribe(subscribe))
        .await
        .map_err(|error| error.to_string())?;
    let (answered_on, frame) = timeout(CONNECT_PATIENCE, client.receive_from())
        .await
        .map_err(|_| "no SUBACK in time".to_owned())?
        .map_err(|error| error.to_string())?;
    match frame.decode(VERSION) {
        Ok(Packet::SubAck(ack)) if ack.codes == [load.qos] && answered_on == flow => Ok(()),
        Ok(other) => Err(format!(
            "expected a SUBACK that grants QoS {}, got {other:?}",
            load.qos
        )),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_identifiers_in_flight_are_not_used_again_and_bounded() {
        let mut in_flight = InFlight::default();
        let first = in_flight.start();
        for _ in 1..IN_FLIGHT {
            assert!(in_flight.has_room(1));
            in_flight.start();
        }
        assert!(!in_flight.has_room(1));
        assert!(in_flight.has_room(0), "QoS 0 waits for nothing");
        in_flight.last = u16::MAX;
        in_flight.waiting.remove(&300);
        let next = in_flight.start();
        assert_eq!(
            usize::from(next.value()),
            IN_FLIGHT + 1,
            "0 and those in flight are left out"
        );
        in_flight.end(first);
        in_flight.end(next);
        assert!(in_flight.has_room(1));
    }
}
