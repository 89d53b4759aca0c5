//! CONNECT, section 3.1 of both specifications.

use bytes::BufMut;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::topic::{self, TopicNameError};
use crate::writer::{prefixed_len, put_prefixed};
use crate::{PacketType, Properties, QoS, Version};

const PROTOCOL_NAME: &[u8] = b"MQTT";

const RESERVED: u8 = 1;
const CLEAN_START: u8 = 1 << 1;
const WILL: u8 = 1 << 2;
const WILL_RETAIN: u8 = 1 << 5;
const PASSWORD: u8 = 1 << 6;
const USER_NAME: u8 = 1 << 7;

/// CONNECT.
///
/// An empty Client Identifier is not judged here, neither one without Clean Session in version 3.1.1, which a server
/// answers with CONNACK 0x02 [MQTT3-3.1.3-8].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connect<'a> {
    /// The version that the packet names, which decides its form.
    pub version: Version,
    /// Clean Start; in version 3.1.1 Clean Session.
    pub clean_start: bool,
    /// Keep Alive in seconds; 0 turns it off.
    pub keep_alive: u16,
    /// Properties; none in version 3.1.1.
    pub properties: Properties<'a>,
    /// Client Identifier, possibly empty.
    pub client_id: &'a str,
    /// The Will Message.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub user_name: Option<&'a str>,
    /// Password; in version 3.1.1 only beside a User Name.
    pub password: Option<&'a [u8]>,
}

/// The Will Message in CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Will<'a> {
    /// Will QoS.
    pub qos: QoS,
    /// Will Retain.
    pub retain: bool,
    /// Will Properties; none in version 3.1.1.
    pub properties: Properties<'a>,
    /// Will Topic.
    pub topic: &'a str,
    /// Will Payload.
    pub payload: &'a [u8],
}

/// Reads Protocol Name and Protocol Version.
pub(crate) fn decode_version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let name = *reader;
    if reader.binary_data()? != PROTOCOL_NAME {
        return Err(name.error(DecodeErrorKind::InvalidProtocolName));
    }
    let level = *reader;
    Version::from_level(reader.byte()?)
        .ok_or_else(|| level.error(DecodeErrorKind::UnsupportedProtocolVersion))
}

impl<'a> Connect<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = decode_version(reader)?;
        let flags = ConnectFlags::decode(reader, version)?;
        let keep_alive = reader.two_byte_integer()?;
        let start = *reader;
        let properties = Properties::decode(reader, version, Place::Packet(PacketType::Connect))?;
        if properties.authentication_data().is_some()
            && properties.authentication_method().is_none()
        {
            return Err(start.error(DecodeErrorKind::AuthenticationDataWithoutMethod));
        }
        let client_id = reader.string()?;
        let will = match flags.will {
            Some((qos, retain)) => Some(Will::decode(reader, version, qos, retain)?),
            None => None,
        };
        let user_name = if flags.user_name {
            Some(reader.string()?)
        } else {
            None
        };
        let password = if flags.password {
            Some(reader.binary_data()?)
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

    pub(super) fn body_len(&self) -> Result<usize, EncodeError> {
        if self.version == Version::V3_1_1 && self.password.is_some() && self.user_name.is_none() {
            return Err(EncodeError::NotInVersion);
        }
        let properties = self.properties.encoded_len(self.version)?;
        let will = self
            .will
            .map_or(Ok(0), |will| will.encoded_len(self.version))?;
        let user_name = self
            .user_name
            .map_or(Ok(0), |name| prefixed_len(name.as_bytes()))?;
        let password = self.password.map_or(Ok(0), prefixed_len)?;
        // Protocol Name, Protocol Version, flags and Keep Alive have ten bytes.
        Ok(
            10 + properties
                + prefixed_len(self.client_id.as_bytes())?
                + will
                + user_name
                + password,
        )
    }

    pub(super) fn write(&self, buffer: &mut impl BufMut) {
        put_prefixed(PROTOCOL_NAME, buffer);
        buffer.put_u8(self.version.level());
        buffer.put_u8(self.flags());
        buffer.put_u16(self.keep_alive);
        self.properties.write(self.version, buffer);
        put_prefixed(self.client_id.as_bytes(), buffer);
        if let Some(will) = self.will {
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

    fn flags(&self) -> u8 {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let will = self.will.map_or(0, |will| {
            WILL | u8::from(will.qos) << 3 | flag(will.retain, WILL_RETAIN)
        });
        flag(self.clean_start, CLEAN_START)
            | will
            | flag(self.password.is_some(), PASSWORD)
            | flag(self.user_name.is_some(), USER_NAME)
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
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let start = *reader;
        let flags = reader.byte()?;
        let set = |bit: u8| flags & bit != 0;
        if set(RESERVED) {
            return Err(start.error(DecodeErrorKind::ReservedConnectFlag));
        }
        let qos =
            QoS::from_bits(flags >> 3).ok_or_else(|| start.error(DecodeErrorKind::WillQoS3))?;
        if !set(WILL) && (qos != QoS::AtMostOnce || set(WILL_RETAIN)) {
            return Err(start.error(DecodeErrorKind::WillFlagsWithoutWill));
        }
        if version == Version::V3_1_1 && set(PASSWORD) && !set(USER_NAME) {
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
    fn decode(
        reader: &mut Reader<'a>,
        version: Version,
        qos: QoS,
        retain: bool,
    ) -> Result<Self, DecodeError> {
        let properties = Properties::decode(reader, version, Place::Will)?;
        let start = *reader;
        let topic = reader.string()?;
        topic::validate_topic_name(topic).map_err(|error| match error {
            TopicNameError::Empty => start.error(DecodeErrorKind::TopicNameEmpty),
            _ => start.error(DecodeErrorKind::TopicNameWildcard),
        })?;
        let payload = reader.binary_data()?;
        Ok(Self {
            qos,
            retain,
            properties,
            topic,
            payload,
        })
    }

    fn encoded_len(&self, version: Version) -> Result<usize, EncodeError> {
        let properties = self.properties.encoded_len(version)?;
        Ok(properties + prefixed_len(self.topic.as_bytes())? + prefixed_len(self.payload)?)
    }
}
