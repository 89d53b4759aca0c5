//! Clients of a virtual broker: packets in by name, packets out as lines of text.

use core::time::Duration;
use std::collections::BTreeMap;

use quince_codec::{
    Acknowledgement, Connect, Disconnect, FilterList, Frame, Framer, Packet, PacketId, Properties,
    Property, PropertyList, Publish, QoS, ReasonCode, RetainHandling, Subscribe, SubscriptionList,
    SubscriptionOptions, Unsubscribe, Version, Will,
};
use quince_core::bench::VirtualBroker;
use quince_core::{ClosedBy, Config, ConnectionId, FlowId};

pub(crate) const V3: Version = Version::V3_1_1;
pub(crate) const V5: Version = Version::V5_0;
pub(crate) const BOTH: [Version; 2] = [V3, V5];
pub(crate) const Q0: QoS = QoS::AtMostOnce;
pub(crate) const Q1: QoS = QoS::AtLeastOnce;
pub(crate) const Q2: QoS = QoS::ExactlyOnce;

pub(crate) type Client = ConnectionId;

/// What a test's CONNECT says.
#[derive(Clone)]
pub(crate) struct Hello<'a> {
    pub(crate) version: Version,
    pub(crate) client_id: &'a str,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) properties: Vec<Property<'a>>,
    pub(crate) will: Option<Farewell<'a>>,
    pub(crate) user_name: Option<&'a str>,
}

#[derive(Clone)]
pub(crate) struct Farewell<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: Vec<Property<'a>>,
}

pub(crate) fn hello(version: Version, client_id: &str) -> Hello<'_> {
    Hello {
        version,
        client_id,
        clean: true,
        keep_alive: 0,
        properties: Vec::new(),
        will: None,
        user_name: None,
    }
}

pub(crate) fn farewell<'a>(topic: &'a str, payload: &'a str) -> Farewell<'a> {
    Farewell {
        topic,
        payload,
        qos: Q0,
        retain: false,
        properties: Vec::new(),
    }
}

impl<'a> Hello<'a> {
    /// Not clean, and stored for `seconds` (for ever in version 3.1.1).
    pub(crate) fn stored(mut self, seconds: u32) -> Self {
        self.clean = false;
        self.expiry(seconds)
    }

    pub(crate) fn expiry(self, seconds: u32) -> Self {
        if self.version == V5 {
            self.with(Property::SessionExpiryInterval(seconds))
        } else {
            self
        }
    }

    pub(crate) fn with(mut self, property: Property<'a>) -> Self {
        self.properties.push(property);
        self
    }

    pub(crate) fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    pub(crate) fn will(mut self, will: Farewell<'a>) -> Self {
        self.will = Some(will);
        self
    }
}

pub(crate) fn list(properties: &[Property<'_>]) -> PropertyList {
    let mut list = PropertyList::new();
    for property in properties {
        list.push(*property);
    }
    list
}

pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not zero")
}

pub(crate) fn options(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::SendAtSubscribe,
    }
}

pub(crate) fn publish<'a>(qos: QoS, number: u16, topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic,
        packet_id: (qos > Q0).then(|| id(number)),
        properties: Properties::EMPTY,
        payload: payload.as_bytes(),
    }
}

pub(crate) fn ack(number: u16) -> Acknowledgement<'static> {
    ack_with(number, 0)
}

pub(crate) fn ack_with(number: u16, code: u8) -> Acknowledgement<'static> {
    Acknowledgement {
        packet_id: id(number),
        reason_code: ReasonCode(code),
        properties: Properties::EMPTY,
    }
}

