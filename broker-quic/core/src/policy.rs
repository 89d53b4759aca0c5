//! Who may do what: one pure function that every publish, subscription and delivery goes through.

use core::fmt;
use std::sync::Arc;

/// Whom authentication found the client to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    name: Option<Arc<str>>,
}

impl Principal {
    /// A client that named nobody.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self { name: None }
    }

    /// The user called `name`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: Some(Arc::from(name)),
        }
    }

    /// The user's name; `None` for an anonymous client.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Publish to this Topic Name (also as a Will Message).
    Publish(&'a str),
    /// Subscribe to this Topic Filter.
    Subscribe(&'a str),
    /// Receive a message that was published to this Topic Name.
    Receive(&'a str),
}

/// Who acts.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Client Identifier of the Session.
    pub client_id: &'a str,
    /// Whom authentication found it to be.
    pub principal: &'a Principal,
}

/// A policy decides without side effects: the same question gets the same answer while the policy is in force.
pub trait Policy: fmt::Debug + Send + Sync {
    /// Whether `subject` may do `action`.
    fn allows(&self, subject: Subject<'_>, action: Action<'_>) -> bool;
}

/// Everybody may do everything, except publish below `$SYS`, where only the broker itself speaks.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn allows(&self, _subject: Subject<'_>, action: Action<'_>) -> bool {
        match action {
            Action::Publish(topic) => topic != "$SYS" && !topic.starts_with("$SYS/"),
            Action::Subscribe(_) | Action::Receive(_) => true,
        }
    }
}
