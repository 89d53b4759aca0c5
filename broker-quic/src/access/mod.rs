//! Who may connect, and who may do what: password file, tokens, client certificates, access rules.
//!
//! Authentication names a [`Principal`]; what a principal may do is a value ([`policy::Sources`]) that the core asks about
//! everything. [`Access::reload`] reads all files again and puts the new value into force as a whole, or, where a file
//! is broken, keeps the old one.

mod acl;
mod filter;
mod hash;
mod login;
mod passwd;
mod passwords;
mod policy;
mod scram;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use quince_codec::ReasonCode;
use quince_core::{AuthenticationRequest, Hub, Policy, Principal, Time};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tracing::debug;

use self::acl::Acl;
pub(crate) use self::login::{Login, Verdict};
pub use self::passwd::{Keep, PasswdError, delete_user, set_password};
use self::passwords::Passwords;
use self::policy::{Credential, Sources};
use self::tokens::Tokens;
pub use self::tokens::{TokenAlgorithm, TokenSettings};
use crate::peer::{Peer, PeerCertificate};
use crate::problem::Problem;

/// Where identities and rights come from; nothing set means that nobody can log in and that everybody may do everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// Users and their hashed passwords.
    pub password_file: Option<PathBuf>,
    /// Access rules.
    pub acl_file: Option<PathBuf>,
    /// Tokens as passwords.
    pub tokens: Option<TokenSettings>,
    /// Logins that are judged at the same time; each takes one thread and, by default, 19 MiB.
    pub concurrent_logins: usize,
    /// Logins that may wait for their turn; further ones are refused with 0x89 (Server busy).
    pub waiting_logins: usize,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            password_file: None,
            acl_file: None,
            tokens: None,
            concurrent_logins: 4,
            waiting_logins: 1024,
        }
    }
}

impl AccessSettings {
    /// Whether anybody can prove who it is by user name and password.
    #[must_use]
    pub fn has_logins(&self) -> bool {
        self.password_file.is_some() || self.tokens.is_some()
    }

    fn load(&self) -> Result<Sources, Problem> {
        Ok(Sources {
            passwords: load(self.password_file.as_deref(), Passwords::load)?,
            tokens: load(self.tokens.as_ref(), Tokens::load)?,
            acl: load(self.acl_file.as_deref(), Acl::load)?,
        })
    }
}

fn load<S: ?Sized, T>(
    from: Option<&S>,
    load: impl Fn(&S) -> Result<T, Problem>,
) -> Result<Option<Arc<T>>, Problem> {
    Ok(from.map(load).transpose()?.map(Arc::new))
}

/// How a client certificate becomes a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateName {
    /// The Common Name of its subject.
    CommonName,
    /// `sha256:` and the SHA-256 over its DER form in lower-case hex.
    Sha256,
}

/// Whom a listener lets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Clients that name nobody.
    pub anonymous: bool,
    /// Clients by their certificate: what it says is who they are.
    pub certificate_name: Option<CertificateName>,
}

/// Judges who connects; holds what is in force.
#[derive(Debug)]
pub struct Access {
    settings: AccessSettings,
    sources: ArcSwap<Sources>,
    turns: Semaphore,
    waiting: Semaphore,
}

impl Access {
    /// Reads every file that is set.
    ///
    /// # Errors
    /// The first problem; nobody is let in on the rest.
    pub fn load(settings: AccessSettings) -> Result<Self, Problem> {
        let sources = settings.load()?;
        Ok(Self {
            turns: Semaphore::new(settings.concurrent_logins.max(1)),
            waiting: Semaphore::new(settings.concurrent_logins.max(1) + settings.waiting_logins),
            sources: ArcSwap::from_pointee(sources),
            settings,
        })
    }

    /// The methods of enhanced authentication that a client may use.
    #[must_use]
    pub fn methods(&self) -> Vec<Box<str>> {
        let scram = self.settings.password_file.is_some();
        scram.then(|| scram::METHOD.into()).into_iter().collect()
    }

    /// What is in force now, for the core to ask.
    #[must_use]
    pub fn policy(&self) -> Arc<dyn Policy> {
        self.sources.load_full()
    }

    /// Reads every file again. Everything that is connected goes on, except who is not admitted any more.
    ///
    /// # Errors
    /// The first problem; then everything stays as it was.
    pub(crate) fn reload(&self, hub: &Hub) -> Result<(), Problem> {
        let sources = Arc::new(self.settings.load()?);
        self.sources.store(Arc::clone(&sources));
        hub.set_policy(sources);
        Ok(())
    }

