//! The floor: the packets of the comparison parsed and written by hand, by the shortest way in safe code.
//!
//! The parser borrows, allocates nothing, and makes the checks that no receiver may leave out: every length, UTF-8, U+0000,
//! wildcards in Topic Names, shortest integers, reserved bits, which properties there may be, how often, and with what
//! values. It does not tell what was wrong nor where, knows three packet types of two versions, and is not meant for use.

use std::str::from_utf8;

/// PUBLISH.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    /// The flags of the fixed header.
    pub flags: u8,
    /// Topic Name.
    pub topic: &'a str,
    /// Packet Identifier; 0 at QoS 0.
    pub packet_id: u16,
    /// Properties; `None` in 3.1.1.
    pub properties: Option<Properties<'a>>,
    /// Payload.
    pub payload: &'a [u8],
}

/// SUBSCRIBE.
#[derive(Clone, Copy, Debug)]
pub struct Subscribe<'a> {
    /// Packet Identifier.
    pub packet_id: u16,
    /// Properties; `None` in 3.1.1.
    pub properties: Option<Properties<'a>>,
    /// Topic Filters with their options, checked.
    pub subscriptions: &'a [u8],
}

/// CONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// Connect Flags.
    pub flags: u8,
    /// Keep Alive.
    pub keep_alive: u16,
    /// Properties; `None` in 3.1.1.
    pub properties: Option<Properties<'a>>,
    /// Client Identifier.
    pub client_id: &'a str,
    /// Will Message.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub user_name: Option<&'a str>,
    /// Password.
    pub password: Option<&'a [u8]>,
}

/// The Will Message of CONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Will<'a> {
    /// Will Properties; `None` in 3.1.1.
    pub properties: Option<Properties<'a>>,
    /// Will Topic.
    pub topic: &'a str,
    /// Will Payload.
    pub payload: &'a [u8],
}

/// Properties that have been checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Properties<'a> {
    /// The block, without its length.
    pub raw: &'a [u8],
    /// One bit for each identifier that occurs.
    pub present: u64,
}

/// One of the packets that the floor knows.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the specification's names say it")]
pub enum Packet<'a> {
    Publish(Publish<'a>),
    Subscribe(Subscribe<'a>),
    Connect(Connect<'a>),
}

const fn bits(identifiers: &[u8]) -> u64 {
    let mut bits = 0;
    let mut index = 0;
    while index < identifiers.len() {
        bits |= 1 << identifiers[index];
        index += 1;
    }
    bits
}

const IN_PUBLISH: u64 = bits(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26]);
const IN_SUBSCRIBE: u64 = bits(&[0x0b, 0x26]);
const IN_CONNECT: u64 = bits(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
const IN_WILL: u64 = bits(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]);
const USER_PROPERTY: u64 = bits(&[0x26]);
const USER_PROPERTY_AND_SUBSCRIPTION_IDENTIFIER: u64 = bits(&[0x26, 0x0b]);

/// Parses one packet of 5.0, or of 3.1.1 if `v5` is false; `None` if anything is wrong with it.
#[inline]
pub fn decode(bytes: &[u8], v5: bool) -> Option<Packet<'_>> {
    let (&first, mut rest) = bytes.split_first()?;
    let length = variable(&mut rest)?;
    if rest.len() != length {
        return None;
    }
    match first {
        0x30..=0x3f => Some(Packet::Publish(publish(first & 0x0f, rest, v5)?)),
        0x82 => Some(Packet::Subscribe(subscribe(rest, v5)?)),
        0x10 => Some(Packet::Connect(connect(rest)?)),
        _ => None,
    }
}

#[inline]
fn publish(flags: u8, mut rest: &[u8], v5: bool) -> Option<Publish<'_>> {
    let qos = flags >> 1 & 3;
    if qos == 3 || flags & 0b1110 == 0b1000 {
        return None;
    }
    let topic = topic_name(&mut rest)?;
    let packet_id = if qos == 0 {
        0
    } else {
        not_zero(two_bytes(&mut rest)?)?
    };
    let properties = if v5 {
        let repeatable = USER_PROPERTY_AND_SUBSCRIPTION_IDENTIFIER;
        Some(properties(&mut rest, IN_PUBLISH, repeatable)?)
    } else {
        None
    };
    let has_alias = properties.is_some_and(|properties| properties.present & bits(&[0x23]) != 0);
    if topic.is_empty() && !has_alias {
        return None;
    }
    Some(Publish {
        flags,
        topic,
        packet_id,
        properties,
        payload: rest,
    })
}

