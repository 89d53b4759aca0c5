//! Values as a file writes them, and what they become once the variables are known.

use std::collections::BTreeMap;

use super::{field::Kind, reason::reason_code};

/// A concrete value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Number(u64),
    /// True or false.
    Flag(bool),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Name and value of a User Property.
    Pair(String, String),
}

impl Value {
    /// The value as text inside a longer text: bytes as hex.
    pub fn to_text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => u8::from(*flag).to_string(),
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => hex(bytes),
            Self::Pair(name, value) => format!("{name}={value}"),
        }
    }

    /// The value for a reader: bytes as text where they are text, long values shortened.
    pub fn describe(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => format!("#{flag}"),
            Self::Text(text) => quoted(text),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.chars().any(char::is_control) => quoted(text),
                _ if bytes.len() > 40 => {
                    format!("(hex)\"{}..\" ({} bytes)", hex(&bytes[..32]), bytes.len())
                }
                _ => format!("(hex)\"{}\"", hex(bytes)),
            },
            Self::Pair(name, value) => format!("{} {}", quoted(name), quoted(value)),
        }
    }
}

fn quoted(text: &str) -> String {
    if text.chars().count() > 80 {
        let start: String = text.chars().take(60).collect();
        format!("{start:?}.. ({} bytes)", text.len())
    } else {
        format!("{text:?}")
    }
}

/// Bytes as lower-case hex without blanks.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Reads hex; blanks are free.
///
/// # Errors
/// In words, if something else than pairs of hex digits stands there.
pub fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| {
            c.to_digit(16)
                .ok_or_else(|| format!("`{c}` is no hex digit"))
        })
        .collect::<Result<_, _>>()?;
    if !digits.len().is_multiple_of(2) {
        return Err("hex needs an even number of digits".to_owned());
    }
    Ok(digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap_or_default())
        .collect())
}

/// `count` bytes of a fixed sequence that does not repeat soon.
pub fn sequence(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_be_bytes()[1]
        })
        .collect()
}

/// The variables of one play: `t`, `c`, those of the case, loop counters, bindings.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, Value>);

impl Variables {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a variable a value.
    pub fn set(&mut self, name: impl Into<String>, value: Value) {
        self.0.insert(name.into(), value);
    }

    /// The value of a variable.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// What stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A number.
    Number(u64),
    /// A boolean.
    Flag(bool),
    /// A string, with variables in it.
    Text(String),
}

/// One value of a file with its annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// The annotation: `hex` in `(hex)"00"`.
    pub annotation: Option<String>,
    /// The value itself.
    pub literal: Literal,
    /// Where it stands: offset in bytes and length.
    pub span: (usize, usize),
}

/// A piece of text: literal, or the name of a variable.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// `$name` or `${name}`.
    Variable(&'a str),
}

/// Splits text at its variables. `$$` is a dollar sign.
///
/// # Errors
/// In words, if a `$` is followed by no name.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if at > 0 {
            found.push(Piece::Text(&rest[..at]));
        }
        let after = &rest[at + 1..];
        if let Some(following) = after.strip_prefix('$') {
            found.push(Piece::Text("$"));
            rest = following;
        } else if let Some(braced) = after.strip_prefix('{') {
            let end = braced
                .find('}')
                .ok_or_else(|| format!("`${{` without `}}` in {text:?}"))?;
            found.push(Piece::Variable(&braced[..end]));
            rest = &braced[end + 1..];
        } else {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            if end == 0 {
                return Err(format!(
                    "a `$` without a name in {text:?}; write `$$` for a dollar sign"
                ));
            }
            found.push(Piece::Variable(&after[..end]));
            rest = &after[end..];
        }
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    Ok(found)
}

impl Expression {
    /// A plain literal that stands nowhere in a file.
    pub const fn plain(literal: Literal) -> Self {
        Self {
            annotation: None,
            literal,
            span: (0, 0),
        }
    }

    /// The annotation, if there is one.
    pub fn annotation(&self) -> Option<&str> {
        self.annotation.as_deref()
    }

