//! Steps: what clients do and expect, and the blocks around them.

use kdl::KdlNode;

use super::{Parser, entry_span, name_span, packet::Purpose, words::Words};
use crate::scenario::{
    expression::{Expression, Literal},
    field::{Kind, PacketName, field},
    malformed::Edit,
    model::{
        Action, Carried, Content, Expectation, Expected, PacketTemplate, Part, Sent, Sentinel,
        Step, StepId, StreamEnd, Timing,
    },
};

const VERBS: &str = "expected connect, reconnect, open, ->, <-, stream, subscribe, publish, quiet, alive, closed, ended, aborted, disconnect, drop, finish or reset";
/// The largest application error code of QUIC.
const VARINT: u64 = (1 << 62) - 1;
const TIMING: &str = "expected within=, not-before=, since= or at-most=";

impl Parser<'_> {
    pub(super) fn steps(&mut self, nodes: &[&KdlNode]) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for node in nodes {
            if node.name().value() == "or" {
                let alternative = self.block(node, "or");
                match steps.last_mut().map(|step| &mut step.action) {
                    Some(Action::Either(alternatives)) => alternatives.push(alternative),
                    _ => self.problem(
                        name_span(node),
                        "`or` without `either`",
                        "it follows `either { .. }` directly",
                    ),
                }
                continue;
            }
            let id = StepId(self.scope.next_step);
            self.scope.next_step += 1;
            let name = node.ty().map(|ty| ty.value().to_owned());
            let Some(action) = self.action(node) else {
                continue;
            };
            if let Some(name) = &name {
                self.name_step(name, name_span(node));
            }
            steps.push(Step {
                id,
                name,
                line: self.line(name_span(node).0),
                text: self.step_text(node),
                action,
            });
        }
        for step in &steps {
            self.check_alternatives(step, nodes.first().map_or((0, 0), |node| name_span(node)));
        }
        steps
    }

    fn name_step(&mut self, name: &str, span: (usize, usize)) {
        self.check_name("step", name, span);
        if let Some(other) = self.scope.step_names.insert(name.to_owned(), span) {
            let line = self.line(other.0);
            self.problem(
                span,
                format!("a second step is called `{name}`"),
                format!("the first one is in line {line}"),
            );
        }
    }

    /// The step as written, without its name and its children.
    fn step_text(&self, node: &KdlNode) -> String {
        let (start, length) = name_span(node);
        let end = node
            .entries()
            .iter()
            .map(entry_span)
            .map(|(at, length)| at + length)
            .max();
        let end = end.unwrap_or(0).max(start + length);
        let written = self.source.get(start..end).unwrap_or_default();
        let mut text = written
            .split_whitespace()
            .filter(|word| *word != "\\")
            .collect::<Vec<_>>()
            .join(" ");
        if node.children().is_some() {
            text.push_str(" { .. }");
        }
        text
    }

    fn check_alternatives(&mut self, step: &Step, span: (usize, usize)) {
        match &step.action {
            Action::Either(alternatives) => {
                let starts_well = |steps: &Vec<Step>| {
                    matches!(
                        steps.first().map(|step| &step.action),
                        Some(Action::Expect(_) | Action::Closed { .. })
                    )
                };
                if alternatives.len() < 2 {
                    self.problem(
                        span,
                        format!("`either` in line {} has no `or`", step.line),
                        "expected `either { .. } or { .. }`",
                    );
                }
                if !alternatives.iter().all(starts_well) {
                    let message = format!(
                        "an alternative in line {} does not start with an expectation",
                        step.line
                    );
                    self.problem(
                        span,
                        message,
                        "each starts with `c <- PACKET` or `c closed`",
                    );
                }
            }
            Action::Unordered(steps)
                if steps.is_empty()
                    || !steps
                        .iter()
                        .all(|step| matches!(step.action, Action::Expect(_))) =>
            {
                let message = format!(
                    "`unordered` in line {} holds something else than expectations",
                    step.line
                );
                self.problem(span, message, "expected `c <- PACKET ..` only");
            }
            _ => {}
        }
    }

    fn block(&mut self, node: &KdlNode, word: &str) -> Vec<Step> {
        let mut words = self.words(node);
        let children = words.children();
        if children.is_empty() {
            self.problem(
                words.span,
                format!("`{word}` holds no step"),
                "expected steps in { }",
            );
        }
        self.finish(words, "expected steps in { }");
        self.steps(&children)
    }

    fn action(&mut self, node: &KdlNode) -> Option<Action> {
        match node.name().value() {
            "wait" => {
                let mut words = self.words(node);
                let Some(entry) = words.argument() else {
                    self.problem(
                        words.span,
                        "`wait` without a time",
                        "expected `wait \"1.5s\"`",
                    );
                    return None;
                };
                let time = self.time(entry);
                self.finish(words, "expected `wait \"1.5s\"`");
                Some(Action::Wait(time))
            }
            "either" => Some(Action::Either(vec![self.block(node, "either")])),
            "unordered" => Some(Action::Unordered(self.block(node, "unordered"))),
            "optional" => self.tolerance(node).map(Action::Optional),
            "ignore" => self.tolerance(node).map(Action::Ignore),
            "repeat" => self.repeat(node),
            "only" => {
                let mut words = self.words(node);
                let versions = self.only(&mut words);
                let children = words.children();
                self.finish(words, "expected `only \"5.0\" { .. }`");
                let outer = std::mem::replace(&mut self.scope.versions, versions.clone());
                let steps = self.steps(&children);
                self.scope.versions = outer;
                Some(Action::Only(versions, steps))
            }
            "fault" | "why" | "mqtt" | "proves" | "level" | "needs" | "cases" => {
                self.problem(
                    name_span(node),
                    format!("`{}` cannot stand here", node.name().value()),
                    "it belongs directly into the scenario",
                );
                None
            }
            _ => self.client_action(node),
        }
    }

    /// The one expectation inside `optional` and `ignore`.
    fn tolerance(&mut self, node: &KdlNode) -> Option<Expectation> {
        let word = node.name().value();
        let mut steps = self.block(node, word);
        match (steps.pop().map(|step| step.action), steps.is_empty()) {
            (Some(Action::Expect(expectation)), true) => Some(expectation),
            _ => {
                self.problem(
                    name_span(node),
                    format!("`{word}` holds exactly one expectation"),
                    "expected `c <- PACKET ..`",
                );
                None
            }
        }
    }

    fn repeat(&mut self, node: &KdlNode) -> Option<Action> {
        let mut words = self.words(node);
        let Some(entry) = words.argument() else {
            self.problem(
                words.span,
                "`repeat` without a number",
                "expected `repeat 10 as=i { .. }`",
            );
            return None;
        };
        let count = self.number(entry);
        let from = match words.property("from") {
            Some(entry) => self.number(entry),
            None => Expression::plain(Literal::Number(1)),
        };
        let variable = words.property("as").and_then(|entry| self.text(entry));
        self.scope.variables.extend(variable.clone());
        let children = words.children();
        self.finish(words, "expected `repeat 10 as=i from=1 { .. }`");
        let steps = self.steps(&children);
        Some(Action::Repeat {
            count,
            from,
            variable,
            steps,
        })
    }

    fn client_action(&mut self, node: &KdlNode) -> Option<Action> {
        let mut words = self.words(node);
        let client = node.name().value().to_owned();
        let good = client.len() <= 10
            && client.starts_with(|c: char| c.is_ascii_lowercase())
            && client
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !good {
            let message =
                format!("`{client}` is neither a word of the language nor a name for a client");
            self.problem(
                words.span,
                message,
                "clients have lower-case letters and digits, at most 10",
            );
        }
        let verb = words
            .argument()
            .and_then(|entry| entry.value().as_string())
            .unwrap_or_default()
            .to_owned();
        if verb != "stream" {
            self.scope.clients.insert(client.clone());
        }
        let (action, expected) = match verb.as_str() {
            "connect" => (
                self.connect(client, &mut words, false),
                "see connect in docs/scenarios.md",
            ),
            "reconnect" => (
                self.connect(client, &mut words, true),
                "see connect in docs/scenarios.md",
            ),
            "open" => (Some(Action::Open { client }), "`open` takes nothing more"),
            "stream" => (self.stream(client, &mut words), "expected `s stream of=c`"),
            "->" => (
                self.send(client, &mut words),
                "see packets in docs/scenarios.md",
            ),
            "<-" => (self.expect(client, &mut words).map(Action::Expect), TIMING),
            "subscribe" => (
                self.subscribe(client, &mut words),
                "expected filters and options",
            ),
            "publish" => (
                self.publish(client, &mut words),
                "expected a topic and fields of PUBLISH",
            ),
            "quiet" => (
                self.quiet(client, &mut words),
                "expected by=, topic= and qos=, or nothing",
            ),
            "alive" => (Some(Action::Alive { client }), "`alive` takes nothing more"),
            ending => match self.ending(ending, client.clone(), &mut words) {
                Some((action, expected)) => (Some(action), expected),
                None => {
                    self.problem(words.span, format!("unknown step `{client} {verb}`"), VERBS);
                    return None;
                }
            },
        };
        if action.is_some() {
            self.finish(words, expected);
        }
        action
    }

    /// How something ends, and what else the step could say; `None` if `verb` is no such word.
    fn ending(
        &mut self,
        verb: &str,
        client: String,
        words: &mut Words<'_>,
    ) -> Option<(Action, &'static str)> {
        Some(match verb {
            "closed" => (
                self.closed(client, words),
                "expected silently, code=, within=, not-before= or since=",
            ),
            "ended" => {
                let (end, timing) = (StreamEnd::Finished, self.timing(words));
                let action = Action::Ended {
                    client,
                    end,
                    timing,
                };
                (action, "expected within=, not-before= or since=")
            }
            "aborted" => {
                let code = words.property("code");
                let code = code.map(|entry| self.pattern(entry, Kind::Number(VARINT)));
                let (end, timing) = (StreamEnd::Aborted(code), self.timing(words));
                let action = Action::Ended {
                    client,
                    end,
                    timing,
                };
                (action, "expected code=, within=, not-before= or since=")
            }
            "disconnect" => {
                let disconnect = self.template(PacketName::Disconnect, words, Purpose::Send);
                let action = Action::Disconnect { client, disconnect };
                (action, "expected fields of DISCONNECT")
            }
            "drop" => (Action::Drop { client }, "`drop` takes nothing more"),
            "finish" => (Action::Finish { client }, "`finish` takes nothing more"),
            "reset" => {
                let code = words.property("code").map(|entry| self.number(entry));
                let code = code.unwrap_or(Expression::plain(Literal::Number(0)));
                (Action::Reset { client, code }, "expected code=")
            }
            _ => return None,
        })
    }

    fn stream(&mut self, client: String, words: &mut Words<'_>) -> Option<Action> {
        let of = words.property("of").and_then(|entry| self.text(entry));
        let known = of.filter(|of| self.scope.clients.contains(of) && *of != client);
        if known.is_none() {
            let found = "a stream of no connection";
            self.problem(
                words.span,
                found,
                "expected `s stream of=c`, where c came before",
            );
        }
        self.scope.clients.insert(client.clone());
        known.map(|of| Action::Stream { client, of })
    }

    fn connect(&mut self, client: String, words: &mut Words<'_>, again: bool) -> Option<Action> {
        let mut expect = PacketTemplate::bare(PacketName::ConnAck);
        for name in ["code", "session-present"] {
            let Some(entry) = words.property(name) else {
                continue;
            };
            let kind = if name == "code" {
                Kind::Number(0xff)
            } else {
                Kind::Flag
            };
            let expression = self.pattern(entry, kind);
            if let Some(field) = field(name) {
                let content = Content::Field(field, vec![expression]);
                expect.parts.push(Part {
                    versions: None,
                    content,
                });
            }
        }
        if let Some(node) = words.child("expect") {
            let mut inner = self.words(node);
            self.fields(&mut expect, &mut inner, Purpose::Match, None);
            self.finish(inner, "expected fields of CONNACK");
        }
        let connect = self.template(PacketName::Connect, words, Purpose::Send);
        self.check_wills(&connect, words.span);
        Some(Action::Connect {
            client,
            connect,
            expect,
            again,
        })
    }

    fn check_wills(&mut self, connect: &PacketTemplate, span: (usize, usize)) {
        for part in &connect.parts {
            if let Content::Will(will) = &part.content {
                self.check_complete(will, span);
            }
        }
    }

    fn send(&mut self, client: String, words: &mut Words<'_>) -> Option<Action> {
        let first = words.property("first").map(|entry| self.number(entry));
        if words.word("rest") {
            return Some(Action::Rest { client, first });
        }
        let chunks = words.property("chunks").map(|entry| self.number(entry));
        let carried = self.carried(words);
        if carried == Carried::Text && (first.is_some() || chunks.is_some()) {
            let found = "a text message in parts";
            self.problem(words.span, found, "expected no first= and no chunks=");
        }
        let what = if words.word("raw") {
            Sent::Raw(self.parts(words))
        } else if words.word("framed") {
            let Some(entry) = words.argument() else {
                self.problem(
                    words.span,
                    "`framed` without a first byte",
                    "expected `framed 0x30 PARTS`",
                );
                return None;
            };
            let first_byte = self.number(entry);
            Sent::Framed(first_byte, self.optional_parts(words))
        } else {
            let edit = words.child("edit").map(|node| self.edit_block(node));
            let packet = self.packet_name(words)?;
            let template = self.template(packet, words, Purpose::Send);
            self.check_complete(&template, words.span);
            self.check_wills(&template, words.span);
            Sent::Packet(template, edit)
        };
        Some(Action::Send {
            client,
            what,
            first,
            chunks,
            carried,
        })
    }

    fn carried(&mut self, words: &mut Words<'_>) -> Carried {
        match words.property("frame") {
            None => Carried::Plain,
            Some(entry) => {
                if self.text(entry).as_deref() != Some("text") {
                    let found = "an unknown kind of frame";
                    self.problem(entry_span(entry), found, "expected frame=text");
                }
                Carried::Text
            }
        }
    }

    fn edit_block(&mut self, node: &KdlNode) -> Edit {
        let mut words = self.words(node);
        let operations = words.children();
        if operations.is_empty() {
            self.problem(
                words.span,
                "`edit` changes nothing",
                "expected operations in { }",
            );
        }
        self.finish(words, "expected operations in { }");
        self.edit(&operations)
    }

    fn timing(&mut self, words: &mut Words<'_>) -> Timing {
        let within = words.property("within").map(|entry| self.time(entry));
        let not_before = words.property("not-before").map(|entry| self.time(entry));
        let since = words.property("since").and_then(|entry| {
            let name = self.text(entry)?;
            if !self.scope.step_names.contains_key(&name) {
                let help = self.step_names();
                self.problem(
                    entry_span(entry),
                    format!("no step before this one is called `{name}`"),
                    help,
                );
            }
            Some(name)
        });
        Timing {
            within,
            not_before,
            since,
        }
    }

    fn expect(&mut self, client: String, words: &mut Words<'_>) -> Option<Expectation> {
        let timing = self.timing(words);
        let at_most = words.property("at-most").map(|entry| self.number(entry));
        let what = if words.word("raw") {
            Expected::Raw(self.parts(words))
        } else {
            let packet = self.packet_name(words)?;
            Expected::Packet(self.template(packet, words, Purpose::Match))
        };
        Some(Expectation {
            client,
            what,
            at_most,
            timing,
        })
    }

    fn subscribe(&mut self, client: String, words: &mut Words<'_>) -> Option<Action> {
        let filters = words.arguments();
        if filters.is_empty() {
            self.problem(
                words.span,
                "`subscribe` without a filter",
                "expected `c subscribe \"a/b\" qos=1`",
            );
            return None;
        }
        let expressions: Vec<Expression> = filters
            .iter()
            .map(|entry| self.value(entry, Kind::Text))
            .collect();
        let mut subscribe = PacketTemplate::bare(PacketName::Subscribe);
        for name in ["user-property", "subscription-identifier"] {
            while let Some(node) = words.child(name) {
                self.field_child(&mut subscribe, node);
            }
        }
        if let Some(entry) = words.property("subscription-identifier") {
            let expression = self.value(entry, Kind::Number(268_435_455));
            if let Some(field) = field("subscription-identifier") {
                subscribe.parts.push(Part {
                    versions: None,
                    content: Content::Field(field, vec![expression]),
                });
            }
        }
        let options = self.template(PacketName::SubscribeFilter, words, Purpose::Send);
        for filter in expressions {
            let mut template = options.clone();
            if let Some(field) = field("filter") {
                template.parts.insert(
                    0,
                    Part {
                        versions: None,
                        content: Content::Field(field, vec![filter]),
                    },
                );
            }
            subscribe.parts.push(Part {
                versions: None,
                content: Content::Filter(template),
            });
        }
        Some(Action::Subscribe { client, subscribe })
    }

    fn field_child(&mut self, template: &mut PacketTemplate, node: &KdlNode) {
        let mut words = self.words(node);
        let arguments = words.arguments();
        let expressions = arguments
            .iter()
            .map(|entry| self.value(entry, Kind::Text))
            .collect();
        if let Some(field) = field(node.name().value()) {
            template.parts.push(Part {
                versions: None,
                content: Content::Field(field, expressions),
            });
        }
        self.finish(words, "expected values");
    }

    fn publish(&mut self, client: String, words: &mut Words<'_>) -> Option<Action> {
        let Some(entry) = words.argument() else {
            self.problem(
                words.span,
                "`publish` without a topic",
                "expected `c publish \"a/b\" payload=\"x\" qos=1`",
            );
            return None;
        };
        let topic = self.value(entry, Kind::Text);
        let mut publish = self.template(PacketName::Publish, words, Purpose::Send);
        if let Some(field) = field("topic") {
            publish.parts.insert(
                0,
                Part {
                    versions: None,
                    content: Content::Field(field, vec![topic]),
                },
            );
        }
        Some(Action::Publish { client, publish })
    }

    fn quiet(&mut self, client: String, words: &mut Words<'_>) -> Option<Action> {
        let Some(entry) = words.property("by") else {
            return Some(Action::Quiet {
                client,
                sentinel: None,
            });
        };
        let by = self.text(entry)?;
        if !self.scope.clients.contains(&by) {
            self.problem(
                entry_span(entry),
                format!("no client is called `{by}` so far"),
                None,
            );
        }
        let Some(topic) = words.property("topic") else {
            self.problem(
                words.span,
                "`topic=` is missing",
                "the sentinel needs a topic that the client is subscribed to",
            );
            return None;
        };
        let topic = self.value(topic, Kind::Text);
        let qos = match words.property("qos") {
            Some(entry) => self.value(entry, Kind::Number(2)),
            None => Expression::plain(Literal::Number(0)),
        };
        Some(Action::Quiet {
            client,
            sentinel: Some(Sentinel { by, topic, qos }),
        })
    }

    fn closed(&mut self, client: String, words: &mut Words<'_>) -> Action {
        let silently = words.word("silently");
        let code = words
            .property("code")
            .map(|entry| self.pattern(entry, Kind::Number(0xff)));
        let timing = self.timing(words);
        Action::Closed {
            client,
            code,
            silently,
            timing,
        }
    }
}
