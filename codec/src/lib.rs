//! MQTT packets: bytes to packets and back, borrowed, strict, without I/O.
