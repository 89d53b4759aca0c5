//! The policy that a broker puts into force: its access rules, and who may still be connected.

use std::sync::Arc;

use quince_core::{Action, Policy, Principal, Subject};

use super::acl::Acl;
use super::passwords::Passwords;
use super::tokens::Tokens;

/// What everybody was judged by at one moment; a reload makes another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) passwords: Option<Arc<Passwords>>,
    pub(crate) tokens: Option<Arc<Tokens>>,
    /// Without rules everybody may do everything, except what only the broker does.
    pub(crate) acl: Option<Arc<Acl>>,
}

/// What a client proved itself by, in the number that its [`Principal`] carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A line of the password file, by its stamp.
    Password(u64),
    /// A token, by the stamp of the key that judged it.
    Token(u64),
}

impl Credential {
    const TOKEN: u64 = 1 << 63;

    /// The principal called `name` that proved itself by this.
    pub(crate) fn of(self, name: &str) -> Principal {
        Principal::named(name).with_credential(self.number())
    }

    fn number(self) -> u64 {
        match self {
            Self::Password(stamp) => stamp & !Self::TOKEN,
            Self::Token(stamp) => stamp | Self::TOKEN,
        }
    }
}

impl Sources {
    /// Whether a user that proved itself by password, however long ago, has been taken out of the file.
    fn is_gone(&self, principal: &Principal) -> bool {
        let by_password = principal
            .credential()
            .is_some_and(|number| number & Credential::TOKEN == 0);
        by_password && !self.has_user(principal)
    }

    fn has_user(&self, principal: &Principal) -> bool {
        match (&self.passwords, principal.name()) {
            (Some(passwords), Some(name)) => passwords.contains(name),
            _ => false,
        }
    }
}

impl Policy for Sources {
    fn allows(&self, subject: Subject<'_>, action: Action<'_>) -> bool {
        if let Action::Publish(topic) = action
            && (topic == "$SYS" || topic.starts_with("$SYS/"))
        {
            return false;
        }
        if self.is_gone(subject.principal) {
            return false;
        }
        self.acl
            .as_ref()
            .is_none_or(|acl| acl.allows(subject, action))
    }

    fn admits(&self, subject: Subject<'_>) -> bool {
        let Some(number) = subject.principal.credential() else {
            return true;
        };
        let name = subject.principal.name().unwrap_or_default();
        let password = self
            .passwords
            .as_ref()
            .and_then(|passwords| passwords.stamp(name));
        let known = [
            password.map(Credential::Password),
            self.tokens
                .as_ref()
                .map(|tokens| Credential::Token(tokens.stamp())),
        ];
        known
            .into_iter()
            .flatten()
            .any(|credential| credential.number() == number)
    }
}
