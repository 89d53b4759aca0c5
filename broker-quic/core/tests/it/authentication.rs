//! Enhanced authentication: conversations before CONNACK and on a connection that is up.

use core::time::Duration;

use quince_codec::{Auth, Packet, Property, ReasonCode, Version};
use quince_core::bench::VirtualBroker;
use quince_core::{Answer, AuthenticationRequest, ClosedBy, Config, Principal, Round};

use crate::net::{Client, Hello, Net, Q0, V3, V5, farewell, hello, list, publish};

const METHOD: &str = "RIDDLE";

/// Asks "?" and expects "!", which makes the client `alice`; "mallory" makes it somebody else, all else is refused.
fn riddle(request: &AuthenticationRequest) -> Option<Answer> {
    let Some(enhanced) = &request.enhanced else {
        return Some(Ok(Principal::anonymous()).into());
    };
    assert_eq!(&*enhanced.method, METHOD);
    let accepted = |name| Answer::Accepted {
        principal: Principal::named(name),
        data: Some(b"welcome".to_vec()),
    };
    Some(match (enhanced.round, enhanced.data.as_deref()) {
        (Round::Connect | Round::Renew, None) => Answer::Challenge(b"?".to_vec()),
        (_, Some(b"!")) => accepted("alice"),
        (_, Some(b"mallory")) => accepted("mallory"),
        (_, Some(b"again")) => Answer::Challenge(b"??".to_vec()),
        _ => Answer::Refused(ReasonCode::NOT_AUTHORIZED),
    })
}

fn net() -> Net {
    let mut broker = VirtualBroker::new(Config {
        authentication_methods: vec![METHOD.into()],
        ..Config::default()
    });
    broker.set_authenticator(Box::new(riddle));
    Net::over(broker)
}

fn riddler(name: &str) -> Hello<'_> {
    hello(V5, name).with(Property::AuthenticationMethod(METHOD))
}

fn auth(net: &mut Net, client: Client, code: ReasonCode, method: &str, data: Option<&[u8]>) {
    let mut properties = vec![Property::AuthenticationMethod(method)];
    properties.extend(data.map(Property::AuthenticationData));
    let properties = list(&properties);
    net.send(
        client,
        &Packet::Auth(Auth {
            reason_code: code,
            properties: properties.as_properties(),
        }),
    );
}

fn answer(net: &mut Net, client: Client, data: &[u8]) {
    let code = ReasonCode::CONTINUE_AUTHENTICATION;
    auth(net, client, code, METHOD, Some(data));
}

fn renew(net: &mut Net, client: Client, data: Option<&[u8]>) {
    auth(net, client, ReasonCode::RE_AUTHENTICATE, METHOD, data);
}

const CHALLENGE: &str = r#"AUTH 18 AuthenticationMethod("RIDDLE") AuthenticationData([63])"#;
const SECOND_CHALLENGE: &str =
    r#"AUTH 18 AuthenticationMethod("RIDDLE") AuthenticationData([63, 63])"#;
const RENEWED: &str = r#"AUTH 00 AuthenticationMethod("RIDDLE") AuthenticationData([119, 101, 108, 99, 111, 109, 101])"#;

/// The properties of the first packet that the client got, a CONNACK.
fn connack(net: &mut Net, client: Client) -> (u8, Option<String>, Option<Vec<u8>>) {
    let frames = net.frames(client);
    let (version, frame) = frames.first().expect("a packet");
    let Packet::ConnAck(connack) = frame.decode(*version).expect("well-formed") else {
        panic!("{frame:?} is no CONNACK");
    };
    (
        connack.code,
        connack.properties.authentication_method().map(String::from),
        connack.properties.authentication_data().map(Vec::from),
    )
}

fn connected(net: &mut Net, name: &str) -> Client {
    let client = net.dial(&riddler(name));
    assert_eq!(net.read(client), [CHALLENGE]);
    answer(net, client, b"!");
    assert_eq!(connack(net, client).0, 0);
    client
}

#[test]
fn a_challenge_comes_before_connack_and_the_method_is_repeated() {
    let mut net = net();
    let client = net.dial(&riddler("a"));
    assert_eq!(net.read(client), [CHALLENGE]);
    answer(&mut net, client, b"again");
    assert_eq!(net.read(client), [SECOND_CHALLENGE]);
    answer(&mut net, client, b"!");
    let expected = (0, Some(METHOD.to_owned()), Some(b"welcome".to_vec()));
    assert_eq!(connack(&mut net, client), expected);
    net.send(client, &Packet::PingReq);
    assert_eq!(net.read(client), ["PINGRESP"]);
}

