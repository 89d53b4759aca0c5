//! One client: packets out in batches, packets in by the chunk.

use std::time::Duration;

use quince_client::{Dialer, Endpoint, Event, Flow, Transport, Trust};
use quince_codec::{
    Connect, Frame, Framer, Packet, PacketId, Properties, QoS, Subscribe, SubscriptionList,
    SubscriptionOptions, Version,
};
use tokio::time::timeout;

use crate::LoadError;
use crate::case::Setting;

/// How long a broker may take to accept a client or a subscription.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connected client.
#[derive(Debug)]
pub(crate) struct Connection {
    name: String,
    version: Version,
    transport: Transport,
    framer: Framer,
    /// Written by [`Connection::flush`].
    output: Vec<u8>,
}

/// Dials with the certificates that the setting trusts.
pub(crate) fn dialer(setting: &Setting) -> Dialer {
    let trust = if setting.insecure {
        Trust::Anyone
    } else {
        Trust::System
    };
    Dialer::new(trust, PATIENCE)
}

impl Connection {
    /// Dials, and is accepted.
    pub(crate) async fn open(
        dialer: &Dialer,
        endpoint: &Endpoint,
        version: Version,
        name: String,
    ) -> Result<Self, LoadError> {
        let transport = dialer
            .dial(endpoint)
            .await
            .map_err(|error| LoadError::Connection {
                name: name.clone(),
                reason: error.to_string(),
            })?;
        let mut connection = Self {
            name,
            version,
            transport,
            framer: Framer::new(u32::MAX),
            output: Vec::new(),
        };
        let connect = Packet::Connect(Connect {
            version,
            clean_start: true,
            keep_alive: 0,
            properties: Properties::EMPTY,
            client_id: &connection.name.clone(),
            will: None,
            user_name: None,
            password: None,
        });
        connection.send(&connect).await?;
        let answer = connection.one().await?;
        match connection.decode(&answer)? {
            Packet::ConnAck(connack) if connack.code == 0 => Ok(connection),
            other => Err(connection.error(format!("CONNECT was answered by {other:?}"))),
        }
    }

    /// Subscribes to one filter.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) -> Result<(), LoadError> {
        let mut subscriptions = SubscriptionList::new();
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        subscriptions.push(filter, options);
        let subscribe = Packet::Subscribe(Subscribe {
            packet_id: PacketId::new(1).ok_or_else(|| self.error("no identifier"))?,
            properties: Properties::EMPTY,
            subscriptions: subscriptions.as_ref(),
        });
        self.send(&subscribe).await?;
        let answer = self.one().await?;
        match self.decode(&answer)? {
            Packet::SubAck(suback) if suback.codes == [qos as u8] => Ok(()),
            other => Err(self.error(format!("SUBSCRIBE was answered by {other:?}"))),
        }
    }

    /// Puts a packet behind what waits to be written.
    pub(crate) fn queue(&mut self, packet: &Packet<'_>) -> Result<(), LoadError> {
        packet
            .encode(self.version, &mut self.output)
            .map_err(|error| self.error(error))
    }

    /// Writes what is queued.
    pub(crate) async fn flush(&mut self) -> Result<(), LoadError> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = self.transport.write(Flow::CONTROL, &self.output).await;
        self.output.clear();
        written.map_err(|error| self.error(error))
    }

    async fn send(&mut self, packet: &Packet<'_>) -> Result<(), LoadError> {
        self.queue(packet)?;
        self.flush().await
    }

    /// Waits until bytes have come. Safe to cancel.
    pub(crate) async fn wait(&mut self) -> Result<(), LoadError> {
        let event = self.transport.next().await;
        self.take(event)
    }

    /// Takes what has come already.
    pub(crate) fn take_ready(&mut self) -> Result<(), LoadError> {
        use std::task::{Context, Poll, Waker};
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let next = std::pin::pin!(self.transport.next()).poll(&mut context);
            match next {
                Poll::Ready(event) => self.take(event)?,
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<(), LoadError> {
        match event {
            Event::Bytes(_, bytes) => {
                self.framer.push(&bytes);
                Ok(())
            }
            Event::Finished(_) | Event::Reset(..) | Event::Closed(_) => {
                Err(self.error(format!("the broker ended it ({event:?})")))
            }
        }
    }

    /// The next packet of those that have come.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, LoadError> {
        self.framer.next_frame().map_err(|error| self.error(error))
    }

    pub(crate) fn decode<'a>(&self, frame: &'a Frame) -> Result<Packet<'a>, LoadError> {
        frame
            .decode(self.version)
            .map_err(|error| self.error(error))
    }

    async fn one(&mut self) -> Result<Frame, LoadError> {
        let wait = async {
            loop {
                if let Some(frame) = self.next()? {
                    return Ok(frame);
                }
                self.wait().await?;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(frame) => frame,
            Err(_) => Err(self.error(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Ends in order, so that a QUIC broker need not wait for an idle timeout.
    pub(crate) async fn close(mut self) {
        let goodbye = Packet::Disconnect(quince_codec::Disconnect {
            reason_code: quince_codec::ReasonCode::NORMAL_DISCONNECTION,
            properties: Properties::EMPTY,
        });
        // The measurement is over: a broker that is gone may be.
        _ = self.send(&goodbye).await;
        self.transport.close().await;
    }

    pub(crate) fn error(&self, reason: impl ToString) -> LoadError {
        LoadError::Connection {
            name: self.name.clone(),
            reason: reason.to_string(),
        }
    }
}
