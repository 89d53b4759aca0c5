//! CONNECT, section 3.1 of both specifications.

use bytes::BufMut;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::topic;
use crate::writer::{prefixed_len, put_prefixed};
use crate::{PacketType, Properties, QoS, Version};

/// Characters of a Client Identifier in version 3.1.
const CLIENT_ID_3_1: core::ops::RangeInclusive<usize> = 1..=23;

const RESERVED: u8 = 1;
const CLEAN_START: u8 = 1 << 1;
const WILL: u8 = 1 << 2;
const WILL_RETAIN: u8 = 1 << 5;
const PASSWORD: u8 = 1 << 6;
const USER_NAME: u8 = 1 << 7;

/// CONNECT.
///
/// An empty Client Identifier is not judged here, neither one without Clean Session in version 3.1.1, which a server
/// answers with CONNACK 0x02 [MQTT3-3.1.3-8]; version 3.1 has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connect<'a> {
    /// The version that the packet names, which decides its form.
    pub version: Version,
    /// Clean Start; before version 5.0 Clean Session.
    pub clean_start: bool,
    /// Keep Alive in seconds; 0 turns it off.
    pub keep_alive: u16,
    /// Properties; none before version 5.0.
    pub properties: Properties<'a>,
    /// Client Identifier, possibly empty.
    pub client_id: &'a str,
    /// The Will Message.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub user_name: Option<&'a str>,
    /// Password; before version 5.0 only beside a User Name.
    pub password: Option<&'a [u8]>,
}

/// The Will Message in CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Will<'a> {
    /// Will QoS.
    pub qos: QoS,
    /// Will Retain.
    pub retain: bool,
    /// Will Properties; none before version 5.0.
    pub properties: Properties<'a>,
    /// Will Topic.
    pub topic: &'a str,
    /// Will Payload.
    pub payload: &'a [u8],
}

/// Reads Protocol Name and Protocol Version.
#[inline]
pub(crate) fn decode_version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let start = *reader;
    let name = reader.binary_data()?;
    let is_name_of = |version: Version| name == version.protocol_name().as_bytes();
    if !Version::ALL.into_iter().any(is_name_of) {
        return Err(start.error(DecodeErrorKind::InvalidProtocolName));
    }
    let level = *reader;
    Version::from_level(reader.byte()?)
        .filter(|&version| is_name_of(version))
        .ok_or_else(|| level.error(DecodeErrorKind::UnsupportedProtocolVersion))
}

impl<'a> Connect<'a> {
    /// Reads what follows the version.
    #[inline]
    pub(super) fn decode(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let flags = ConnectFlags::decode(reader, version)?;
        let keep_alive = reader.two_byte_integer()?;
        let start = *reader;
        let properties = Properties::decode(reader, version, Place::Packet(PacketType::Connect))?;
        if properties.authentication_data().is_some()
            && properties.authentication_method().is_none()
        {
            return Err(start.error(DecodeErrorKind::AuthenticationDataWithoutMethod));
        }
        let client_id = decode_client_id(reader, version)?;
        let will = match flags.will {
            Some((qos, retain)) => Some(Will::decode(reader, version, qos, retain)?),
            None => None,
        };
        // In version 3.1 the Remaining Length counts for more than the flags (section 3.1 there).
        let is_there = |flag: bool, reader: &Reader<'a>| {
            flag && (version != Version::V3_1 || !reader.is_empty())
        };
        let user_name = if is_there(flags.user_name, reader) {
            Some(reader.string()?)
        } else {
            None
        };
        let password = if is_there(flags.password, reader) {
            Some(decode_password(reader, version)?)
        } else {
            None
        };
        let clean_start = flags.clean_start;
        Ok(Self {
            version,
            clean_start,
            keep_alive,
            properties,
            client_id,
            will,
            user_name,
            password,
        })
    }

    #[inline]
    pub(super) fn body_len(&self) -> Result<usize, EncodeError> {
        if !self.version.has_properties() && self.password.is_some() && self.user_name.is_none() {
            return Err(EncodeError::NotInVersion);
        }
        let properties = self.properties.encoded_len(self.version)?;
        let will = match &self.will {
            Some(will) => will.encoded_len(self.version)?,
            None => 0,
        };
        let user_name = self
            .user_name
            .map_or(Ok(0), |name| prefixed_len(name.as_bytes()))?;
        let password = self.password.map_or(Ok(0), prefixed_len)?;
        // The length of the Protocol Name, Protocol Version, flags and Keep Alive have six bytes.
        Ok(6 + self.version.protocol_name().len()
            + properties
            + prefixed_len(self.client_id.as_bytes())?
            + will
            + user_name
            + password)
    }

    #[inline]
    pub(super) fn write(&self, buffer: &mut impl BufMut) {
        put_prefixed(self.version.protocol_name().as_bytes(), buffer);
        buffer.put_u8(self.version.level());
        buffer.put_u8(self.flags());
        buffer.put_u16(self.keep_alive);
        self.properties.write(self.version, buffer);
        put_prefixed(self.client_id.as_bytes(), buffer);
        if let Some(will) = &self.will {
            will.properties.write(self.version, buffer);
            put_prefixed(will.topic.as_bytes(), buffer);
            put_prefixed(will.payload, buffer);
        }
        if let Some(user_name) = self.user_name {
            put_prefixed(user_name.as_bytes(), buffer);
        }
        if let Some(password) = self.password {
            put_prefixed(password, buffer);
        }
    }

    #[inline]
    fn flags(&self) -> u8 {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let will = self.will.as_ref().map_or(0, |will| {
            WILL | u8::from(will.qos) << 3 | flag(will.retain, WILL_RETAIN)
        });
        flag(self.clean_start, CLEAN_START)
            | will
            | flag(self.password.is_some(), PASSWORD)
            | flag(self.user_name.is_some(), USER_NAME)
    }
}

