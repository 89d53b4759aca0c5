//! `quince-client pub`.

use quince_client::{Client, ClientError};
use quince_codec::{Acknowledgement, Packet, PacketId, Property, PropertyList, Publish, QoS};
use tokio::time::timeout;

use crate::PATIENCE;
use crate::args::PublishArgs;
use crate::connection::Connector;
use crate::failure::Failure;

/// The one message's identifier.
const PACKET_ID: u16 = 1;

/// How far the message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Unsent,
    /// The broker may have it, and has not said so.
    Sent,
    /// QoS 2: the broker has it, and is to forget its identifier.
    Received,
}

pub(crate) async fn run(args: &PublishArgs) -> Result<(), Failure> {
    args.connection.needs_5_0(&[
        ("--expiry", args.expiry.is_some()),
        ("--content-type", args.content_type.is_some()),
        ("--response-topic", args.response_topic.is_some()),
        ("--correlation-data", args.correlation_data.is_some()),
        ("--utf8", args.utf8),
        ("--user-property", !args.user_property.is_empty()),
    ])?;
    let payload = payload(args)?;
    let properties = properties(args);
    let publish = Publish {
        dup: false,
        qos: args.qos,
        retain: args.retain,
        topic: &args.topic,
        packet_id: match args.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => PacketId::new(PACKET_ID),
        },
        properties: properties.as_properties(),
        payload: &payload,
    };
    let mut connector = Connector::new(&args.connection)?;
    let mut progress = Progress::Unsent;
    loop {
        match attempt(&mut connector, publish, &mut progress).await {
            Ok(client) => return connector.end(client).await,
            Err(failure) => connector.pause_after(failure).await?,
        }
    }
}

fn payload(args: &PublishArgs) -> Result<Vec<u8>, Failure> {
    let given = match (&args.message, &args.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => std::fs::read(file).map_err(|error| {
            Failure::Usage(format!("failed to read '{}': {error}", file.display()))
        })?,
        (None, None) => return Ok(Vec::new()),
    };
    args.format.read(&given).map_err(Failure::Usage)
}

fn properties(args: &PublishArgs) -> PropertyList {
    let mut list = PropertyList::new();
    if args.utf8 {
        list.push(Property::PayloadFormatIndicator(true));
    }
    if let Some(seconds) = args.expiry {
        list.push(Property::MessageExpiryInterval(seconds));
    }
    if let Some(content_type) = &args.content_type {
        list.push(Property::ContentType(content_type));
    }
    if let Some(topic) = &args.response_topic {
        list.push(Property::ResponseTopic(topic));
    }
    if let Some(data) = &args.correlation_data {
        list.push(Property::CorrelationData(data.as_bytes()));
    }
    for (name, value) in &args.user_property {
        list.push(Property::UserProperty(name, value));
    }
    list
}

/// Connects, and brings the message as far as its QoS demands.
async fn attempt(
    connector: &mut Connector<'_>,
    publish: Publish<'_>,
    progress: &mut Progress,
) -> Result<Client, Failure> {
    let mut client = connector.connect().await?;
    if !client.granted().session_present {
        // Nobody remembers the message, so it is a new one.
        *progress = Progress::Unsent;
    }
    match (*progress, publish.packet_id) {
        (Progress::Received, Some(id)) => {
            let release = Acknowledgement::success(id);
            client.send(&Packet::PubRel(release)).await?;
        }
        (sent, _) => {
            // Told apart from the one before [MQTT5-3.3.1-1] [MQTT3-3.3.1-1].
            let publish = Publish {
                dup: sent == Progress::Sent,
                ..publish
            };
            client.send(&Packet::Publish(publish)).await?;
        }
    }
    if publish.qos != QoS::AtMostOnce {
        if *progress == Progress::Unsent {
            *progress = Progress::Sent;
        }
        timeout(PATIENCE, acknowledged(&mut client, progress))
            .await
            .map_err(|_| {
                Failure::Lost("the broker did not acknowledge the message in time".to_owned())
            })??;
    }
    Ok(client)
}

/// Goes through the acknowledgements of the message's QoS.
async fn acknowledged(client: &mut Client, progress: &mut Progress) -> Result<(), Failure> {
    loop {
        let frame = client.receive().await?;
        match frame.decode(client.version()).map_err(ClientError::from)? {
            Packet::PubRec(answer) if !answer.reason_code.is_error() => {
                *progress = Progress::Received;
                let release = Acknowledgement::success(answer.packet_id);
                client.send(&Packet::PubRel(release)).await?;
            }
            Packet::PubAck(answer) | Packet::PubRec(answer) | Packet::PubComp(answer) => {
                let code = answer.reason_code;
                if code.is_error() {
                    let message = format!("the broker refused the message: {code}");
                    return Err(Failure::Refused(message));
                }
                return Ok(());
            }
            Packet::Disconnect(disconnect) => {
                return Err(Failure::disconnected(disconnect.reason_code));
            }
            _ => {}
        }
    }
}
