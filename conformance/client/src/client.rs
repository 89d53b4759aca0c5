//! MQTT packets over the flows of a [`Transport`].

use std::collections::BTreeMap;
use std::time::Duration;

use quince_codec::{
    Acknowledgement, Connect, DecodeError, EncodeError, Frame, Framer, Packet, Properties, Publish,
    QoS, Version,
};
use tokio::time::timeout;

use crate::streams::Assigned;
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
    /// What came of a packet that is not whole yet, for each flow.
    framers: BTreeMap<Flow, Framer>,
    version: Version,
    granted: Granted,
    pub(crate) assigned: Assigned,
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
            framers: BTreeMap::from([(Flow::CONTROL, Framer::new(LARGEST_PACKET))]),
            version,
            assigned: Assigned::default(),
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
                        // Brokers that have nothing to add repeat the code's name.
                        Some(reason) if !code.starts_with(reason) => format!("{code}: {reason}"),
                        Some(_) | None => code,
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

    /// Opens a data stream (QUIC only). Waits while the broker gives no credit for one more.
    ///
    /// # Errors
    /// On a transport with one stream, or when the connection has ended.
    pub async fn open_flow(&mut self) -> Result<Flow, ClientError> {
        let flow = self.transport.open_flow().await?;
        self.framers.insert(flow, Framer::new(LARGEST_PACKET));
        Ok(flow)
    }

    /// Sends one packet on the control flow.
    ///
    /// # Errors
    /// When it cannot be encoded in this version, or the connection has ended.
    pub async fn send(&mut self, packet: &Packet<'_>) -> Result<(), ClientError> {
        self.send_on(Flow::CONTROL, packet).await
    }

    /// Sends one packet on a flow.
    ///
    /// # Errors
    /// When it cannot be encoded in this version, or the flow or the connection has ended.
    pub async fn send_on(&mut self, flow: Flow, packet: &Packet<'_>) -> Result<(), ClientError> {
        let bytes = packet.to_bytes(self.version)?;
        Ok(self.transport.write(flow, &bytes).await?)
    }

    /// Says that nothing more will be sent on a flow.
    ///
    /// # Errors
    /// When it is not open on this side.
    pub async fn finish(&mut self, flow: Flow) -> Result<(), ClientError> {
        Ok(self.transport.finish(flow).await?)
    }

    /// Waits for the next packet on any flow, and tells which. Safe to cancel.
    ///
    /// # Errors
    /// When the control flow ends, the broker resets a flow, or one of them holds no packet. The broker's orderly end of a data
    /// flow is none.
    pub async fn receive_from(&mut self) -> Result<(Flow, Frame), ClientError> {
        loop {
            for (flow, framer) in &mut self.framers {
                if let Some(frame) = framer.next_frame()? {
                    return Ok((*flow, frame));
                }
            }
            match self.transport.next().await {
                Event::Bytes(flow, bytes) => {
                    if let Some(framer) = self.framers.get_mut(&flow) {
                        framer.push(&bytes);
                    }
                }
                Event::Finished(Flow::CONTROL) => {
                    return Err(ClientError::Ended(Ending::Finished.to_string()));
                }
                Event::Finished(flow) => _ = self.framers.remove(&flow),
                Event::Reset(flow, code) => {
                    return Err(ClientError::Ended(format!(
                        "stream {flow} reset with code {code:#x}"
                    )));
                }
                Event::Closed(ending) => return Err(ClientError::Ended(ending.to_string())),
            }
        }
    }

    /// Waits for the next packet of a client that uses no data flow. Safe to cancel.
    ///
    /// # Errors
    /// When the stream ends or holds no packet.
    pub async fn receive(&mut self) -> Result<Frame, ClientError> {
        self.receive_from().await.map(|(_, frame)| frame)
    }

    /// Answers a PUBLISH that came on the control flow as its QoS demands.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn acknowledge(&mut self, publish: &Publish<'_>) -> Result<(), ClientError> {
        self.acknowledge_on(Flow::CONTROL, publish).await
    }

    /// Answers a PUBLISH on the flow that it came on as its QoS demands.
    ///
    /// # Errors
    /// As [`Client::send_on`].
    pub async fn acknowledge_on(
        &mut self,
        flow: Flow,
        publish: &Publish<'_>,
    ) -> Result<(), ClientError> {
        let answer = match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => Packet::PubAck(Acknowledgement::success(id)),
            (QoS::ExactlyOnce, Some(id)) => Packet::PubRec(Acknowledgement::success(id)),
            _ => return Ok(()),
        };
        self.send_on(flow, &answer).await
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
