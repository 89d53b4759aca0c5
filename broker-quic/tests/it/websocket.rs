//! What only WebSocket can get wrong: subprotocol and path, messages and packets, bounds.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use quince_broker::{ListenerUrl, Scheme, Server, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::peer::{CONNECT_3, CONNECT_5, PATIENCE, PINGREQ, PINGRESP, web_socket};

async fn start(settings: Settings) -> Server {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let urls = [ListenerUrl::new(Scheme::Ws, loopback)];
    Server::bind(&urls, settings).await.expect("bound")
}

async fn socket(server: &Server) -> TcpStream {
    let address = server.listeners()[0].url().address();
    TcpStream::connect(address).await.expect("connected")
}

async fn opened(server: &Server) -> WebSocketStream<TcpStream> {
    let stream = socket(server).await;
    web_socket(stream, "/mqtt", &["mqtt"])
        .await
        .expect("open")
        .0
}

async fn next(web: &mut WebSocketStream<TcpStream>) -> Message {
    let message = timeout(PATIENCE, web.next()).await.expect("in time");
    message.expect("a message").expect("a good one")
}

/// Sends CONNECT and waits for the CONNACK.
async fn connect(web: &mut WebSocketStream<TcpStream>) {
    web.send(Message::binary(CONNECT_3)).await.expect("sent");
    assert_eq!(next(web).await, Message::binary(&b"\x20\x02\x00\x00"[..]));
}

fn status(outcome: Result<impl Sized, Error>) -> u16 {
    match outcome {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    }
}

#[tokio::test]
async fn the_subprotocol_is_demanded_and_answered() {
    let server = start(Settings::default()).await;
    for (path, offered, chosen) in [
        ("/mqtt", &["mqtt"][..], "mqtt"),
        ("/", &["mqtt"], "mqtt"),
        ("/mqtt", &["other", "mqttv3.1", "mqtt"], "mqtt"),
        ("/mqtt", &["mqttv3.1"], "mqttv3.1"),
    ] {
        let stream = socket(&server).await;
        let (_, answered) = web_socket(stream, path, offered).await.expect("open");
        assert_eq!(answered.as_deref(), Some(chosen), "{path} {offered:?}");
    }
    for (path, offered, refused) in [
        ("/mqtt", &[][..], 400),
        ("/mqtt", &["MQTT"], 400),
        ("/mqtt", &["chat"], 400),
        ("/other", &["mqtt"], 404),
    ] {
        let stream = socket(&server).await;
        let outcome = web_socket(stream, path, offered).await;
        assert_eq!(status(outcome), refused, "{path} {offered:?}");
    }
    server.shut_down().await;
}

#[tokio::test]
async fn packets_and_messages_have_nothing_to_do_with_each_other() {
    let server = start(Settings::default()).await;
    let mut web = opened(&server).await;
    // One packet in two messages.
    for part in [&CONNECT_3[..5], &CONNECT_3[5..]] {
        web.send(Message::binary(part)).await.expect("sent");
    }
    assert_eq!(next(&mut web).await.into_data(), &b"\x20\x02\x00\x00"[..]);
    // One message of three packets and a half, in three frames, one of them empty.
    let frame = |bytes: &'static [u8], code, last| {
        Message::Frame(Frame::message(bytes, OpCode::Data(code), last))
    };
    web.send(frame(b"\xc0\x00\xc0", Data::Binary, false))
        .await
        .expect("sent");
    web.send(frame(b"", Data::Continue, false))
        .await
        .expect("sent");
    web.send(frame(b"\x00\xc0\x00\xc0", Data::Continue, true))
        .await
        .expect("sent");
    web.send(Message::binary(&b"\x00"[..])).await.expect("sent");
    let mut answers = Vec::new();
    while answers.len() < 8 {
        answers.extend_from_slice(&next(&mut web).await.into_data());
    }
    assert_eq!(answers, PINGRESP.repeat(4));
    server.shut_down().await;
}

