//! One concrete packet with its fields by name: what templates are built into, and what received packets are compared as.

use quince_codec::Version;

use super::translation;
use crate::scenario::{
    PacketTemplate,
    expression::{Expression, Literal, Value, Variables, parse_number},
    field::{FIELDS, Field, Kind, PacketName, field},
    model::Content,
    pattern::{Errors, Pattern},
    reason::reason_code,
};

/// Fields with their values, in the order of the wire where that means something.
pub type Fields = Vec<(&'static Field, Value)>;

/// A packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Which packet.
    pub packet: PacketName,
    /// Its fields, among them the properties.
    pub fields: Fields,
    /// The filters of SUBSCRIBE and UNSUBSCRIBE.
    pub filters: Vec<Fields>,
    /// The codes of SUBACK and UNSUBACK.
    pub codes: Vec<u8>,
    /// The will of CONNECT.
    pub will: Option<Fields>,
}

/// Why a packet is not the one that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It differs; in words, one entry for each difference.
    Differs(Vec<String>),
    /// The scenario cannot be evaluated: its own fault.
    Scenario(String),
}

impl From<String> for Mismatch {
    fn from(words: String) -> Self {
        Self::Scenario(words)
    }
}

/// Whether a code that the scenario does not name must be a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnnamedCode {
    /// What a step expects.
    MustBeSuccess,
    /// What a fault chooses.
    MayBeAnything,
}

impl Message {
    /// A packet without any field.
    pub const fn bare(packet: PacketName) -> Self {
        Self {
            packet,
            fields: Vec::new(),
            filters: Vec::new(),
            codes: Vec::new(),
            will: None,
        }
    }

    /// The packet that a template describes.
    ///
    /// # Errors
    /// In words, if a value is missing or does not fit.
    pub fn build(
        template: &PacketTemplate,
        version: Version,
        variables: &Variables,
    ) -> Result<Self, String> {
        let packet = template.packet.ok_or("only a named packet can be sent")?;
        let mut message = Self::bare(packet);
        message.apply(template, version, variables)?;
        Ok(message)
    }

