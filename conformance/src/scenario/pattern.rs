//! What a field of a received packet may be.

use super::{
    expression::{Expression, Value, Variables, fit, parse_number},
    field::Kind,
    reason::reason_code,
};

/// A condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Exactly this value.
    Exactly(Value),
    /// There, with any value.
    Any,
    /// Not there.
    Absent,
    /// A number in one of these ranges, both ends included; and the words it was written with.
    Within(Vec<(u64, u64)>, String),
    /// One of these texts.
    OneOf(Vec<String>),
    /// Text that starts like this.
    Prefix(String),
    /// There, and not this.
    Not(Value),
    /// There; the value is kept under this name.
    Bind(String),
}

/// Which codes count as errors; it differs between CONNACK of 3.1.1 and everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    /// 0x80 and above.
    FromEighty,
    /// Everything but 0.
    AllButZero,
}

impl Errors {
    const fn first(self) -> u64 {
        match self {
            Self::FromEighty => 0x80,
            Self::AllButZero => 1,
        }
    }

    /// The pattern of a code that is a success.
    pub fn success(self) -> Pattern {
        Pattern::Within(vec![(0, self.first() - 1)], "a success".to_owned())
    }

    /// The pattern of a code that is an error.
    pub fn error(self) -> Pattern {
        Pattern::Within(vec![(self.first(), 0xff)], "an error".to_owned())
    }
}

impl Pattern {
    /// Reads the pattern that an expression means for a field of that kind.
    ///
    /// # Errors
    /// In words.
    pub fn read(
        expression: &Expression,
        kind: Kind,
        errors: Errors,
        variables: &Variables,
    ) -> Result<Self, String> {
        match expression.annotation() {
            None => {}
            Some("as") => return Ok(Self::Bind(expression.text_as_written())),
            Some("not") => {
                let plain = Expression {
                    annotation: None,
                    ..expression.clone()
                };
                return plain.value(kind, variables).map(Self::Not);
            }
            Some("one-of") => {
                let text = expression.expand(variables)?.to_text();
                return Ok(Self::OneOf(text.split('|').map(str::to_owned).collect()));
            }
            Some("prefix") => return Ok(Self::Prefix(expression.expand(variables)?.to_text())),
            Some(_) => return expression.value(kind, variables).map(Self::Exactly),
        }
        let value = expression.expand(variables)?;
        let Value::Text(text) = &value else {
            return fit(value, kind).map(Self::Exactly);
        };
        match text.as_str() {
            "any" => return Ok(Self::Any),
            "absent" => return Ok(Self::Absent),
            _ => {}
        }
        match kind {
            Kind::Number(_) => Self::number(text, errors),
            _ => fit(value, kind).map(Self::Exactly),
        }
    }

    fn number(text: &str, errors: Errors) -> Result<Self, String> {
        match text {
            "error" => return Ok(errors.error()),
            "success" => return Ok(errors.success()),
            _ => {}
        }
        let ranges: Vec<(u64, u64)> = text
            .split('|')
            .map(|part| range(part.trim()))
            .collect::<Result<_, _>>()?;
        Ok(match ranges[..] {
            [(low, high)] if low == high => Self::Exactly(Value::Number(low)),
            _ => Self::Within(ranges, text.to_owned()),
        })
    }

    /// Whether the value of the field (`None`: not there) is as it should be.
    pub fn matches(&self, actual: Option<&Value>) -> bool {
        let Some(actual) = actual else {
            return *self == Self::Absent;
        };
        match self {
            Self::Absent => false,
            Self::Any | Self::Bind(_) => true,
            Self::Exactly(value) => value == actual,
            Self::Not(value) => value != actual,
            Self::Within(ranges, _) => match actual {
                Value::Number(number) => ranges
                    .iter()
                    .any(|(low, high)| (low..=high).contains(&number)),
                _ => false,
            },
            Self::OneOf(texts) => texts.iter().any(|text| text.as_bytes() == bytes_of(actual)),
            Self::Prefix(prefix) => bytes_of(actual).starts_with(prefix.as_bytes()),
        }
    }

    /// The condition in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Exactly(value) => value.describe(),
            Self::Any => "anything".to_owned(),
            Self::Absent => "absent".to_owned(),
            Self::Within(_, words) => words.clone(),
            Self::OneOf(texts) => format!("one of {}", texts.join(", ")),
            Self::Prefix(prefix) => format!("{prefix:?}.."),
            Self::Not(value) => format!("not {}", value.describe()),
            Self::Bind(name) => format!("anything (kept as ${name})"),
        }
    }
}

impl Expression {
    fn text_as_written(&self) -> String {
        match &self.literal {
            super::expression::Literal::Text(text) => text.clone(),
            super::expression::Literal::Number(number) => number.to_string(),
            super::expression::Literal::Flag(flag) => flag.to_string(),
        }
    }
}

fn bytes_of(value: &Value) -> &[u8] {
    match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        _ => &[],
    }
}

fn range(part: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| {
        parse_number(text).or_else(|| reason_code(text.trim()).map(u64::from)).ok_or_else(|| {
            format!(
                "expected a number, a range \"1..3\", \">=2\", \"<3\", any, absent, error, success or the name of a reason code, not {part:?}"
            )
        })
    };
    if let Some((low, high)) = part.split_once("..") {
        return Ok((number(low)?, number(high.trim_start_matches('='))?));
    }
    if let Some(low) = part.strip_prefix(">=") {
        return Ok((number(low)?, u64::MAX));
    }
    if let Some(high) = part.strip_prefix("<=") {
        return Ok((0, number(high)?));
    }
    if let Some(low) = part.strip_prefix('>') {
        return Ok((number(low)?.saturating_add(1), u64::MAX));
    }
    if let Some(high) = part.strip_prefix('<') {
        return number(high)?
            .checked_sub(1)
            .map(|high| (0, high))
            .ok_or_else(|| "nothing is below 0".to_owned());
    }
    if let Some(code) = reason_code(part) {
        return Ok((code.into(), code.into()));
    }
    number(part).map(|number| (number, number))
}