#[test]
fn data_in_connect_may_be_enough() {
    let mut net = net();
    let client = net.dial(&riddler("a").with(Property::AuthenticationData(b"!")));
    assert_eq!(connack(&mut net, client).0, 0);
}

#[test]
fn an_unknown_method_is_refused_and_asks_nobody() {
    let mut net = net();
    let client = net.dial(&hello(V5, "a").with(Property::AuthenticationMethod("RIDDLE2")));
    assert_eq!(net.read_without_reason(client), ["CONNACK 8c"]);
}

#[test]
fn a_wrong_answer_is_refused_before_connack() {
    let mut net = net();
    let client = net.dial(&riddler("a"));
    assert_eq!(net.read(client), [CHALLENGE]);
    answer(&mut net, client, b"wrong");
    assert_eq!(net.read_without_reason(client), ["CONNACK 87"]);
    assert!(net.broker.is_closed(client));
}

#[test]
fn only_auth_and_disconnect_may_come_before_connack() {
    let others = [ReasonCode::RE_AUTHENTICATE, ReasonCode::SUCCESS];
    for code in others {
        let mut net = net();
        let client = net.dial(&riddler("a"));
        assert_eq!(net.read(client), [CHALLENGE]);
        auth(&mut net, client, code, METHOD, Some(b"!"));
        assert_eq!(net.read_without_reason(client), ["CONNACK 82"]);
    }
    let mut net = net();
    let watcher = net.simple(V5, "w");
    net.subscribe(watcher, &[("#", Q0)]);
    let client = net.dial(&riddler("a"));
    assert_eq!(net.read(client), [CHALLENGE]);
    net.publish(client, publish(Q0, 0, "t", "x"));
    assert_eq!(net.read_without_reason(client), ["CONNACK 82"]);
    let client = net.dial(&riddler("b"));
    assert_eq!(net.read(client), [CHALLENGE]);
    auth(
        &mut net,
        client,
        ReasonCode::CONTINUE_AUTHENTICATION,
        "OTHER",
        Some(b"!"),
    );
    assert_eq!(net.read_without_reason(client), ["CONNACK 82"]);
    let client = net.dial(&riddler("c"));
    assert_eq!(net.read(client), [CHALLENGE]);
    net.raw(client, &[0x36, 0x00]);
    assert_eq!(net.read_without_reason(client), ["CONNACK 81"], "malformed");
    let client = net.dial(&riddler("d"));
    assert_eq!(net.read(client), [CHALLENGE]);
    net.disconnect(client, 0, &[]);
    assert_eq!(net.read(client), [""; 0]);
    let closed = (ReasonCode::NORMAL_DISCONNECTION, ClosedBy::Client);
    assert_eq!(net.closed(client), closed);
    net.assert_quiet(watcher);
}

#[test]
fn bytes_behind_connect_are_held_while_the_first_answer_is_open() {
    let mut net = net();
    net.broker.set_authenticator(Box::new(|_| None));
    let client = net.dial(&riddler("a"));
    answer(&mut net, client, b"early");
    assert!(net.broker.unread(client) > 0);
    net.broker.answer(client, Answer::Challenge(b"?".to_vec()));
    assert_eq!(net.read(client), [CHALLENGE]);
    net.broker
        .answer(client, Answer::Refused(ReasonCode::BANNED));
    assert_eq!(net.read_without_reason(client), ["CONNACK 8a"]);
}

#[test]
fn a_whole_conversation_has_one_deadline() {
    let mut net = net();
    let client = net.dial(&riddler("a"));
    net.wait_millis(6_000);
    answer(&mut net, client, b"again");
    assert_eq!(net.read(client), [CHALLENGE, SECOND_CHALLENGE]);
    net.wait_millis(3_999);
    assert!(!net.broker.is_closed(client));
    net.wait_millis(1);
    assert_eq!(net.read_without_reason(client), ["CONNACK 87"]);
}

#[test]
fn re_authentication_leaves_the_connection_in_use() {
    let mut net = net();
    let client = connected(&mut net, "a");
    renew(&mut net, client, None);
    assert_eq!(net.read(client), [CHALLENGE]);
    net.send(client, &Packet::PingReq);
    assert_eq!(net.read(client), ["PINGRESP"]);
    answer(&mut net, client, b"!");
    assert_eq!(net.read(client), [RENEWED]);
    renew(&mut net, client, Some(b"!"));
    assert_eq!(net.read(client), [RENEWED], "and again");
}

