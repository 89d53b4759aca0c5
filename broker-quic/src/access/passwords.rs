//! The password file: one `USER:HASH` on each line; lines that begin with `#` are comments.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use aws_lc_rs::{digest, hmac};

use super::hash::PasswordHash;
use super::scram;
use crate::problem::{Problem, read_text};

/// The users of a password file.
#[derive(Debug)]
pub(crate) struct Passwords {
    users: BTreeMap<Box<str>, User>,
    /// The users' names in order, from which a stand-in for an unknown one is picked.
    names: Vec<Box<str>>,
    pick: RandomState,
    /// What the secrets for SCRAM look like, from which one is picked for a user who has none.
    shapes: Vec<scram::Shape>,
    /// From which the secrets of users without one are made up.
    stand_in_key: hmac::Key,
}

#[derive(Debug)]
struct User {
    hash: PasswordHash,
    stamp: u64,
}

impl Passwords {
    /// Reads a password file.
    ///
    /// # Errors
    /// The first line that is not `USER:HASH`, names a user again, or holds a hash that is broken.
    pub(crate) fn load(path: &Path) -> Result<Self, Problem> {
        Self::parse(path, &read_text(path)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Problem> {
        let mut users = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let problem = |message: &str, help: &str| {
                Err(Problem::of_file(path, message, help).at_secret_line(index + 1))
            };
            let Some((name, hash_text)) = line.split_once(':') else {
                return problem(
                    "expected USER:HASH, found no colon",
                    "add the user with `quince-broker passwd FILE USER`, or begin a comment with #",
                );
            };
            if let Err(reason) = check_name(name) {
                return problem(reason, "name the user before the colon");
            }
            let hash = match PasswordHash::parse(hash_text.trim_end()) {
                Ok(hash) => hash,
                Err((message, help)) => return problem(&format!("user '{name}': {message}"), help),
            };
            let stamp = stamp(hash_text.trim_end());
            if users
                .insert(Box::from(name), User { hash, stamp })
                .is_some()
            {
                return problem(
                    &format!("the user '{name}' is here twice"),
                    "delete one of the two lines",
                );
            }
        }
        Ok(Self {
            names: users.keys().cloned().collect(),
            shapes: secrets(&users).map(scram::Secret::shape).collect(),
            stand_in_key: stand_in_key(&users),
            users,
            pick: RandomState::new(),
        })
    }

    /// Whether the file has this user.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.users.contains_key(name)
    }

    /// A number that changes whenever the user's password is set.
    pub(crate) fn stamp(&self, name: &str) -> Option<u64> {
        self.users.get(name).map(|user| user.stamp)
    }

    /// What an exchange with `name` is judged by. A user without a secret, known or not, gets a made-up one that no
    /// proof fits: what a client sees of it tells nobody who has an account, also after another start.
    pub(crate) fn scram(&self, name: &str) -> scram::Secret {
        let known = |user: &User| match &user.hash {
            PasswordHash::Scram(secret) => Some(secret.clone()),
            _ => None,
        };
        let stand_in = self.stand_in(name);
        self.users.get(name).and_then(known).unwrap_or(stand_in)
    }

    fn stand_in(&self, name: &str) -> scram::Secret {
        let mut number = [0; 8];
        let tag = hmac::sign(&self.stand_in_key, format!("shape of {name}").as_bytes());
        number.copy_from_slice(&tag.as_ref()[..8]);
        let shape = u64::try_from(self.shapes.len())
            .ok()
            .and_then(|count| u64::from_be_bytes(number).checked_rem(count))
            .and_then(|index| self.shapes.get(usize::try_from(index).ok()?).copied());
        scram::Secret::stand_in(shape.unwrap_or_default(), &self.stand_in_key, name)
    }

    /// Judges a password: the user's stamp, or `None`. Takes as long for an unknown user as for some known one, so
    /// that the time tells nobody who has an account; the same unknown user takes as long as the same known one
    /// each time.
    pub(crate) fn verify(&self, name: &str, password: &[u8]) -> Option<u64> {
        if let Some(user) = self.users.get(name) {
            return user.hash.verify(password).then_some(user.stamp);
        }
        let count = u64::try_from(self.names.len())
            .ok()
            .filter(|&count| count > 0)?;
        let index = usize::try_from(self.pick.hash_one(name) % count).unwrap_or(0);
        let stand_in = self.users.get(self.names.get(index)?)?;
        std::hint::black_box(stand_in.hash.verify(password));
        None
    }
}

fn secrets(users: &BTreeMap<Box<str>, User>) -> impl Iterator<Item = &scram::Secret> {
    users.values().filter_map(|user| match &user.hash {
        PasswordHash::Scram(secret) => Some(secret),
        _ => None,
    })
}

