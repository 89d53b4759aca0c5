//! Changes a password file: one user at a time, all or nothing.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::Path;

use tempfile::NamedTempFile;

use super::hash::PasswordHash;
use super::passwords::{Passwords, check_name};
use super::scram::{self, Secret};
use crate::problem::{Problem, read_text};

/// Why a password file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PasswdError {
    /// The file is not one, or cannot be read.
    #[error(transparent)]
    File(#[from] Problem),
    /// The name cannot stand in a password file.
    #[error("{0}")]
    Name(&'static str),
    /// There is no such user.
    #[error("there is no user '{0}' in the file")]
    Unknown(String),
    /// The password is empty.
    #[error("an empty password protects nothing")]
    Empty,
    /// SASLprep (RFC 4013), by which SCRAM prepares names and passwords, takes it for none or for another.
    #[error("with SCRAM {0}")]
    Unprepared(&'static str),
    /// SCRAM's iterations are out of range.
    #[error("SCRAM takes from 4096 to 10000000 iterations")]
    Iterations,
    /// The system gives no randomness for the salt.
    #[error("failed to hash the password: {0}")]
    Hash(String),
    /// The file cannot be written.
    #[error("failed to write the file: {0}")]
    Write(#[from] io::Error),
}

/// What is kept of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Its argon2id hash: for clients that send it.
    Argon2,
    /// The secret of SCRAM-SHA-256, after so many iterations (4,096 to 10,000,000): for clients that prove that
    /// they know it, and for those that send it too.
    Scram(NonZeroU32),
}

impl Keep {
    /// SCRAM with as many iterations as are usual here.
    pub const SCRAM: Self = Self::Scram(scram::ITERATIONS);

    fn of(self, user: &str, password: &[u8]) -> Result<String, PasswdError> {
        let iterations = match self {
            Self::Argon2 => {
                return PasswordHash::hash(password)
                    .map_err(|error| PasswdError::Hash(error.to_string()));
            }
            Self::Scram(iterations) => iterations,
        };
        if !(scram::FEWEST_ITERATIONS..=scram::MOST_ITERATIONS).contains(&iterations.get()) {
            return Err(PasswdError::Iterations);
        }
        // What clients make of the name has to be what the file has.
        if !stringprep::saslprep(user).is_ok_and(|prepared| prepared == user) {
            return Err(PasswdError::Unprepared(
                "this name would be another one: leave special characters out",
            ));
        }
        let secret = Secret::new(password, iterations)
            .map_err(|error| PasswdError::Hash(error.to_string()))?;
        let secret = secret.ok_or(PasswdError::Unprepared(
            "this password cannot be used: it has control or unassigned characters",
        ))?;
        Ok(secret.to_string())
    }
}

/// Sets the password of `user` in the file at `path`, which is made if it is missing. Whether the user is new.
///
/// # Errors
/// [`PasswdError`]; the file is as it was.
pub fn set_password(
    path: &Path,
    user: &str,
    password: &[u8],
    keep: Keep,
) -> Result<bool, PasswdError> {
    check_name(user).map_err(PasswdError::Name)?;
    if password.is_empty() {
        return Err(PasswdError::Empty);
    }
    let lines = lines(path)?;
    let new = format!("{user}:{}", keep.of(user, password)?);
    let mut is_new = true;
    let mut changed: Vec<String> = lines
        .into_iter()
        .map(|line| {
            if is_line_of(&line, user) {
                is_new = false;
                new.clone()
            } else {
                line
            }
        })
        .collect();
    if is_new {
        changed.push(new);
    }
    replace(path, &changed)?;
    Ok(is_new)
}

/// Takes `user` out of the file at `path`.
///
/// # Errors
/// [`PasswdError`]; the file is as it was.
pub fn delete_user(path: &Path, user: &str) -> Result<(), PasswdError> {
    let mut lines = lines(path)?;
    let before = lines.len();
    lines.retain(|line| !is_line_of(line, user));
    if lines.len() == before {
        return Err(PasswdError::Unknown(user.to_owned()));
    }
    Ok(replace(path, &lines)?)
}

/// The lines of a well-formed file; none where there is no file.
fn lines(path: &Path) -> Result<Vec<String>, PasswdError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    // A file that is broken, or something else altogether, is not written over.
    Passwords::load(path)?;
    Ok(read_text(path)?.lines().map(str::to_owned).collect())
}

fn is_line_of(line: &str, user: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| name == user)
}

/// Writes a file beside the old one and puts it in its place: a reader finds one of them whole. Nobody else may
/// read it.
fn replace(path: &Path, lines: &[String]) -> io::Result<()> {
    // A link stays a link to the file that is changed.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // A temporary file has mode 0600 from its first moment.
    let mut file = NamedTempFile::new_in(folder)?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    // So that the new name outlives a power cut too.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_added_changed_and_deleted_and_all_else_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("passwords");
        std::fs::write(
            &path,
            concat!(
                "# ours\n",
                include_str!("../../tests/data/mosquitto-6.passwords")
            ),
        )
        .expect("written");
        assert!(set_password(&path, "alice", b"one", Keep::Argon2).expect("set"));
        assert!(!set_password(&path, "alice", b"two", Keep::SCRAM).expect("set"));
        assert!(set_password(&path, "bob", b"three", Keep::Argon2).expect("set"));
        delete_user(&path, "bob").expect("deleted");
        let passwords = Passwords::load(&path).expect("well-formed");
        assert!(passwords.verify("alice", b"one").is_none());
        assert!(passwords.verify("alice", b"two").is_some());
        assert!(passwords.verify("carol", b"battery staple").is_some());
        assert!(!passwords.contains("bob"));
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(text.starts_with("# ours\ncarol:"), "{text}");
        assert_eq!(text.lines().count(), 3);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path)
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("read").count(),
            1,
            "nothing is left behind"
        );
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("passwords");
        for name in ["", "a:b", "#a", "a\nb"] {
            assert!(matches!(
                set_password(&path, name, b"x", Keep::Argon2),
                Err(PasswdError::Name(_))
            ));
        }
        assert!(matches!(
            set_password(&path, "a", b"", Keep::SCRAM),
            Err(PasswdError::Empty)
        ));
        for iterations in [4095, 10_000_001] {
            let keep = Keep::Scram(NonZeroU32::new(iterations).expect("more than none"));
            assert!(matches!(
                set_password(&path, "a", b"x", keep),
                Err(PasswdError::Iterations)
            ));
        }
        for (name, password) in [("I\u{ad}X", "x"), ("a", "\u{7}")] {
            assert!(matches!(
                set_password(&path, name, password.as_bytes(), Keep::SCRAM),
                Err(PasswdError::Unprepared(_))
            ));
        }
        assert!(matches!(
            delete_user(&path, "a"),
            Err(PasswdError::Unknown(_))
        ));
        assert!(!path.exists());
        std::fs::write(&path, "listener 1883\n").expect("written");
        assert!(matches!(
            set_password(&path, "a", b"x", Keep::Argon2),
            Err(PasswdError::File(_))
        ));
        assert_eq!(
            std::fs::read_to_string(&path).expect("read"),
            "listener 1883\n"
        );
    }
}
