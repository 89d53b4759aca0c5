//! A broker with limits so small that a fuzzer reaches them, and the figures that must stay within them.

use core::time::Duration;

use quince_core::{Config, Durability, Hub};

/// Limits by the bits of one byte: whether each kind is small, and whether records wait for a store.
pub(crate) fn config(choice: u8) -> Config {
    let mut config = Config::default();
    if choice & 1 != 0 {
        config.queue_messages = 3;
        config.queue_bytes = 1500;
    }
    if choice & 2 != 0 {
        config.outbox_bytes = 64;
        config.held_input = 256;
        config.packet_before_connack = 128;
        config.packet_after_connack = 256;
    }
    if choice & 4 != 0 {
        config.receive_maximum = 2;
        config.topic_alias_maximum = 1;
        config.user_properties = 1;
        config.topic_levels = 3;
    }
    if choice & 8 != 0 {
        config.subscriptions_per_session = 2;
        config.data_flows = 2;
        config.stored_sessions = 1;
        config.retained_messages = 1;
        config.retained_bytes = 1500;
        config.delayed_messages = 1;
    }
    if choice & 16 != 0 {
        config.buffered_bytes = 4096;
    }
    if choice & 32 != 0 {
        config.session_expiry_maximum = 3600;
        config.keep_alive_maximum = Some(60);
        config.pause_limit = Duration::from_secs(2);
    }
    if choice & 64 != 0 {
        config.durability = Durability::Store;
    }
    config
}

/// The bounds of the configuration hold.
///
/// # Panics
/// If one does not.
pub(crate) fn assert_within(hub: &Hub, connections: usize) {
    let (figures, config) = (hub.figures(), hub.config());
    assert!(figures.connections <= connections, "{figures:?}");
    assert!(
        figures.stored_sessions <= config.stored_sessions,
        "{figures:?}"
    );
    assert!(
        figures.stored_sessions <= figures.sessions,
        "a stored session is one: {figures:?}"
    );
    // A connection that ends just now may still have its session beside that of the next one.
    assert!(
        figures.sessions <= figures.stored_sessions + connections,
        "{figures:?}"
    );
    assert!(
        figures.subscriptions <= figures.sessions * config.subscriptions_per_session,
        "{figures:?}"
    );
    assert!(
        figures.retained_messages <= config.retained_messages,
        "{figures:?}"
    );
    assert!(
        figures.delayed_messages <= config.delayed_messages,
        "{figures:?}"
    );
    assert!(
        figures.buffered_bytes <= config.buffered_bytes,
        "{figures:?}"
    );
}

/// Without a connection, what is left belongs to stored sessions and retained messages.
///
/// # Panics
/// If something was left behind.
pub(crate) fn assert_nothing_leaks(hub: &Hub) {
    // Records hold their messages until a store takes them.
    drop(hub.take_records());
    let figures = hub.figures();
    assert_eq!(figures.connections, 0, "{figures:?}");
    let keeps_room = figures.sessions > 0 || figures.retained_messages > 0;
    // One that finds no room is tried again and again.
    assert!(figures.delayed_messages == 0 || keeps_room, "{figures:?}");
    assert_eq!(figures.sessions, figures.stored_sessions, "{figures:?}");
    if figures.sessions == 0 {
        assert_eq!(figures.subscriptions, 0, "{figures:?}");
        if figures.retained_messages == 0 {
            assert_eq!(hub.next_timeout(), None, "{figures:?}");
            assert_eq!(figures.buffered_bytes, 0, "{figures:?}");
        }
    }
}
