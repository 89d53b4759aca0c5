//! Reason Code and properties at the end of a packet, each of which may be left out when it says nothing
//! (sections 3.4.2.1, 3.4.2.2.1, 3.14.2.1 and 3.14.2.2.1).

use bytes::BufMut;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::property::Place;
use crate::reader::Reader;
use crate::{PacketType, Properties, ReasonCode, Version};

/// Reads both, as far as they are there; versions before 5.0 have neither.
#[inline]
pub(super) fn decode<'a>(
    packet_type: PacketType,
    reader: &mut Reader<'a>,
    version: Version,
) -> Result<(ReasonCode, Properties<'a>), DecodeError> {
    if !version.has_properties() || reader.is_empty() {
        return Ok((ReasonCode::SUCCESS, Properties::EMPTY));
    }
    let code = decode_code(packet_type, reader)?;
    if reader.is_empty() {
        return Ok((code, Properties::EMPTY));
    }
    let properties = Properties::decode(reader, version, Place::Packet(packet_type))?;
    Ok((code, properties))
}

/// Reads a Reason Code that this packet may carry.
pub(super) fn decode_code(
    packet_type: PacketType,
    reader: &mut Reader<'_>,
) -> Result<ReasonCode, DecodeError> {
    let start = *reader;
    let code = ReasonCode(reader.byte()?);
    if code.allowed_in(packet_type) {
        Ok(code)
    } else {
        Err(start.error(DecodeErrorKind::ReasonCodeNotAllowed))
    }
}

/// Bytes of both in their shortest form.
#[inline]
pub(super) fn encoded_len(
    code: ReasonCode,
    properties: &Properties<'_>,
    version: Version,
) -> Result<usize, EncodeError> {
    match (version, properties.is_empty()) {
        (_, true) if code == ReasonCode::SUCCESS => Ok(0),
        (Version::V3_1 | Version::V3_1_1, _) => Err(EncodeError::NotInVersion),
        (Version::V5_0, true) => Ok(1),
        (Version::V5_0, false) => Ok(1 + properties.encoded_len(version)?),
    }
}

/// Writes both in their shortest form, checked by [`encoded_len`].
#[inline]
pub(super) fn write(
    code: ReasonCode,
    properties: &Properties<'_>,
    version: Version,
    buffer: &mut impl BufMut,
) {
    if code == ReasonCode::SUCCESS && properties.is_empty() {
        return;
    }
    buffer.put_u8(code.0);
    if !properties.is_empty() {
        properties.write(version, buffer);
    }
}

/// Reason Codes up to the end of SUBACK or UNSUBACK, at least one, each judged by `allowed`.
pub(super) fn decode_list<'a>(
    reader: &mut Reader<'a>,
    allowed: impl Fn(u8) -> bool,
) -> Result<&'a [u8], DecodeError> {
    let start = *reader;
    let codes = reader.take_rest();
    if codes.is_empty() {
        return Err(start.error(DecodeErrorKind::NoReasonCodes));
    }
    match codes.iter().position(|&code| !allowed(code)) {
        Some(index) => Err(DecodeErrorKind::ReasonCodeNotAllowed.at(start.offset() + index)),
        None => Ok(codes),
    }
}