/// A virtual broker and what is known of its clients.
pub(crate) struct Net {
    pub(crate) broker: VirtualBroker,
    versions: BTreeMap<Client, Version>,
    framers: BTreeMap<(Client, FlowId), Framer>,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::over(VirtualBroker::new(config))
    }

    pub(crate) fn over(broker: VirtualBroker) -> Self {
        Self {
            broker,
            versions: BTreeMap::new(),
            framers: BTreeMap::new(),
        }
    }

    /// A connection without CONNECT.
    pub(crate) fn open(&mut self, version: Version) -> Client {
        let client = self.broker.connect();
        self.versions.insert(client, version);
        client
    }

    /// Opens a connection and sends CONNECT.
    pub(crate) fn dial(&mut self, hello: &Hello<'_>) -> Client {
        let client = self.open(hello.version);
        self.greet(client, hello);
        client
    }

    pub(crate) fn greet(&mut self, client: Client, hello: &Hello<'_>) {
        let properties = list(&hello.properties);
        let will_properties = list(hello.will.as_ref().map_or(&[], |will| &will.properties));
        let will = hello.will.as_ref().map(|will| Will {
            qos: will.qos,
            retain: will.retain,
            properties: will_properties.as_properties(),
            topic: will.topic,
            payload: will.payload.as_bytes(),
        });
        let connect = Connect {
            version: hello.version,
            clean_start: hello.clean,
            keep_alive: hello.keep_alive,
            properties: properties.as_properties(),
            client_id: hello.client_id,
            will,
            user_name: hello.user_name,
            password: None,
        };
        self.send(client, &Packet::Connect(connect));
    }

    /// A client that is connected; its CONNACK is read.
    pub(crate) fn client(&mut self, hello: &Hello<'_>) -> Client {
        let client = self.dial(hello);
        let read = self.read(client);
        assert!(
            read.first()
                .is_some_and(|line| line.starts_with("CONNACK 00")),
            "not accepted: {read:?}"
        );
        // What a resumed Session sends is left to the test.
        assert_eq!(read.len(), 1, "more than CONNACK: {read:?}");
        client
    }

    /// A client whose Session was there, and has nothing to send.
    pub(crate) fn client_resumed(&mut self, hello: &Hello<'_>) -> Client {
        let client = self.dial(hello);
        assert_eq!(self.read(client), ["CONNACK 00 present"]);
        client
    }

    /// A clean client called `name`.
    pub(crate) fn simple(&mut self, version: Version, name: &str) -> Client {
        self.client(&hello(version, name))
    }

    pub(crate) fn send(&mut self, client: Client, packet: &Packet<'_>) {
        self.send_on(client, FlowId::CONTROL, packet);
    }

    pub(crate) fn send_on(&mut self, client: Client, flow: FlowId, packet: &Packet<'_>) {
        let bytes = packet.to_bytes(self.versions[&client]).expect("encodes");
        self.broker.write(client, flow, &bytes);
    }

    pub(crate) fn raw(&mut self, client: Client, bytes: &[u8]) {
        self.broker.write(client, FlowId::CONTROL, bytes);
    }

    pub(crate) fn publish(&mut self, client: Client, publish: Publish<'_>) {
        self.send(client, &Packet::Publish(publish));
    }

    pub(crate) fn publish_with(
        &mut self,
        client: Client,
        publish: Publish<'_>,
        properties: &[Property<'_>],
    ) {
        let properties = list(properties);
        let packet = Publish {
            properties: properties.as_properties(),
            ..publish
        };
        self.send(client, &Packet::Publish(packet));
    }

    pub(crate) fn subscribe_with(
        &mut self,
        client: Client,
        number: u16,
        properties: &[Property<'_>],
        filters: &[(&str, SubscriptionOptions)],
    ) {
        self.subscribe_on(client, FlowId::CONTROL, number, properties, filters);
    }

    pub(crate) fn subscribe_on(
        &mut self,
        client: Client,
        flow: FlowId,
        number: u16,
        properties: &[Property<'_>],
        filters: &[(&str, SubscriptionOptions)],
    ) {
        let properties = list(properties);
        let mut subscriptions = SubscriptionList::new();
        for (filter, options) in filters {
            subscriptions.push(filter, *options);
        }
        let packet = Packet::Subscribe(Subscribe {
            packet_id: id(number),
            properties: properties.as_properties(),
            subscriptions: subscriptions.as_ref(),
        });
        self.send_on(client, flow, &packet);
    }

    /// Subscribes and reads the SUBACK, which must grant everything.
    pub(crate) fn subscribe(&mut self, client: Client, filters: &[(&str, QoS)]) {
        let filters: Vec<_> = filters
            .iter()
            .map(|(filter, qos)| (*filter, options(*qos)))
            .collect();
        self.subscribe_with(client, 77, &[], &filters);
        let codes: Vec<String> = filters
            .iter()
            .map(|(_, options)| format!("{:02x}", options.qos as u8))
            .collect();
        assert_eq!(
            self.read(client),
            [format!("SUBACK 77 {}", codes.join(" "))]
        );
    }

    pub(crate) fn unsubscribe(&mut self, client: Client, number: u16, filters: &[&str]) {
        self.unsubscribe_on(client, FlowId::CONTROL, number, filters);
    }

    pub(crate) fn unsubscribe_on(
        &mut self,
        client: Client,
        flow: FlowId,
        number: u16,
        filters: &[&str],
    ) {
        let mut list = FilterList::new();
        for filter in filters {
            list.push(filter);
        }
        let packet = Packet::Unsubscribe(Unsubscribe {
            packet_id: id(number),
            properties: Properties::EMPTY,
            filters: list.as_ref(),
        });
        self.send_on(client, flow, &packet);
    }

    pub(crate) fn disconnect(&mut self, client: Client, code: u8, properties: &[Property<'_>]) {
        let properties = list(properties);
        let disconnect = Disconnect {
            reason_code: ReasonCode(code),
            properties: properties.as_properties(),
        };
        self.send(client, &Packet::Disconnect(disconnect));
    }

    pub(crate) fn abort(&mut self, client: Client) {
        self.broker.abort(client);
    }

    /// Everything that the client has got since the last call, one line per packet.
    pub(crate) fn read(&mut self, client: Client) -> Vec<String> {
        self.read_on(client, FlowId::CONTROL)
    }

    /// The same, on one flow.
    pub(crate) fn read_on(&mut self, client: Client, flow: FlowId) -> Vec<String> {
        self.frames_on(client, flow)
            .iter()
            .map(|(version, frame)| describe(*version, frame))
            .collect()
    }

    pub(crate) fn frames(&mut self, client: Client) -> Vec<(Version, Frame)> {
        self.frames_on(client, FlowId::CONTROL)
    }

    fn frames_on(&mut self, client: Client, flow: FlowId) -> Vec<(Version, Frame)> {
        let bytes = self.broker.read_flow(client, flow);
        let version = self.versions[&client];
        let framers = self.framers.entry((client, flow));
        let framer = framers.or_insert_with(|| Framer::new(u32::MAX));
        framer.push(&bytes);
        let mut frames = Vec::new();
        while let Some(frame) = framer.next_frame().expect("the broker frames well") {
            frames.push((version, frame));
        }
        assert_eq!(framer.buffered(), 0, "half a packet");
        frames
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.wait_millis(seconds * 1000);
    }

    pub(crate) fn wait_millis(&mut self, milliseconds: u64) {
        self.broker.advance(Duration::from_millis(milliseconds));
    }

    /// Proves that the connection is served and has nothing else to read.
    pub(crate) fn assert_quiet(&mut self, client: Client) {
        self.send(client, &Packet::PingReq);
        assert_eq!(self.read(client), ["PINGRESP"]);
    }

    /// Why the broker closed; it must have.
    pub(crate) fn closed(&self, client: Client) -> (ReasonCode, ClosedBy) {
        self.broker.closed(client).expect("closed")
    }

    /// Reads a DISCONNECT with this code (nothing in version 3.1.1) and the end of the stream.
    pub(crate) fn assert_refused(&mut self, client: Client, code: u8) {
        let version = self.versions[&client];
        let expected = if version == V5 {
            vec![format!("DISCONNECT {code:02x}")]
        } else {
            vec![]
        };
        assert_eq!(self.read_without_reason(client), expected);
        assert!(self.broker.is_closed(client), "still open");
    }

    /// As [`Net::read`], without Reason Strings.
    pub(crate) fn read_without_reason(&mut self, client: Client) -> Vec<String> {
        let strip = |line: String| {
            line.split(" ReasonString")
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        self.read(client).into_iter().map(strip).collect()
    }
}

/// One packet as a line.
fn describe(version: Version, frame: &Frame) -> String {
    let packet = frame
        .decode(version)
        .unwrap_or_else(|error| panic!("{error}: {:02x?}", frame.bytes()));
    let hex = |codes: &[u8]| {
        codes
            .iter()
            .map(|code| format!(" {code:02x}"))
            .collect::<String>()
    };
    let with = |text: String, properties: Properties<'_>| {
        let properties: String = properties
            .iter()
            .map(|property| format!(" {property:?}"))
            .collect();
        text + &properties
    };
    let step = |name: &str, ack: &Acknowledgement<'_>| {
        let code = if ack.reason_code.0 == 0 {
            String::new()
        } else {
            format!(" {:02x}", ack.reason_code.0)
        };
        with(
            format!("{name} {}{code}", ack.packet_id.value()),
            ack.properties,
        )
    };
    match &packet {
        Packet::ConnAck(connack) => {
            let present = if connack.session_present {
                " present"
            } else {
                ""
            };
            with(
                format!("CONNACK {:02x}{present}", connack.code),
                Properties::EMPTY,
            )
        }
        Packet::Publish(publish) => {
            let flag = |set: bool, name: &'static str| if set { name } else { "" };
            let number = publish
                .packet_id
                .map(|number| format!(" id={}", number.value()))
                .unwrap_or_default();
            let text = format!(
                "PUBLISH q{}{number}{}{} {}={}",
                publish.qos as u8,
                flag(publish.dup, " dup"),
                flag(publish.retain, " retain"),
                publish.topic,
                String::from_utf8_lossy(publish.payload),
            );
            with(text, publish.properties)
        }
        Packet::PubAck(ack) => step("PUBACK", ack),
        Packet::PubRec(ack) => step("PUBREC", ack),
        Packet::PubRel(ack) => step("PUBREL", ack),
        Packet::PubComp(ack) => step("PUBCOMP", ack),
        Packet::SubAck(ack) => with(
            format!("SUBACK {}{}", ack.packet_id.value(), hex(ack.codes)),
            ack.properties,
        ),
        Packet::UnsubAck(ack) => with(
            format!("UNSUBACK {}{}", ack.packet_id.value(), hex(ack.codes)),
            ack.properties,
        ),
        Packet::PingResp => "PINGRESP".to_owned(),
        Packet::Disconnect(end) => with(
            format!("DISCONNECT {:02x}", end.reason_code.0),
            end.properties,
        ),
        Packet::Auth(auth) => with(format!("AUTH {:02x}", auth.reason_code.0), auth.properties),
        other => format!("{other:?}"),
    }
}
