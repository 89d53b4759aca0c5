//! The crate `rumqttc`, an independent client, over TCP in both of its versions.

use std::collections::VecDeque;

use quince_interop::{Broker, Hello, Message, Peer, Version, all_is_there, in_time};
use rumqttc::Outgoing;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What an event loop tells, as far as it matters here.
#[derive(Debug)]
enum Told {
    Connected(bool),
    Granted(bool),
    /// A PUBLISH at QoS 0 has left, or the exchange of another has ended.
    Published,
    Goodbye,
    Message(Message),
}

/// Sorts what an event loop tells.
struct Ear {
    told: mpsc::UnboundedReceiver<Told>,
    waiting: VecDeque<Message>,
    events: JoinHandle<()>,
}

impl Ear {
    fn new(told: mpsc::UnboundedReceiver<Told>, events: JoinHandle<()>) -> Self {
        Self {
            told,
            waiting: VecDeque::new(),
            events,
        }
    }

    async fn wait<T>(&mut self, for_what: impl Fn(&Told) -> Option<T>) -> T {
        in_time(async {
            loop {
                let told = self.told.recv().await.expect("the event loop lives");
                if let Some(found) = for_what(&told) {
                    return found;
                }
                if let Told::Message(message) = told {
                    self.waiting.push_back(message);
                }
            }
        })
        .await
    }

    async fn granted(&mut self) {
        let is_granted = self.wait(|told| match told {
            Told::Granted(is) => Some(*is),
            _ => None,
        });
        assert!(is_granted.await);
    }

    async fn published(&mut self) {
        self.wait(|told| matches!(told, Told::Published).then_some(()))
            .await;
    }

    async fn message(&mut self) -> Message {
        if let Some(message) = self.waiting.pop_front() {
            return message;
        }
        self.wait(|told| match told {
            Told::Message(message) => Some(message.clone()),
            _ => None,
        })
        .await
    }

    async fn connected(&mut self) -> bool {
        self.wait(|told| match told {
            Told::Connected(present) => Some(*present),
            _ => None,
        })
        .await
    }

    async fn goodbye(mut self) {
        self.wait(|told| matches!(told, Told::Goodbye).then_some(()))
            .await;
        self.events.abort();
        let _ = self.events.await;
    }

    /// Drops the socket without DISCONNECT.
    async fn drop_connection(&mut self) {
        self.events.abort();
        let _ = (&mut self.events).await;
    }
}

fn address(url: &str) -> (&str, u16) {
    let (host, port) = url
        .strip_prefix("tcp://")
        .and_then(|rest| rest.split_once(':'))
        .expect("a host and a port");
    (host, port.parse().expect("a number"))
}

/// What is called alike in both of its modules, and what is not.
mod v3 {
    pub(super) use rumqttc::mqttbytes::v4::{LastWill, Packet, SubscribeReasonCode};
    pub(super) use rumqttc::{AsyncClient, Event, MqttOptions, QoS};

    pub(super) fn keep(options: &mut MqttOptions, keep: bool) {
        options.set_clean_session(!keep);
    }

    pub(super) fn will(topic: &str) -> LastWill {
        LastWill::new(topic, "gone", QoS::AtLeastOnce, false)
    }
}

mod v5 {
    pub(super) use rumqttc::v5::mqttbytes::QoS;
    pub(super) use rumqttc::v5::mqttbytes::v5::{LastWill, Packet, SubscribeReasonCode};
    pub(super) use rumqttc::v5::{AsyncClient, Event, MqttOptions};

    pub(super) fn keep(options: &mut MqttOptions, keep: bool) {
        options.set_clean_start(!keep);
        options.set_session_expiry_interval(keep.then_some(60));
    }

    pub(super) fn will(topic: &str) -> LastWill {
        LastWill::new(topic, "gone", QoS::AtLeastOnce, false, None)
    }
}

macro_rules! peer {
    ($peer:ident, $version:ident) => {
        struct $peer {
            client: $version::AsyncClient,
            ear: Ear,
        }

        impl $peer {
            fn quality(qos: u8) -> $version::QoS {
                use $version::QoS;
                [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
            }

            fn told(event: $version::Event) -> Option<Told> {
                use $version::{Event, Packet, QoS, SubscribeReasonCode};
                Some(match event {
                    Event::Incoming(Packet::ConnAck(it)) => Told::Connected(it.session_present),
                    Event::Incoming(Packet::SubAck(it)) => {
                        let granted = SubscribeReasonCode::Success(QoS::ExactlyOnce);
                        Told::Granted(it.return_codes == [granted])
                    }
                    Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))
                    | Event::Outgoing(Outgoing::Publish(0)) => Told::Published,
                    Event::Outgoing(Outgoing::Disconnect) => Told::Goodbye,
                    Event::Incoming(Packet::Publish(it)) => Told::Message(Message {
                        payload: it.payload.to_vec(),
                        qos: it.qos as u8,
                        retain: it.retain,
                    }),
                    _ => return None,
                })
            }
        }

        impl Peer for $peer {
            async fn connect(hello: Hello<'_>) -> (Self, bool) {
                let (host, port) = address(hello.url);
                let mut options = $version::MqttOptions::new(hello.id, host, port);
                $version::keep(&mut options, hello.keep);
                if let Some(topic) = hello.will {
                    options.set_last_will($version::will(topic));
                }
                let (client, mut events) = $version::AsyncClient::new(options, 10);
                let (sender, receiver) = mpsc::unbounded_channel();
                let events = tokio::spawn(async move {
                    // An error is the end: it would connect again if it were asked once more.
                    while let Ok(event) = events.poll().await {
                        if let Some(told) = Self::told(event)
                            && sender.send(told).is_err()
                        {
                            return;
                        }
                    }
                });
                let mut ear = Ear::new(receiver, events);
                let present = ear.connected().await;
                (Self { client, ear }, present)
            }

            async fn subscribe(&mut self, filter: &str) {
                let subscribed = self.client.subscribe(filter, Self::quality(2)).await;
                subscribed.expect("sent");
                self.ear.granted().await;
            }

            async fn publish(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) {
                let qos = Self::quality(qos);
                let published = self.client.publish(topic, qos, retain, payload.to_owned());
                published.await.expect("sent");
                self.ear.published().await;
            }

            async fn next(&mut self) -> Message {
                self.ear.message().await
            }

            async fn end(self) {
                self.client.disconnect().await.expect("sent");
                self.ear.goodbye().await;
            }

            async fn vanish(&mut self) {
                self.ear.drop_connection().await;
            }
        }
    };
}

peer!(Rumqttc3, v3);
peer!(Rumqttc5, v5);

#[tokio::test]
async fn all_is_there_in_both_versions() {
    let broker = Broker::start(&["--listen", "tcp://127.0.0.1:0"]);
    let url = broker.url("tcp");
    all_is_there::<Rumqttc3>("rumqttc", url, Version::V3).await;
    all_is_there::<Rumqttc5>("rumqttc", url, Version::V5).await;
}
