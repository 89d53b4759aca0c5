//! Parts and edit operations.

use kdl::KdlNode;

use super::{Parser, entry_span, words::Words};
use crate::scenario::{
    expression::{Expression, Literal, Variables},
    malformed::{Edit, Operation, PART_KINDS, Parts},
};

const OPERATIONS: &str = "operations: first-byte, flags, set-bits, clear-bits, replace, insert, append, remove, truncate, substitute, remaining-length, keep-remaining-length";

impl Parser<'_> {
    /// All arguments left, as parts, of which there must be one; `hex=` is short for one hex part.
    pub(super) fn parts(&mut self, words: &mut Words<'_>) -> Parts {
        let parts = self.optional_parts(words);
        if parts.0.is_empty() {
            let kinds = PART_KINDS.join(") (");
            self.problem(
                words.span,
                "no bytes are given",
                format!("expected parts: ({kinds})"),
            );
        }
        parts
    }

    /// All arguments left, as parts.
    pub(super) fn optional_parts(&mut self, words: &mut Words<'_>) -> Parts {
        let mut parts = Vec::new();
        if let Some(entry) = words.property("hex") {
            let expression = self.expression(entry);
            parts.push(Expression {
                annotation: Some("hex".to_owned()),
                ..expression
            });
        }
        for entry in words.arguments() {
            parts.push(self.expression(entry));
        }
        for part in &parts {
            if part.variables().is_empty()
                && let Err(message) = Parts(vec![part.clone()]).bytes(&Variables::new())
            {
                self.problem(part.span, message, None);
            }
        }
        Parts(parts)
    }

    /// The operations of an edit.
    pub(super) fn edit(&mut self, nodes: &[&KdlNode]) -> Edit {
        let operations = nodes.iter().filter_map(|node| {
            let mut words = self.words(node);
            let operation = self.operation(node.name().value(), &mut words);
            self.finish(words, OPERATIONS);
            operation
        });
        Edit(operations.collect())
    }

    fn operation(&mut self, name: &str, words: &mut Words<'_>) -> Option<Operation> {
        Some(match name {
            "first-byte" => Operation::FirstByte(self.only_argument(words)?),
            "flags" => Operation::Flags(self.only_argument(words)?),
            "set-bits" => Operation::SetBits(self.at(words)?, self.option(words, "mask")?),
            "clear-bits" => Operation::ClearBits(self.at(words)?, self.option(words, "mask")?),
            "replace" => Operation::Replace(self.at(words)?, self.parts(words)),
            "insert" => Operation::Insert(self.at(words)?, self.parts(words)),
            "append" => Operation::Append(self.parts(words)),
            "remove" => Operation::Remove(self.at(words)?, self.option(words, "count")?),
            "truncate" => Operation::Truncate(self.only_argument(words)?),
            "substitute" => {
                let entry = words.argument();
                let Some(entry) = entry else {
                    self.problem(
                        words.span,
                        "`substitute` without a text",
                        "expected `substitute \"text\" PARTS`",
                    );
                    return None;
                };
                let text = self.expression(entry);
                Operation::Substitute(text, self.parts(words))
            }
            "remaining-length" => match words.argument() {
                Some(entry) if entry.ty().is_some() => {
                    Operation::RemainingLength(self.expression(entry))
                }
                Some(entry) => Operation::RemainingLength(self.number(entry)),
                None => {
                    self.problem(
                        words.span,
                        "`remaining-length` without a value",
                        "expected a number or (hex)",
                    );
                    return None;
                }
            },
            "keep-remaining-length" => Operation::KeepRemainingLength,
            other => {
                self.problem(
                    words.span,
                    format!("unknown edit operation `{other}`"),
                    OPERATIONS,
                );
                return None;
            }
        })
    }

    fn only_argument(&mut self, words: &mut Words<'_>) -> Option<Expression> {
        match words.argument() {
            Some(entry) => Some(self.number(entry)),
            None => {
                self.problem(words.span, "a number is missing", OPERATIONS);
                None
            }
        }
    }

    fn option(&mut self, words: &mut Words<'_>, name: &str) -> Option<Expression> {
        match words.property(name) {
            Some(entry) => Some(self.number(entry)),
            None => {
                self.problem(words.span, format!("`{name}=` is missing"), OPERATIONS);
                None
            }
        }
    }

    fn at(&mut self, words: &mut Words<'_>) -> Option<Expression> {
        let Some(entry) = words.property("at") else {
            self.problem(
                words.span,
                "`at=` is missing",
                "the offset from the first byte after the Remaining Length",
            );
            return None;
        };
        let expression = self.expression(entry);
        let number = match &expression.literal {
            Literal::Text(text) => Expression {
                literal: Literal::Text(text.trim_start_matches('-').to_owned()),
                ..expression.clone()
            },
            _ => expression.clone(),
        };
        if number.variables().is_empty() && number.number(&Variables::new()).is_err() {
            self.problem(
                entry_span(entry),
                "`at=` is no offset",
                "expected a number, negative from the end",
            );
        }
        Some(expression)
    }
}
