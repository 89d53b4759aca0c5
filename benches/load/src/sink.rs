//! A broker that does as little as possible: what the generator reaches against it is the generator's own ceiling.
//!
//! It takes every client, passes each PUBLISH on, unchanged, to the clients whose filter is its topic or whose filter ends in a
//! wildcard, and answers what must be answered. It matches no trees, keeps no sessions and checks nothing.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use quince_codec::{Acknowledgement, ConnAck, Framer, Packet, Properties, QoS, SubAck, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

type Receiver = mpsc::UnboundedSender<Vec<u8>>;
type Routes = Arc<Mutex<HashMap<String, Vec<Receiver>>>>;

/// Filters of fan-in share one entry.
const ANY: &str = "+";

pub(crate) fn serve(port: u16) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let routes = Routes::default();
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            tokio::spawn(client(socket, Arc::clone(&routes)));
        }
    })
}

async fn client(socket: TcpStream, routes: Routes) {
    let (mut reader, mut writer) = socket.into_split();
    let (queue, mut waiting) = mpsc::unbounded_channel::<Vec<u8>>();
    let writing = tokio::spawn(async move {
        while let Some(mut bytes) = waiting.recv().await {
            while let Ok(more) = waiting.try_recv() {
                bytes.extend(more);
            }
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    let mut framer = Framer::new(u32::MAX);
    let mut version = Version::V3_1_1;
    let mut buffer = vec![0; 64 * 1024];
    // The windows of the generator bound what waits.
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        framer.push(&buffer[..count]);
        if take(&mut framer, &mut version, &queue, &routes).is_none() {
            break;
        }
    }
    writing.abort();
}

/// Handles the packets that have come; `None` ends the connection.
fn take(
    framer: &mut Framer,
    version: &mut Version,
    queue: &Receiver,
    routes: &Routes,
) -> Option<()> {
    let mut answers = Vec::new();
    let mut onward: HashMap<String, Vec<u8>> = HashMap::new();
    while let Some(frame) = framer.next_frame().ok()? {
        let asked = frame.connect_version();
        *version = asked.unwrap_or(*version);
        let mut say = |packet: Packet<'_>| packet.encode(*version, &mut answers).ok();
        match frame.decode(*version).ok()? {
            Packet::Connect(_) => say(Packet::ConnAck(ConnAck {
                session_present: false,
                code: 0,
                properties: Properties::EMPTY,
            }))?,
            Packet::Subscribe(subscribe) => {
                let mut codes = Vec::new();
                for subscription in subscribe.subscriptions.iter() {
                    codes.push(subscription.options.qos as u8);
                    let many = subscription.filter.ends_with(['+', '#']);
                    let key = if many { ANY } else { subscription.filter };
                    let mut routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
                    routes
                        .entry(key.to_owned())
                        .or_default()
                        .push(queue.clone());
                }
                say(Packet::SubAck(SubAck {
                    packet_id: subscribe.packet_id,
                    properties: Properties::EMPTY,
                    codes: &codes,
                }))?;
            }
            Packet::Publish(publish) => {
                onward
                    .entry(publish.topic.to_owned())
                    .or_default()
                    .extend_from_slice(frame.bytes());
                if let Some(packet_id) = publish.packet_id {
                    let ack = Acknowledgement::success(packet_id);
                    say(match publish.qos {
                        QoS::ExactlyOnce => Packet::PubRec(ack),
                        _ => Packet::PubAck(ack),
                    })?;
                }
            }
            Packet::PubRec(ack) => say(Packet::PubRel(Acknowledgement::success(ack.packet_id)))?,
            Packet::PubRel(ack) => say(Packet::PubComp(Acknowledgement::success(ack.packet_id)))?,
            Packet::PubAck(_) | Packet::PubComp(_) => {}
            _ => return None,
        }
    }
    let routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
    for (topic, bytes) in onward {
        for key in [&*topic, ANY] {
            for receiver in routes.get(key).into_iter().flatten() {
                // A client that has gone gets nothing.
                _ = receiver.send(bytes.clone());
            }
        }
    }
    if !answers.is_empty() {
        _ = queue.send(answers);
    }
    Some(())
}