/// The same for as long as the file's secrets are the same: a stand-in that changed from one start to the next would
/// be known for one.
fn stand_in_key(users: &BTreeMap<Box<str>, User>) -> hmac::Key {
    let mut context = digest::Context::new(&digest::SHA512);
    for secret in secrets(users) {
        context.update(secret.server_key());
    }
    hmac::Key::new(hmac::HMAC_SHA512, context.finish().as_ref())
}

fn stamp(hash_text: &str) -> u64 {
    let digest = digest::digest(&digest::SHA256, hash_text.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_be_bytes(first)
}

/// Whether a password file can hold a user of this name.
///
/// # Errors
/// Why not.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("the user has no name")
    } else if name.starts_with('#') {
        Err("a user's name cannot begin with '#', which begins a comment")
    } else if name.contains(':') {
        Err("a user's name cannot contain ':', which ends it")
    } else if name.chars().any(char::is_control) {
        Err("a user's name cannot contain control characters")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const BY_MOSQUITTO: &str = concat!(
        include_str!("../../tests/data/mosquitto-7.passwords"),
        include_str!("../../tests/data/mosquitto-6.passwords"),
        "# a comment\n\n",
    );

    fn parse(text: &str) -> Result<Passwords, Problem> {
        Passwords::parse(Path::new("passwords"), text)
    }

    #[test]
    fn files_made_by_mosquitto_passwd_verify() {
        let passwords = parse(BY_MOSQUITTO).expect("well-formed");
        for (name, password) in [
            ("alice", "correct horse"),
            ("bob", "pässwörd"),
            ("carol", "battery staple"),
        ] {
            assert_eq!(
                passwords.verify(name, password.as_bytes()),
                passwords.stamp(name),
                "{name}"
            );
            for wrong in ["", "correct hors", "correct horse ", "battery staple2"] {
                assert_eq!(
                    passwords.verify(name, wrong.as_bytes()),
                    None,
                    "{name} {wrong}"
                );
            }
        }
        assert_eq!(passwords.verify("dave", b"correct horse"), None);
    }

    #[test]
    fn an_unknown_user_costs_what_some_known_user_costs() {
        // One user, whose hash takes long: the stand-in for every other name.
        let hash = PasswordHash::hash(b"secret").expect("randomness");
        let passwords = parse(&format!("alice:{hash}\n")).expect("well-formed");
        assert_eq!(passwords.names.len(), 1);
        // Even the right password of the stand-in opens nothing.
        assert_eq!(passwords.verify("mallory", b"secret"), None);
        assert!(passwords.verify("alice", b"secret").is_some());
    }

    #[test]
    fn a_stamp_tells_a_password_that_was_set_again() {
        let first = parse(&format!(
            "a:{}",
            PasswordHash::hash(b"x").expect("randomness")
        ));
        let second = parse(&format!(
            "a:{}",
            PasswordHash::hash(b"x").expect("randomness")
        ));
        assert_ne!(
            first.expect("well-formed").stamp("a"),
            second.expect("well-formed").stamp("a")
        );
    }

    #[test]
    fn a_secret_for_scram_judges_passwords_too() {
        let iterations = NonZeroU32::new(scram::FEWEST_ITERATIONS).expect("more than none");
        let secret = scram::Secret::new(b"secret", iterations)
            .expect("randomness")
            .expect("a password");
        let hash = PasswordHash::hash(b"secret").expect("randomness");
        let text = format!("alice:{secret}\nbob:{hash}\n");
        let passwords = parse(&text).expect("well-formed");
        assert!(passwords.verify("alice", b"secret").is_some());
        assert_eq!(passwords.verify("alice", b"secret "), None);
        assert_eq!(passwords.scram("alice"), secret);
        // A user without a secret looks like one with, and like nobody's.
        for name in ["bob", "mallory"] {
            let made_up = passwords.scram(name);
            assert_eq!(made_up.shape(), secret.shape());
            assert_eq!(
                made_up,
                parse(&text).expect("well-formed").scram(name),
                "{name}, after another start"
            );
            assert!(!made_up.verify(b"secret"));
        }
        assert_ne!(passwords.scram("bob"), passwords.scram("mallory"));
        let other = parse(&format!("bob:{hash}\n")).expect("well-formed");
        assert_ne!(
            passwords.scram("bob"),
            other.scram("bob"),
            "another file's stand-ins are others"
        );
    }

    #[test]
    fn an_empty_file_lets_nobody_in() {
        assert_eq!(parse("").expect("well-formed").verify("a", b""), None);
    }
}
