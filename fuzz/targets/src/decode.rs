//! Decoding: no bytes make it panic, nor what is read lazily from a decoded packet.

use std::hint::black_box;

use bytes::Bytes;
use quince_codec::{ConnectionState, Frame, Packet, Properties, Version, error_response};

/// Takes `bytes` as one packet of each version, and reads everything that a decoded packet offers.
///
/// # Panics
/// If an error points behind the bytes, or what was checked cannot be read.
pub fn decode(bytes: &[u8]) {
    let frame = match Frame::parse(Bytes::copy_from_slice(bytes)) {
        Ok(frame) => frame,
        Err(error) => {
            assert!(
                error.offset as usize <= bytes.len(),
                "{error} in {bytes:02x?}"
            );
            return;
        }
    };
    let named = frame.connect_version();
    for version in Version::ALL {
        match frame.decode(version) {
            Ok(packet) => {
                assert_eq!(Some(packet.packet_type()), frame.packet_type());
                read(&packet);
            }
            Err(error) => {
                assert!(
                    error.offset as usize <= bytes.len(),
                    "{error} in {bytes:02x?}"
                );
                for state in [ConnectionState::AwaitingConnect, ConnectionState::Connected] {
                    black_box(error_response(error, named.or(Some(version)), state));
                }
            }
        }
    }
}

/// Reads the packet to its end.
fn read(packet: &Packet<'_>) {
    black_box(format!("{packet:?}"));
    match packet {
        Packet::Connect(connect) => {
            read_properties(connect.properties);
            if let Some(will) = connect.will {
                read_properties(will.properties);
            }
        }
        Packet::Publish(publish) => read_properties(publish.properties),
        Packet::Subscribe(subscribe) => {
            read_properties(subscribe.properties);
            assert!(subscribe.subscriptions.iter().count() > 0);
        }
        Packet::Unsubscribe(unsubscribe) => {
            read_properties(unsubscribe.properties);
            assert!(unsubscribe.filters.iter().count() > 0);
        }
        Packet::ConnAck(conn_ack) => read_properties(conn_ack.properties),
        Packet::PubAck(packet)
        | Packet::PubRec(packet)
        | Packet::PubRel(packet)
        | Packet::PubComp(packet) => read_properties(packet.properties),
        Packet::SubAck(sub_ack) => read_properties(sub_ack.properties),
        Packet::UnsubAck(unsub_ack) => read_properties(unsub_ack.properties),
        Packet::Disconnect(disconnect) => read_properties(disconnect.properties),
        Packet::Auth(auth) => read_properties(auth.properties),
        Packet::PingReq | Packet::PingResp => {}
    }
}

/// The typed access and the iteration tell the same.
fn read_properties(properties: Properties<'_>) {
    let rewritten: quince_codec::PropertyList = properties.iter().collect();
    assert!(
        properties.iter().eq(rewritten.as_properties().iter()),
        "{properties:?} lost something"
    );
    let all = properties.iter().count();
    let user = properties.user_properties().count();
    let identifiers = properties.subscription_identifiers().count();
    assert!(user + identifiers <= all, "{properties:?}");
}
