//! Histories as text, one event a line: `1> pub t x qos=1 id=7` is sent on connection 1, `1<` received, `1 aborted` ends it.
//!
//! `@5000` sets the time in milliseconds, `finish` ends the history.

use std::collections::BTreeMap;

use quince_codec::{
    Acknowledgement, ConnAck, Connect, Disconnect, FilterList, Packet, PacketId, Properties,
    Property, PropertyList, Publish, QoS, ReasonCode, RetainHandling, SubAck, Subscribe,
    SubscriptionList, SubscriptionOptions, UnsubAck, Unsubscribe, Version, Will,
};
use quince_model::{Bounds, End, Judge, Rule, Violation};

pub(crate) const BOUNDS: Bounds = Bounds {
    patience: 1000,
    queue_messages: 100,
    stored_lose_nothing: true,
    one_order_of_retained: true,
};

/// Judges a history.
pub(crate) fn judge(script: &str) -> Result<(), Violation> {
    judge_within(BOUNDS, script)
}

pub(crate) fn judge_within(bounds: Bounds, script: &str) -> Result<(), Violation> {
    let mut judge = Judge::new(bounds);
    let mut time = 0;
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        if let Some(at) = line.strip_prefix('@') {
            time = at.parse().expect("a time");
        } else if line == "finish" {
            judge.finish(time)?;
        } else {
            event(&mut judge, time, line)?;
        }
    }
    Ok(())
}

/// The history is right.
pub(crate) fn right(script: &str) {
    if let Err(violation) = judge(script) {
        panic!("refused: {violation}\n{script}");
    }
}

/// The history breaks this rule, with its last line.
pub(crate) fn wrong(rule: Rule, script: &str) {
    let lines: Vec<&str> = script.trim().lines().collect();
    let but_the_last = lines[..lines.len() - 1].join("\n");
    right(&but_the_last);
    match judge(script) {
        Ok(()) => panic!("not refused:\n{script}"),
        Err(violation) => assert_eq!(violation.rule, rule, "{violation}\n{script}"),
    }
}

struct Words<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let mut words = Self {
            plain: Vec::new(),
            named: BTreeMap::new(),
        };
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some((name, value)) => _ = words.named.insert(name, value),
                None => words.plain.push(word),
            }
        }
        words
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.named
            .get(name)
            .map(|value| value.parse().expect("a number"))
    }

    fn qos(&self) -> QoS {
        let qos = self.number("qos").unwrap_or(0);
        QoS::try_from(u8::try_from(qos).expect("small")).expect("a QoS")
    }

    fn code(&self) -> u8 {
        u8::try_from(self.number("code").unwrap_or(0)).expect("a code")
    }

    /// The word at `index` as a Packet Identifier.
    fn id(&self, index: usize) -> PacketId {
        let number = self.plain[index].parse().expect("an identifier");
        PacketId::new(number).expect("not zero")
    }
}

fn event(judge: &mut Judge, time: u64, line: &str) -> Result<(), Violation> {
    let (head, rest) = line.split_once(' ').expect("two words");
    if let Ok(connection) = head.parse() {
        let end = match rest {
            "finished" => End::Finished,
            "aborted" => End::Aborted,
            "vanished" => End::Vanished,
            "closed" => End::ByServer,
            "excused" => {
                judge.excuse(connection);
                return Ok(());
            }
            other => panic!("what is {other:?}?"),
        };
        return judge.ended(time, connection, end);
    }
    let sent = head.ends_with('>');
    let connection = head.trim_end_matches(['<', '>']).parse().expect("a number");
    let words = Words::of(rest);
    with_packet(&words, |packet| {
        if sent {
            judge.sent(time, connection, packet);
            Ok(())
        } else {
            judge.received(time, connection, packet)
        }
    })
}

