//! Sections of the file from and to the settings that they stand for. A test demands a key for every field.

use std::time::Duration;

use quince_codec::QoS;
use quince_core::Config;

use super::file::{CongestionWord, LimitsSection, QuicSection, WebSocketSection};
use crate::settings::{QuicCongestion, QuicSettings, Settings, WebSocketSettings};

/// The Session Expiry Interval that stands for "never".
const NEVER: u32 = u32::MAX;

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Default for LimitsSection {
    fn default() -> Self {
        let Settings {
            core, connections, ..
        } = Settings::default();
        Self::of(&core, connections)
    }
}

impl LimitsSection {
    pub(super) fn of(config: &Config, connections: usize) -> Self {
        let Config {
            connect_timeout,
            authentication_timeout,
            yield_timeout,
            flush_timeout,
            pause_limit,
            packet_before_connack,
            packet_after_connack,
            held_input,
            topic_levels,
            client_id_length,
            user_properties,
            receive_maximum,
            maximum_qos,
            retain_available,
            topic_alias_maximum,
            queue_messages,
            queue_bytes,
            subscriptions_per_session,
            stored_sessions,
            retained_messages,
            retained_bytes,
            buffered_bytes,
            outbox_bytes,
            session_expiry_maximum,
            keep_alive_maximum,
            delayed_messages,
            pending_records,
            ..
        } = *config;
        Self {
            connections,
            connect_timeout_seconds: connect_timeout.as_secs(),
            authentication_timeout_seconds: authentication_timeout.as_secs(),
            yield_timeout_milliseconds: milliseconds(yield_timeout),
            flush_timeout_seconds: flush_timeout.as_secs(),
            pause_limit_seconds: pause_limit.as_secs(),
            packet_before_connack_bytes: packet_before_connack,
            packet_after_connack_bytes: packet_after_connack,
            held_input_bytes: held_input,
            topic_levels,
            client_id_bytes: client_id_length,
            user_properties,
            receive_maximum,
            maximum_qos: maximum_qos as u8,
            retain_available,
            topic_alias_maximum,
            queue_messages,
            queue_bytes,
            subscriptions_per_session,
            stored_sessions,
            retained_messages,
            retained_bytes,
            delayed_messages,
            pending_records,
            buffered_bytes,
            outbox_bytes,
            session_expiry_maximum_seconds: (session_expiry_maximum != NEVER)
                .then_some(session_expiry_maximum),
            keep_alive_maximum_seconds: keep_alive_maximum,
        }
    }

    pub(super) fn settings(&self) -> Config {
        Config {
            connect_timeout: Duration::from_secs(self.connect_timeout_seconds),
            authentication_timeout: Duration::from_secs(self.authentication_timeout_seconds),
            yield_timeout: Duration::from_millis(self.yield_timeout_milliseconds),
            flush_timeout: Duration::from_secs(self.flush_timeout_seconds),
            pause_limit: Duration::from_secs(self.pause_limit_seconds),
            packet_before_connack: self.packet_before_connack_bytes,
            packet_after_connack: self.packet_after_connack_bytes,
            held_input: self.held_input_bytes,
            topic_levels: self.topic_levels,
            client_id_length: self.client_id_bytes,
            user_properties: self.user_properties,
            receive_maximum: self.receive_maximum,
            // Checked: it is no more than 2.
            maximum_qos: QoS::try_from(self.maximum_qos).unwrap_or(QoS::ExactlyOnce),
            retain_available: self.retain_available,
            topic_alias_maximum: self.topic_alias_maximum,
            queue_messages: self.queue_messages,
            queue_bytes: self.queue_bytes,
            subscriptions_per_session: self.subscriptions_per_session,
            stored_sessions: self.stored_sessions,
            retained_messages: self.retained_messages,
            retained_bytes: self.retained_bytes,
            buffered_bytes: self.buffered_bytes,
            outbox_bytes: self.outbox_bytes,
            session_expiry_maximum: self.session_expiry_maximum_seconds.unwrap_or(NEVER),
            keep_alive_maximum: self.keep_alive_maximum_seconds,
            delayed_messages: self.delayed_messages,
            pending_records: self.pending_records,
            ..Config::default()
        }
    }
}

impl Default for QuicSection {
    fn default() -> Self {
        Self::of(&QuicSettings::default())
    }
}

