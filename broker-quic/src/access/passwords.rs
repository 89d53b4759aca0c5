//! The password file: one `USER:HASH` on each line; lines that begin with `#` are comments.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use aws_lc_rs::digest;

use super::hash::PasswordHash;
use crate::problem::{Problem, read_text};

/// The users of a password file.
#[derive(Debug)]
pub(crate) struct Passwords {
    users: BTreeMap<Box<str>, User>,
    /// The users' names in order, from which a stand-in for an unknown one is picked.
    names: Vec<Box<str>>,
    pick: RandomState,
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
    fn an_empty_file_lets_nobody_in() {
        assert_eq!(parse("").expect("well-formed").verify("a", b""), None);
    }
}
