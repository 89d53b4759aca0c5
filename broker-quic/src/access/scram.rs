//! SCRAM-SHA-256 (RFC 5802 and RFC 7677), the broker's side: what the password file holds, and one exchange.
//!
//! The client proves that it knows the password without sending it, and the broker proves that it knew it before.
//! The costly part of the computation is the client's.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The Authentication Method of MQTT, and how a secret begins in the password file.
pub(crate) const METHOD: &str = "SCRAM-SHA-256";
/// Fewer iterations are refused by clients that follow RFC 7677.
pub(crate) const FEWEST_ITERATIONS: u32 = 4096;
/// Iterations of a new secret unless told otherwise. Each login costs the client so many, devices included.
pub(crate) const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
/// What a client can be asked to compute.
pub(crate) const MOST_ITERATIONS: u32 = 10_000_000;
/// Bytes of a new salt.
const SALT: usize = 16;
/// Bytes of the longest salt that is read, which is as many as a stand-in can have.
const LONGEST_SALT: usize = digest::SHA512_OUTPUT_LEN;

type Key = [u8; digest::SHA256_OUTPUT_LEN];

/// What the broker keeps of a password: enough to judge a proof, not enough to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    iterations: NonZeroU32,
    salt: Box<[u8]>,
    stored_key: Key,
    server_key: Key,
}

impl Secret {
    /// The secret of a new password, with a random salt. `None` if the password holds what SASLprep prohibits.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn new(
        password: &[u8],
        iterations: NonZeroU32,
    ) -> Result<Option<Self>, Unspecified> {
        let mut salt = [0; SALT];
        rand::fill(&mut salt)?;
        Ok(Self::derive(password, iterations, &salt))
    }

    fn derive(password: &[u8], iterations: NonZeroU32, salt: &[u8]) -> Option<Self> {
        let password = stringprep::saslprep(std::str::from_utf8(password).ok()?).ok()?;
        let mut salted = Key::default();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        Some(Self {
            iterations,
            salt: salt.into(),
            stored_key: hash(&sign(&salted, b"Client Key")),
            server_key: sign(&salted, b"Server Key"),
        })
    }

    /// Reads `ITERATIONS:SALT` and `STOREDKEY:SERVERKEY`, the two parts behind `SCRAM-SHA-256$`.
    ///
    /// # Errors
    /// What is wrong, without quoting it.
    pub(crate) fn parse(parameters: &str, keys: &str) -> Result<Self, &'static str> {
        let (iterations, salt) = parameters.split_once(':').ok_or("it is cut off")?;
        let (stored_key, server_key) = keys.split_once(':').ok_or("it is cut off")?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        Ok(Self {
            iterations: iterations
                .parse()
                .ok()
                .filter(|&it| (FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&it))
                .and_then(NonZeroU32::new)
                .ok_or("its number of iterations is not from 4096 to 10000000")?,
            salt: STANDARD
                .decode(salt)
                .ok()
                .filter(|salt| (1..=LONGEST_SALT).contains(&salt.len()))
                .ok_or("its salt is not base64 of 1 to 64 bytes")?
                .into_boxed_slice(),
            stored_key: key(stored_key).ok_or("its stored key is not base64 of 32 bytes")?,
            server_key: key(server_key).ok_or("its server key is not base64 of 32 bytes")?,
        })
    }

    /// Whether `password`, which came as it is, is the one.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        Self::derive(password, self.iterations, &self.salt).is_some_and(|other| {
            constant_time::verify_slices_are_equal(&other.stored_key, &self.stored_key).is_ok()
        })
    }

    /// What somebody is shown who is not known: to a client it looks as if a secret of this shape were kept for
    /// `name`, the same one each time. No proof fits it.
    pub(crate) fn stand_in(shape: Shape, key: &hmac::Key, name: &str) -> Self {
        let tag = hmac::sign(key, name.as_bytes());
        Self {
            iterations: shape.iterations,
            salt: tag.as_ref().iter().copied().take(shape.salt).collect(),
            stored_key: Key::default(),
            server_key: Key::default(),
        }
    }

    /// What a client sees of it, beside the salt itself.
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            iterations: self.iterations,
            salt: self.salt.len(),
        }
    }

    /// What makes one password file's stand-ins other than another's: known to nobody who has not read the file.
    pub(crate) fn server_key(&self) -> &[u8] {
        &self.server_key
    }
}