fn subscribe(mut rest: &[u8], v5: bool) -> Option<Subscribe<'_>> {
    let packet_id = not_zero(two_bytes(&mut rest)?)?;
    let properties = if v5 {
        Some(properties(&mut rest, IN_SUBSCRIBE, USER_PROPERTY)?)
    } else {
        None
    };
    let subscriptions = rest;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let filter = string(&mut rest)?;
        let options = byte(&mut rest)?;
        let reserved = if v5 { 0b1100_0000 } else { 0b1111_1100 };
        if options & reserved != 0 || options & 0b11 == 0b11 || options & 0b11_0000 == 0b11_0000 {
            return None;
        }
        if options & 0b100 != 0 && filter.starts_with("$share/") {
            return None;
        }
    }
    Some(Subscribe {
        packet_id,
        properties,
        subscriptions,
    })
}

fn connect(mut rest: &[u8]) -> Option<Connect<'_>> {
    let (head, tail) = rest.split_first_chunk::<7>()?;
    rest = tail;
    let v5 = match head {
        b"\x00\x04MQTT\x05" => true,
        b"\x00\x04MQTT\x04" => false,
        _ => return None,
    };
    let flags = byte(&mut rest)?;
    let [has_will, has_password, has_user_name] = [2, 6, 7].map(|bit| flags & 1 << bit != 0);
    let will_qos = flags >> 3 & 3;
    if flags & 1 != 0
        || will_qos == 3
        || !has_will && flags & 0b11_1000 != 0
        || !v5 && has_password && !has_user_name
    {
        return None;
    }
    let keep_alive = two_bytes(&mut rest)?;
    let properties_if = |rest: &mut _, allowed| {
        if v5 {
            properties(rest, allowed, USER_PROPERTY).map(Some)
        } else {
            Some(None)
        }
    };
    let properties = properties_if(&mut rest, IN_CONNECT)?;
    let present = properties.map_or(0, |properties| properties.present);
    if present & bits(&[0x15, 0x16]) == bits(&[0x16]) {
        return None;
    }
    let client_id = string(&mut rest)?;
    let will = if has_will {
        Some(Will {
            properties: properties_if(&mut rest, IN_WILL)?,
            topic: topic_name(&mut rest).filter(|topic| !topic.is_empty())?,
            payload: binary(&mut rest)?,
        })
    } else {
        None
    };
    let user_name = if has_user_name {
        Some(string(&mut rest)?)
    } else {
        None
    };
    let password = if has_password {
        Some(binary(&mut rest)?)
    } else {
        None
    };
    if !rest.is_empty() {
        return None;
    }
    Some(Connect {
        flags,
        keep_alive,
        properties,
        client_id,
        will,
        user_name,
        password,
    })
}

fn properties<'a>(rest: &mut &'a [u8], allowed: u64, repeatable: u64) -> Option<Properties<'a>> {
    let length = variable(rest)?;
    let raw = take(rest, length)?;
    let mut block = raw;
    let mut present = 0_u64;
    while let Some((&identifier @ ..0x2b, tail)) = block.split_first() {
        let bit = 1 << identifier;
        if allowed & bit == 0 || present & !repeatable & bit != 0 {
            return None;
        }
        present |= bit;
        let rest = &mut block;
        *rest = tail;
        match identifier {
            0x01 | 0x17 | 0x19 => {
                byte(rest).filter(|&byte| byte <= 1)?;
            }
            0x02 | 0x11 | 0x18 => {
                take(rest, 4)?;
            }
            0x27 => {
                take(rest, 4).filter(|&bytes| bytes != [0; 4])?;
            }
            0x22 => {
                two_bytes(rest)?;
            }
            0x21 | 0x23 => {
                not_zero(two_bytes(rest)?)?;
            }
            0x0b => {
                variable(rest).filter(|&number| number != 0)?;
            }
            0x08 => {
                topic_name(rest).filter(|topic| !topic.is_empty())?;
            }
            0x03 | 0x15 => {
                string(rest)?;
            }
            0x26 => {
                string(rest)?;
                string(rest)?;
            }
            0x09 | 0x16 => {
                binary(rest)?;
            }
            _ => return None,
        }
    }
    block.is_empty().then_some(Properties { raw, present })
}

#[inline]
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

#[inline]
fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (&byte, tail) = rest.split_first()?;
    *rest = tail;
    Some(byte)
}

#[inline]
fn two_bytes(rest: &mut &[u8]) -> Option<u16> {
    let (&bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u16::from_be_bytes(bytes))
}

#[inline]
fn not_zero(number: u16) -> Option<u16> {
    (number != 0).then_some(number)
}

/// A Variable Byte Integer in its shortest form.
#[inline]
fn variable(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14, 21] {
        let byte = byte(rest)?;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (byte != 0 || shift == 0).then_some(number);
        }
    }
    None
}

#[inline]
fn binary<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = two_bytes(rest)?;
    take(rest, usize::from(length))
}

#[inline]
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let bytes = binary(rest)?;
    if contains_any(bytes, [0]) {
        return None;
    }
    from_utf8(bytes).ok()
}

#[inline]
fn topic_name<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let bytes = binary(rest)?;
    if contains_any(bytes, [0, b'+', b'#']) {
        return None;
    }
    from_utf8(bytes).ok()
}