#[inline]
fn decode_client_id<'a>(reader: &mut Reader<'a>, version: Version) -> Result<&'a str, DecodeError> {
    let start = *reader;
    let client_id = reader.string()?;
    if version == Version::V3_1 && !CLIENT_ID_3_1.contains(&client_id.chars().count()) {
        return Err(start.error(DecodeErrorKind::ClientIdentifierLength));
    }
    Ok(client_id)
}

/// The password of version 3.1 is a string.
#[inline]
fn decode_password<'a>(reader: &mut Reader<'a>, version: Version) -> Result<&'a [u8], DecodeError> {
    match version {
        Version::V3_1 => reader.string().map(str::as_bytes),
        Version::V3_1_1 | Version::V5_0 => reader.binary_data(),
    }
}

struct ConnectFlags {
    clean_start: bool,
    /// Will QoS and Will Retain.
    will: Option<(QoS, bool)>,
    user_name: bool,
    password: bool,
}

impl ConnectFlags {
    #[inline]
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let start = *reader;
        let flags = reader.byte()?;
        let set = |bit: u8| flags & bit != 0;
        if set(RESERVED) {
            return Err(start.error(DecodeErrorKind::ReservedConnectFlag));
        }
        // Version 3.1 disregards these two where there is no will.
        let will_flags = match version {
            Version::V3_1 if !set(WILL) => 0,
            _ => flags,
        };
        let qos = QoS::from_bits(will_flags >> 3)
            .ok_or_else(|| start.error(DecodeErrorKind::WillQoS3))?;
        if !set(WILL) && (qos != QoS::AtMostOnce || will_flags & WILL_RETAIN != 0) {
            return Err(start.error(DecodeErrorKind::WillFlagsWithoutWill));
        }
        if !version.has_properties() && set(PASSWORD) && !set(USER_NAME) {
            return Err(start.error(DecodeErrorKind::PasswordWithoutUserName));
        }
        Ok(Self {
            clean_start: set(CLEAN_START),
            will: set(WILL).then(|| (qos, set(WILL_RETAIN))),
            user_name: set(USER_NAME),
            password: set(PASSWORD),
        })
    }
}

impl<'a> Will<'a> {
    #[inline]
    fn decode(
        reader: &mut Reader<'a>,
        version: Version,
        qos: QoS,
        retain: bool,
    ) -> Result<Self, DecodeError> {
        let properties = Properties::decode(reader, version, Place::Will)?;
        let start = *reader;
        let topic = topic::decode_name(reader, version)?;
        if topic.is_empty() {
            return Err(start.error(DecodeErrorKind::TopicNameEmpty));
        }
        let start = *reader;
        let payload = reader.binary_data()?;
        if version == Version::V3_1 && !payload.is_ascii() {
            return Err(start.error(DecodeErrorKind::WillMessageNotAscii));
        }
        Ok(Self {
            qos,
            retain,
            properties,
            topic,
            payload,
        })
    }

    #[inline]
    fn encoded_len(&self, version: Version) -> Result<usize, EncodeError> {
        let properties = self.properties.encoded_len(version)?;
        Ok(properties + prefixed_len(self.topic.as_bytes())? + prefixed_len(self.payload)?)
    }
}