    /// The variables in it.
    pub fn variables(&self) -> Vec<&str> {
        let Literal::Text(text) = &self.literal else {
            return Vec::new();
        };
        pieces(text)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Variable(name) => Some(name),
                Piece::Text(_) => None,
            })
            .collect()
    }

    /// The literal with its variables filled in. A text that is one variable and nothing else keeps that variable's kind.
    ///
    /// # Errors
    /// In words, if a variable has no value yet.
    pub fn expand(&self, variables: &Variables) -> Result<Value, String> {
        let text = match &self.literal {
            Literal::Number(number) => return Ok(Value::Number(*number)),
            Literal::Flag(flag) => return Ok(Value::Flag(*flag)),
            Literal::Text(text) => text,
        };
        let lookup = |name: &str| {
            variables
                .value(name)
                .cloned()
                .ok_or_else(|| format!("the variable ${name} has no value here"))
        };
        let pieces = pieces(text)?;
        if let [Piece::Variable(name)] = pieces[..] {
            return lookup(name);
        }
        let mut expanded = String::with_capacity(text.len());
        for piece in pieces {
            match piece {
                Piece::Text(text) => expanded.push_str(text),
                Piece::Variable(name) => expanded.push_str(&lookup(name)?.to_text()),
            }
        }
        Ok(Value::Text(expanded))
    }

    /// The value without a field that says what it should be: a variable of a case.
    ///
    /// # Errors
    /// In words.
    pub fn free_value(&self, variables: &Variables) -> Result<Value, String> {
        let value = self.expand(variables)?;
        match self.annotation() {
            None | Some("text") => Ok(value),
            Some("hex") => unhex(&value.to_text()).map(Value::Bytes),
            Some("repeat") => repeated(&value.to_text()).map(Value::Text),
            Some("size") => number(&value).map(size).map(Value::Bytes),
            Some(other) => Err(format!(
                "unknown annotation ({other}); expected text, hex, repeat or size"
            )),
        }
    }

    /// The value to send in a field of that kind.
    ///
    /// # Errors
    /// In words: what was expected and what stands there.
    pub fn value(&self, kind: Kind, variables: &Variables) -> Result<Value, String> {
        let value = self.free_value(variables)?;
        fit(value, kind)
    }

    /// A whole number.
    ///
    /// # Errors
    /// In words, if it is none.
    pub fn number(&self, variables: &Variables) -> Result<u64, String> {
        number(&self.expand(variables)?)
    }

    /// Text.
    ///
    /// # Errors
    /// In words, if a variable has no value.
    pub fn text(&self, variables: &Variables) -> Result<String, String> {
        Ok(self.free_value(variables)?.to_text())
    }

    /// A time in milliseconds: `"200ms"`, `"2s"`, `"1.5s"`, or a number of seconds.
    ///
    /// # Errors
    /// In words, if it is none.
    pub fn milliseconds(&self, variables: &Variables) -> Result<u64, String> {
        let text = self.expand(variables)?.to_text();
        let wrong = || format!("expected a time such as \"200ms\" or \"1.5s\", not {text:?}");
        if let Some(number) = text.strip_suffix("ms") {
            return number.trim().parse().map_err(|_| wrong());
        }
        let seconds = text.strip_suffix('s').unwrap_or(&text).trim();
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        if fraction.len() > 3 || !fraction.chars().all(|c| c.is_ascii_digit()) || whole > 86_400 {
            return Err(wrong());
        }
        let fraction: u64 = format!("{fraction:0<3}").parse().map_err(|_| wrong())?;
        Ok(whole * 1000 + fraction)
    }
}

/// Makes a value one of that kind, or says why it cannot be.
///
/// # Errors
/// In words.
pub fn fit(value: Value, kind: Kind) -> Result<Value, String> {
    let wrong = |value: &Value| format!("expected {}, not {}", kind.describe(), value.describe());
    match kind {
        Kind::Number(most) => {
            let named = match &value {
                Value::Text(name) if most == 0xff => reason_code(name).map(u64::from),
                _ => None,
            };
            let number = named
                .map_or_else(|| number(&value), Ok)
                .map_err(|_| wrong(&value))?;
            if number > most {
                Err(wrong(&value))
            } else {
                Ok(Value::Number(number))
            }
        }
        Kind::Flag => match &value {
            Value::Flag(_) => Ok(value),
            Value::Number(0) => Ok(Value::Flag(false)),
            Value::Number(1) => Ok(Value::Flag(true)),
            _ => Err(wrong(&value)),
        },
        Kind::Text => match value {
            Value::Bytes(_) => Err(wrong(&value)),
            other => Ok(Value::Text(other.to_text())),
        },
        Kind::Bytes => match value {
            Value::Bytes(_) => Ok(value),
            other => Ok(Value::Bytes(other.to_text().into_bytes())),
        },
        Kind::Pair => Err(wrong(&value)),
    }
}

/// A number, also written as a sum: `3+100`.
fn number(value: &Value) -> Result<u64, String> {
    let text = match value {
        Value::Number(number) => return Ok(*number),
        Value::Flag(flag) => return Ok(u64::from(*flag)),
        other => other.to_text(),
    };
    parse_number(&text).ok_or_else(|| format!("expected a whole number, not {text:?}"))
}

/// Reads `7`, `0x07`, `0b111`, `3+4`, `9-2`.
pub fn parse_number(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some((left, right)) = text.split_once('+') {
        return parse_number(left)?.checked_add(parse_number(right)?);
    }
    if let Some((left, right)) = text.rsplit_once('-') {
        return parse_number(left)?.checked_sub(parse_number(right)?);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    if let Some(digits) = text.strip_prefix("0b") {
        return u64::from_str_radix(digits, 2).ok();
    }
    text.parse().ok()
}

/// The most bytes that one value may make, so that a slip of the pen does not fill the memory.
const LARGEST: u64 = 64 * 1024 * 1024;

fn size(count: u64) -> Vec<u8> {
    sequence(usize::try_from(count.min(LARGEST)).unwrap_or(usize::MAX))
}

fn repeated(text: &str) -> Result<String, String> {
    let wrong = || format!("expected text, `*` and a number, such as \"ab*100\", not {text:?}");
    let (unit, count) = text.rsplit_once('*').ok_or_else(wrong)?;
    let count = parse_number(count).ok_or_else(wrong)?;
    if count.saturating_mul(unit.len() as u64) > LARGEST {
        return Err(format!("{text:?} is longer than {LARGEST} bytes"));
    }
    Ok(unit.repeat(usize::try_from(count).unwrap_or_default()))
}