/// Eight bytes at a time, the last of them perhaps twice. What is wanted, which is ASCII, becomes 0 by the exclusive or, and
/// taking 1 away sets its highest bit.
#[inline]
fn contains_any<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let occurs = |word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        let borrowed = wanted.into_iter().fold(0, |borrowed, byte| {
            borrowed | (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES)
        });
        borrowed & !word & (ONES << 7)
    };
    let (Some(&first), Some(&last)) = (bytes.first_chunk(), bytes.last_chunk()) else {
        return bytes.iter().any(|byte| wanted.contains(byte));
    };
    let ends = occurs(first) | occurs(last);
    let (words, _) = bytes[8..].as_chunks();
    words.iter().fold(ends, |found, &word| found | occurs(word)) != 0
}

/// Writes a packet, field by field, behind what `out` holds; nothing and `None` if a field is too long.
#[inline]
pub fn encode(packet: &Packet<'_>, out: &mut Vec<u8>) -> Option<()> {
    match packet {
        Packet::Publish(publish) => encode_publish(publish, out),
        Packet::Subscribe(subscribe) => encode_subscribe(subscribe, out),
        Packet::Connect(connect) => encode_connect(connect, out),
    }
}

#[inline]
fn encode_publish(publish: &Publish<'_>, out: &mut Vec<u8>) -> Option<()> {
    let packet_id = if publish.packet_id == 0 { 0 } else { 2 };
    let properties = publish.properties.map_or(0, block_len);
    let body =
        prefixed_len(publish.topic.as_bytes())? + packet_id + properties + publish.payload.len();
    begin(0x30 | publish.flags, body, out)?;
    put_prefixed(publish.topic.as_bytes(), out);
    if publish.packet_id != 0 {
        out.extend_from_slice(&publish.packet_id.to_be_bytes());
    }
    put_block(publish.properties, out);
    out.extend_from_slice(publish.payload);
    Some(())
}

#[inline]
fn encode_subscribe(subscribe: &Subscribe<'_>, out: &mut Vec<u8>) -> Option<()> {
    let properties = subscribe.properties.map_or(0, block_len);
    begin(0x82, 2 + properties + subscribe.subscriptions.len(), out)?;
    out.extend_from_slice(&subscribe.packet_id.to_be_bytes());
    put_block(subscribe.properties, out);
    out.extend_from_slice(subscribe.subscriptions);
    Some(())
}

#[inline]
fn encode_connect(connect: &Connect<'_>, out: &mut Vec<u8>) -> Option<()> {
    let optional = |field: Option<&[u8]>| field.map_or(Some(0), prefixed_len);
    let will = match &connect.will {
        Some(will) => {
            let properties = will.properties.map_or(0, block_len);
            properties + prefixed_len(will.topic.as_bytes())? + prefixed_len(will.payload)?
        }
        None => 0,
    };
    let body = 10
        + connect.properties.map_or(0, block_len)
        + prefixed_len(connect.client_id.as_bytes())?
        + will
        + optional(connect.user_name.map(str::as_bytes))?
        + optional(connect.password)?;
    begin(0x10, body, out)?;
    let level = if connect.properties.is_some() { 5 } else { 4 };
    let [high, low] = connect.keep_alive.to_be_bytes();
    out.extend_from_slice(&[
        0,
        4,
        b'M',
        b'Q',
        b'T',
        b'T',
        level,
        connect.flags,
        high,
        low,
    ]);
    put_block(connect.properties, out);
    put_prefixed(connect.client_id.as_bytes(), out);
    if let Some(will) = &connect.will {
        put_block(will.properties, out);
        put_prefixed(will.topic.as_bytes(), out);
        put_prefixed(will.payload, out);
    }
    if let Some(user_name) = connect.user_name {
        put_prefixed(user_name.as_bytes(), out);
    }
    if let Some(password) = connect.password {
        put_prefixed(password, out);
    }
    Some(())
}

/// Makes room for the whole packet and writes its fixed header.
#[inline]
fn begin(first: u8, body: usize, out: &mut Vec<u8>) -> Option<()> {
    if body > 268_435_455 {
        return None;
    }
    out.reserve(5 + body);
    out.push(first);
    put_variable(body, out);
    Some(())
}

#[inline]
fn prefixed_len(bytes: &[u8]) -> Option<usize> {
    (bytes.len() <= 65_535).then_some(2 + bytes.len())
}

#[inline]
fn block_len(properties: Properties<'_>) -> usize {
    let length = properties.raw.len();
    let prefix = match length {
        ..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    };
    prefix + length
}

#[inline]
fn put_variable(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[inline]
fn put_prefixed(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[inline]
fn put_block(properties: Option<Properties<'_>>, out: &mut Vec<u8>) {
    if let Some(properties) = properties {
        put_variable(properties.raw.len(), out);
        out.extend_from_slice(properties.raw);
    }
}
