//! Dial an MQTT broker over any transport and speak to it packet by packet.
