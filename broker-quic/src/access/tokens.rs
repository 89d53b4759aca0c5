//! JSON Web Tokens as passwords: who signed, until when, for whom.
//!
//! One algorithm is accepted, the one that is set; what a token says of its own algorithm decides nothing. A token must
//! carry `exp` and `aud`; `nbf` counts where it is there; an issuer must match where one is set.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// The shortest secret for HS256, in bytes: that of its output [RFC 7518, section 3.2].
const SECRET: usize = 32;

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256 and a shared secret.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Which tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// How they are signed.
    pub algorithm: TokenAlgorithm,
    /// The public key in PEM form, or for HS256 the secret itself.
    pub key_file: PathBuf,
    /// What `aud` must contain.
    pub audience: String,
    /// What `iss` must be, where it is set.
    pub issuer: Option<String>,
    /// The claim that holds the user's name.
    pub name_claim: String,
    /// How far the clocks of issuer and broker may differ.
    pub leeway: Duration,
}

/// What judges tokens.
pub(crate) struct Tokens {
    key: DecodingKey,
    validation: Validation,
    name_claim: Box<str>,
    leeway: Duration,
    stamp: u64,
}

impl std::fmt::Debug for Tokens {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("validation", &self.validation)
            .finish_non_exhaustive()
    }
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) name: String,
    /// When the token ends, leeway included.
    pub(crate) ends: SystemTime,
    /// Stands for the key that judged it.
    pub(crate) stamp: u64,
}

impl Tokens {
    /// Reads the key.
    ///
    /// # Errors
    /// The key file cannot be read, or holds no key for the algorithm.
    pub(crate) fn load(settings: &TokenSettings) -> Result<Self, Problem> {
        let path = &settings.key_file;
        let bytes = std::fs::read(path).map_err(|error| Problem::unreadable(path, &error))?;
        let key = decoding_key(path, &bytes, settings.algorithm)?;
        let algorithm = match settings.algorithm {
            TokenAlgorithm::Hs256 => Algorithm::HS256,
            TokenAlgorithm::Rs256 => Algorithm::RS256,
            TokenAlgorithm::Ps256 => Algorithm::PS256,
            TokenAlgorithm::Es256 => Algorithm::ES256,
            TokenAlgorithm::EdDsa => Algorithm::EdDSA,
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = settings.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_audience(&[&settings.audience]);
        let mut required = vec!["exp", "aud"];
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        let digest = digest::digest(&digest::SHA256, &bytes);
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_ref()[..8]);
        Ok(Self {
            key,
            validation,
            name_claim: Box::from(settings.name_claim.as_str()),
            leeway: settings.leeway,
            stamp: u64::from_be_bytes(first),
        })
    }

    /// Judges a token; the error says why it is refused, for the log.
    pub(crate) fn verify(&self, token: &[u8]) -> Result<Bearer, String> {
        let decoded = decode::<Map<String, Value>>(token, &self.key, &self.validation)
            .map_err(|error| error.to_string())?;
        let name = match decoded.claims.get(&*self.name_claim) {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            _ => return Err(format!("it has no text in the claim '{}'", self.name_claim)),
        };
        let seconds = decoded
            .claims
            .get("exp")
            .and_then(|exp| exp.as_u64().or_else(|| exp.as_f64().map(whole_seconds)))
            .ok_or("its 'exp' is no time")?;
        let ends = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .and_then(|ends| ends.checked_add(self.leeway))
            .ok_or("its 'exp' is no time")?;
        Ok(Bearer {
            name,
            ends,
            stamp: self.stamp,
        })
    }

    /// Stands for the key.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a second does not matter, and casts saturate"
)]
fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}