/// How costly a [`Secret`] is, and how long its salt is in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    iterations: NonZeroU32,
    salt: usize,
}

impl Default for Shape {
    /// That of a new secret.
    fn default() -> Self {
        Self {
            iterations: ITERATIONS,
            salt: SALT,
        }
    }
}

/// As it stands in a password file, and in PostgreSQL.
impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{METHOD}${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key),
        )
    }
}

/// One exchange, after the broker's challenge and before the client's proof.
#[derive(Debug)]
pub(crate) struct Exchange {
    name: String,
    secret: Secret,
    nonce: String,
    /// What the client must repeat of how it began: base64 of its header.
    header: String,
    /// Both first messages, as they are signed.
    said: String,
}

/// A message that does not belong into an exchange, or a proof that proves nothing: the client need not know which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// The name that the client's first message gives, and that message taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct First<'a> {
    /// Who the client says it is.
    pub(crate) name: String,
    header: &'a str,
    bare: &'a str,
    nonce: &'a str,
}

impl<'a> First<'a> {
    /// Reads the client's first message.
    ///
    /// # Errors
    /// When it is none, wants to be bound to a channel or to act for somebody else: neither is offered.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Refused> {
        let message = std::str::from_utf8(message).map_err(|_| Refused)?;
        let (flag, rest) = message.split_once(',').ok_or(Refused)?;
        let (identity, bare) = rest.split_once(',').ok_or(Refused)?;
        // "y": the client could, and thinks that we cannot. It is right.
        if flag != "n" && flag != "y" {
            return Err(Refused);
        }
        let mut attributes = bare.split(',');
        let mut attribute = |key| attributes.next().and_then(|it| it.strip_prefix(key));
        let name = decode_name(attribute("n=").ok_or(Refused)?)?;
        let nonce = attribute("r=").filter(|it| is_nonce(it)).ok_or(Refused)?;
        if !identity.is_empty() {
            let identity = identity.strip_prefix("a=").ok_or(Refused)?;
            if decode_name(identity)? != name {
                return Err(Refused);
            }
        }
        Ok(Self {
            name,
            header: &message[..message.len() - bare.len()],
            bare,
            nonce,
        })
    }
}

impl Exchange {
    /// Begins with the client's first message and the secret of whom it names; the challenge to it.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn begin(first: First<'_>, secret: Secret) -> Result<(Self, Vec<u8>), Unspecified> {
        let mut random = [0; 18];
        rand::fill(&mut random)?;
        Ok(Self::begin_with(first, secret, &STANDARD.encode(random)))
    }

    fn begin_with(first: First<'_>, secret: Secret, nonce: &str) -> (Self, Vec<u8>) {
        let nonce = format!("{}{nonce}", first.nonce);
        let salt = STANDARD.encode(&secret.salt);
        let challenge = format!("r={nonce},s={salt},i={}", secret.iterations);
        let exchange = Self {
            name: first.name,
            nonce,
            header: STANDARD.encode(first.header),
            said: format!("{},{challenge}", first.bare),
            secret,
        };
        (exchange, challenge.into_bytes())
    }

    /// What the proof will be judged by.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Judges the client's last message: its name, and the proof that it is owed in return.
    ///
    /// # Errors
    /// When it does not belong to this exchange, or the password was another.
    pub(crate) fn finish(self, message: &[u8]) -> Result<(String, Vec<u8>), Refused> {
        let message = std::str::from_utf8(message).map_err(|_| Refused)?;
        let (unproved, proof) = message.rsplit_once(",p=").ok_or(Refused)?;
        let mut attributes = unproved.split(',');
        let mut attribute = |key| attributes.next().and_then(|it| it.strip_prefix(key));
        if attribute("c=") != Some(&*self.header) || attribute("r=") != Some(&*self.nonce) {
            return Err(Refused);
        }
        let proof: Key = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(Refused)?;
        let signed = format!("{},{unproved}", self.said);
        let mut client_key = sign(&self.secret.stored_key, signed.as_bytes());
        for (byte, proof) in client_key.iter_mut().zip(proof) {
            *byte ^= proof;
        }
        constant_time::verify_slices_are_equal(&hash(&client_key), &self.secret.stored_key)
            .map_err(|_| Refused)?;
        let signature = sign(&self.secret.server_key, signed.as_bytes());
        let proof = format!("v={}", STANDARD.encode(signature));
        Ok((self.name, proof.into_bytes()))
    }
}

