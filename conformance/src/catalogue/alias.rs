//! Spellings of statement ids that the specifications misprint.

/// Misprinted spelling, canonical id.
const ALIASES: [(&str, &str); 4] = [
    // Body and appendix of 3.1.1.
    ("MQTT3-3.1.2.7", "MQTT3-3.1.2-7"),
    ("MQTT3-3-8.3-4", "MQTT3-3.8.3-4"),
    // Body of 3.1.1; its appendix is right.
    ("MQTT3-3.3.1.-1", "MQTT3-3.3.1-1"),
    // Body of 5.0; its appendix is right.
    ("MQTT5-4.2-1", "MQTT5-4.2.0-1"),
];

/// The id that is meant by a misprinted one; `None` for everything else.
pub(super) fn canonical(misprinted: &str) -> Option<&'static str> {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == misprinted)
        .map(|(_, id)| *id)
}
