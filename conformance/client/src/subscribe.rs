//! `quince-client sub`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use quince_client::{Client, ClientError};
use quince_codec::{
    Acknowledgement, Packet, PacketId, Properties, Publish, QoS, Subscribe, SubscriptionList,
    SubscriptionOptions,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::args::SubscribeArgs;
use crate::{Failure, PATIENCE, connect};

/// The one SUBSCRIBE's identifier.
const PACKET_ID: u16 = 1;

pub(crate) async fn run(args: &SubscribeArgs) -> Result<(), Failure> {
    let mut client = connect(&args.connection).await?;
    let mut list = SubscriptionList::new();
    for filter in &args.topic {
        list.push(
            filter,
            SubscriptionOptions {
                qos: args.qos,
                ..SubscriptionOptions::default()
            },
        );
    }
    let packet_id = PacketId::new(PACKET_ID).ok_or("packet identifier 0")?;
    let subscribe = Subscribe {
        packet_id,
        properties: Properties::EMPTY,
        subscriptions: list.as_ref(),
    };
    client.send(&Packet::Subscribe(subscribe)).await?;
    let mut listener = Listener {
        client,
        args,
        printed: 0,
        unreleased: BTreeSet::new(),
    };
    timeout(PATIENCE, listener.subscribed())
        .await
        .map_err(|_| "the broker did not answer SUBSCRIBE in time")??;
    listener.listen().await?;
    Ok(listener.client.disconnect().await?)
}

struct Listener<'a> {
    client: Client,
    args: &'a SubscribeArgs,
    printed: u64,
    /// QoS 2 messages printed and not yet released: their repetitions are not printed again.
    unreleased: BTreeSet<PacketId>,
}

impl Listener<'_> {
    async fn subscribed(&mut self) -> Result<(), Failure> {
        loop {
            let frame = self.client.receive().await?;
            match frame
                .decode(self.client.version())
                .map_err(ClientError::from)?
            {
                Packet::SubAck(answer) => {
                    let refused = answer.codes.iter().position(|code| *code >= 0x80);
                    let filter = refused.and_then(|index| self.args.topic.get(index));
                    return match filter {
                        Some(filter) => Err(format!("the broker refused '{filter}'").into()),
                        None => Ok(()),
                    };
                }
                // A matching message may come before SUBACK [MQTT5-3.8.4-3].
                packet => self.handle(packet).await?,
            }
        }
    }

    async fn listen(&mut self) -> Result<(), Failure> {
        let keep_alive = self.args.connection.keep_alive;
        let period = if keep_alive == 0 {
            u64::from(u32::MAX)
        } else {
            u64::from(keep_alive)
        };
        let mut ping = interval(Duration::from_secs(period).mul_f32(0.5));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.args.count.is_none_or(|count| self.printed < count) {
            tokio::select! {
                frame = self.client.receive() => {
                    let frame = frame?;
                    let packet = frame.decode(self.client.version()).map_err(ClientError::from)?;
                    self.handle(packet).await?;
                }
                _ = ping.tick() => self.client.send(&Packet::PingReq).await?,
                _ = tokio::signal::ctrl_c() => break,
            }
        }
        Ok(())
    }

    async fn handle(&mut self, packet: Packet<'_>) -> Result<(), Failure> {
        match packet {
            Packet::Publish(publish) => {
                let first = publish.qos != QoS::ExactlyOnce
                    || publish
                        .packet_id
                        .is_some_and(|id| self.unreleased.insert(id));
                if first {
                    self.print(&publish)?;
                }
                self.client.acknowledge(&publish).await?;
            }
            Packet::PubRel(release) => {
                self.unreleased.remove(&release.packet_id);
                let complete = Acknowledgement::success(release.packet_id);
                self.client.send(&Packet::PubComp(complete)).await?;
            }
            Packet::Disconnect(disconnect) => {
                let code = disconnect.reason_code;
                return Err(format!("the broker ended the connection: {code}").into());
            }
            _ => {}
        }
        Ok(())
    }

    fn print(&mut self, publish: &Publish<'_>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.args.verbose {
            write!(out, "{} ", publish.topic)?;
        }
        out.write_all(publish.payload)?;
        out.write_all(b"\n")?;
        out.flush()?;
        self.printed += 1;
        Ok(())
    }
}
