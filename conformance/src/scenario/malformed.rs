//! Bytes that no codec would write: parts put together by hand, and edits of good packets.

use super::{
    expression::{Expression, Literal, Value, Variables, unhex},
    field::Kind,
};

/// Bytes put together from parts, as arguments of `raw`, `framed` and the edit operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(pub Vec<Expression>);

/// The annotations that a part may have.
pub const PART_KINDS: [&str; 9] = [
    "hex", "text", "string", "u8", "u16", "u32", "varint", "repeat", "size",
];

impl Parts {
    /// The bytes.
    ///
    /// # Errors
    /// In words, if a variable is missing or a value does not fit.
    pub fn bytes(&self, variables: &Variables) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for part in &self.0 {
            append_part(part, variables, &mut bytes)?;
        }
        Ok(bytes)
    }
}

fn append_part(
    part: &Expression,
    variables: &Variables,
    bytes: &mut Vec<u8>,
) -> Result<(), String> {
    let number = |most: u64| {
        let number = part.number(variables)?;
        if number > most {
            Err(format!("{number} is too large; at most {most}"))
        } else {
            Ok(number)
        }
    };
    match part.annotation() {
        Some("hex") => bytes.extend(unhex(&part.expand(variables)?.to_text())?),
        Some("string") => {
            let text = part.expand(variables)?.to_text();
            let length = u16::try_from(text.len())
                .map_err(|_| "a string has at most 65535 bytes".to_owned())?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        Some("u8") => bytes.extend(&number(0xff)?.to_be_bytes()[7..]),
        Some("u16") => bytes.extend(&number(0xffff)?.to_be_bytes()[6..]),
        Some("u32") => bytes.extend(&number(0xffff_ffff)?.to_be_bytes()[4..]),
        Some("varint") => bytes.extend(variable_byte_integer(number(268_435_455)?)),
        Some("text" | "repeat" | "size") => match part.value(Kind::Bytes, variables)? {
            Value::Bytes(part) => bytes.extend(part),
            other => bytes.extend(other.to_text().into_bytes()),
        },
        other => {
            return Err(format!(
                "expected a part with one of the annotations ({}), not {}",
                PART_KINDS.join(") ("),
                other.map_or_else(|| "a bare value".to_owned(), |kind| format!("({kind})"))
            ));
        }
    }
    Ok(())
}

/// The shortest encoding of a Variable Byte Integer.
pub fn variable_byte_integer(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4);
    loop {
        let low = number.to_be_bytes()[7] & 0x7f;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A Remaining Length of more than four bytes: there is no telling where the packet ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Remaining Length has more than four bytes")]
pub struct LengthTooLong;

/// What stands before the body of a packet: how many bytes, and how long the body says it is.
///
/// `Ok(None)` while the Remaining Length is not complete.
///
/// # Errors
/// When the Remaining Length is longer than four bytes.
pub fn fixed_header(bytes: &[u8]) -> Result<Option<(usize, usize)>, LengthTooLong> {
    let mut length = 0usize;
    for (index, byte) in bytes.iter().skip(1).enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, length)));
        }
    }
    if bytes.len() > 4 {
        Err(LengthTooLong)
    } else {
        Ok(None)
    }
}

/// One operation of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The whole first byte.
    FirstByte(Expression),
    /// The lower four bits of the first byte.
    Flags(Expression),
    /// Sets the bits of a mask in one byte.
    SetBits(Expression, Expression),
    /// Clears the bits of a mask in one byte.
    ClearBits(Expression, Expression),
    /// Overwrites from an offset.
    Replace(Expression, Parts),
    /// Inserts at an offset.
    Insert(Expression, Parts),
    /// Adds at the end.
    Append(Parts),
    /// Removes from an offset so many bytes.
    Remove(Expression, Expression),
    /// Keeps so many bytes.
    Truncate(Expression),
    /// Replaces the first place where a text stands.
    Substitute(Expression, Parts),
    /// Another Remaining Length: a number, or bytes with `(hex)`.
    RemainingLength(Expression),
    /// The Remaining Length of the packet before the edit.
    KeepRemainingLength,
}

/// Operations applied in order to one good packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit(pub Vec<Operation>);