    /// Gives fields the values of a template. Repeatable properties are replaced by those of the template as a whole.
    ///
    /// # Errors
    /// In words, if a value is missing or does not fit.
    pub fn apply(
        &mut self,
        template: &PacketTemplate,
        version: Version,
        variables: &Variables,
    ) -> Result<(), String> {
        let mut replaced: Vec<&str> = Vec::new();
        let mut filters = Vec::new();
        for content in template.parts_in(version) {
            match content {
                Content::Will(will) => {
                    let mut fields = self.will.take().unwrap_or_default();
                    set_fields(&mut fields, will, version, variables)?;
                    self.will = Some(fields);
                }
                Content::Filter(filter) => filters.push(filter),
                Content::Unsubscribed(filter) => {
                    self.filters.push(vec![(
                        known("filter"),
                        filter.value(Kind::Text, variables)?,
                    )]);
                }
                Content::Field(field, expressions) => {
                    self.set(field, expressions, variables, &mut replaced)?
                }
            }
        }
        for filter in filters {
            let mut fields = Fields::new();
            set_fields(&mut fields, filter, version, variables)?;
            if fields.iter().any(|(field, _)| field.name == "filter") {
                self.filters.push(fields);
            } else {
                for existing in &mut self.filters {
                    set_fields(existing, filter, version, variables)?;
                }
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        field: &'static Field,
        expressions: &[Expression],
        variables: &Variables,
        replaced: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        let has_list = matches!(self.packet, PacketName::SubAck | PacketName::UnsubAck);
        match field.name {
            "codes" => self.codes = codes(&expressions[0], variables)?,
            "code" if has_list => match expressions[0].value(field.kind, variables)? {
                Value::Number(code) if self.codes.is_empty() => self.codes.push(byte(code)),
                Value::Number(code) => self.codes.iter_mut().for_each(|each| *each = byte(code)),
                _ => {}
            },
            "properties" => self.fields.retain(|(field, _)| field.property.is_none()),
            _ => {
                if field.repeatable && !replaced.contains(&field.name) {
                    self.fields.retain(|(other, _)| *other != field);
                    replaced.push(field.name);
                }
                set_field(&mut self.fields, field, expressions, variables)?;
            }
        }
        Ok(())
    }

    /// The value of a field that is there once.
    pub fn value(&self, name: &str) -> Option<&Value> {
        value_of(&self.fields, name)
    }

    /// The number in a field.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Gives a field a value.
    pub fn put(&mut self, name: &'static str, value: Value) {
        let field = known(name);
        match self.fields.iter_mut().find(|(other, _)| *other == field) {
            Some((_, old)) => *old = value,
            None => self.fields.push((field, value)),
        }
    }

    /// The bytes of the packet, through the codec.
    ///
    /// # Errors
    /// In words, if the codec refuses it.
    pub fn encode(&self, version: Version) -> Result<Vec<u8>, String> {
        translation::encode(self, version)
    }

    /// The packet in these bytes, decoded strictly.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn decode(bytes: &[u8], version: Version) -> Result<Self, String> {
        translation::decode(bytes, version)
    }

    /// Compares with what a template says; gives the bindings.
    ///
    /// # Errors
    /// The differences, or what is wrong with the scenario.
    pub fn compare(
        &self,
        template: &PacketTemplate,
        version: Version,
        variables: &Variables,
        unnamed_code: UnnamedCode,
    ) -> Result<Vec<(String, Value)>, Mismatch> {
        if template.packet.is_some_and(|packet| packet != self.packet) {
            return Err(Mismatch::Differs(vec![format!("it is {}", self.packet)]));
        }
        let mut comparison = Comparison::new(self, version, variables);
        for content in template.parts_in(version) {
            comparison.content(content)?;
        }
        comparison.lists()?;
        if unnamed_code == UnnamedCode::MustBeSuccess {
            comparison.unnamed_code();
        }
        if comparison.differences.is_empty() {
            Ok(comparison.bindings)
        } else {
            Err(Mismatch::Differs(comparison.differences))
        }
    }

    /// Which codes are errors in this packet.
    const fn errors(&self, version: Version) -> Errors {
        match (self.packet, version) {
            (PacketName::ConnAck, Version::V3_1 | Version::V3_1_1) => Errors::AllButZero,
            _ => Errors::FromEighty,
        }
    }

    /// The packet in words, as a scenario file would write it.
    pub fn describe(&self) -> String {
        let mut words = vec![self.packet.name().to_owned()];
        words.extend(
            self.fields
                .iter()
                .map(|(field, value)| describe_field(field, value)),
        );
        if !self.codes.is_empty() {
            let codes: Vec<String> = self
                .codes
                .iter()
                .map(|code| format!("{code:#04x}"))
                .collect();
            words.push(format!("codes=\"{}\"", codes.join(" ")));
        }
        let nested = |name: &str, fields: &Fields| {
            let fields: Vec<String> = fields
                .iter()
                .map(|(field, value)| describe_field(field, value))
                .collect();
            format!("{name} {{ {} }}", fields.join("; "))
        };
        words.extend(self.filters.iter().map(|fields| nested("filter", fields)));
        words.extend(self.will.iter().map(|fields| nested("will", fields)));
        words.join(" ")
    }
}

fn describe_field(field: &Field, value: &Value) -> String {
    match value {
        Value::Number(code) if field.name == "code" => format!("code={code:#04x}"),
        _ => format!("{}={}", field.name, value.describe()),
    }
}

/// The field of that name; the name is one of this suite's own words.
pub(crate) fn known(name: &'static str) -> &'static Field {
    field(name).unwrap_or(&FIELDS[0])
}

pub(crate) fn value_of<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    fields
        .iter()
        .find(|(field, _)| field.name == name)
        .map(|(_, value)| value)
}

fn byte(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn codes(expression: &Expression, variables: &Variables) -> Result<Vec<u8>, String> {
    let text = expression.expand(variables)?.to_text();
    let code = |word: &str| {
        let code = reason_code(word)
            .or_else(|| parse_number(word).and_then(|number| u8::try_from(number).ok()));
        code.ok_or_else(|| format!("{word:?} is no code"))
    };
    text.split_whitespace().map(code).collect()
}

fn set_fields(
    fields: &mut Fields,
    template: &PacketTemplate,
    version: Version,
    variables: &Variables,
) -> Result<(), String> {
    for content in template.parts_in(version) {
        if let Content::Field(field, expressions) = content {
            set_field(fields, field, expressions, variables)?;
        }
    }
    Ok(())
}

fn set_field(
    fields: &mut Fields,
    field: &'static Field,
    expressions: &[Expression],
    variables: &Variables,
) -> Result<(), String> {
    let is_absent = matches!(expressions, [only] if only.annotation.is_none() && only.literal == Literal::Text("absent".to_owned()));
    if is_absent {
        fields.retain(|(other, _)| *other != field);
        return Ok(());
    }
    let value = match expressions {
        [name, value] => Value::Pair(name.text(variables)?, value.text(variables)?),
        [only] => only.value(field.kind, variables)?,
        _ => return Err(format!("`{}` has no value", field.name)),
    };
    match fields.iter_mut().find(|(other, _)| *other == field) {
        Some((_, old)) if !field.repeatable => *old = value,
        _ => fields.push((field, value)),
    }
    Ok(())
}

/// A comparison in progress.
struct Comparison<'a> {
    message: &'a Message,
    version: Version,
    variables: &'a Variables,
    differences: Vec<String>,
    bindings: Vec<(String, Value)>,
    code_named: bool,
    user_properties: Vec<Value>,
    identifiers: Vec<Value>,
    filters: Vec<&'a PacketTemplate>,
}

impl<'a> Comparison<'a> {
    fn new(message: &'a Message, version: Version, variables: &'a Variables) -> Self {
        Self {
            message,
            version,
            variables,
            differences: Vec::new(),
            bindings: Vec::new(),
            code_named: false,
            user_properties: Vec::new(),
            identifiers: Vec::new(),
            filters: Vec::new(),
        }
    }

