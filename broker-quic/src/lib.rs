//! An MQTT broker over TCP and QUIC.
