//! Password hashes: argon2 and SCRAM, which `passwd` writes, and the two that mosquitto's password files hold.

use argon2::Argon2;
use argon2::password_hash::phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use aws_lc_rs::{constant_time, digest, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

use super::scram;

/// Kibibytes that verifying one password may take: a file cannot ask for all memory by a slip of the pen.
const ARGON2_MEMORY: u32 = 1024 * 1024;
/// Rounds that verifying one password may take.
const ROUNDS: u32 = 10_000_000;

/// One user's password, hashed.
#[derive(Clone, Debug)]
pub(crate) enum PasswordHash {
    /// `$argon2id$v=19$m=..,t=..,p=..$SALT$HASH`
    Argon2(Box<phc::PasswordHash>),
    /// `$7$ITERATIONS$SALT$HASH`: PBKDF2 with HMAC-SHA-512.
    Pbkdf2 {
        iterations: NonZeroU32,
        salt: Box<[u8]>,
        hash: Box<[u8]>,
    },
    /// `$6$SALT$HASH`: one round of SHA-512 over password and salt. Weak; read so that files can move over.
    Sha512 { salt: Box<[u8]>, hash: Box<[u8]> },
    /// `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`: for the exchange of that name, and for passwords too.
    Scram(scram::Secret),
}

impl PasswordHash {
    /// Hashes a new password with argon2id and a random salt.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn hash(password: &[u8]) -> Result<String, argon2::password_hash::Error> {
        let hash: phc::PasswordHash = Argon2::default().hash_password(password)?;
        Ok(hash.to_string())
    }

    /// Reads the part of a password file's line after the user's name.
    ///
    /// # Errors
    /// What is wrong with it, and what to do; neither quotes the hash.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        const REDO: &str = "set the password again with `quince-broker passwd FILE USER`";
        let broken = |what: &str| (format!("the hash is broken: {what}"), REDO);
        let decode = |part: &str, what: &str| match STANDARD.decode(part) {
            Ok(bytes) if !bytes.is_empty() => Ok(bytes.into_boxed_slice()),
            _ => Err(broken(&format!("its {what} is not base64"))),
        };
        let fields: Vec<&str> = text.split('$').collect();
        match fields[..] {
            ["", "7", iterations, salt, hash] => {
                let iterations = iterations
                    .parse()
                    .ok()
                    .filter(|iterations: &NonZeroU32| iterations.get() <= ROUNDS)
                    .ok_or_else(|| broken("its number of iterations is not from 1 to 10000000"))?;
                Ok(Self::Pbkdf2 {
                    iterations,
                    salt: decode(salt, "salt")?,
                    hash: sha512_sized(decode(hash, "hash")?)
                        .ok_or_else(|| broken("it is cut off"))?,
                })
            }
            ["", "6", salt, hash] => Ok(Self::Sha512 {
                salt: decode(salt, "salt")?,
                hash: sha512_sized(decode(hash, "hash")?).ok_or_else(|| broken("it is cut off"))?,
            }),
            ["", "6" | "7", ..] => Err(broken("it is cut off")),
            ["", algorithm, ..] if algorithm.starts_with("argon2") => {
                let hash =
                    phc::PasswordHash::new(text).map_err(|error| broken(&error.to_string()))?;
                let parameters =
                    argon2::Params::try_from(&hash).map_err(|error| broken(&error.to_string()))?;
                let complete = hash.salt.is_some() && hash.hash.is_some();
                if !complete || argon2::Algorithm::try_from(hash.algorithm.as_str()).is_err() {
                    return Err(broken("it is cut off"));
                }
                if parameters.m_cost() > ARGON2_MEMORY || parameters.t_cost() > ROUNDS {
                    return Err(broken(
                        "verifying it would take more than 1 GiB or far too long",
                    ));
                }
                Ok(Self::Argon2(Box::new(hash)))
            }
            [scram::METHOD, parameters, keys] => scram::Secret::parse(parameters, keys)
                .map(Self::Scram)
                .map_err(broken),
            [scram::METHOD, ..] => Err(broken("it is cut off")),
            ["", ..] => Err(("the kind of hash is not known".to_owned(), REDO)),
            _ => Err((
                "the password is not hashed".to_owned(),
                "never keep plain passwords in a file: set it with `quince-broker passwd FILE USER`",
            )),
        }
    }

    /// Whether `password` is the one. Takes tens of milliseconds on purpose; the comparison takes the same time
    /// wherever the difference is.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2(hash) => Argon2::default().verify_password(password, &**hash).is_ok(),
            Self::Pbkdf2 {
                iterations,
                salt,
                hash,
            } => pbkdf2::verify(
                pbkdf2::PBKDF2_HMAC_SHA512,
                *iterations,
                salt,
                password,
                hash,
            )
            .is_ok(),
            Self::Sha512 { salt, hash } => {
                let mut context = digest::Context::new(&digest::SHA512);
                context.update(password);
                context.update(salt);
                constant_time::verify_slices_are_equal(context.finish().as_ref(), hash).is_ok()
            }
            Self::Scram(secret) => secret.verify(password),
        }
    }
}

fn sha512_sized(bytes: Box<[u8]>) -> Option<Box<[u8]>> {
    (bytes.len() == digest::SHA512_OUTPUT_LEN).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = PasswordHash::hash(b"secret").expect("randomness");
        let hash = PasswordHash::parse(&text).expect("well-formed");
        assert!(hash.verify(b"secret"));
        for wrong in [&b""[..], b"secre", b"secrett", b"Secret"] {
            assert!(!hash.verify(wrong));
        }
        assert_ne!(
            text,
            PasswordHash::hash(b"secret").expect("randomness"),
            "salted"
        );
    }
}
