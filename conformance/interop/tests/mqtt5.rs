//! The crate `mqtt5`, an independent client, over `quic://` on its control stream alone.
//!
//! Needs `QUINCE_BROKER`: the path of the built daemon.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mqtt5::transport::StreamStrategy;
use mqtt5::{Message, MqttClient, PublishOptions, QoS, SubscribeOptions};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A running daemon; dropping it ends it.
struct Broker {
    process: Child,
    url: String,
}

impl Broker {
    fn start() -> Self {
        let path = std::env::var_os("QUINCE_BROKER").expect("QUINCE_BROKER names the built daemon");
        let mut process = Command::new(path)
            .args(["--listen", "quic://127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let out = process.stdout.take().expect("its output is piped");
        // All of it: the daemon takes a closed standard output for the end of whoever started it.
        let lines = BufReader::new(out).lines().map(|line| line.expect("text"));
        let lines: Vec<_> = lines.take_while(|line| line != "ready").collect();
        let line = lines.first().expect("it prints its listener");
        let url = line
            .split(' ')
            .next()
            .expect("the line begins with the URL")
            .to_owned();
        Self { process, url }
    }

    async fn client(&self, id: &str) -> MqttClient {
        let client = MqttClient::new(id);
        client.set_insecure_tls(true).await;
        client
            .set_quic_stream_strategy(StreamStrategy::ControlOnly)
            .await;
        timeout(PATIENCE, client.connect(&self.url))
            .await
            .expect("in time")
            .expect("connected");
        client
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn subscribe(client: &MqttClient, filter: &str) -> mpsc::UnboundedReceiver<Message> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let options = SubscribeOptions {
        qos: QoS::ExactlyOnce,
        ..SubscribeOptions::default()
    };
    let subscribed = client.subscribe_with_options(filter, options, move |message| {
        let _ = sender.send(message);
    });
    timeout(PATIENCE, subscribed)
        .await
        .expect("in time")
        .expect("subscribed");
    receiver
}

async fn next(messages: &mut mpsc::UnboundedReceiver<Message>) -> Message {
    timeout(PATIENCE, messages.recv())
        .await
        .expect("a message in time")
        .expect("a message")
}

#[tokio::test]
async fn every_quality_of_service_and_retained_messages_over_quic() {
    let broker = Broker::start();
    let publisher = broker.client("publisher").await;
    let subscriber = broker.client("subscriber").await;
    let mut live = subscribe(&subscriber, "live/#").await;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let payload = format!("at {qos:?}");
        let published = publisher.publish_qos("live/topic", payload.clone(), qos);
        timeout(PATIENCE, published)
            .await
            .expect("in time")
            .expect("acknowledged");
        let message = next(&mut live).await;
        assert_eq!(message.payload, payload.as_bytes());
        assert_eq!((message.qos, message.retain), (qos, false));
    }
    let options = PublishOptions {
        qos: QoS::AtLeastOnce,
        retain: true,
        ..PublishOptions::default()
    };
    let published = publisher.publish_with_options("kept/topic", "kept", options);
    timeout(PATIENCE, published)
        .await
        .expect("in time")
        .expect("acknowledged");
    let mut kept = subscribe(&subscriber, "kept/#").await;
    let message = next(&mut kept).await;
    assert_eq!((&message.payload[..], message.retain), (&b"kept"[..], true));
    publisher.disconnect().await.expect("disconnected");
    subscriber.disconnect().await.expect("disconnected");
}
