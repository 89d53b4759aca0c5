//! The conformance suite for MQTT brokers over TCP and QUIC.
