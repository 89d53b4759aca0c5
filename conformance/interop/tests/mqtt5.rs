//! The crate `mqtt5`, an independent client: over TCP and over QUIC on its control stream alone, and its SCRAM.

use std::io::Write as _;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mqtt5::client::auth_handlers::ScramSha256AuthHandler;
use mqtt5::transport::StreamStrategy;
use mqtt5::{
    AuthHandler, AuthResponse, ConnectOptions, MqttClient, ProtocolVersion, PublishOptions, QoS,
    SubscribeOptions, WillMessage,
};
use quince_interop::{Broker, Hello, Message, Peer, Version, all_is_there, in_time};
use tokio::sync::mpsc;

struct Mqtt5 {
    client: MqttClient,
    sender: mpsc::UnboundedSender<Message>,
    messages: mpsc::UnboundedReceiver<Message>,
}

fn quality(qos: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
}

async fn client(id: &str) -> MqttClient {
    let client = MqttClient::new(id);
    client.set_insecure_tls(true).await;
    client
        .set_quic_stream_strategy(StreamStrategy::ControlOnly)
        .await;
    client
}

fn options(hello: Hello<'_>) -> ConnectOptions {
    let mut options = ConnectOptions::new(hello.id)
        .with_automatic_reconnect(false)
        .with_clean_start(!hello.keep)
        .with_protocol_version(match hello.version {
            Version::V3 => ProtocolVersion::V311,
            Version::V5 => ProtocolVersion::V5,
        });
    if hello.keep && hello.version == Version::V5 {
        options = options.with_session_expiry_interval(60);
    }
    if let Some(topic) = hello.will {
        let mut will = WillMessage::new(topic, "gone");
        will.qos = QoS::AtLeastOnce;
        options = options.with_will(will);
    }
    options
}

impl Peer for Mqtt5 {
    async fn connect(hello: Hello<'_>) -> (Self, bool) {
        let (sender, messages) = mpsc::unbounded_channel();
        let peer = Self {
            client: client(hello.id).await,
            sender,
            messages,
        };
        peer.come_back(hello).await
    }

    async fn come_back(self, hello: Hello<'_>) -> (Self, bool) {
        let url = hello.url.replace("tcp://", "mqtt://");
        let connected = self.client.connect_with_options(&url, options(hello)).await;
        let present = connected.expect("connected").session_present;
        (self, present)
    }

    async fn subscribe(&mut self, filter: &str) {
        let options = SubscribeOptions {
            qos: QoS::ExactlyOnce,
            ..SubscribeOptions::default()
        };
        let sender = self.sender.clone();
        let subscribed = self
            .client
            .subscribe_with_options(filter, options, move |message| {
                let _ = sender.send(Message {
                    payload: message.payload.to_vec(),
                    qos: message.qos as u8,
                    retain: message.retain,
                });
            });
        let (_, granted) = in_time(subscribed).await.expect("subscribed");
        assert_eq!(granted, QoS::ExactlyOnce);
    }

    async fn publish(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) {
        let options = PublishOptions {
            qos: quality(qos),
            retain,
            ..PublishOptions::default()
        };
        let published = self
            .client
            .publish_with_options(topic, payload.to_owned(), options);
        in_time(published).await.expect("acknowledged");
    }

    async fn next(&mut self) -> Message {
        self.messages.recv().await.expect("a message")
    }

    async fn end(self) {
        in_time(self.client.disconnect())
            .await
            .expect("disconnected");
    }

    async fn vanish(&mut self) {
        let gone = self.client.disconnect_abnormally();
        in_time(gone).await.expect("disconnected");
    }
}

#[tokio::test]
async fn all_is_there_over_tcp_and_quic() {
    let broker = Broker::start(&[
        "--listen",
        "quic://127.0.0.1:0",
        "--listen",
        "tcp://127.0.0.1:0",
    ]);
    for scheme in ["tcp", "quic"] {
        for version in [Version::V3, Version::V5] {
            all_is_there::<Mqtt5>("mqtt5", broker.url(scheme), version).await;
        }
    }
}

/// The crate's SCRAM, and how many challenges it was given.
struct Counted {
    handler: ScramSha256AuthHandler,
    challenges: Arc<AtomicUsize>,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = mqtt5::Result<T>> + Send + 'a>>;

impl AuthHandler for Counted {
    fn handle_challenge<'a>(
        &'a self,
        method: &'a str,
        challenge: Option<&'a [u8]>,
    ) -> Answer<'a, AuthResponse> {
        self.challenges.fetch_add(1, Ordering::SeqCst);
        self.handler.handle_challenge(method, challenge)
    }

    fn initial_response<'a>(&'a self, method: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        self.handler.initial_response(method)
    }
}

/// Its SCRAM is written against RFC 5802 by somebody else: it proves itself, and judges our proof.
#[tokio::test]
async fn scram_lets_the_right_password_in_again_and_again() {
    let folder = std::env::temp_dir().join(format!("quince-interop-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let passwords = folder.join("passwords");
    let passwords = passwords.to_str().expect("text");
    let mut passwd = Command::new(std::env::var_os("QUINCE_BROKER").expect("the daemon"))
        .args(["passwd", "--scram", passwords, "alice"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut stdin = passwd.stdin.take().expect("piped");
    stdin.write_all(b"secret\n").expect("written");
    drop(stdin);
    assert!(passwd.wait().expect("ended").success());
    let broker = Broker::start(&[
        "--listen",
        "tcp://127.0.0.1:0",
        "--password-file",
        passwords,
    ]);
    for (password, lets_in) in [("secret", true), ("wrong", false)] {
        let client = client("scram").await;
        let challenges = Arc::new(AtomicUsize::new(0));
        let handler = Counted {
            handler: ScramSha256AuthHandler::new("alice", password),
            challenges: Arc::clone(&challenges),
        };
        client.set_auth_handler(handler).await;
        let options = ConnectOptions::new("scram")
            .with_automatic_reconnect(false)
            .with_authentication_method("SCRAM-SHA-256");
        let url = broker.url("tcp").replace("tcp://", "mqtt://");
        let connected = in_time(client.connect_with_options(&url, options)).await;
        assert_eq!(connected.is_ok(), lets_in, "{password}: {connected:?}");
        if !lets_in {
            continue;
        }
        let publish = async || {
            let published = client.publish_qos("t", "x", QoS::AtLeastOnce);
            in_time(published).await.expect("acknowledged");
        };
        let before = challenges.load(Ordering::SeqCst);
        in_time(client.reauthenticate()).await.expect("begun");
        // The connection is in use meanwhile, and after it.
        in_time(async {
            while challenges.load(Ordering::SeqCst) == before {
                publish().await;
            }
        })
        .await;
        // The client reads packet by packet: it has answered when it takes the next PUBACK, and the broker has judged that
        // answer when it acknowledges what came behind it.
        for _ in 0..10 {
            publish().await;
        }
        assert!(client.is_connected().await);
        in_time(client.disconnect()).await.expect("disconnected");
    }
    std::fs::remove_dir_all(&folder).expect("was there");
}
