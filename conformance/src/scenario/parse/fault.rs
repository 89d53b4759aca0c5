//! Faults and their operations.

use kdl::KdlNode;

use super::{Parser, entry_span, name_span, packet::Purpose, words::Words};
use crate::{
    scenario::{
        fault::{Effect, Fault, FaultOperation, Inserted, Place},
        field::PacketName,
        model::{Case, PacketTemplate},
    },
    verdict::Direction,
};

const OPERATIONS: &str = "operations: drop, set, edit, duplicate, delay, replace, insert, close, hold-close, refuse-handshake";

impl Parser<'_> {
    pub(super) fn faults(&mut self, nodes: &[&KdlNode], cases: &[Case]) -> Vec<Fault> {
        nodes
            .iter()
            .filter_map(|node| self.fault(node, cases))
            .collect()
    }

    fn fault(&mut self, node: &KdlNode, all_cases: &[Case]) -> Option<Fault> {
        let mut words = self.words(node);
        let Some(name) = words.argument().and_then(|entry| self.text(entry)) else {
            self.problem(
                words.span,
                "a fault without a name",
                "expected `fault NAME violates=\"ID\" caught-at=STEP { .. }`",
            );
            return None;
        };
        self.check_name("fault", &name, words.span);
        let violates = self.violates(&mut words);
        let caught_at = self.caught_at(&mut words);
        let versions = words.property("mqtt").map(|entry| {
            let texts = self.text(entry).unwrap_or_default();
            let versions: Vec<_> = texts
                .split_whitespace()
                .filter_map(|text| self.version(text, entry_span(entry)))
                .collect();
            versions
        });
        let cases = words.property("case").map(|entry| {
            let names: Vec<String> = self
                .text(entry)
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            for name in &names {
                if !all_cases.iter().any(|case| case.name == *name) {
                    self.problem(
                        entry_span(entry),
                        format!("no case is called `{name}`"),
                        None,
                    );
                }
            }
            names
        });
        let outer = self.scope.versions.clone();
        if let Some(versions) = &versions {
            for version in versions {
                if !outer.contains(version) {
                    self.problem(
                        words.span,
                        format!("the scenario is not played in MQTT {version}"),
                        None,
                    );
                }
            }
            self.scope.versions.clone_from(versions);
        }
        let operation_nodes = words.children();
        self.finish(
            words,
            "expected violates=, caught-at=, mqtt=, case= and operations",
        );
        let operations: Vec<FaultOperation> = operation_nodes
            .iter()
            .filter_map(|node| self.fault_operation(node))
            .collect();
        if operation_nodes.is_empty() {
            self.problem(
                name_span(node),
                format!("the fault `{name}` does nothing"),
                OPERATIONS,
            );
        }
        self.scope.versions = outer;
        let line = self.line(name_span(node).0);
        Some(Fault {
            name,
            line,
            violates,
            caught_at,
            versions,
            cases,
            operations,
        })
    }

    fn violates(&mut self, words: &mut Words<'_>) -> Vec<String> {
        let Some(entry) = words.property("violates") else {
            self.problem(
                words.span,
                "the fault violates nothing",
                "expected violates=\"ID\"",
            );
            return Vec::new();
        };
        let ids = self.statement_ids(entry);
        for id in &ids {
            if !self.scope.proves.contains(id) {
                let message = format!("the scenario does not prove {id}");
                self.problem(
                    entry_span(entry),
                    message,
                    "`violates` names ids out of `proves`",
                );
            }
        }
        ids
    }

    fn caught_at(&mut self, words: &mut Words<'_>) -> String {
        let Some(entry) = words.property("caught-at") else {
            self.problem(
                words.span,
                "the fault does not say where it is caught",
                "expected caught-at=STEP",
            );
            return String::new();
        };
        let name = self.text(entry).unwrap_or_default();
        if !self.scope.step_names.contains_key(&name) {
            let help = self.step_names();
            self.problem(
                entry_span(entry),
                format!("no step is called `{name}`"),
                help,
            );
        }
        name
    }

    fn fault_operation(&mut self, node: &KdlNode) -> Option<FaultOperation> {
        let mut words = self.words(node);
        let direction = if words.word("->") {
            Direction::Sent
        } else {
            words.word("<-");
            Direction::Received
        };
        let client = words.property("client").and_then(|entry| {
            let client = self.text(entry)?;
            if !self.scope.clients.contains(&client) {
                self.problem(
                    entry_span(entry),
                    format!("no client is called `{client}`"),
                    None,
                );
            }
            Some(client)
        });
        let nth = words.property("nth").map(|entry| self.number(entry));
        let effect = self.effect(node.name().value(), &mut words)?;
        self.finish(words, OPERATIONS);
        Some(FaultOperation {
            direction,
            client,
            nth,
            effect,
        })
    }

    fn effect(&mut self, name: &str, words: &mut Words<'_>) -> Option<Effect> {
        Some(match name {
            "drop" => Effect::Drop(self.chosen(words)?),
            "duplicate" => Effect::Duplicate(self.chosen(words)?),
            "delay" => {
                let by = words.property("by").map(|entry| self.time(entry));
                Effect::Delay(self.chosen(words)?, by)
            }
            "set" => {
                let packet = self.packet_name(words)?;
                let mut which = PacketTemplate::bare(packet);
                if let Some(node) = words.child("where") {
                    self.select_where(&mut which, node);
                }
                let change = self.template(packet, words, Purpose::Change);
                if change.parts.is_empty() {
                    self.problem(
                        words.span,
                        "`set` changes nothing",
                        "expected fields with new values",
                    );
                }
                Effect::Set(which, change)
            }
            "edit" => {
                let packet = self.any_packet(words)?;
                let mut which = PacketTemplate {
                    packet,
                    parts: Vec::new(),
                };
                if let Some(node) = words.child("where") {
                    self.select_where(&mut which, node);
                }
                let operations = words.children();
                let edit = self.edit(&operations);
                if operations.is_empty() {
                    self.problem(
                        words.span,
                        "`edit` changes nothing",
                        "expected operations in { }",
                    );
                }
                Effect::Edit(which, edit)
            }
            "replace" => {
                let with = words.child("with");
                let which = self.chosen(words)?;
                let Some(node) = with else {
                    self.problem(
                        words.span,
                        "`replace` without `with`",
                        "expected `{ with PACKET .. }`",
                    );
                    return None;
                };
                let mut inner = self.words(node);
                let inserted = self.inserted(&mut inner)?;
                self.finish(inner, "expected a packet or raw PARTS");
                Effect::Replace(which, inserted)
            }
            "insert" => {
                let place = self.place(words)?;
                Effect::Insert(self.inserted(words)?, place)
            }
            "close" => Effect::Close(self.place(words)?),
            "hold-close" => Effect::HoldClose,
            "refuse-handshake" => Effect::RefuseHandshake,
            other => {
                self.problem(
                    words.span,
                    format!("unknown fault operation `{other}`"),
                    OPERATIONS,
                );
                return None;
            }
        })
    }

    /// A packet, or `any` (the inner `None`).
    #[expect(
        clippy::option_option,
        reason = "a packet, any packet, or a problem that was reported"
    )]
    fn any_packet(&mut self, words: &mut Words<'_>) -> Option<Option<PacketName>> {
        if words.word("any") {
            return Some(None);
        }
        self.packet_name(words).map(Some)
    }

    fn chosen(&mut self, words: &mut Words<'_>) -> Option<PacketTemplate> {
        let packet = self.any_packet(words)?;
        Some(self.select(packet, words))
    }

    fn inserted(&mut self, words: &mut Words<'_>) -> Option<Inserted> {
        if words.word("raw") {
            return Some(Inserted::Raw(self.parts(words)));
        }
        let packet = self.packet_name(words)?;
        let template = self.template(packet, words, Purpose::Send);
        self.check_complete(&template, words.span);
        Some(Inserted::Packet(template))
    }

    fn place(&mut self, words: &mut Words<'_>) -> Option<Place> {
        let (node, before) = match (words.child("before"), words.child("after")) {
            (Some(node), None) => (node, true),
            (None, Some(node)) => (node, false),
            _ => {
                self.problem(
                    words.span,
                    "the place is missing",
                    "expected `{ before PACKET .. }`, `{ after PACKET .. }` or `{ before close }`",
                );
                return None;
            }
        };
        let mut inner = self.words(node);
        if before && inner.word("close") {
            self.finish(inner, "`before close` takes nothing more");
            return Some(Place::BeforeClose);
        }
        let chosen = self.chosen(&mut inner)?;
        self.finish(inner, "expected fields of the packet");
        Some(if before {
            Place::Before(chosen)
        } else {
            Place::After(chosen)
        })
    }
}