impl Edit {
    /// The edited packet.
    ///
    /// # Errors
    /// In words, if an offset is outside the packet, a text is not in it, or a value does not fit.
    pub fn apply(&self, packet: &[u8], variables: &Variables) -> Result<Vec<u8>, String> {
        let Ok(Some((start, _))) = fixed_header(packet) else {
            return Err("only a whole packet can be edited".to_owned());
        };
        let mut first = packet[0];
        let mut body = packet[start..].to_vec();
        let mut length = None;
        for operation in &self.0 {
            match operation {
                Operation::FirstByte(byte) => first = byte_value(byte, variables)?,
                Operation::Flags(flags) => {
                    first = (first & 0xf0) | (byte_value(flags, variables)? & 0x0f)
                }
                Operation::KeepRemainingLength => length = Some(packet[1..start].to_vec()),
                Operation::RemainingLength(value) => {
                    length = Some(match value.annotation() {
                        Some("hex") => Parts(vec![value.clone()]).bytes(variables)?,
                        _ => variable_byte_integer(value.number(variables)?),
                    });
                }
                other => edit_body(other, &mut body, variables)?,
            }
        }
        let mut edited = vec![first];
        edited.extend(length.unwrap_or_else(|| variable_byte_integer(body.len() as u64)));
        edited.extend(body);
        Ok(edited)
    }
}

fn edit_body(
    operation: &Operation,
    body: &mut Vec<u8>,
    variables: &Variables,
) -> Result<(), String> {
    match operation {
        Operation::SetBits(at, mask) => {
            let at = inside(at, body, variables)?;
            body[at] |= byte_value(mask, variables)?;
        }
        Operation::ClearBits(at, mask) => {
            let at = inside(at, body, variables)?;
            body[at] &= !byte_value(mask, variables)?;
        }
        Operation::Replace(at, parts) => {
            let at = offset(at, body, variables)?;
            let parts = parts.bytes(variables)?;
            let end = (at + parts.len()).min(body.len());
            body.splice(at..end, parts);
        }
        Operation::Insert(at, parts) => {
            let at = offset(at, body, variables)?;
            body.splice(at..at, parts.bytes(variables)?);
        }
        Operation::Append(parts) => body.extend(parts.bytes(variables)?),
        Operation::Remove(at, count) => {
            let at = offset(at, body, variables)?;
            let count = usize::try_from(count.number(variables)?).unwrap_or(usize::MAX);
            if count > body.len() - at {
                return Err(format!(
                    "cannot remove {count} of {} bytes",
                    body.len() - at
                ));
            }
            body.drain(at..at + count);
        }
        Operation::Truncate(count) => {
            let count = usize::try_from(count.number(variables)?).unwrap_or(usize::MAX);
            if count >= body.len() {
                return Err(format!(
                    "truncate {count} cuts nothing off {} bytes",
                    body.len()
                ));
            }
            body.truncate(count);
        }
        Operation::Substitute(text, parts) => {
            let text = text.expand(variables)?.to_text();
            let at = body
                .windows(text.len().max(1))
                .position(|window| window == text.as_bytes())
                .ok_or_else(|| format!("{text:?} does not stand in the packet"))?;
            body.splice(at..at + text.len(), parts.bytes(variables)?);
        }
        Operation::FirstByte(_)
        | Operation::Flags(_)
        | Operation::RemainingLength(_)
        | Operation::KeepRemainingLength => {}
    }
    Ok(())
}

fn byte_value(expression: &Expression, variables: &Variables) -> Result<u8, String> {
    let number = expression.number(variables)?;
    u8::try_from(number).map_err(|_| format!("{number} is no byte"))
}

/// An offset from the start, or from the end if negative; the end itself is allowed.
fn offset(expression: &Expression, body: &[u8], variables: &Variables) -> Result<usize, String> {
    let from_end = match &expression.literal {
        Literal::Text(text) => text.strip_prefix('-'),
        _ => None,
    };
    let number = match from_end {
        Some(text) => {
            let expression = Expression {
                literal: Literal::Text(text.to_owned()),
                ..expression.clone()
            };
            (body.len() as u64).checked_sub(expression.number(variables)?)
        }
        None => Some(expression.number(variables)?),
    };
    number
        .and_then(|number| usize::try_from(number).ok())
        .filter(|at| *at <= body.len())
        .ok_or_else(|| {
            format!(
                "the offset lies outside the {} bytes after the Remaining Length",
                body.len()
            )
        })
}

fn inside(expression: &Expression, body: &[u8], variables: &Variables) -> Result<usize, String> {
    let at = offset(expression, body, variables)?;
    if at < body.len() {
        Ok(at)
    } else {
        Err(format!("there is no byte at {at}"))
    }
}
