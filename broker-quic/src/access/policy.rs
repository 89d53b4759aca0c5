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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;
    use crate::access::{TokenAlgorithm, TokenSettings};

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    /// Alice's password, and tokens.
    fn sources() -> Sources {
        let passwords = file(include_str!("../../tests/data/mosquitto-7.passwords"));
        let key = file("0123456789abcdef0123456789abcdef");
        Sources {
            passwords: Some(Arc::new(Passwords::load(passwords.path()).expect("users"))),
            tokens: Some(Arc::new(
                Tokens::load(&TokenSettings {
                    algorithm: TokenAlgorithm::Hs256,
                    key_file: key.path().to_path_buf(),
                    audience: "mqtt".to_owned(),
                    issuer: None,
                    name_claim: "sub".to_owned(),
                    leeway: Duration::ZERO,
                })
                .expect("a key"),
            )),
            acl: None,
        }
    }

    fn judged(sources: &Sources, principal: &Principal) -> (bool, bool) {
        let subject = Subject {
            client_id: "c",
            principal,
        };
        (
            sources.allows(subject, Action::Publish("t")),
            sources.admits(subject),
        )
    }

    /// Messages of somebody may be under way long after: a will, a delayed message, a queue that waits for its session.
    #[test]
    fn a_deleted_user_has_no_rights_left_and_everybody_else_has() {
        let sources = sources();
        let key = sources.tokens.as_ref().expect("a key").stamp();
        let password = sources.passwords.as_ref().expect("users").stamp("alice");
        let password = Credential::Password(password.expect("alice is there"));
        for (who, principal, expected) in [
            ("alice", password.of("alice"), (true, true)),
            (
                "alice, whose password was set again",
                Credential::Password(1).of("alice"),
                (true, false),
            ),
            ("a deleted user", password.of("mallory"), (false, false)),
            (
                "a token's bearer whom the password file does not know",
                Credential::Token(key).of("mallory"),
                (true, true),
            ),
            (
                "who showed a token of another key",
                Credential::Token(key ^ 1).of("mallory"),
                (true, false),
            ),
            (
                "who showed a certificate",
                Principal::named("mallory"),
                (true, true),
            ),
            ("nobody", Principal::anonymous(), (true, true)),
        ] {
            assert_eq!(judged(&sources, &principal), expected, "{who}");
        }
        let no_users = Sources {
            passwords: None,
            ..sources
        };
        assert_eq!(judged(&no_users, &password.of("alice")), (false, false));
    }

    /// Else who had proved itself by a password with the right stamp would pass for a token's bearer.
    #[test]
    fn no_password_counts_as_a_token_nor_the_other_way_round() {
        let sources = sources();
        let key = sources.tokens.as_ref().expect("a key").stamp();
        let password = sources.passwords.as_ref().expect("users").stamp("alice");
        let password = password.expect("alice is there");
        for credential in [Credential::Password(key), Credential::Token(password)] {
            let principal = credential.of("alice");
            assert_eq!(judged(&sources, &principal), (true, false));
        }
        let of = |credential: Credential| credential.of("a").credential();
        for stamp in [0, 1, 1 << 62, 1 << 63, u64::MAX] {
            assert_ne!(
                of(Credential::Password(stamp)),
                of(Credential::Token(stamp))
            );
        }
    }
}
