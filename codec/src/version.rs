//! Protocol versions.

use core::fmt;
use core::str::FromStr;

/// A version of the MQTT protocol. An argument of decoding and encoding, never a second set of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1, protocol name MQIsdp, Protocol Version 3.
    V3_1,
    /// MQTT 3.1.1, Protocol Level 4.
    V3_1_1,
    /// MQTT 5.0, Protocol Version 5.
    V5_0,
}

impl Version {
    /// Every version this crate speaks, oldest first.
    pub const ALL: [Self; 3] = [Self::V3_1, Self::V3_1_1, Self::V5_0];

    /// The byte that names the version in CONNECT: 3, 4 or 5.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::V3_1 => 3,
            Self::V3_1_1 => 4,
            Self::V5_0 => 5,
        }
    }

    /// The version of that byte; `None` for one this crate does not speak.
    #[must_use]
    pub const fn from_level(level: u8) -> Option<Self> {
        match level {
            3 => Some(Self::V3_1),
            4 => Some(Self::V3_1_1),
            5 => Some(Self::V5_0),
            _ => None,
        }
    }

    /// The Protocol Name that stands before that byte in CONNECT: MQIsdp up to 3.1, MQTT since then.
    #[must_use]
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Self::V3_1 => "MQIsdp",
            Self::V3_1_1 | Self::V5_0 => "MQTT",
        }
    }

    /// Whether packets carry properties, and Reason Codes beyond CONNACK and SUBACK: from 5.0 on.
    #[must_use]
    pub const fn has_properties(self) -> bool {
        matches!(self, Self::V5_0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V3_1 => "3.1",
            Self::V3_1_1 => "3.1.1",
            Self::V5_0 => "5.0",
        })
    }
}

/// The text is no version that this crate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseVersionError;

impl fmt::Display for ParseVersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a version of MQTT spoken here; expected 3.1, 3.1.1 or 5.0")
    }
}

impl core::error::Error for ParseVersionError {}

impl FromStr for Version {
    type Err = ParseVersionError;

    /// Reads `3.1`, `3.1.1` or `5.0`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "3.1" => Ok(Self::V3_1),
            "3.1.1" => Ok(Self::V3_1_1),
            "5.0" => Ok(Self::V5_0),
            _ => Err(ParseVersionError),
        }
    }
}
