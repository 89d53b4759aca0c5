//! `tests/hostile.tsv`: attacks that have names, each sent over TCP, WebSocket and QUIC, and what the broker answers.
//!
//! A row has a name; the published precedent, or the class of mistake that it looks for; the version of the connection on which the bytes are sent (`-`:
//! before CONNECT); the bytes; and the answer. Bytes are hexadecimal digits and `"text"`. `s{ }` is a string or binary data: two bytes
//! with the length of what is inside, and that. `{ }` is the same with a Variable Byte Integer for the length. `( )*N` is N
//! times what is inside, in which `#` is the number of the repetition, in two bytes. An answer names packets, with their Reason Codes in hexadecimal (of many
//! the first and the last) and how often they came in a row, and then how it ends: with `close`, or with `open`, which the answer to a PINGREQ shows.

use std::fmt::Write as _;
use std::path::Path;

use quince_broker::{Server, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::peer::{CONNECT_3, CONNECT_5, PATIENCE, PINGREQ, PINGRESP, Peer};
use crate::transports::{QUIC, TCP, WS, start};

/// CONNECT of somebody who has nothing to do with it.
const WITNESS: &[u8] = b"\x10\x14\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x07witness";

/// The bytes that a text stands for.
struct Bytes<'a> {
    rest: &'a str,
}

impl Bytes<'_> {
    /// Reads up to the closing mark, or to the end; `number` is that of the repetition.
    fn read(&mut self, number: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            let Some(first) = self.rest.chars().next() else {
                return bytes;
            };
            match first {
                '}' | ')' => {
                    self.rest = &self.rest[1..];
                    return bytes;
                }
                '"' => {
                    let (text, rest) = self.rest[1..].split_once('"').expect("a closing quote");
                    bytes.extend_from_slice(text.as_bytes());
                    self.rest = rest;
                }
                '#' => {
                    self.rest = &self.rest[1..];
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                '(' => self.repeat(&mut bytes),
                's' => {
                    self.rest = self.rest.strip_prefix("s{").expect("s{");
                    let inside = self.read(number);
                    let length = u16::try_from(inside.len()).expect("a string's length");
                    bytes.extend_from_slice(&length.to_be_bytes());
                    bytes.extend(inside);
                }
                '{' => {
                    self.rest = &self.rest[1..];
                    let inside = self.read(number);
                    let mut length = inside.len();
                    let low = |length: usize| u8::try_from(length % 128).expect("below 128");
                    while length > 127 {
                        bytes.push(low(length) | 128);
                        length /= 128;
                    }
                    bytes.push(low(length));
                    bytes.extend(inside);
                }
                _ => {
                    let (byte, rest) = self.rest.split_at(2);
                    bytes.push(u8::from_str_radix(byte, 16).expect("hexadecimal digits"));
                    self.rest = rest;
                }
            }
        }
    }

    fn repeat(&mut self, bytes: &mut Vec<u8>) {
        let inside = &self.rest[1..];
        let mut times = Self { rest: inside };
        times.read(0);
        let behind = times.rest.strip_prefix('*').expect("a number of times");
        let digits = behind.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let count = &behind[..behind.len() - digits.len()];
        for number in 1..=count.parse().expect("a number of times") {
            let number: u32 = number;
            let number = u16::try_from(number % 0x1_0000).expect("two bytes");
            bytes.extend(Self { rest: inside }.read(number));
        }
        self.rest = digits;
    }
}

/// What the broker has sent: a word for each packet, with its Reason Codes, and how often it came in a row.
fn told(bytes: &[u8], version: &str) -> Vec<(String, usize)> {
    let mut words: Vec<(String, usize)> = Vec::new();
    let mut rest = bytes;
    while let Some((first, body)) = packet(&mut rest) {
        let word = word(first, body, version);
        match words.last_mut() {
            Some((last, times)) if *last == word => *times += 1,
            _ => words.push((word, 1)),
        }
    }
    words
}

