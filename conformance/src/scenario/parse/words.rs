//! The words of one node, taken one after the other; what nobody takes is a problem.

use std::collections::{BTreeSet, VecDeque};

use kdl::{KdlEntry, KdlNode};

use super::{Parser, entry_span, name_span};

/// Arguments, properties and children of a node that nobody has taken yet.
pub(super) struct Words<'n> {
    pub(super) span: (usize, usize),
    arguments: VecDeque<&'n KdlEntry>,
    properties: VecDeque<&'n KdlEntry>,
    children: VecDeque<&'n KdlNode>,
}

impl<'n> Words<'n> {
    /// The next argument.
    pub(super) fn argument(&mut self) -> Option<&'n KdlEntry> {
        self.arguments.pop_front()
    }

    /// The next argument, if it is this word.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self
            .arguments
            .front()
            .is_some_and(|entry| entry.value().as_string() == Some(word));
        if found {
            self.arguments.pop_front();
        }
        found
    }

    /// All arguments left.
    pub(super) fn arguments(&mut self) -> Vec<&'n KdlEntry> {
        self.arguments.drain(..).collect()
    }

    /// The property of that name.
    pub(super) fn property(&mut self, name: &str) -> Option<&'n KdlEntry> {
        let at = self
            .properties
            .iter()
            .position(|entry| key(entry) == name)?;
        self.properties.remove(at)
    }

    /// All properties left.
    pub(super) fn properties(&mut self) -> Vec<&'n KdlEntry> {
        self.properties.drain(..).collect()
    }

    /// The first child of that name.
    pub(super) fn child(&mut self, name: &str) -> Option<&'n KdlNode> {
        let at = self
            .children
            .iter()
            .position(|node| node.name().value() == name)?;
        self.children.remove(at)
    }

    /// All children left.
    pub(super) fn children(&mut self) -> Vec<&'n KdlNode> {
        self.children.drain(..).collect()
    }
}

/// The name of a property.
pub(super) fn key(entry: &KdlEntry) -> &str {
    entry.name().map_or("", |name| name.value())
}

impl Parser<'_> {
    /// The words of a node. A property given twice is a problem.
    pub(super) fn words<'n>(&mut self, node: &'n KdlNode) -> Words<'n> {
        let (properties, arguments): (VecDeque<_>, VecDeque<_>) = node
            .entries()
            .iter()
            .partition(|entry| entry.name().is_some());
        let mut seen = BTreeSet::new();
        for entry in &properties {
            if !seen.insert(key(entry)) {
                let message = format!("`{}` is given twice", key(entry));
                self.problem(
                    entry_span(entry),
                    message,
                    "what may be repeated is written as children",
                );
            }
        }
        let children = node
            .children()
            .map_or(&[][..], |document| document.nodes())
            .iter()
            .collect();
        Words {
            span: name_span(node),
            arguments,
            properties,
            children,
        }
    }

    /// Reports every word that was not taken.
    pub(super) fn finish(&mut self, mut words: Words<'_>, expected: &str) {
        for entry in words.arguments() {
            let message = format!("unexpected `{}`", entry.value());
            self.problem(entry_span(entry), message, expected);
        }
        for entry in words.properties() {
            let message = format!("unexpected `{}=`", key(entry));
            self.problem(entry_span(entry), message, expected);
        }
        for node in words.children() {
            let message = format!("unexpected `{}`", node.name().value());
            self.problem(name_span(node), message, expected);
        }
    }

    /// The text of an entry, which must be a string.
    pub(super) fn text(&mut self, entry: &KdlEntry) -> Option<String> {
        let text = entry.value().as_string().map(str::to_owned);
        if text.is_none() {
            let message = format!("expected text, not `{}`", entry.value());
            self.problem(entry_span(entry), message, "put it in quotes");
        }
        text
    }
}