fn decoding_key(
    path: &Path,
    bytes: &[u8],
    algorithm: TokenAlgorithm,
) -> Result<DecodingKey, Problem> {
    let wrong = |error: &jsonwebtoken::errors::Error, kind: &str| {
        let reason = match error.kind() {
            ErrorKind::InvalidKeyFormat => "it is no such key".to_owned(),
            _ => error.to_string(),
        };
        Problem::of_file(
            path,
            format!("holds no {kind} public key: {reason}"),
            format!("put the issuer's {kind} public key here in PEM form (BEGIN PUBLIC KEY)"),
        )
    };
    // Whoever can read a private key can sign: it has no business on the broker.
    if String::from_utf8_lossy(bytes).contains("PRIVATE KEY") {
        return Err(Problem::of_file(
            path,
            "holds a private key",
            "put the public key here; the private one stays with the issuer",
        ));
    }
    match algorithm {
        TokenAlgorithm::Hs256 => {
            let secret = bytes.trim_ascii_end();
            if secret.starts_with(b"-----BEGIN") {
                return Err(Problem::of_file(
                    path,
                    "holds a public key, which everybody may know, where HS256 needs a secret",
                    "set access.jwt.algorithm to RS256, PS256, ES256 or EdDSA",
                ));
            }
            if secret.len() < SECRET {
                return Err(Problem::of_file(
                    path,
                    format!("the secret has {} bytes", secret.len()),
                    format!("HS256 needs at least {SECRET}: `openssl rand -base64 32` makes some"),
                ));
            }
            Ok(DecodingKey::from_secret(secret))
        }
        TokenAlgorithm::Rs256 | TokenAlgorithm::Ps256 => {
            DecodingKey::from_rsa_pem(bytes).map_err(|error| wrong(&error, "RSA"))
        }
        TokenAlgorithm::Es256 => {
            DecodingKey::from_ec_pem(bytes).map_err(|error| wrong(&error, "P-256"))
        }
        TokenAlgorithm::EdDsa => {
            DecodingKey::from_ed_pem(bytes).map_err(|error| wrong(&error, "Ed25519"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const SECRET_TEXT: &str = "0123456789abcdef0123456789abcdef";
    const EC_PRIVATE: &[u8] = include_bytes!("../../tests/data/jwt-p256-private.pem");
    const EC_PUBLIC: &[u8] = include_bytes!("../../tests/data/jwt-p256-public.pem");

    fn tokens(algorithm: TokenAlgorithm, key: &[u8]) -> Tokens {
        load(algorithm, key, Duration::ZERO).expect("a key")
    }

    fn load(algorithm: TokenAlgorithm, key: &[u8], leeway: Duration) -> Result<Tokens, Problem> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(key).expect("written");
        Tokens::load(&TokenSettings {
            algorithm,
            key_file: file.path().to_path_buf(),
            audience: "mqtt".to_owned(),
            issuer: Some("house".to_owned()),
            name_claim: "sub".to_owned(),
            leeway,
        })
    }

    fn now() -> u64 {
        SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_secs()
    }

    fn claims() -> Value {
        json!({"sub": "alice", "aud": "mqtt", "iss": "house", "exp": now() + 600})
    }

    fn with(key: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[key] = value;
        claims
    }

    fn without(key: &str) -> Value {
        let mut claims = claims();
        claims.as_object_mut().expect("claims").remove(key);
        claims
    }

    fn sign(algorithm: Algorithm, claims: &Value) -> String {
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(EC_PRIVATE).expect("a key"),
            _ => EncodingKey::from_secret(SECRET_TEXT.as_bytes()),
        };
        encode(&Header::new(algorithm), claims, &key).expect("signed")
    }

    #[test]
    fn a_good_token_names_its_bearer() {
        for (ours, theirs, key) in [
            (
                TokenAlgorithm::Hs256,
                Algorithm::HS256,
                SECRET_TEXT.as_bytes(),
            ),
            (TokenAlgorithm::Es256, Algorithm::ES256, EC_PUBLIC),
        ] {
            let bearer = tokens(ours, key)
                .verify(sign(theirs, &claims()).as_bytes())
                .expect("good");
            assert_eq!(bearer.name, "alice");
            assert!(bearer.ends > SystemTime::now());
        }
    }

    #[test]
    fn every_other_token_is_refused() {
        let tokens = tokens(TokenAlgorithm::Hs256, SECRET_TEXT.as_bytes());
        for claims in [
            without("exp"),
            without("aud"),
            without("iss"),
            without("sub"),
            with("exp", json!(now() - 10)),
            with("exp", json!("never")),
            with("nbf", json!(now() + 600)),
            with("nbf", json!("soon")),
            with("aud", json!("other")),
            with("aud", json!(["other", "another"])),
            with("iss", json!("elsewhere")),
            with("sub", json!("")),
            with("sub", json!(1)),
        ] {
            let token = sign(Algorithm::HS256, &claims);
            assert!(tokens.verify(token.as_bytes()).is_err(), "{claims}");
        }
        for token in ["", "a.b", "a.b.c", "secret"] {
            assert!(tokens.verify(token.as_bytes()).is_err(), "{token}");
        }
    }

    #[test]
    fn clocks_may_differ_by_the_leeway_at_the_beginning_and_at_the_end() {
        let (leeway, secret) = (Duration::from_secs(1000), SECRET_TEXT.as_bytes());
        let tokens = load(TokenAlgorithm::Hs256, secret, leeway).expect("a key");
        let verify = |claims: &Value| tokens.verify(sign(Algorithm::HS256, claims).as_bytes());
        let ended = now() - 100;
        let bearer = verify(&with("exp", json!(ended))).expect("within the leeway");
        // Else who is let in would be sent away at once.
        let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(ended) + leeway;
        assert_eq!(bearer.ends, ends);
        assert!(verify(&with("exp", json!(now() - 2000))).is_err());
        assert!(verify(&with("nbf", json!(now() + 100))).is_ok());
        assert!(verify(&with("nbf", json!(now() + 2000))).is_err());
    }

    #[test]
    fn a_secret_has_thirty_two_bytes_its_line_ending_not_counted() {
        for (length, end, is_enough) in [
            (32, "", true),
            (32, "\r\n", true),
            (31, "", false),
            (31, "\n", false),
            (31, " \n", false),
        ] {
            let secret = "s".repeat(length) + end;
            let loaded = load(TokenAlgorithm::Hs256, secret.as_bytes(), Duration::ZERO);
            assert_eq!(loaded.is_ok(), is_enough, "{length} {end:?}");
        }
    }

    #[test]
    fn the_algorithm_is_ours_to_say() {
        let secret = tokens(TokenAlgorithm::Hs256, SECRET_TEXT.as_bytes());
        let good = sign(Algorithm::HS256, &claims());
        let body = good.split('.').nth(1).expect("claims");
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "None", "typ": "JWT"}),
            json!({"alg": "HS384"}),
            json!({}),
        ] {
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            for signature in ["", good.rsplit('.').next().expect("a signature")] {
                let token = format!("{header}.{body}.{signature}");
                assert!(secret.verify(token.as_bytes()).is_err(), "{token}");
            }
        }
        assert!(
            secret
                .verify(sign(Algorithm::HS384, &claims()).as_bytes())
                .is_err()
        );
        // The public key taken for a secret.
        let public = tokens(TokenAlgorithm::Es256, EC_PUBLIC);
        let key = EncodingKey::from_secret(EC_PUBLIC);
        let forged = encode(&Header::new(Algorithm::HS256), &claims(), &key).expect("signed");
        assert!(public.verify(forged.as_bytes()).is_err());
        // Another bit anywhere.
        let mut changed = good.clone().into_bytes();
        let last = changed.len() - 3;
        changed[last] ^= 1;
        assert!(secret.verify(&changed).is_err());
    }
}
