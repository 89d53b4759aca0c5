//! MQTT packets over the control flow of a [`Transport`].

use std::time::Duration;

use quince_codec::{
    Acknowledgement, Connect, DecodeError, EncodeError, Frame, Framer, Packet, Properties, Publish,
    QoS, Version,
};
use tokio::time::timeout;

use crate::transport::{Ending, Event, Flow, Transport, TransportError};

/// Largest packet taken from a broker, in bytes: what the protocol allows.
const LARGEST_PACKET: u32 = 268_435_460;

/// What goes into CONNECT.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Protocol version.
    pub version: Version,
    /// Client Identifier; empty lets the broker choose.
    pub client_id: String,
    /// Keep Alive in seconds; 0 is off.
    pub keep_alive: u16,
    /// Clean Start, or Clean Session.
    pub clean_start: bool,
    /// How long to wait for CONNACK.
    pub patience: Duration,
}

/// A connection that speaks packets. It keeps no session: what to acknowledge is the caller's matter.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    framer: Framer,
    version: Version,
    granted: Granted,
}

/// What a broker grants in CONNACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Session Present: the broker goes on with a session that it has kept.
    pub session_present: bool,
    /// Keep Alive in seconds, the broker's where it has one of its own.
    pub keep_alive: u16,
    /// The Client Identifier, also where the broker assigned it.
    pub client_id: String,
}

/// Why a client cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The broker refused CONNECT with this code.
    #[error("the broker refused the connection: {0}")]
    Refused(String),
    /// The broker answered CONNECT with something else, or not in time.
    #[error("the broker did not answer CONNECT with CONNACK: {0}")]
    NoConnAck(String),
    /// The broker closed the connection.
    #[error("the broker ended the connection: {0}")]
    Ended(String),
    /// The broker sent what is no packet.
    #[error("the broker sent a malformed packet: {0}")]
    Malformed(#[from] DecodeError),
    /// A packet that cannot be written.
    #[error("failed to write a packet: {0}")]
    Encode(#[from] EncodeError),
    /// The bytes could not be sent.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl Client {
    /// Sends a plain CONNECT on a fresh transport and waits for CONNACK.
    ///
    /// # Errors
    /// When the broker refuses, answers with something else, is silent or closes.
    pub async fn connect(
        transport: Transport,
        options: &ConnectOptions,
    ) -> Result<Self, ClientError> {
        let connect = Connect {
            version: options.version,
            clean_start: options.clean_start,
            keep_alive: options.keep_alive,
            properties: Properties::EMPTY,
            client_id: &options.client_id,
            will: None,
            user_name: None,
            password: None,
        };
        Self::start(transport, &connect, options.patience).await
    }

    /// Sends this CONNECT on a fresh transport and waits for CONNACK.
    ///
    /// # Errors
    /// When the broker refuses, answers with something else, is silent for `patience`, or closes.
    pub async fn start(
        transport: Transport,
        connect: &Connect<'_>,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let version = connect.version;
        let mut client = Self {
            transport,
            framer: Framer::new(LARGEST_PACKET),
            version,
            granted: Granted {
                session_present: false,
                keep_alive: connect.keep_alive,
                client_id: connect.client_id.to_owned(),
            },
        };
        client.send(&Packet::Connect(*connect)).await?;
        let silence = || ClientError::NoConnAck(format!("silence for {} s", patience.as_secs()));
        let frame = timeout(patience, client.receive())
            .await
            .map_err(|_| silence())??;
        match frame.decode(version)? {
            Packet::ConnAck(answer) if answer.code == 0 => {
                client.granted.session_present = answer.session_present;
                if let Some(keep_alive) = answer.properties.server_keep_alive() {
                    client.granted.keep_alive = keep_alive;
                }
                if let Some(id) = answer.properties.assigned_client_identifier() {
                    id.clone_into(&mut client.granted.client_id);
                }
                Ok(client)
            }
            Packet::ConnAck(answer) => {
                let code = describe_code(answer.code, version);
                Err(ClientError::Refused(
                    match answer.properties.reason_string() {
                        Some(reason) => format!("{code}: {reason}"),
                        None => code,
                    },
                ))
            }
            other => Err(ClientError::NoConnAck(format!(
                "it sent {}",
                other.packet_type()
            ))),
        }
    }

    /// What CONNACK said.
    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.granted
    }

    /// The version spoken.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// What carries the packets.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// When it cannot be encoded in this version, or the connection has ended.
    pub async fn send(&mut self, packet: &Packet<'_>) -> Result<(), ClientError> {
        let bytes = packet.to_bytes(self.version)?;
        Ok(self.transport.write(Flow::CONTROL, &bytes).await?)
    }

    /// Waits for the next packet. Safe to cancel.
    ///
    /// # Errors
    /// When the stream ends or holds no packet.
    pub async fn receive(&mut self) -> Result<Frame, ClientError> {
        loop {
            if let Some(frame) = self.framer.next_frame()? {
                return Ok(frame);
            }
            match self.transport.next().await {
                Event::Bytes(Flow::CONTROL, bytes) => self.framer.push(&bytes),
                Event::Bytes(..) => {}
                Event::Finished(_) => return Err(ClientError::Ended(Ending::Finished.to_string())),
                Event::Reset(_, code) => {
                    return Err(ClientError::Ended(format!(
                        "stream reset with code {code:#x}"
                    )));
                }
                Event::Closed(ending) => return Err(ClientError::Ended(ending.to_string())),
            }
        }
    }

    /// Answers a PUBLISH as its QoS demands.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn acknowledge(&mut self, publish: &Publish<'_>) -> Result<(), ClientError> {
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => {
                self.send(&Packet::PubAck(Acknowledgement::success(id)))
                    .await
            }
            (QoS::ExactlyOnce, Some(id)) => {
                self.send(&Packet::PubRec(Acknowledgement::success(id)))
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Sends DISCONNECT and closes, so that everything sent arrives.
    ///
    /// # Errors
    /// When the connection has already ended.
    pub async fn disconnect(mut self) -> Result<(), ClientError> {
        let disconnect = quince_codec::Disconnect {
            reason_code: quince_codec::ReasonCode::NORMAL_DISCONNECTION,
            properties: Properties::EMPTY,
        };
        self.send(&Packet::Disconnect(disconnect)).await?;
        self.transport.close().await;
        Ok(())
    }
}

fn describe_code(code: u8, version: Version) -> String {
    match version {
        Version::V5_0 => quince_codec::ReasonCode(code).to_string(),
        Version::V3_1 | Version::V3_1_1 => {
            format!("{} ({code})", quince_codec::ConnectReturnCode(code).name())
        }
    }
}