impl QuicSection {
    pub(super) fn of(settings: &QuicSettings) -> Self {
        let QuicSettings {
            idle_timeout,
            keep_alive,
            bidirectional_streams,
            stream_window,
            connection_window,
            send_window,
            crypto_buffer,
            reordering_packets,
            reordering_percent,
            congestion,
            waiting_handshakes,
            waiting_handshake_bytes,
            retry_above,
        } = *settings;
        Self {
            idle_timeout_seconds: idle_timeout.as_secs(),
            keep_alive_seconds: keep_alive.as_secs(),
            bidirectional_streams,
            stream_window_bytes: stream_window,
            connection_window_bytes: connection_window,
            send_window_bytes: send_window,
            crypto_buffer_bytes: crypto_buffer,
            reordering_packets,
            reordering_percent,
            congestion: match congestion {
                QuicCongestion::CubicWithFloor => CongestionWord::CubicWithFloor,
                QuicCongestion::Cubic => CongestionWord::Cubic,
            },
            waiting_handshakes,
            waiting_handshake_bytes,
            retry_above,
        }
    }

    pub(super) fn settings(&self) -> QuicSettings {
        QuicSettings {
            idle_timeout: Duration::from_secs(self.idle_timeout_seconds),
            keep_alive: Duration::from_secs(self.keep_alive_seconds),
            bidirectional_streams: self.bidirectional_streams,
            stream_window: self.stream_window_bytes,
            connection_window: self.connection_window_bytes,
            send_window: self.send_window_bytes,
            crypto_buffer: self.crypto_buffer_bytes,
            reordering_packets: self.reordering_packets,
            reordering_percent: self.reordering_percent,
            congestion: match self.congestion {
                CongestionWord::CubicWithFloor => QuicCongestion::CubicWithFloor,
                CongestionWord::Cubic => QuicCongestion::Cubic,
            },
            waiting_handshakes: self.waiting_handshakes,
            waiting_handshake_bytes: self.waiting_handshake_bytes,
            retry_above: self.retry_above,
        }
    }
}

impl Default for WebSocketSection {
    fn default() -> Self {
        Self::of(&WebSocketSettings::default())
    }
}

impl WebSocketSection {
    pub(super) fn of(settings: &WebSocketSettings) -> Self {
        let WebSocketSettings {
            message_bytes,
            bytes_before_first_answer,
        } = *settings;
        Self {
            message_bytes,
            bytes_before_first_answer,
        }
    }

    pub(super) fn settings(&self) -> WebSocketSettings {
        WebSocketSettings {
            message_bytes: self.message_bytes,
            bytes_before_first_answer: self.bytes_before_first_answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields that no file sets: drawn at the start, decided by other settings, or known to the authenticator alone.
    const NOT_IN_FILES: [&str; 4] = ["seed", "durability", "authentication_methods", "data_flows"];

    /// Fields that are set in another section than `[limits]`, or by another name.
    const RENAMED: [(&str, &str); 4] = [
        ("client_id_length", "client_id_bytes"),
        ("held_input", "held_input_bytes"),
        ("packet_before_connack", "packet_before_connack_bytes"),
        ("packet_after_connack", "packet_after_connack_bytes"),
    ];

    #[test]
    fn every_limit_has_a_key() {
        let keys = super::super::source::every_key();
        let is_key = |name: &str| {
            let units = ["", "_seconds", "_milliseconds", "_bytes"];
            keys.lines().any(|line| {
                let key = line.split(" = ").next().unwrap_or_default();
                units.iter().any(|unit| *key == format!("{name}{unit}"))
            })
        };
        let fields = format!("{:#?}", Config::default());
        let missing: Vec<&str> = fields
            .lines()
            .filter_map(|line| line.strip_prefix("    ")?.split_once(": "))
            .map(|(name, _)| name)
            .filter(|name| !name.starts_with(' ') && !NOT_IN_FILES.contains(name))
            .filter(|name| {
                let renamed = RENAMED.iter().find(|(field, _)| field == name);
                !is_key(renamed.map_or(name, |(_, key)| key))
            })
            .collect();
        assert!(
            missing.is_empty(),
            "give these a key in default.toml: {missing:?}"
        );
    }

    #[test]
    fn every_limit_that_is_set_arrives() {
        let mut section = LimitsSection::default();
        assert_eq!(section.settings(), Config::default());
        // Each key is another number, so that two that are mixed up are seen.
        let mut table = toml::Table::try_from(&section).expect("a table");
        table.insert("session_expiry_maximum_seconds".to_owned(), 1.into());
        table.insert("keep_alive_maximum_seconds".to_owned(), 1.into());
        for (number, (key, value)) in table.iter_mut().enumerate() {
            *value = match key.as_str() {
                "maximum_qos" => 1.into(),
                "retain_available" => false.into(),
                _ => toml::Value::Integer(1000 + i64::try_from(number).expect("few")),
            };
        }
        section = table.clone().try_into().expect("a section");
        let again = LimitsSection::of(&section.settings(), section.connections);
        assert_eq!(toml::Table::try_from(&again).expect("a table"), table);
    }
}
