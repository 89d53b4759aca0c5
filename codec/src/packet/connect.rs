//! CONNECT (section 3.1).

use bytes::BufMut;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::writer::{prefixed_len, put_prefixed};
use crate::{PacketType, Properties, QoS, Version, topic};

/// The Protocol Name of 3.1.1 and 5.0, with its length before it.
pub(crate) const PROTOCOL_NAME: &[u8] = b"\x00\x04MQTT";

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS_SHIFT: u8 = 3;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// CONNECT: the client wants a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connect<'a> {
    /// The version that the client speaks from here on.
    pub version: Version,
    /// Clean Start; in 3.1.1 Clean Session.
    pub clean_start: bool,
    /// Keep Alive in seconds; 0 is off.
    pub keep_alive: u16,
    /// 5.0 only.
    pub properties: Properties<'a>,
    /// Client Identifier; may be empty. In 3.1.1 an empty one needs Clean Session [MQTT3-3.1.3-8], which is left to
    /// the server to judge, since it has an answer of its own (0x02).
    pub client_id: &'a str,
    /// Will Message.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub user_name: Option<&'a str>,
    /// Password; in 3.1.1 only beside a User Name.
    pub password: Option<&'a [u8]>,
}

/// The message that the server publishes when the connection ends without DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Will<'a> {
    /// Will QoS.
    pub qos: QoS,
    /// Will Retain.
    pub retain: bool,
    /// Will Properties; 5.0 only.
    pub properties: Properties<'a>,
    /// Will Topic.
    pub topic: &'a str,
    /// Will Payload.
    pub payload: &'a [u8],
}

/// The version that the first bytes of a CONNECT ask for; `None` if they name none that is spoken here.
pub(crate) fn decode_version(body: &[u8]) -> Option<Version> {
    body.strip_prefix(PROTOCOL_NAME)?
        .first()
        .copied()
        .and_then(Version::from_level)
}

impl<'a> Connect<'a> {
    pub(super) fn decode(body: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = *body;
        // Anything but the right name, a broken string included, is not a client of ours [MQTT5-3.1.2-1].
        if body
            .bytes(PROTOCOL_NAME.len())
            .is_ok_and(|name| name != PROTOCOL_NAME)
        {
            return Err(start.error(DecodeErrorKind::InvalidProtocolName));
        }
        if start.len() < PROTOCOL_NAME.len() {
            return Err(start.error(DecodeErrorKind::Truncated));
        }
        let at_level = *body;
        let Some(version) = Version::from_level(body.byte()?) else {
            return Err(at_level.error(DecodeErrorKind::UnsupportedProtocolVersion));
        };
        let at_flags = *body;
        let flags = body.byte()?;
        let will_qos = judge_flags(flags, version).map_err(|kind| at_flags.error(kind))?;
        let keep_alive = body.two_byte_integer()?;
        let properties = Properties::decode(body, version, Place::Packet(PacketType::Connect))?;
        let client_id = body.string()?;
        let will = if flags & WILL == 0 {
            None
        } else {
            Some(Will::decode(
                body,
                version,
                will_qos,
                flags & WILL_RETAIN != 0,
            )?)
        };
        let user_name = if flags & USER_NAME == 0 {
            None
        } else {
            Some(body.string()?)
        };
        let password = if flags & PASSWORD == 0 {
            None
        } else {
            Some(body.binary_data()?)
        };
        Ok(Self {
            version,
            clean_start: flags & CLEAN_START != 0,
            keep_alive,
            properties,
            client_id,
            will,
            user_name,
            password,
        })
    }

    pub(super) fn body_len(&self) -> Result<usize, EncodeError> {
        let Self {
            version,
            properties,
            client_id,
            will,
            user_name,
            password,
            ..
        } = self;
        if *version == Version::V3_1_1 && password.is_some() && user_name.is_none() {
            return Err(EncodeError::NotInVersion);
        }
        let mut length = PROTOCOL_NAME.len() + 4;
        length += properties.encoded_len(*version)?;
        length += prefixed_len(client_id.as_bytes())?;
        if let Some(will) = will {
            length += will.properties.encoded_len(*version)?;
            length += prefixed_len(will.topic.as_bytes())? + prefixed_len(will.payload)?;
        }
        if let Some(user_name) = user_name {
            length += prefixed_len(user_name.as_bytes())?;
        }
        if let Some(password) = password {
            length += prefixed_len(password)?;
        }
        Ok(length)
    }

    pub(super) fn write(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(PROTOCOL_NAME);
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

    fn flags(&self) -> u8 {
        let set = |condition: bool, flag| if condition { flag } else { 0 };
        let will = self.will.as_ref().map_or(0, |will| {
            WILL | u8::from(will.qos) << WILL_QOS_SHIFT | set(will.retain, WILL_RETAIN)
        });
        set(self.clean_start, CLEAN_START)
            | will
            | set(self.password.is_some(), PASSWORD)
            | set(self.user_name.is_some(), USER_NAME)
    }
}

/// Judges the Connect Flags and gives the Will QoS.
fn judge_flags(flags: u8, version: Version) -> Result<QoS, DecodeErrorKind> {
    if flags & 0x01 != 0 {
        return Err(DecodeErrorKind::ReservedConnectFlag);
    }
    let will_qos = QoS::from_bits(flags >> WILL_QOS_SHIFT).ok_or(DecodeErrorKind::WillQoS3)?;
    if flags & WILL == 0 && (flags & WILL_RETAIN != 0 || will_qos != QoS::AtMostOnce) {
        return Err(DecodeErrorKind::WillFlagsWithoutWill);
    }
    if version == Version::V3_1_1 && flags & PASSWORD != 0 && flags & USER_NAME == 0 {
        return Err(DecodeErrorKind::PasswordWithoutUserName);
    }
    Ok(will_qos)
}

impl<'a> Will<'a> {
    fn decode(
        body: &mut Reader<'a>,
        version: Version,
        qos: QoS,
        retain: bool,
    ) -> Result<Self, DecodeError> {
        let properties = Properties::decode(body, version, Place::Will)?;
        let at_topic = *body;
        let topic = body.string()?;
        if topic.is_empty() {
            return Err(at_topic.error(DecodeErrorKind::TopicNameEmpty));
        }
        if topic::holds_wildcard(topic) {
            return Err(at_topic.error(DecodeErrorKind::TopicNameWildcard));
        }
        let payload = body.binary_data()?;
        Ok(Self {
            qos,
            retain,
            properties,
            topic,
            payload,
        })
    }
}
