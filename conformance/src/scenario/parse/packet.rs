//! Packets as files write them: a name and fields, inline or as children.

use kdl::{KdlEntry, KdlNode};
use quince_codec::Version;

use super::{
    Parser, entry_span,
    words::{Words, key},
};
use crate::scenario::{
    expression::{Expression, Literal},
    field::{Field, Kind, PacketName, field, names_for},
    model::{Content, PacketTemplate, Part},
};

/// What the fields of a packet are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Values of a packet to be sent.
    Send,
    /// Patterns of a packet to be received, or to be chosen by a fault.
    Match,
    /// New values of fields of a packet; `absent` takes a property out.
    Change,
}

impl Parser<'_> {
    /// The packet named by the next argument; `None` for `any` where that is allowed.
    pub(super) fn packet_name(&mut self, words: &mut Words<'_>) -> Option<PacketName> {
        let Some(entry) = words.argument() else {
            self.problem(
                words.span,
                "a packet is missing",
                format!("expected {}", packet_names()),
            );
            return None;
        };
        let name = entry.value().as_string().unwrap_or_default();
        let packet = PacketName::parse(name);
        match packet {
            None => {
                let message = format!("unknown packet `{name}`");
                self.problem(
                    entry_span(entry),
                    message,
                    format!("expected {}", packet_names()),
                );
            }
            Some(packet) => {
                let versions = self.scope.versions.clone();
                if let Some(version) = versions
                    .into_iter()
                    .find(|version| !packet.exists_in(*version))
                {
                    let message = format!("{packet} does not exist in MQTT {version}");
                    self.problem(
                        entry_span(entry),
                        message,
                        "put it into `only \"5.0\" { .. }`",
                    );
                }
            }
        }
        packet
    }

    /// All properties and children left, as fields of `packet`.
    pub(super) fn template(
        &mut self,
        packet: PacketName,
        words: &mut Words<'_>,
        purpose: Purpose,
    ) -> PacketTemplate {
        let mut template = PacketTemplate::bare(packet);
        self.fields(&mut template, words, purpose, None);
        template
    }

    /// All properties and children left, added to a packet.
    pub(super) fn fields(
        &mut self,
        template: &mut PacketTemplate,
        words: &mut Words<'_>,
        purpose: Purpose,
        versions: Option<&[Version]>,
    ) {
        let Some(packet) = template.packet else {
            return;
        };
        if packet == PacketName::Subscribe {
            let content = self.inline_filter(words, purpose);
            template
                .parts
                .extend(content.map(|content| part(versions, content)));
        }
        for entry in words.properties() {
            let content = self.field(packet, key(entry), &[entry], entry_span(entry), purpose);
            template
                .parts
                .extend(content.map(|content| part(versions, content)));
        }
        for node in words.children() {
            let mut inner = self.words(node);
            match (packet, node.name().value()) {
                (_, "only") => {
                    let only = self.only(&mut inner);
                    let outer = std::mem::replace(&mut self.scope.versions, only.clone());
                    self.fields(template, &mut inner, purpose, Some(&only));
                    self.scope.versions = outer;
                }
                (PacketName::Connect, "will") => {
                    let will = self.template(PacketName::Will, &mut inner, purpose);
                    template.parts.push(part(versions, Content::Will(will)));
                }
                (PacketName::Subscribe, "filter") => {
                    let content = self.filter(&mut inner, purpose);
                    template
                        .parts
                        .extend(content.map(|content| part(versions, content)));
                }
                (PacketName::Unsubscribe, "filter") => {
                    if let Some(entry) = inner.argument() {
                        let filter = self.field_value(entry, Kind::Text, purpose);
                        template
                            .parts
                            .push(part(versions, Content::Unsubscribed(filter)));
                    }
                }
                (_, name) => {
                    let entries = inner.arguments();
                    let content = self.field(packet, name, &entries, inner.span, purpose);
                    template
                        .parts
                        .extend(content.map(|content| part(versions, content)));
                }
            }
            self.finish(inner, "see the fields of packets in docs/scenarios.md");
        }
    }

    fn field(
        &mut self,
        packet: PacketName,
        name: &str,
        entries: &[&KdlEntry],
        span: (usize, usize),
        purpose: Purpose,
    ) -> Option<Content> {
        let known = field(name).filter(|field| {
            field.belongs_to(packet, Version::V5_0) || field.belongs_to(packet, Version::V3_1_1)
        });
        let Some(field) = known else {
            let message = format!("{packet} has no field `{name}`");
            self.problem(span, message, format!("expected {}", names_for(packet)));
            return None;
        };
        self.check_field_in_versions(field, packet, span);
        if packet == PacketName::Unsubscribe && name == "filter" {
            return entries
                .first()
                .map(|entry| Content::Unsubscribed(self.field_value(entry, Kind::Text, purpose)));
        }
        let expressions = self.field_values(field, entries, span, purpose)?;
        Some(Content::Field(field, expressions))
    }

    fn check_field_in_versions(&mut self, field: &Field, packet: PacketName, span: (usize, usize)) {
        let missing = self
            .scope
            .versions
            .iter()
            .find(|version| !field.belongs_to(packet, **version))
            .copied();
        if let Some(version) = missing {
            let message = format!("{packet} has no field `{}` in MQTT {version}", field.name);
            self.problem(span, message, "put it into a child `only \"5.0\" { .. }`");
        }
    }

    fn field_values(
        &mut self,
        field: &'static Field,
        entries: &[&KdlEntry],
        span: (usize, usize),
        purpose: Purpose,
    ) -> Option<Vec<Expression>> {
        match (entries, field.kind) {
            ([entry], Kind::Pair) => {
                let expression = self.expression(entry);
                if expression.literal != Literal::Text("absent".to_owned()) {
                    let message = format!("`{}` needs a name and a value", field.name);
                    self.problem(
                        span,
                        message,
                        "write it as a child: user-property \"name\" \"value\"",
                    );
                }
                Some(vec![expression])
            }
            ([name, value], Kind::Pair) => Some(vec![
                self.value(name, Kind::Text),
                self.value(value, Kind::Text),
            ]),
            ([entry], _) if field.name == "codes" => Some(vec![self.expression(entry)]),
            ([entry], _) if field.name == "properties" => {
                let expression = self.expression(entry);
                if expression.literal != Literal::Text("absent".to_owned())
                    || purpose == Purpose::Send
                {
                    self.problem(
                        span,
                        "`properties` can only be `absent`, and only in what is expected",
                        None,
                    );
                }
                Some(vec![expression])
            }
            ([entry], kind) => Some(vec![self.field_value(entry, kind, purpose)]),
            _ => {
                let message = format!("`{}` needs {}", field.name, field.kind.describe());
                self.problem(span, message, None);
                None
            }
        }
    }

    fn field_value(&mut self, entry: &KdlEntry, kind: Kind, purpose: Purpose) -> Expression {
        match purpose {
            Purpose::Send => self.value(entry, kind),
            Purpose::Match => self.pattern(entry, kind),
            Purpose::Change if entry.value().as_string() == Some("absent") => {
                self.expression(entry)
            }
            Purpose::Change => self.value(entry, kind),
        }
    }

    /// `filter="a" qos=1 ..` on the SUBSCRIBE itself. A fault may change `qos` alone.
    fn inline_filter(&mut self, words: &mut Words<'_>, purpose: Purpose) -> Option<Content> {
        const OPTIONS: [&str; 5] = [
            "filter",
            "qos",
            "no-local",
            "retain-as-published",
            "retain-handling",
        ];
        let mut filter = PacketTemplate::bare(PacketName::SubscribeFilter);
        let mut first = None;
        for name in OPTIONS {
            let Some(entry) = words.property(name) else {
                continue;
            };
            first = first.or(Some(entry));
            let content = self.field(
                PacketName::SubscribeFilter,
                name,
                &[entry],
                entry_span(entry),
                purpose,
            );
            filter
                .parts
                .extend(content.map(|content| part(None, content)));
        }
        let first = first?;
        if purpose == Purpose::Send && filter.parts.iter().all(|part| !is_filter(&part.content)) {
            self.problem(
                entry_span(first),
                "options without a filter",
                "expected `filter=\"..\"`",
            );
        }
        Some(Content::Filter(filter))
    }

    /// `filter "a" qos=1 ..` as a child or as arguments of `subscribe`.
    fn filter(&mut self, words: &mut Words<'_>, purpose: Purpose) -> Option<Content> {
        let Some(entry) = words.argument() else {
            self.problem(
                words.span,
                "`filter` without a filter",
                "expected `filter \"a/b\" qos=1`",
            );
            return None;
        };
        let expression = self.field_value(entry, Kind::Text, purpose);
        Some(Content::Filter(self.filter_of(expression, words, purpose)))
    }

    /// A filter with all properties and children left as its options.
    pub(super) fn filter_of(
        &mut self,
        filter: Expression,
        words: &mut Words<'_>,
        purpose: Purpose,
    ) -> PacketTemplate {
        let mut template = PacketTemplate::bare(PacketName::SubscribeFilter);
        if let Some(field) = field("filter") {
            template
                .parts
                .push(part(None, Content::Field(field, vec![filter])));
        }
        self.fields(&mut template, words, purpose, None);
        template
    }

    /// Checks that a packet to be sent has what it must have.
    pub(super) fn check_complete(&mut self, template: &PacketTemplate, span: (usize, usize)) {
        for version in self.scope.versions.clone() {
            let Some(name) = missing_field(template, version) else {
                continue;
            };
            let packet = template.packet.map_or("packet", PacketName::name);
            self.problem(span, format!("{packet} needs `{name}`"), None);
            return;
        }
    }

    /// The `where` child of a fault operation, or everything left.
    pub(super) fn select(
        &mut self,
        packet: Option<PacketName>,
        words: &mut Words<'_>,
    ) -> PacketTemplate {
        let mut template = PacketTemplate {
            packet,
            parts: Vec::new(),
        };
        if let Some(node) = words.child("where") {
            self.select_where(&mut template, node);
        }
        self.fields(&mut template, words, Purpose::Match, None);
        template
    }

    pub(super) fn select_where(&mut self, template: &mut PacketTemplate, node: &KdlNode) {
        let mut words = self.words(node);
        self.fields(template, &mut words, Purpose::Match, None);
        self.finish(words, "`where` takes fields of the packet");
    }
}