#[tokio::test]
async fn pings_are_answered_and_text_ends_the_connection() {
    let server = start(Settings::default()).await;
    let mut web = opened(&server).await;
    connect(&mut web).await;
    web.send(Message::Ping("x".into())).await.expect("sent");
    assert_eq!(next(&mut web).await, Message::Pong("x".into()));
    web.send(Message::Pong("unasked".into()))
        .await
        .expect("sent");
    web.send(Message::binary(PINGREQ)).await.expect("sent");
    assert_eq!(next(&mut web).await.into_data(), PINGRESP);
    web.send(Message::text("hello")).await.expect("sent");
    assert_eq!(closing_code(&mut web).await, 1003);
    server.shut_down().await;
}

/// The code of the Close that comes next, and the end after it.
async fn closing_code(web: &mut WebSocketStream<TcpStream>) -> u16 {
    let Message::Close(Some(frame)) = next(web).await else {
        panic!("no Close with a code")
    };
    let end = timeout(PATIENCE, web.next()).await.expect("in time");
    assert!(end.is_none(), "{end:?}");
    frame.code.into()
}

#[tokio::test]
async fn a_message_has_a_largest_size_in_one_frame_and_in_many() {
    let mut settings = Settings::default();
    settings.websocket.message_bytes = 1000;
    let server = start(settings).await;
    let pings = PINGREQ.repeat(501);
    let mut web = opened(&server).await;
    connect(&mut web).await;
    web.send(Message::binary(pings[..1000].to_vec()))
        .await
        .expect("sent");
    let mut answered = 0;
    while answered < 1000 {
        answered += next(&mut web).await.len();
    }
    web.send(Message::binary(pings.clone()))
        .await
        .expect("sent");
    assert_eq!(closing_code(&mut web).await, 1009);

    let mut web = opened(&server).await;
    connect(&mut web).await;
    for (part, code, last) in [
        (0..600, Data::Binary, false),
        (600..1001, Data::Continue, true),
    ] {
        let frame = Frame::message(pings[part].to_vec(), OpCode::Data(code), last);
        web.send(Message::Frame(frame)).await.expect("sent");
    }
    assert_eq!(closing_code(&mut web).await, 1009);
    server.shut_down().await;
}

#[tokio::test]
async fn before_the_first_answer_little_is_read() {
    let mut settings = Settings::default();
    settings.websocket.bytes_before_first_answer = 4096;
    settings.core.connect_timeout = Duration::from_millis(700);
    let server = start(settings).await;
    // CONNECT and then more than that, in another message: answered, and then read.
    let mut web = opened(&server).await;
    web.send(Message::binary(CONNECT_5)).await.expect("sent");
    web.send(Message::binary(PINGREQ.repeat(4000)))
        .await
        .expect("sent");
    let mut answered = 0;
    while answered < 8000 {
        answered += next(&mut web).await.len();
    }
    // The same in one message cannot be, and ends with the time for CONNECT.
    let mut web = opened(&server).await;
    let together = [CONNECT_5, &PINGREQ.repeat(4000)].concat();
    web.send(Message::binary(together)).await.expect("sent");
    let next = timeout(PATIENCE, web.next()).await.expect("in time");
    assert!(
        matches!(next, None | Some(Err(_) | Ok(Message::Close(_)))),
        "no answer: {next:?}"
    );
    server.shut_down().await;
}

#[tokio::test]
async fn what_is_no_websocket_is_cut_off() {
    let server = start(Settings::default()).await;
    for request in [
        CONNECT_5,
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        &b"GET /mqtt HTTP/1.1\r\nX: ".repeat(40_000),
    ] {
        let mut stream = socket(&server).await;
        // It may be cut off before it has said everything.
        let _ = stream.write_all(request).await;
        let _ = stream.write_all(b"\r\n\r\n").await;
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .expect("the end in time");
        assert!(!rest.starts_with(b"HTTP/1.1 101"), "{rest:?}");
    }
    // A frame that is not masked breaks RFC 6455, section 5.1.
    let mut web = opened(&server).await;
    connect(&mut web).await;
    web.get_mut()
        .write_all(b"\x82\x02\xc0\x00")
        .await
        .expect("sent");
    assert_eq!(closing_code(&mut web).await, 1002);
    server.shut_down().await;
}