    fn content(&mut self, content: &'a Content) -> Result<(), Mismatch> {
        match content {
            Content::Field(field, expressions) => self.field(field, expressions),
            Content::Filter(filter) => {
                self.filters.push(filter);
                Ok(())
            }
            Content::Unsubscribed(filter) => {
                let wanted = Pattern::read(filter, Kind::Text, Errors::FromEighty, self.variables)?;
                let found = self
                    .message
                    .filters
                    .iter()
                    .any(|fields| wanted.matches(value_of(fields, "filter")));
                if !found {
                    self.differences
                        .push(format!("it has no filter {}", wanted.describe()));
                }
                Ok(())
            }
            Content::Will(will) => {
                let fields = self.message.will.clone().unwrap_or_default();
                self.nested("will", will, &fields)
            }
        }
    }

    fn nested(
        &mut self,
        name: &str,
        template: &PacketTemplate,
        fields: &Fields,
    ) -> Result<(), Mismatch> {
        for content in template.parts_in(self.version) {
            if let Content::Field(field, expressions) = content
                && let [only] = &expressions[..]
            {
                let pattern = Pattern::read(only, field.kind, Errors::FromEighty, self.variables)?;
                self.judge(
                    &format!("{name} {}", field.name),
                    &pattern,
                    value_of(fields, field.name),
                );
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field, expressions: &[Expression]) -> Result<(), Mismatch> {
        let errors = self.message.errors(self.version);
        let has_list = matches!(
            self.message.packet,
            PacketName::SubAck | PacketName::UnsubAck
        );
        match (field.name, expressions) {
            ("properties", _) => {
                let names: Vec<&str> = self
                    .message
                    .fields
                    .iter()
                    .filter(|(field, _)| field.property.is_some())
                    .map(|(field, _)| field.name)
                    .collect();
                if !names.is_empty() {
                    self.differences
                        .push(format!("it has the properties {}", names.join(", ")));
                }
            }
            ("codes", [codes]) => {
                let words = codes.expand(self.variables)?.to_text();
                self.codes(&words.split_whitespace().collect::<Vec<_>>(), errors)?;
            }
            ("code", [code]) if has_list => {
                self.code_named = true;
                let pattern = Pattern::read(code, field.kind, errors, self.variables)?;
                self.list_of_codes(&[pattern]);
            }
            (_, [name, value]) => {
                let pair = Value::Pair(name.text(self.variables)?, value.text(self.variables)?);
                self.user_properties.push(pair);
            }
            ("subscription-identifier", [only]) => {
                let pattern = Pattern::read(only, field.kind, errors, self.variables)?;
                match pattern {
                    Pattern::Exactly(value) => self.identifiers.push(value),
                    other => self.judge(field.name, &other, self.message.value(field.name)),
                }
            }
            (name, [only]) => {
                self.code_named |= name == "code";
                let pattern = Pattern::read(only, field.kind, errors, self.variables)?;
                self.judge(name, &pattern, self.message.value(name));
            }
            _ => {}
        }
        Ok(())
    }

    fn judge(&mut self, name: &str, pattern: &Pattern, actual: Option<&Value>) {
        if let (Pattern::Bind(variable), Some(value)) = (pattern, actual) {
            self.bindings.push((variable.clone(), value.clone()));
        }
        if !pattern.matches(actual) {
            let actual = actual.map_or_else(|| "absent".to_owned(), Value::describe);
            self.differences.push(format!(
                "{name} is {actual}, expected {}",
                pattern.describe()
            ));
        }
    }

    fn codes(&mut self, words: &[&str], errors: Errors) -> Result<(), Mismatch> {
        self.code_named = true;
        let patterns = words.iter().map(|word| {
            let expression = Expression::plain(Literal::Text((*word).to_owned()));
            Pattern::read(&expression, Kind::Number(0xff), errors, self.variables)
        });
        let patterns: Vec<Pattern> = patterns.collect::<Result<_, _>>()?;
        self.list_of_codes(&patterns);
        Ok(())
    }

    fn list_of_codes(&mut self, patterns: &[Pattern]) {
        let actual = &self.message.codes;
        if actual.len() != patterns.len() {
            self.differences.push(format!(
                "it has {} codes, expected {}",
                actual.len(),
                patterns.len()
            ));
            return;
        }
        for (index, (pattern, code)) in patterns.iter().zip(actual).enumerate() {
            let value = Value::Number(u64::from(*code));
            if !pattern.matches(Some(&value)) {
                let words = format!(
                    "code {} is {code:#04x}, expected {}",
                    index + 1,
                    pattern.describe()
                );
                self.differences.push(words);
            }
        }
    }

    /// What is compared as a whole: user properties, subscription identifiers, filters.
    fn lists(&mut self) -> Result<(), Mismatch> {
        let all = |name: &str| -> Vec<Value> {
            let fields = self
                .message
                .fields
                .iter()
                .filter(|(field, _)| field.name == name);
            fields.map(|(_, value)| value.clone()).collect()
        };
        let listed = |values: &[Value]| {
            if values.is_empty() {
                return "none".to_owned();
            }
            values
                .iter()
                .map(Value::describe)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let actual = all("user-property");
        if !self.user_properties.is_empty() && actual != self.user_properties {
            let words = format!(
                "the user properties are {}, expected {}",
                listed(&actual),
                listed(&self.user_properties)
            );
            self.differences.push(words);
        }
        if !self.identifiers.is_empty() {
            let sorted = |mut values: Vec<Value>| {
                values.sort_by_key(Value::to_text);
                values
            };
            let (actual, wanted) = (
                sorted(all("subscription-identifier")),
                sorted(self.identifiers.clone()),
            );
            if actual != wanted {
                let words = format!(
                    "the subscription identifiers are {}, expected {}",
                    listed(&actual),
                    listed(&wanted)
                );
                self.differences.push(words);
            }
        }
        for (index, filter) in std::mem::take(&mut self.filters).into_iter().enumerate() {
            let fields = self.message.filters.get(index).cloned().unwrap_or_default();
            self.nested("filter", filter, &fields)?;
        }
        Ok(())
    }

    fn unnamed_code(&mut self) {
        if self.code_named || self.message.packet == PacketName::Disconnect {
            return;
        }
        let success = self.message.errors(self.version).success();
        if let Some(code) = self.message.value("code") {
            self.judge("code", &success, Some(code));
        }
        let failed = self
            .message
            .codes
            .iter()
            .find(|code| !success.matches(Some(&Value::Number(u64::from(**code)))));
        if let Some(code) = failed {
            self.differences
                .push(format!("a code is {code:#04x}, expected a success"));
        }
    }
}
