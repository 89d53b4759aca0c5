//! The head of a scenario: why, mqtt, proves, level, needs, cases; and what holds for the whole.

use std::collections::BTreeSet;

use kdl::{KdlEntry, KdlNode};
use quince_codec::Version;

use super::{
    Parser, Scope, entry_span,
    words::{Words, key},
};
use crate::{
    scenario::{
        expression::{Variables, parse_number},
        fault::Fault,
        model::{Amount, Case, Needs, Scenario},
        statements::version_of,
    },
    setup::Setup,
    verdict::Level,
};

/// What the head says.
#[derive(Default)]
struct Head {
    why: Option<String>,
    versions: Option<Vec<Version>>,
    proves: Vec<String>,
    level: Option<Level>,
    needs: Needs,
    setups: Vec<Setup>,
    cases: Option<Vec<Case>>,
}

const HEAD_WORDS: [&str; 7] = ["why", "mqtt", "proves", "level", "needs", "setup", "cases"];

impl Parser<'_> {
    pub(super) fn scenario(&mut self, node: &KdlNode) -> Option<Scenario> {
        self.scope = Scope::default();
        self.scope.variables = ["t", "c"].map(str::to_owned).into();
        let mut words = self.words(node);
        let span = words.span;
        let Some(slug) = words.argument().and_then(|entry| self.text(entry)) else {
            self.problem(
                span,
                "a scenario without a name",
                "expected `scenario NAME { .. }`",
            );
            return None;
        };
        self.check_name("scenario", &slug, span);
        let children = words.children();
        self.finish(words, "expected `scenario NAME { .. }`");

        let (head_nodes, rest): (Vec<&KdlNode>, Vec<&KdlNode>) = children
            .into_iter()
            .partition(|node| HEAD_WORDS.contains(&node.name().value()));
        let (fault_nodes, step_nodes): (Vec<&KdlNode>, Vec<&KdlNode>) = rest
            .into_iter()
            .partition(|node| node.name().value() == "fault");

        let head = self.head(&head_nodes, span);
        let versions = head.versions.unwrap_or_default();
        let cases = head.cases.unwrap_or_else(|| {
            vec![Case {
                name: String::new(),
                variables: Vec::new(),
                versions: versions.clone(),
                proves: Vec::new(),
            }]
        });
        self.scope.versions.clone_from(&versions);
        self.scope.proves = head
            .proves
            .iter()
            .chain(cases.iter().flat_map(|case| &case.proves))
            .cloned()
            .collect();
        self.check_statements(&cases, &head.proves, span);

        let steps = self.steps(&step_nodes);
        let faults = self.faults(&fault_nodes, &cases);
        self.check_faults(&versions, &faults, span);
        Some(Scenario {
            slug,
            file: self.file.to_owned(),
            line: self.line(span.0),
            why: head.why.unwrap_or_default(),
            versions,
            proves: head.proves,
            level: head.level,
            needs: head.needs,
            setups: head.setups,
            cases,
            steps,
            faults,
        })
    }

    fn head(&mut self, nodes: &[&KdlNode], span: (usize, usize)) -> Head {
        let mut head = Head::default();
        for node in nodes {
            let mut words = self.words(node);
            match node.name().value() {
                "why" => {
                    let text = words.argument().and_then(|entry| self.text(entry));
                    if head.why.is_some() || text.is_none() {
                        self.problem(
                            words.span,
                            "expected one `why \"..\"`",
                            "one sentence: what must hold",
                        );
                    }
                    head.why = text;
                }
                "mqtt" => {
                    let versions = self.versions(&words.arguments());
                    if head.versions.is_some() || versions.is_empty() {
                        self.problem(
                            words.span,
                            "expected one `mqtt`",
                            "such as `mqtt \"3.1.1\" \"5.0\"`",
                        );
                    }
                    head.versions = Some(versions);
                }
                "proves" => {
                    for entry in words.arguments() {
                        head.proves.extend(self.statement_ids(entry));
                    }
                }
                "level" => head.level = self.level(&mut words),
                "needs" => self.needs(&mut words, &mut head.needs),
                "setup" => self.setups(&mut words, &mut head.setups),
                _ => {
                    if head.cases.is_some() {
                        self.problem(words.span, "a second `cases`", "one table holds them all");
                    }
                    head.cases =
                        Some(self.cases(&mut words, &head.versions.clone().unwrap_or_default()));
                }
            }
            self.finish(words, "see the head of a scenario in docs/scenarios.md");
        }
        if head.why.is_none() {
            self.problem(
                span,
                "the scenario does not say why",
                "expected `why \"..\"`",
            );
        }
        if head.versions.is_none() {
            self.problem(
                span,
                "the scenario names no version",
                "expected `mqtt \"3.1.1\" \"5.0\"` before `cases`",
            );
        }
        head
    }

    fn versions(&mut self, entries: &[&KdlEntry]) -> Vec<Version> {
        let mut versions = Vec::new();
        for entry in entries {
            for text in self.text(entry).unwrap_or_default().split_whitespace() {
                if let Some(version) = self.version(text, entry_span(entry))
                    && !versions.contains(&version)
                {
                    versions.push(version);
                }
            }
        }
        versions
    }

    /// Ids with blanks between them, each of which must be in the catalogue.
    pub(super) fn statement_ids(&mut self, entry: &KdlEntry) -> Vec<String> {
        let ids: Vec<String> = self
            .text(entry)
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        for id in &ids {
            if self.statements.known(id).is_none() {
                let message = format!("unknown statement {id}");
                self.problem(
                    entry_span(entry),
                    message,
                    "expected an id of the catalogue, such as MQTT5-4.3.2-4, MQTT3-4.3.2-2, X5-1",
                );
            }
        }
        ids
    }

    fn level(&mut self, words: &mut Words<'_>) -> Option<Level> {
        let span = words.span;
        let level = words
            .argument()
            .and_then(|entry| self.text(entry))
            .and_then(|word| word.parse().ok());
        if level.is_none() {
            self.problem(span, "unknown level", "expected MUST, FACT, SHOULD or MAY");
        }
        level
    }

    fn needs(&mut self, words: &mut Words<'_>, needs: &mut Needs) {
        const EXPECTED: &str = "expected retain, wildcard-subscriptions, subscription-identifiers, shared-subscriptions, own-keep-alive, own-session-expiry, quic, tcp, websocket, maximum-qos=, topic-alias-maximum=, receive-maximum=, maximum-packet-size=";
        for entry in words.arguments() {
            let flag = match entry.value().as_string().unwrap_or_default() {
                "retain" => &mut needs.retain,
                "wildcard-subscriptions" => &mut needs.wildcard_subscriptions,
                "subscription-identifiers" => &mut needs.subscription_identifiers,
                "shared-subscriptions" => &mut needs.shared_subscriptions,
                "own-keep-alive" => &mut needs.own_keep_alive,
                "own-session-expiry" => &mut needs.own_session_expiry,
                "quic" => &mut needs.quic,
                "tcp" => &mut needs.tcp,
                "websocket" => &mut needs.websocket,
                other => {
                    let message = format!("unknown capability `{other}`");
                    self.problem(entry_span(entry), message, EXPECTED);
                    continue;
                }
            };
            *flag = true;
        }
        for entry in words.properties() {
            let amount = self.amount(entry);
            match key(entry) {
                "maximum-qos" => needs.maximum_qos = amount,
                "topic-alias-maximum" => needs.topic_alias_maximum = amount,
                "receive-maximum" => needs.receive_maximum = amount,
                "maximum-packet-size" => needs.maximum_packet_size = amount,
                other => {
                    let message = format!("unknown capability `{other}=`");
                    self.problem(entry_span(entry), message, EXPECTED);
                }
            }
        }
    }

    /// A lower bound, or a range with both ends.
    fn amount(&mut self, entry: &KdlEntry) -> Amount {
        let Some((least, most)) = entry.value().as_string().and_then(|it| it.split_once(".."))
        else {
            let least = self.number(entry).number(&Variables::new());
            return Amount::at_least(least.unwrap_or_default());
        };
        match (parse_number(least), parse_number(most)) {
            (Some(least), Some(most)) if least <= most => Amount { least, most },
            _ => {
                self.problem(
                    entry_span(entry),
                    "no range of numbers",
                    "expected a lower bound such as 1, or both ends: \"1..10\"",
                );
                Amount::default()
            }
        }
    }

    /// What the target must be set to; the values are variables from here on.
    fn setups(&mut self, words: &mut Words<'_>, setups: &mut Vec<Setup>) {
        let before = setups.len();
        for entry in words.arguments() {
            let word = entry.value().as_string().unwrap_or_default();
            let Some(setup) = Setup::parse(word) else {
                let known: Vec<&str> = Setup::ALL.into_iter().map(Setup::word).collect();
                self.problem(
                    entry_span(entry),
                    format!("unknown setup `{word}`"),
                    format!("expected {}", known.join(", ")),
                );
                continue;
            };
            let variables = setup.variables().iter().map(|name| (*name).to_owned());
            self.scope.variables.extend(variables);
            setups.push(setup);
        }
        if setups.len() == before {
            self.problem(
                words.span,
                "`setup` names nothing",
                "expected `setup denied-topic`",
            );
        }
    }

    fn cases(&mut self, words: &mut Words<'_>, versions: &[Version]) -> Vec<Case> {
        let mut cases: Vec<Case> = Vec::new();
        for node in words.children() {
            let mut row = self.words(node);
            if node.name().value() == "each" {
                cases.extend(self.each(&mut row, versions));
            } else {
                let name = node.name().value().to_owned();
                self.check_name("case", &name, row.span);
                cases.push(self.case(name, &mut row, versions));
            }
            self.finish(
                row,
                "a row is `NAME variable=value ..` or `each variable value value ..`",
            );
        }
        let mut names = BTreeSet::new();
        for case in &cases {
            if !names.insert(case.name.clone()) {
                let message = format!("two cases are called `{}`", case.name);
                self.problem(words.span, message, "names are unique");
            }
        }
        if cases.is_empty() {
            self.problem(
                words.span,
                "`cases` holds no case",
                "a row is `NAME variable=value ..`",
            );
        }
        // A variable is usable if every row has it.
        let mut rows = cases.iter().map(|case| {
            case.variables
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<BTreeSet<String>>()
        });
        let mut common = rows.next().unwrap_or_default();
        for row in rows {
            common = common.intersection(&row).cloned().collect();
        }
        self.scope.variables.extend(common);
        cases
    }

    fn case(&mut self, name: String, row: &mut Words<'_>, versions: &[Version]) -> Case {
        let proves = row
            .property("proves")
            .map(|entry| self.statement_ids(entry))
            .unwrap_or_default();
        let versions = match row.property("mqtt") {
            Some(entry) => self.versions(&[entry]),
            None => versions.to_vec(),
        };
        let mut variables = Vec::new();
        for entry in row.properties() {
            let expression = self.expression(entry);
            if expression.variables().is_empty()
                && let Err(message) = expression.free_value(&Variables::new())
            {
                self.problem(expression.span, message, None);
            }
            variables.push((key(entry).to_owned(), expression));
        }
        Case {
            name,
            variables,
            versions,
            proves,
        }
    }

    fn each(&mut self, row: &mut Words<'_>, versions: &[Version]) -> Vec<Case> {
        let Some(variable) = row.argument().and_then(|entry| self.text(entry)) else {
            self.problem(
                row.span,
                "`each` without a variable",
                "expected `each f 1 2 3`",
            );
            return Vec::new();
        };
        let mut cases = Vec::new();
        for entry in row.arguments() {
            let expression = self.expression(entry);
            let value = expression
                .free_value(&Variables::new())
                .map(|value| value.to_text())
                .unwrap_or_default();
            let name = format!("{variable}-{value}");
            self.check_name("case", &name, entry_span(entry));
            let variables = vec![(variable.clone(), expression)];
            cases.push(Case {
                name,
                variables,
                versions: versions.to_vec(),
                proves: Vec::new(),
            });
        }
        cases
    }

    fn check_statements(&mut self, cases: &[Case], proves: &[String], span: (usize, usize)) {
        for case in cases {
            for version in &case.versions {
                let ids = proves.iter().chain(&case.proves);
                if !ids.clone().any(|id| version_of(id) == Some(*version)) {
                    let what = if case.name.is_empty() {
                        String::new()
                    } else {
                        format!(" in case `{}`", case.name)
                    };
                    let message = format!("no statement of MQTT {version} is proved{what}");
                    self.problem(
                        span,
                        message,
                        "add one to `proves`, or take the version out of `mqtt`",
                    );
                    return;
                }
            }
        }
    }

    fn check_faults(&mut self, versions: &[Version], faults: &[Fault], span: (usize, usize)) {
        let mut names = BTreeSet::new();
        for fault in faults {
            if !names.insert(fault.name.clone()) {
                self.problem(
                    span,
                    format!("two faults are called `{}`", fault.name),
                    "names are unique",
                );
            }
        }
        if faults.is_empty() {
            self.problem(span, "the scenario has no fault", "a check that was never seen red is no check: add `fault NAME violates=\"ID\" caught-at=STEP { .. }`");
            return;
        }
        for version in versions {
            let played = |fault: &Fault| {
                fault
                    .versions
                    .as_ref()
                    .is_none_or(|of| of.contains(version))
            };
            if !faults.iter().any(played) {
                self.problem(
                    span,
                    format!("no fault is played in MQTT {version}"),
                    "each version needs one",
                );
            }
        }
    }

    /// The names of the steps, for messages.
    pub(super) fn step_names(&self) -> String {
        let names: Vec<&str> = self.scope.step_names.keys().map(String::as_str).collect();
        if names.is_empty() {
            "no step has a name; write (name)client ..".to_owned()
        } else {
            format!("named steps: {}", names.join(", "))
        }
    }

    /// Opens a block for some versions, given as arguments.
    pub(super) fn only(&mut self, words: &mut Words<'_>) -> Vec<Version> {
        let versions = self.versions(&words.arguments());
        if versions.is_empty() {
            self.problem(
                words.span,
                "`only` names no version",
                "expected `only \"5.0\" { .. }`",
            );
        }
        for version in &versions {
            if !self.scope.versions.contains(version) {
                let message = format!("MQTT {version} is not played here");
                self.problem(
                    words.span,
                    message,
                    "the scenario's `mqtt`, or an `only` around this one, excludes it",
                );
            }
        }
        versions
    }
}
