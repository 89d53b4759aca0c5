//! Who may do what: one pure function that every publish, subscription and delivery goes through.
//!
//! [`Policy`] is a value; the one in force can be replaced at any time, and each has an epoch. An answer holds for one
//! epoch: a delivery remembers under which it was found to be allowed, and is asked about again when it leaves under
//! a later one.

use core::fmt;
use std::sync::Arc;

use crate::time::Time;

/// Whom authentication found the client to be.
///
/// A name is what counts: two principals with the same name own the same Sessions, whatever they proved it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal(Option<Arc<Known>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: Box<str>,
    credential: Option<u64>,
    valid_until: Option<Time>,
}

impl Principal {
    /// A client that named nobody.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self(None)
    }

    /// The user called `name`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(Some(Arc::new(Known {
            name: Box::from(name),
            credential: None,
            valid_until: None,
        })))
    }

    /// Remembers what the user proved itself by, as a number that the authenticator chose: a policy can tell by it
    /// that the proof counts no longer. It has no effect on an anonymous client.
    #[must_use]
    pub fn with_credential(self, credential: u64) -> Self {
        self.change(|known| known.credential = Some(credential))
    }

    /// Lets the proof end at `time`: the connection is closed then. It has no effect on an anonymous client.
    #[must_use]
    pub fn valid_until(self, time: Time) -> Self {
        self.change(|known| known.valid_until = Some(time))
    }

    fn change(mut self, change: impl FnOnce(&mut Known)) -> Self {
        if let Some(known) = &mut self.0 {
            change(Arc::make_mut(known));
        }
        self
    }

    /// The user's name; `None` for an anonymous client.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref().map(|known| &*known.name)
    }

    /// What [`Principal::with_credential`] was told.
    #[must_use]
    pub fn credential(&self) -> Option<u64> {
        self.0.as_deref()?.credential
    }

    /// When the proof ends.
    pub(crate) fn ends(&self) -> Option<Time> {
        self.0.as_deref()?.valid_until
    }

    /// Whether both have the same name, or both none.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Publish to this Topic Name (also as a Will Message).
    Publish(&'a str),
    /// Subscribe to this Topic Filter, which may be that of a Shared Subscription.
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

    /// Whether `subject` may be connected. Asked when it connects, and again when a new policy comes into force;
    /// a client that may not is disconnected.
    fn admits(&self, _subject: Subject<'_>) -> bool {
        true
    }
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

/// A policy and its number; a later one has a higher number.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) epoch: u64,
}

impl InForce {
    /// The one place where a policy decides: nothing is published, subscribed to or delivered around it.
    pub(crate) fn authorize(&self, subject: Subject<'_>, action: Action<'_>) -> bool {
        self.policy.allows(subject, action)
    }
}

/// A [`Subject`] that outlives its Session: the publisher of a retained message.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) client_id: Arc<str>,
    pub(crate) principal: Principal,
}

impl Identity {
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            client_id: &self.client_id,
            principal: &self.principal,
        }
    }
}
