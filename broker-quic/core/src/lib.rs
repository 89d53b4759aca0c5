//! An MQTT broker as pure state machines: no I/O, no clock, no thread, no randomness.
