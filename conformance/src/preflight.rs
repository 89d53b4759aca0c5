//! Before anything is judged: does the target answer CONNECT at all, and what does it say of itself?

use std::time::Duration;

use quince_client::{Dialer, Endpoint, Event, Flow, Transport};
use quince_codec::Version;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    player::{Capabilities, message::Message, unique_prefix},
    scenario::{expression::Value, field::PacketName, malformed::fixed_header},
    target::Credentials,
};

/// How long a target has to answer CONNECT.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long one attempt waits for the answer, so that another version gets its turn.
const ATTEMPT: Duration = Duration::from_secs(3);
/// The pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the target has to tell its name, once it has answered.
const NAME: Duration = Duration::from_secs(1);
/// Where brokers tell their name, by custom.
const NAME_TOPIC: &str = "$SYS/broker/version";

const NO_ANSWER: &str = "no answer";

/// Nothing answered CONNECT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} does not answer CONNECT: {reason} (tried {attempts} times within {} s)", .within.as_secs())]
pub struct Silent {
    /// The target.
    pub url: String,
    /// What happened at the last attempt.
    pub reason: String,
    /// How often it was tried.
    pub attempts: usize,
    /// How long it was tried.
    pub within: Duration,
}

/// Waits until the target answers CONNECT in one of these versions, and returns the connection that was answered.
///
/// Any CONNACK is an answer, a refusal too. Everything else (refused connections as well, for the broker may be starting) is
/// tried again until `within` is over.
///
/// # Errors
/// [`Silent`], with what happened at the last attempt.
pub async fn wait_for_answer(
    dialer: &Dialer,
    endpoint: &Endpoint,
    versions: &[Version],
    credentials: Option<&Credentials>,
    within: Duration,
) -> Result<Answered, Silent> {
    let deadline = Instant::now() + within;
    let mut reason = "there was no time to try".to_owned();
    let mut attempts = 0;
    // The newest first: it has the most to say.
    for version in versions.iter().rev().cycle() {
        if Instant::now() >= deadline {
            break;
        }
        attempts += 1;
        let asking = ask(dialer, endpoint, *version, credentials);
        match timeout_at(deadline, asking).await {
            Ok(Ok(answered)) => return Ok(answered),
            Ok(Err(words)) => reason = words,
            Err(_) => reason = NO_ANSWER.to_owned(),
        }
        sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
    Err(Silent {
        url: endpoint.to_string(),
        reason,
        attempts,
        within,
    })
}

/// Sends CONNECT once, in that version, and returns the connection that was answered within a few seconds.
///
/// # Errors
/// In words, what happened instead of an answer.
pub async fn ask(
    dialer: &Dialer,
    endpoint: &Endpoint,
    version: Version,
    credentials: Option<&Credentials>,
) -> Result<Answered, String> {
    match timeout(ATTEMPT, connect(dialer, endpoint, version, credentials)).await {
        Ok(asked) => asked,
        Err(_) => Err(NO_ANSWER.to_owned()),
    }
}

/// A connection whose CONNECT was answered.
#[derive(Debug)]
pub struct Answered {
    transport: Transport,
    version: Version,
    /// The CONNACK as it came.
    connack: Vec<u8>,
    incoming: Vec<u8>,
}

async fn connect(
    dialer: &Dialer,
    endpoint: &Endpoint,
    version: Version,
    credentials: Option<&Credentials>,
) -> Result<Answered, String> {
    let transport = dialer
        .dial(endpoint)
        .await
        .map_err(|error| error.to_string())?;
    let mut answered = Answered {
        transport,
        version,
        connack: Vec::new(),
        incoming: Vec::new(),
    };
    let mut connect = Message::bare(PacketName::Connect);
    connect.put("client-id", Value::Text(unique_prefix()));
    connect.put("clean-start", Value::Flag(true));
    connect.put("keep-alive", Value::Number(30));
    if let Some((name, password)) = credentials {
        connect.put("user-name", Value::Text(name.clone()));
        connect.put("password", Value::Bytes(password.clone()));
    }
    answered.send(&connect).await?;
    match answered.next_packet().await {
        Ok(packet) if packet[0] >> 4 == 2 => {
            answered.connack = packet;
            Ok(answered)
        }
        Ok(packet) => Err(format!(
            "it answers with a packet that begins with 0x{:02x}",
            packet[0]
        )),
        Err(words) => Err(words),
    }
}

impl Answered {
    /// What the target can do, as its CONNACK says; `None` if that lets nobody in.
    pub fn capabilities(&self) -> Option<Capabilities> {
        let connack = Message::decode(&self.connack, self.version).ok()?;
        (connack.number("code") == Some(0)).then(|| Capabilities::from_connack(&connack))
    }

    /// What the target says of itself, empty if nothing; ends the connection.
    pub async fn name(mut self) -> String {
        let name = timeout(NAME, self.ask_name()).await.ok().flatten();
        self.end().await;
        name.unwrap_or_default()
    }

    /// Ends the connection in order.
    pub async fn end(mut self) {
        // A target that is gone by now needs no goodbye.
        let _ = self.send(&Message::bare(PacketName::Disconnect)).await;
        self.transport.close().await;
    }

    async fn send(&mut self, message: &Message) -> Result<(), String> {
        let bytes = message.encode(self.version)?;
        self.transport
            .write(Flow::CONTROL, &bytes)
            .await
            .map_err(|error| error.to_string())
    }

    async fn next_packet(&mut self) -> Result<Vec<u8>, String> {
        loop {
            match fixed_header(&self.incoming) {
                Ok(Some((start, length))) if self.incoming.len() >= start + length => {
                    return Ok(self.incoming.drain(..start + length).collect());
                }
                Ok(_) => {}
                Err(_) => return Err("it answers with something that is no MQTT".to_owned()),
            }
            match self.transport.next().await {
                Event::Bytes(_, bytes) => self.incoming.extend_from_slice(&bytes),
                Event::Finished(_) | Event::Reset(..) | Event::Closed(_) => {
                    return Err("it closes the connection without a CONNACK".to_owned());
                }
            }
        }
    }

    /// What the target publishes as its name; `None` if it does not.
    async fn ask_name(&mut self) -> Option<String> {
        let subscribe = subscribe_to(NAME_TOPIC, self.version)?;
        self.transport.write(Flow::CONTROL, &subscribe).await.ok()?;
        self.send(&Message::bare(PacketName::PingReq)).await.ok()?;
        loop {
            let packet = self.next_packet().await.ok()?;
            let message = Message::decode(&packet, self.version).ok()?;
            match message.packet {
                PacketName::Publish => match message.value("payload") {
                    Some(Value::Bytes(name)) => return Some(printable(name)),
                    Some(Value::Text(name)) => return Some(printable(name.as_bytes())),
                    _ => return None,
                },
                // What is retained comes at once, or not at all.
                PacketName::PingResp | PacketName::Disconnect => return None,
                _ => {}
            }
        }
    }
}

/// A SUBSCRIBE for one filter with QoS 0.
fn subscribe_to(filter: &str, version: Version) -> Option<Vec<u8>> {
    let mut body = vec![0, 1];
    if version == Version::V5_0 {
        body.push(0);
    }
    body.extend(u16::try_from(filter.len()).ok()?.to_be_bytes());
    body.extend(filter.as_bytes());
    body.push(0);
    let mut packet = vec![
        0x82,
        u8::try_from(body.len())
            .ok()
            .filter(|length| *length < 128)?,
    ];
    packet.extend(body);
    Some(packet)
}

/// At most 60 characters that cannot disturb a terminal.
fn printable(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars()
        .filter(|character| !character.is_control())
        .take(60)
        .collect()
}