type Act<'a> = &'a mut dyn FnMut(&Packet<'_>) -> Result<(), Violation>;

fn with_packet(
    words: &Words<'_>,
    mut act: impl FnMut(&Packet<'_>) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let ack = || Acknowledgement {
        packet_id: words.id(1),
        reason_code: ReasonCode(words.code()),
        properties: Properties::EMPTY,
    };
    match words.plain[0] {
        "connect" => connect(words, &mut act),
        "connack" => act(&Packet::ConnAck(ConnAck {
            session_present: words.has("present"),
            code: words.code(),
            properties: Properties::EMPTY,
        })),
        "pub" => publish(words, &mut act),
        "puback" => act(&Packet::PubAck(ack())),
        "pubrec" => act(&Packet::PubRec(ack())),
        "pubrel" => act(&Packet::PubRel(ack())),
        "pubcomp" => act(&Packet::PubComp(ack())),
        "sub" => subscribe(words, &mut act),
        "suback" => {
            let codes: Vec<u8> = words.plain[2..]
                .iter()
                .map(|code| code.parse().expect("a code"))
                .collect();
            act(&Packet::SubAck(SubAck {
                packet_id: words.id(1),
                properties: Properties::EMPTY,
                codes: &codes,
            }))
        }
        "unsub" => {
            let mut list = FilterList::new();
            list.push(words.plain[2]);
            act(&Packet::Unsubscribe(Unsubscribe {
                packet_id: words.id(1),
                properties: Properties::EMPTY,
                filters: list.as_ref(),
            }))
        }
        "unsuback" => act(&Packet::UnsubAck(UnsubAck {
            packet_id: words.id(1),
            properties: Properties::EMPTY,
            codes: &[0],
        })),
        "ping" => act(&Packet::PingReq),
        "pong" => act(&Packet::PingResp),
        "bye" => act(&Packet::Disconnect(Disconnect {
            reason_code: ReasonCode(words.code()),
            properties: Properties::EMPTY,
        })),
        other => panic!("what is {other:?}?"),
    }
}

fn connect(words: &Words<'_>, act: Act<'_>) -> Result<(), Violation> {
    let mut properties = PropertyList::new();
    if let Some(seconds) = words.number("expiry") {
        properties.push(Property::SessionExpiryInterval(seconds));
    }
    if let Some(maximum) = words.number("rm") {
        properties.push(Property::ReceiveMaximum(
            u16::try_from(maximum).expect("small"),
        ));
    }
    let mut will_properties = PropertyList::new();
    if let Some(delay) = words.number("delay") {
        will_properties.push(Property::WillDelayInterval(delay));
    }
    let will = words.named.get("will").map(|will| {
        let (topic, payload) = will.split_once(':').expect("topic:payload");
        Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: will_properties.as_properties(),
            topic,
            payload: payload.as_bytes(),
        }
    });
    let version = if words.has("v3") {
        Version::V3_1_1
    } else {
        Version::V5_0
    };
    act(&Packet::Connect(Connect {
        version,
        clean_start: words.has("clean"),
        keep_alive: u16::try_from(words.number("ka").unwrap_or(0)).expect("small"),
        properties: properties.as_properties(),
        client_id: words.plain[1],
        will,
        user_name: None,
        password: None,
    }))
}

fn publish(words: &Words<'_>, act: Act<'_>) -> Result<(), Violation> {
    let mut properties = PropertyList::new();
    if let Some(seconds) = words.number("expiry") {
        properties.push(Property::MessageExpiryInterval(seconds));
    }
    if let Some(text) = words.named.get("user") {
        properties.push(Property::UserProperty("k", text));
    }
    if let Some(identifier) = words.number("sid") {
        properties.push(Property::SubscriptionIdentifier(identifier));
    }
    let id = words
        .number("id")
        .and_then(|id| PacketId::new(u16::try_from(id).expect("small")));
    let payload = match words.plain[2] {
        "-" => "",
        payload => payload,
    };
    act(&Packet::Publish(Publish {
        dup: words.has("dup"),
        qos: words.qos(),
        retain: words.has("r"),
        topic: words.plain[1],
        packet_id: id,
        properties: properties.as_properties(),
        payload: payload.as_bytes(),
    }))
}

fn subscribe(words: &Words<'_>, act: Act<'_>) -> Result<(), Violation> {
    let mut properties = PropertyList::new();
    if let Some(identifier) = words.number("sid") {
        properties.push(Property::SubscriptionIdentifier(identifier));
    }
    let mut list = SubscriptionList::new();
    list.push(
        words.plain[2],
        SubscriptionOptions {
            qos: words.qos(),
            no_local: words.has("nl"),
            retain_as_published: words.has("rap"),
            retain_handling: match words.number("rh") {
                None => RetainHandling::SendAtSubscribe,
                Some(1) => RetainHandling::SendIfNew,
                Some(_) => RetainHandling::DoNotSend,
            },
        },
    );
    act(&Packet::Subscribe(Subscribe {
        packet_id: words.id(1),
        properties: properties.as_properties(),
        subscriptions: list.as_ref(),
    }))
}