    /// Decides on one CONNECT without enhanced authentication.
    ///
    /// # Errors
    /// The Reason Code for the CONNACK.
    pub(crate) async fn authenticate(
        &self,
        request: AuthenticationRequest,
        peer: &Peer,
        now: Time,
    ) -> Result<Principal, ReasonCode> {
        if let Some(which) = peer.admission.certificate_name
            && let Some(certificate) = &peer.certificate
        {
            return by_certificate(certificate, which, request.user_name.as_deref());
        }
        if request.user_name.is_none() && request.password.is_none()
            // Where nobody can log in, a name means nothing.
            || !self.settings.has_logins()
        {
            return if peer.admission.anonymous {
                Ok(Principal::anonymous())
            } else {
                Err(ReasonCode::NOT_AUTHORIZED)
            };
        }
        // A name without a password proves nothing, whoever it names.
        let Some(password) = request.password else {
            return Err(ReasonCode::BAD_USER_NAME_OR_PASSWORD);
        };
        self.by_password(request.user_name, password, now).await
    }

    async fn by_password(
        &self,
        user_name: Option<String>,
        password: Vec<u8>,
        now: Time,
    ) -> Result<Principal, ReasonCode> {
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(ReasonCode::SERVER_BUSY);
        };
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(ReasonCode::SERVER_BUSY);
        };
        let sources = self.sources.load_full();
        // Hashing takes tens of milliseconds: other connections share the runtime's threads.
        let judged = tokio::task::spawn_blocking(move || {
            judge(&sources, user_name.as_deref(), &password, now)
        });
        judged.await.unwrap_or(Err(ReasonCode::UNSPECIFIED_ERROR))
    }
}

/// A certificate says who the client is; a User Name may repeat it, and nothing else.
fn by_certificate(
    certificate: &PeerCertificate,
    which: CertificateName,
    user_name: Option<&str>,
) -> Result<Principal, ReasonCode> {
    let name = match which {
        CertificateName::CommonName => certificate.common_name.clone(),
        CertificateName::Sha256 => Some(format!("sha256:{}", certificate.sha256)),
    };
    // A certificate that names nobody does not make its owner anonymous.
    let name = name
        .filter(|name| !name.is_empty() && !name.contains('\0'))
        .ok_or(ReasonCode::NOT_AUTHORIZED)?;
    if user_name.is_some_and(|user_name| user_name != name) {
        return Err(ReasonCode::NOT_AUTHORIZED);
    }
    Ok(Principal::named(&name))
}

/// Tries the password file first, then the token.
fn judge(
    sources: &Sources,
    user_name: Option<&str>,
    password: &[u8],
    now: Time,
) -> Result<Principal, ReasonCode> {
    if let (Some(passwords), Some(name)) = (&sources.passwords, user_name)
        && let Some(stamp) = passwords.verify(name, password)
    {
        return Ok(Credential::Password(stamp).of(name));
    }
    if let Some(tokens) = &sources.tokens {
        match tokens.verify(password) {
            Ok(bearer) if user_name.is_none_or(|name| name == bearer.name) => {
                let left = bearer
                    .ends
                    .duration_since(SystemTime::now())
                    .unwrap_or_default();
                return Ok(Credential::Token(bearer.stamp)
                    .of(&bearer.name)
                    .valid_until(now + left));
            }
            Ok(_) => debug!("a token was shown under another user's name"),
            Err(reason) => debug!(%reason, "a token was refused"),
        }
    }
    Err(ReasonCode::BAD_USER_NAME_OR_PASSWORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: ReasonCode = ReasonCode::NOT_AUTHORIZED;

    fn by(certificate: &PeerCertificate, which: CertificateName, user: Option<&str>) -> String {
        match by_certificate(certificate, which, user) {
            Ok(principal) => principal.name().unwrap_or("nobody").to_owned(),
            Err(code) => format!("{code}"),
        }
    }

    #[test]
    fn a_certificate_says_who_its_owner_is() {
        use CertificateName::{CommonName, Sha256};
        let named = PeerCertificate {
            common_name: Some("alice".to_owned()),
            sha256: "ab12".to_owned(),
        };
        let refused = format!("{CODE}");
        assert_eq!(by(&named, CommonName, None), "alice");
        assert_eq!(by(&named, CommonName, Some("alice")), "alice");
        assert_eq!(by(&named, CommonName, Some("bob")), refused);
        assert_eq!(by(&named, CommonName, Some("")), refused);
        assert_eq!(by(&named, Sha256, None), "sha256:ab12");
        assert_eq!(by(&named, Sha256, Some("alice")), refused);
        for common_name in [None, Some(""), Some("alice\0.example")] {
            let nameless = PeerCertificate {
                common_name: common_name.map(str::to_owned),
                sha256: "ab12".to_owned(),
            };
            assert_eq!(by(&nameless, CommonName, None), refused);
            assert_eq!(by(&nameless, CommonName, Some("alice")), refused);
        }
    }
}
