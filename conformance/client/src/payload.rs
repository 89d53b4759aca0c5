//! Payloads as text on a command line: read for `pub`, written for `sub`.

use std::io::{self, Write};

use clap::ValueEnum;
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use quince_codec::Publish;
use serde_json::{Map, Value, json};

/// How a payload looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As it is
    #[default]
    Text,
    /// Two digits for each byte
    Hex,
    /// Base64, RFC 4648, with padding
    Base64,
    /// For pub, text that must be JSON; for sub, an object with topic, payload and properties
    Json,
}

impl Format {
    /// The payload that `text` stands for.
    ///
    /// # Errors
    /// In words, when it does not have this form.
    pub(crate) fn read(self, text: &[u8]) -> Result<Vec<u8>, String> {
        let trimmed = text.trim_ascii();
        match self {
            Self::Text => Ok(text.to_vec()),
            Self::Hex => HEXLOWER_PERMISSIVE
                .decode(trimmed)
                .map_err(|error| format!("the message is not hex: {error}")),
            Self::Base64 => BASE64
                .decode(trimmed)
                .map_err(|error| format!("the message is not Base64: {error}")),
            Self::Json => serde_json::from_slice::<Value>(text)
                .map(|_| text.to_vec())
                .map_err(|error| format!("the message is not JSON: {error}")),
        }
    }

    /// Writes a message on a line.
    ///
    /// # Errors
    /// When `out` takes nothing more.
    pub(crate) fn write(self, publish: &Publish<'_>, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Text => out.write_all(publish.payload)?,
            Self::Hex => out.write_all(HEXLOWER.encode(publish.payload).as_bytes())?,
            Self::Base64 => out.write_all(BASE64.encode(publish.payload).as_bytes())?,
            Self::Json => write!(out, "{}", object(publish))?,
        }
        out.write_all(b"\n")
    }
}

/// Everything that a message says. A payload that is no text is in `payload_base64` instead.
fn object(publish: &Publish<'_>) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), json!(publish.topic));
    object.insert("qos".to_owned(), json!(publish.qos as u8));
    object.insert("retain".to_owned(), json!(publish.retain));
    object.insert("dup".to_owned(), json!(publish.dup));
    let (name, payload) = match std::str::from_utf8(publish.payload) {
        Ok(text) => ("payload", json!(text)),
        Err(_) => ("payload_base64", json!(BASE64.encode(publish.payload))),
    };
    object.insert(name.to_owned(), payload);
    let properties = publish.properties;
    let user: Vec<_> = properties.user_properties().collect();
    let identifiers: Vec<_> = properties.subscription_identifiers().collect();
    let correlation = properties.correlation_data();
    for (name, value) in [
        (
            "payload_format_indicator",
            json!(properties.payload_format_indicator()),
        ),
        (
            "message_expiry_interval",
            json!(properties.message_expiry_interval()),
        ),
        ("content_type", json!(properties.content_type())),
        ("response_topic", json!(properties.response_topic())),
        (
            "correlation_data_base64",
            json!(correlation.map(|data| BASE64.encode(data))),
        ),
        ("user_properties", json!(user)),
        ("subscription_identifiers", json!(identifiers)),
    ] {
        let absent = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !absent {
            object.insert(name.to_owned(), value);
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use quince_codec::{Properties, Property, PropertyList, QoS};

    use super::*;

    fn written(format: Format, payload: &[u8], properties: Properties<'_>) -> String {
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: true,
            topic: "a/b",
            packet_id: None,
            properties,
            payload,
        };
        let mut out = Vec::new();
        format.write(&publish, &mut out).expect("in memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn each_format_writes_what_it_reads() {
        for (format, text, payload) in [
            (Format::Text, "h\u{e9} ", &b"h\xc3\xa9 "[..]),
            (Format::Hex, "00ff7a", b"\x00\xff\x7a"),
            (Format::Base64, "AP96", b"\x00\xff\x7a"),
        ] {
            assert_eq!(format.read(text.as_bytes()).as_deref(), Ok(payload));
            let line = written(format, payload, Properties::EMPTY);
            assert_eq!(line, format!("{text}\n"));
        }
        assert_eq!(Format::Hex.read(b"00FF\n").as_deref(), Ok(&b"\x00\xff"[..]));
        assert_eq!(
            Format::Json.read(b"{\"a\": [1]}").as_deref(),
            Ok(&b"{\"a\": [1]}"[..])
        );
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for (format, text, expected) in [
            (Format::Hex, "0", "not hex"),
            (Format::Hex, "xy", "not hex"),
            (Format::Base64, "AP9", "not Base64"),
            (Format::Json, "{", "not JSON"),
            (Format::Json, "1 2", "not JSON"),
        ] {
            let error = format.read(text.as_bytes()).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn json_holds_everything_and_nothing_that_is_absent() {
        assert_eq!(
            written(Format::Json, b"\"x\"", Properties::EMPTY),
            "{\"dup\":false,\"payload\":\"\\\"x\\\"\",\"qos\":1,\"retain\":true,\"topic\":\"a/b\"}\n"
        );
        let mut list = PropertyList::new();
        list.push(Property::ContentType("text"));
        list.push(Property::UserProperty("k", "1"));
        list.push(Property::UserProperty("k", "2"));
        list.push(Property::SubscriptionIdentifier(7));
        assert_eq!(
            written(Format::Json, b"\xff", list.as_properties()),
            "{\"content_type\":\"text\",\"dup\":false,\"payload_base64\":\"/w==\",\"qos\":1,\
             \"retain\":true,\"subscription_identifiers\":[7],\"topic\":\"a/b\",\
             \"user_properties\":[[\"k\",\"1\"],[\"k\",\"2\"]]}\n"
        );
    }
}
