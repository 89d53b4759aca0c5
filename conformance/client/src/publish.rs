//! `quince-client pub`.

use quince_client::{Client, ClientError};
use quince_codec::{Acknowledgement, Packet, PacketId, Properties, Publish, QoS};
use tokio::time::timeout;

use crate::args::PublishArgs;
use crate::{Failure, PATIENCE, connect};

/// The one message's identifier.
const PACKET_ID: u16 = 1;

pub(crate) async fn run(args: &PublishArgs) -> Result<(), Failure> {
    let payload = match (&args.message, &args.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => std::fs::read(file)
            .map_err(|error| format!("failed to read '{}': {error}", file.display()))?,
        (None, None) => Vec::new(),
    };
    let mut client = connect(&args.connection).await?;
    let packet_id = match args.qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce | QoS::ExactlyOnce => PacketId::new(PACKET_ID),
    };
    let publish = Publish {
        dup: false,
        qos: args.qos,
        retain: args.retain,
        topic: &args.topic,
        packet_id,
        properties: Properties::EMPTY,
        payload: &payload,
    };
    client.send(&Packet::Publish(publish)).await?;
    if args.qos != QoS::AtMostOnce {
        timeout(PATIENCE, acknowledged(&mut client))
            .await
            .map_err(|_| "the broker did not acknowledge the message in time")??;
    }
    Ok(client.disconnect().await?)
}

/// Goes through the acknowledgements of the message's QoS.
async fn acknowledged(client: &mut Client) -> Result<(), Failure> {
    loop {
        let frame = client.receive().await?;
        match frame.decode(client.version()).map_err(ClientError::from)? {
            Packet::PubRec(answer) if !answer.reason_code.is_error() => {
                let release = Acknowledgement::success(answer.packet_id);
                client.send(&Packet::PubRel(release)).await?;
            }
            Packet::PubAck(answer) | Packet::PubRec(answer) | Packet::PubComp(answer) => {
                let code = answer.reason_code;
                if code.is_error() {
                    return Err(format!("the broker refused the message: {code}").into());
                }
                return Ok(());
            }
            Packet::Disconnect(disconnect) => {
                let code = disconnect.reason_code;
                return Err(format!("the broker ended the connection: {code}").into());
            }
            _ => {}
        }
    }
}
