//! Connections: whatever bytes a client sends, the core does not panic, answers in packets, and goes on serving others.

use core::time::Duration;

use quince_codec::{
    Connect, Framer, Packet, PacketId, Properties, ReasonCode, Subscribe, SubscriptionList,
    SubscriptionOptions, Version,
};
use quince_core::bench::VirtualBroker;
use quince_core::{ConnectionId, FlowId};

/// Takes the first byte as what the client says first (0: nothing, 1: CONNECT of 3.1.1, 2: CONNECT of 5.0), the second
/// as the length of the pieces, and the rest as what the client sends. A bystander listens to everything meanwhile.
///
/// # Panics
/// If the core panics, sends what is no packet of the client's version, or loses the bystander.
pub fn connection(bytes: &[u8]) {
    let [first, piece, sent @ ..] = bytes else {
        return;
    };
    let mut broker = VirtualBroker::default();
    let bystander = listen(&mut broker);
    let id = broker.connect();
    let known = match first % 3 {
        0 => None,
        1 => Some(Version::V3_1_1),
        _ => Some(Version::V5_0),
    };
    if let Some(version) = known {
        broker.write(id, FlowId::CONTROL, &greeting(version, "fuzz"));
    }
    let mut answered = Vec::new();
    for chunk in sent.chunks(usize::from(*piece).max(1)) {
        broker.write(id, FlowId::CONTROL, chunk);
        answered.extend(broker.read(id));
    }
    broker.advance(Duration::from_millis(1));
    assert_served(&mut broker, bystander);
    // Past the time for a CONNECT and, after the break, that of a Will Message that waits for a second.
    broker.advance(Duration::from_secs(11));
    answered.extend(broker.read(id));
    broker.abort(id);
    broker.advance(Duration::from_secs(2));
    assert_served(&mut broker, bystander);
    answered.extend(broker.read(id));
    assert_packets(&answered, known.or_else(|| version_of(sent)));
}

/// The bytes of a CONNECT that leaves no session behind in version 3.1.1, nor in 5.0.
pub(crate) fn greeting(version: Version, client_id: &str) -> Vec<u8> {
    let connect = Packet::Connect(Connect {
        version,
        clean_start: true,
        keep_alive: 0,
        properties: Properties::EMPTY,
        client_id,
        will: None,
        user_name: None,
        password: None,
    });
    connect
        .to_bytes(version)
        .expect("it can be encoded")
        .to_vec()
}

/// A client that subscribes to everything.
fn listen(broker: &mut VirtualBroker) -> ConnectionId {
    let id = broker.connect();
    let mut list = SubscriptionList::new();
    list.push("#", SubscriptionOptions::default());
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(1).expect("not zero"),
        properties: Properties::EMPTY,
        subscriptions: list.as_ref(),
    });
    broker.write(id, FlowId::CONTROL, &greeting(Version::V5_0, "bystander"));
    let bytes = subscribe
        .to_bytes(Version::V5_0)
        .expect("it can be encoded");
    broker.write(id, FlowId::CONTROL, &bytes);
    assert_packets(&broker.read(id), Some(Version::V5_0));
    id
}

/// A PINGREQ of the bystander is answered, unless the client under test took over its session.
fn assert_served(broker: &mut VirtualBroker, bystander: ConnectionId) {
    if let Some((code, by)) = broker.closed(bystander) {
        assert_eq!(code, ReasonCode::SESSION_TAKEN_OVER, "closed by {by:?}");
        return;
    }
    broker.write(bystander, FlowId::CONTROL, &[0xc0, 0]);
    let heard = broker.read(bystander);
    assert!(
        heard.ends_with(&[0xd0, 0]),
        "no PINGRESP at the end of {heard:02x?}"
    );
    assert_packets(&heard, Some(Version::V5_0));
}

/// Bytes from the broker are whole packets of the version; of any version if the client named none that is known.
fn assert_packets(bytes: &[u8], version: Option<Version>) {
    let mut framer = Framer::new(u32::MAX);
    framer.push(bytes);
    while let Some(frame) = framer.next_frame().expect("packets") {
        let good = match version {
            Some(version) => frame.decode(version).is_ok(),
            None => Version::ALL
                .iter()
                .any(|&version| frame.decode(version).is_ok()),
        };
        assert!(good, "{:02x?} in {version:?}", frame.bytes());
    }
    assert_eq!(framer.buffered(), 0, "an incomplete packet");
}

/// The version that the first packet of the client names.
fn version_of(sent: &[u8]) -> Option<Version> {
    let mut framer = Framer::new(u32::MAX);
    framer.push(sent);
    framer.next_frame().ok()??.connect_version()
}