/// Takes the first packet off: its first byte, and what is behind the length.
fn packet<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (first, mut behind) = rest.split_first()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let (low, next) = behind.split_first().expect("a whole length");
        length |= usize::from(low & 127) << shift;
        (shift, behind) = (shift + 7, next);
        if low & 128 == 0 {
            break;
        }
    }
    let (body, next) = behind.split_at_checked(length).expect("a whole packet");
    *rest = next;
    Some((*first, body))
}

fn word(first: u8, body: &[u8], version: &str) -> String {
    // Behind the identifier, and in 5.0 behind the properties, all shorter than 128 bytes.
    let list = match version {
        "5.0" => 3 + usize::from(body.get(2).copied().unwrap_or(0)),
        _ => 2,
    };
    let (name, codes) = match first >> 4 {
        2 => ("connack", body.get(1..2)),
        3 => ("publish", None),
        4 => ("puback", body.get(2..3)),
        5 => ("pubrec", body.get(2..3)),
        6 => ("pubrel", body.get(2..3)),
        7 => ("pubcomp", body.get(2..3)),
        9 => ("suback", body.get(list..)),
        11 => ("unsuback", body.get(list..)),
        13 => ("pingresp", None),
        14 => ("disconnect", body.get(..1)),
        other => panic!("a packet of type {other}"),
    };
    let mut word = name.to_owned();
    match codes.unwrap_or_default() {
        [first, .., last] => _ = write!(word, " {first:02x}..{last:02x}"),
        [only] => _ = write!(word, " {only:02x}"),
        [] => {}
    }
    word
}

/// Sends the bytes and says what came.
async fn answer(server: &Server, index: usize, version: &str, bytes: &[u8]) -> String {
    let mut peer = Peer::connect(server, index).await;
    let connect = match version {
        "-" => None,
        "3.1.1" => Some(CONNECT_3),
        "5.0" => Some(CONNECT_5),
        other => panic!("no version: {other}"),
    };
    if let Some(connect) = connect {
        peer.write(connect).await;
        peer.connected().await;
    }
    let mut heard = Vec::new();
    let (mut reader, mut writer) = peer.into_halves();
    // The broker may close before it has all.
    let sending = async {
        let _ = writer.write_all(bytes).await;
        let _ = writer.write_all(PINGREQ).await;
        let _ = writer.flush().await;
    };
    let hearing = async {
        let mut buffer = [0; 4096];
        loop {
            match reader.read(&mut buffer).await {
                Ok(0) | Err(_) => return "close",
                Ok(count) => heard.extend_from_slice(&buffer[..count]),
            }
            if heard.ends_with(PINGRESP) {
                return "open";
            }
        }
    };
    let both = async { tokio::join!(sending, hearing).1 };
    let end = timeout(PATIENCE, both).await.expect("an answer in time");
    let mut answer = String::new();
    let told = match end {
        "open" => told(&heard[..heard.len() - PINGRESP.len()], version),
        _ => told(&heard, version),
    };
    for (word, times) in told {
        answer += &word;
        if times > 1 {
            let _ = write!(answer, " x{times}");
        }
        answer += ", ";
    }
    answer + end
}

#[tokio::test]
async fn attacks_that_have_names_are_answered_as_they_must_be() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile.tsv");
    let table = std::fs::read_to_string(path).expect("the table");
    let rows = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    let server = start(Settings::default()).await;
    let mut witness = Peer::connect(&server, TCP).await;
    witness.write(WITNESS).await;
    witness.connected().await;
    let mut wrong = String::new();
    let mut count = 0;
    for row in rows {
        let [name, _, version, bytes, expected] = row.split('\t').collect::<Vec<_>>()[..]
            .try_into()
            .expect(row);
        count += 1;
        let bytes = Bytes { rest: bytes }.read(0);
        for index in [TCP, WS, QUIC] {
            let answer = answer(&server, index, version, &bytes).await;
            if answer != expected {
                let scheme = server.listeners()[index].url().scheme();
                let _ = writeln!(wrong, "{name}\t{scheme}\t{answer}\t(expected: {expected})");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 120, "{count} attacks");
    witness.write(PINGREQ).await;
    assert_eq!(witness.read(2).await, PINGRESP, "somebody else suffers");
    assert_eq!(server.panics(), 0);
    server.shut_down().await;
}