fn sign(key: &[u8], message: &[u8]) -> Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut signature = Key::default();
    signature.copy_from_slice(tag.as_ref());
    signature
}

fn hash(message: &[u8]) -> Key {
    let mut hash = Key::default();
    hash.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    hash
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A name with its commas and equals signs back.
fn decode_name(text: &str) -> Result<String, Refused> {
    let mut parts = text.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = if let Some(rest) = part.strip_prefix("2C") {
            (',', rest)
        } else {
            ('=', part.strip_prefix("3D").ok_or(Refused)?)
        };
        name.push(sign);
        name.push_str(rest);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of RFC 7677, section 3.
    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const UNPROVED: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const ANSWER: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn four_thousand() -> NonZeroU32 {
        NonZeroU32::new(FEWEST_ITERATIONS).expect("more than none")
    }

    fn pencil() -> Secret {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        Secret::derive(b"pencil", four_thousand(), &salt).expect("a password")
    }

    fn begun() -> Exchange {
        let first = First::parse(FIRST.as_bytes()).expect("well-formed");
        let (exchange, challenge) = Exchange::begin_with(first, pencil(), NONCE);
        assert_eq!(String::from_utf8(challenge).expect("text"), CHALLENGE);
        exchange
    }

    #[test]
    fn the_example_of_the_standard() {
        let last = format!("{UNPROVED},p={PROOF}");
        let (name, answer) = begun().finish(last.as_bytes()).expect("proved");
        assert_eq!(name, "user");
        assert_eq!(String::from_utf8(answer).expect("text"), ANSWER);
    }

    #[test]
    fn a_last_message_that_differs_anywhere_proves_nothing() {
        let good = format!("{UNPROVED},p={PROOF}");
        for place in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[place] ^= 1;
            assert_eq!(begun().finish(&bad), Err(Refused), "at {place}");
        }
        for bad in [
            UNPROVED.to_owned(),
            format!("{UNPROVED},p="),
            format!("{UNPROVED},p={PROOF}\0"),
            format!("{UNPROVED},p=AAAA"),
            // Another header than the one that the client began with.
            format!("{},p={PROOF}", UNPROVED.replace("biws", "eSws")),
            // The nonce without the broker's part.
            format!("c=biws,r=rOprNGfwEbeRWgbNEkqO,p={PROOF}"),
        ] {
            assert_eq!(begun().finish(bad.as_bytes()), Err(Refused), "{bad}");
        }
    }

    /// The last message of a client that knows the password.
    fn proved(exchange: &Exchange, unproved: &str) -> String {
        let mut salted = Key::default();
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        let salt = pencil().salt;
        pbkdf2::derive(algorithm, four_thousand(), &salt, b"pencil", &mut salted);
        let client_key = sign(&salted, b"Client Key");
        let signed = format!("{},{unproved}", exchange.said);
        let mut proof = sign(&hash(&client_key), signed.as_bytes());
        for (byte, key) in proof.iter_mut().zip(client_key) {
            *byte ^= key;
        }
        format!("{unproved},p={}", STANDARD.encode(proof))
    }

    #[test]
    fn who_knows_the_password_must_still_speak_of_this_exchange() {
        let another_header = UNPROVED.replace("biws", "eSws");
        for (unproved, is_good) in [
            (UNPROVED, true),
            (&*another_header, false),
            ("c=biws,r=rOprNGfwEbeRWgbNEkqO", false),
        ] {
            let exchange = begun();
            let last = proved(&exchange, unproved);
            let outcome = exchange.finish(last.as_bytes());
            assert_eq!(outcome.is_ok(), is_good, "{unproved}");
        }
    }

    #[test]
    fn the_header_that_is_repeated_is_the_one_that_was_sent() {
        let headers = ["n,,", "y,,", "n,a=user,", "y,a=user,"];
        for sent in headers {
            for repeated in headers {
                let first = format!("{sent}n=user,r=rOprNGfwEbeRWgbNEkqO");
                let first = First::parse(first.as_bytes()).expect("well-formed");
                let (exchange, _) = Exchange::begin_with(first, pencil(), NONCE);
                let unproved = UNPROVED.replace("biws", &STANDARD.encode(repeated));
                let last = proved(&exchange, &unproved);
                let outcome = exchange.finish(last.as_bytes());
                assert_eq!(outcome.is_ok(), sent == repeated, "{sent} {repeated}");
            }
        }
    }

    #[test]
    fn first_messages() {
        let name = |message: &str| First::parse(message.as_bytes()).map(|first| first.name);
        for (message, expected) in [
            (FIRST, "user"),
            ("y,,n=user,r=x", "user"),
            ("n,a=user,n=user,r=x", "user"),
            ("n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x", "a,b=c"),
            ("n,,n=\u{e4},r=x,ext=1", "\u{e4}"),
        ] {
            assert_eq!(name(message).as_deref(), Ok(expected), "{message}");
        }
        for message in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,n=user,r=",
            "n,,r=x,n=user",
            "n,,n=us=er,r=x",
            "n,,n=user=,r=x",
            "n,,n=user,r=x\u{e4}",
            // Bound to a channel; for somebody else; with an extension that must be understood.
            "p=tls-exporter,,n=user,r=x",
            "n,a=root,n=user,r=x",
            "n,root,n=user,r=x",
            "n,,m=1,n=user,r=x",
            "x,,n=user,r=x",
        ] {
            assert_eq!(name(message), Err(Refused), "{message}");
        }
        assert_eq!(First::parse(b"n,,n=\xff,r=x"), Err(Refused));
    }

    #[test]
    fn what_is_written_is_read() {
        let secret = Secret::new(b"secret", four_thousand())
            .expect("randomness")
            .expect("a password");
        let text = secret.to_string();
        let parts: Vec<&str> = text.split('$').collect();
        assert_eq!((parts.len(), parts[0]), (3, METHOD));
        assert_eq!(Secret::parse(parts[1], parts[2]), Ok(secret));
    }

    #[test]
    fn the_same_password_written_otherwise_is_the_same() {
        // A Roman numeral and a soft hyphen, as RFC 4013 has them for examples.
        let secret = Secret::derive(b"IX", four_thousand(), b"salt").expect("a password");
        assert!(secret.verify("\u{2168}".as_bytes()));
        assert!(secret.verify("I\u{ad}X".as_bytes()));
        assert!(!secret.verify(b"ix"));
        assert!(!secret.verify(b"I\xffX"));
        assert!(!secret.verify(b"I\x07X"));
        assert_eq!(
            Secret::derive(b"\x07", four_thousand(), b"salt"),
            None,
            "prohibited"
        );
    }

    #[test]
    fn a_stand_in_looks_like_its_model_and_no_proof_fits_it() {
        let key = hmac::Key::new(hmac::HMAC_SHA512, b"key");
        let model = pencil();
        let one = Secret::stand_in(model.shape(), &key, "mallory");
        assert_eq!(one, Secret::stand_in(model.shape(), &key, "mallory"));
        assert_ne!(
            one.salt,
            Secret::stand_in(model.shape(), &key, "malory").salt
        );
        assert_eq!(one.shape(), model.shape());
        assert!(!one.verify(b""));
        assert!(!one.verify(b"pencil"));
    }
}
