//! `quince-client sub`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use quince_client::{Client, ClientError};
use quince_codec::topic::validate_topic_filter;
use quince_codec::{
    Acknowledgement, Packet, PacketId, Property, PropertyList, Publish, QoS, RetainHandling,
    Subscribe, SubscriptionList, SubscriptionOptions,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::PATIENCE;
use crate::args::SubscribeArgs;
use crate::connection::Connector;
use crate::failure::Failure;

/// The one SUBSCRIBE's identifier.
const PACKET_ID: PacketId = match PacketId::new(1) {
    Some(id) => id,
    None => unreachable!(),
};

pub(crate) async fn run(args: &SubscribeArgs) -> Result<(), Failure> {
    args.connection.needs_5_0(&[
        ("--no-local", args.no_local),
        ("--retain-as-published", args.retain_as_published),
        (
            "--retain-handling",
            args.retain_handling != RetainHandling::default(),
        ),
        ("--subscription-id", args.subscription_id.is_some()),
        ("--user-property", !args.user_property.is_empty()),
    ])?;
    for filter in &args.topic {
        validate_topic_filter(filter, args.connection.version)
            .map_err(|error| Failure::Usage(format!("'{filter}' is no Topic Filter: {error}")))?;
    }
    let mut connector = Connector::new(&args.connection)?;
    let mut seen = Seen::default();
    loop {
        match attempt(&mut connector, args, &mut seen).await {
            Ok(client) => return connector.end(client).await,
            Err(failure) => connector.pause_after(failure).await?,
        }
    }
}

/// Connects, subscribes and listens, until everything is there or the user has had enough.
async fn attempt(
    connector: &mut Connector<'_>,
    args: &SubscribeArgs,
    seen: &mut Seen,
) -> Result<Client, Failure> {
    let client = connector.connect().await?;
    if !client.granted().session_present {
        seen.unreleased.clear();
    }
    let mut listener = Listener { client, args, seen };
    // Also where the session is still there: the filters may be others now.
    listener
        .client
        .send(&Packet::Subscribe(Subscribe {
            packet_id: PACKET_ID,
            properties: properties(args).as_properties(),
            subscriptions: subscriptions(args).as_ref(),
        }))
        .await?;
    timeout(PATIENCE, listener.subscribed())
        .await
        .map_err(|_| Failure::Lost("the broker did not answer SUBSCRIBE in time".to_owned()))??;
    listener.listen().await?;
    Ok(listener.client)
}

fn properties(args: &SubscribeArgs) -> PropertyList {
    let mut list = PropertyList::new();
    if let Some(identifier) = args.subscription_id {
        list.push(Property::SubscriptionIdentifier(identifier));
    }
    for (name, value) in &args.user_property {
        list.push(Property::UserProperty(name, value));
    }
    list
}

fn subscriptions(args: &SubscribeArgs) -> SubscriptionList {
    let options = SubscriptionOptions {
        qos: args.qos,
        no_local: args.no_local,
        retain_as_published: args.retain_as_published,
        retain_handling: args.retain_handling,
    };
    let mut list = SubscriptionList::new();
    for filter in &args.topic {
        list.push(filter, options);
    }
    list
}

/// What outlives a connection.
#[derive(Debug, Default)]
struct Seen {
    printed: u64,
    /// QoS 2 messages printed and not yet released: their repetitions are not printed again.
    unreleased: BTreeSet<PacketId>,
}

struct Listener<'a> {
    client: Client,
    args: &'a SubscribeArgs,
    seen: &'a mut Seen,
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
                        Some(filter) => {
                            Err(Failure::Refused(format!("the broker refused '{filter}'")))
                        }
                        None => Ok(()),
                    };
                }
                // A matching message may come before SUBACK [MQTT5-3.8.4-3].
                packet => self.handle(packet).await?,
            }
        }
    }

    async fn listen(&mut self) -> Result<(), Failure> {
        let keep_alive = match self.client.granted().keep_alive {
            0 => u64::from(u32::MAX),
            seconds => u64::from(seconds),
        };
        let period = Duration::from_secs(keep_alive).mul_f32(0.5);
        // Nothing is asked before it is time to: CONNECT has just been heard.
        let mut ping = interval_at(Instant::now() + period, period);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = true;
        while self
            .args
            .count
            .is_none_or(|count| self.seen.printed < count)
        {
            tokio::select! {
                frame = self.client.receive() => {
                    let frame = frame?;
                    let packet = frame.decode(self.client.version()).map_err(ClientError::from)?;
                    self.handle(packet).await?;
                    heard = true;
                }
                _ = ping.tick() => {
                    if !heard {
                        let message = "the broker has not answered PINGREQ in time";
                        return Err(Failure::Lost(message.to_owned()));
                    }
                    heard = false;
                    self.client.send(&Packet::PingReq).await?;
                }
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
                        .is_some_and(|id| self.seen.unreleased.insert(id));
                if first {
                    self.print(&publish)?;
                }
                self.client.acknowledge(&publish).await?;
            }
            Packet::PubRel(release) => {
                self.seen.unreleased.remove(&release.packet_id);
                let complete = Acknowledgement::success(release.packet_id);
                self.client.send(&Packet::PubComp(complete)).await?;
            }
            Packet::Disconnect(disconnect) => {
                let code = disconnect.reason_code;
                return Err(Failure::disconnected(code));
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
        self.args.format.write(publish, &mut out)?;
        out.flush()?;
        self.seen.printed += 1;
        Ok(())
    }
}