/// The first field that a packet must have to be sent, and that a template does not give.
fn missing_field(template: &PacketTemplate, version: Version) -> Option<&'static str> {
    use PacketName::{PubAck, PubComp, PubRec, PubRel, Publish, Subscribe, Unsubscribe, Will};
    let has = |name: &str| template.field(name, version).is_some();
    let has_filter = template
        .parts_in(version)
        .any(|content| matches!(content, Content::Filter(_) | Content::Unsubscribed(_)));
    let qos_is_zero = template.field("qos", version).is_none_or(|qos| {
        matches!(
            qos,
            [Expression {
                literal: Literal::Number(0),
                ..
            }]
        )
    });
    match template.packet {
        Some(Publish | Will) if !has("topic") => Some("topic"),
        Some(Publish) if !qos_is_zero && !has("id") => Some("id"),
        Some(PubAck | PubRec | PubRel | PubComp | Subscribe | Unsubscribe) if !has("id") => {
            Some("id")
        }
        Some(Subscribe | Unsubscribe) if !has_filter => Some("filter"),
        _ => None,
    }
}

fn is_filter(content: &Content) -> bool {
    matches!(content, Content::Field(field, _) if field.name == "filter")
}

fn part(versions: Option<&[Version]>, content: Content) -> Part {
    Part {
        versions: versions.map(<[_]>::to_vec),
        content,
    }
}

fn packet_names() -> String {
    PacketName::PACKETS.map(PacketName::name).join(", ")
}