#[test]
fn re_authentication_that_fails_ends_the_connection_with_its_will() {
    let wrong: [(&[u8], u8); 2] = [(b"wrong", 0x87), (b"mallory", 0x87)];
    for (data, code) in wrong {
        let mut net = net();
        let watcher = net.simple(V3, "w");
        net.subscribe(watcher, &[("will", Q0)]);
        let client = net.dial(&riddler("a").will(farewell("will", "gone")));
        answer(&mut net, client, b"!");
        net.read(client);
        renew(&mut net, client, None);
        assert_eq!(net.read(client), [CHALLENGE]);
        answer(&mut net, client, data);
        let told = format!("DISCONNECT {code:02x}");
        assert_eq!(net.read_without_reason(client), [told]);
        assert_eq!(net.read(watcher), ["PUBLISH q0 will=gone"]);
    }
}

#[test]
fn re_authentication_out_of_turn_is_a_protocol_error() {
    let cases: [(ReasonCode, &str); 3] = [
        (ReasonCode::CONTINUE_AUTHENTICATION, METHOD),
        (ReasonCode::SUCCESS, METHOD),
        (ReasonCode::RE_AUTHENTICATE, "OTHER"),
    ];
    for (code, method) in cases {
        let mut net = net();
        let client = connected(&mut net, "a");
        auth(&mut net, client, code, method, None);
        assert_eq!(
            net.read_without_reason(client),
            ["DISCONNECT 82"],
            "{code} {method}"
        );
    }
    let mut net = net();
    let client = connected(&mut net, "a");
    renew(&mut net, client, None);
    renew(&mut net, client, None);
    assert_eq!(net.read(client)[0], CHALLENGE);
    assert!(net.broker.is_closed(client), "one at a time");
    // Without a method in CONNECT there is no AUTH at all [MQTT5-4.12.0-7].
    let plain = net.simple(V5, "plain");
    renew(&mut net, plain, Some(b"!"));
    assert_eq!(net.read_without_reason(plain), ["DISCONNECT 82"]);
}

#[test]
fn re_authentication_has_its_time() {
    let mut net = net();
    let client = connected(&mut net, "a");
    renew(&mut net, client, None);
    net.wait_millis(9_999);
    assert_eq!(net.read(client), [CHALLENGE]);
    net.wait_millis(1);
    assert_eq!(net.read_without_reason(client), ["DISCONNECT 87"]);
}

#[test]
fn a_challenge_that_is_larger_than_the_client_takes_closes() {
    let mut net = net();
    let client = net.dial(&riddler("a").with(Property::MaximumPacketSize(8)));
    assert_eq!(net.read(client), [""; 0]);
    assert!(net.broker.is_closed(client));
}

#[test]
fn a_challenge_without_a_method_refuses() {
    for (version, connack) in [
        (Version::V5_0, "CONNACK 87"),
        (Version::V3_1_1, "CONNACK 05"),
    ] {
        let mut net = net();
        net.broker
            .set_authenticator(Box::new(|_| Some(Answer::Challenge(Vec::new()))));
        let client = net.dial(&hello(version, "a"));
        assert_eq!(net.read_without_reason(client), [connack]);
    }
}

#[test]
fn a_takeover_does_not_wait_for_a_conversation() {
    let mut net = net();
    let old = connected(&mut net, "a");
    renew(&mut net, old, None);
    let new = connected(&mut net, "a");
    net.broker.advance(Duration::from_secs(60));
    assert!(net.broker.is_closed(old));
    assert!(!net.broker.is_closed(new));
}

#[test]
fn a_client_is_turned_away_at_any_moment_and_told_in_its_own_words() {
    let code = ReasonCode::NOT_AUTHORIZED;
    for (version, refusal, end) in [
        (Version::V5_0, "CONNACK 87", Some("DISCONNECT 87")),
        (Version::V3_1_1, "CONNACK 05", None),
    ] {
        let mut net = net();
        let watcher = net.simple(V5, "w");
        net.subscribe(watcher, &[("will", Q0)]);
        // Before CONNECT there is no version to say it in.
        let client = net.broker.connect();
        net.broker.turn_away(client, code);
        assert_eq!(net.broker.read(client), b"");
        assert_eq!(net.closed(client), (code, ClosedBy::Server));
        net.broker.set_authenticator(Box::new(|_| None));
        let client = net.dial(&hello(version, "a"));
        net.broker.turn_away(client, code);
        assert_eq!(net.read_without_reason(client), [refusal]);
        net.broker.set_authenticator(Box::new(riddle));
        let client = net.dial(&hello(version, "b").will(farewell("will", "gone")));
        net.read(client);
        net.broker.turn_away(client, code);
        assert_eq!(net.read_without_reason(client), Vec::from_iter(end));
        assert_eq!(net.closed(client), (code, ClosedBy::Server));
        assert_eq!(net.read(watcher), ["PUBLISH q0 will=gone"]);
        // The first end counts.
        net.broker.turn_away(client, ReasonCode::BANNED);
        assert_eq!(net.closed(client), (code, ClosedBy::Server));
    }
}
