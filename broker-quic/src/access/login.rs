//! What a connection is told about who it may be: the answer to every question that the core asks about it, also in the
//! rounds of SCRAM and when the client proves itself anew, and the end of what its certificate was good for.

use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use quince_codec::ReasonCode;
use quince_core::{Answer, AuthenticationRequest, Enhanced, Principal, Round, Time};

use super::policy::Credential;
use super::scram::{Exchange, First, Secret};
use super::{Access, by_certificate};
use crate::accept::Arrival;
use crate::standing::Standing;

/// Refusals by SCRAM say no more than this: which part was wrong is nobody's business. (DISCONNECT, which ends a failed
/// re-authentication, does not know 0x86.)
const REFUSED: ReasonCode = ReasonCode::NOT_AUTHORIZED;

/// The login of one connection, for as long as it lives.
pub(crate) struct Login {
    judge: Arc<Judge>,
    standing: Option<Standing>,
    answer: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
}

/// What the driver has to tell the core.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The answer to its question.
    Answer(Answer),
    /// The client's certificate is not one any more that is let in.
    Unwelcome,
}

impl Login {
    /// For a connection that has arrived; it counts as one for as long as this lives.
    pub(crate) fn new(access: Arc<Access>, mut arrival: Arrival) -> Self {
        Self {
            standing: arrival.standing.take(),
            judge: Arc::new(Judge {
                access,
                arrival,
                exchange: Mutex::new(None),
            }),
            answer: None,
        }
    }

    /// Takes a question of the core; [`Login::verdict`] gives the answer.
    pub(crate) fn ask(&mut self, request: AuthenticationRequest, now: Time) {
        let judge = Arc::clone(&self.judge);
        self.answer = Some(Box::pin(async move { judge.answer(request, now).await }));
    }

    /// Waits for the next thing that the core has to know. Safe to cancel.
    pub(crate) async fn verdict(&mut self) -> Verdict {
        let answered = async {
            match &mut self.answer {
                Some(answer) => answer.await,
                None => pending().await,
            }
        };
        let lost = async {
            match &mut self.standing {
                Some(standing) => standing.lost().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = lost => {
                self.standing = None;
                Verdict::Unwelcome
            }
            answer = answered => {
                self.answer = None;
                Verdict::Answer(answer)
            }
        }
    }
}

/// Judges one connection.
#[derive(Debug)]
struct Judge {
    access: Arc<Access>,
    arrival: Arrival,
    /// The exchange that waits for the client's proof; most clients never have one.
    exchange: Mutex<Option<Box<Exchange>>>,
}

impl Judge {
    /// The answer to one request of the core. The connection asks one at a time.
    async fn answer(&self, request: AuthenticationRequest, now: Time) -> Answer {
        if let Some(enhanced) = &request.enhanced {
            let user_name = request.user_name.as_deref();
            return self
                .scram(enhanced, user_name)
                .unwrap_or(Answer::Refused(REFUSED));
        }
        self.access
            .authenticate(request, &self.arrival.peer, now)
            .await
            .into()
    }

    /// One round of the only method that is offered. `None` refuses.
    fn scram(&self, enhanced: &Enhanced, user_name: Option<&str>) -> Option<Answer> {
        let mut waiting = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let exchange = waiting.take();
        let data = enhanced.data.as_deref()?;
        match enhanced.round {
            Round::Connect | Round::Renew => {
                let first = First::parse(data).ok()?;
                // User Name may repeat the name, and nothing else.
                if user_name.is_some_and(|user_name| user_name != first.name) {
                    return None;
                }
                let sources = self.access.sources.load();
                let secret = sources.passwords.as_ref()?.scram(&first.name);
                let (exchange, challenge) = Exchange::begin(first, secret).ok()?;
                *waiting = Some(Box::new(exchange));
                Some(Answer::Challenge(challenge))
            }
            Round::Continue => {
                let exchange = exchange?;
                let secret = exchange.secret().clone();
                let (name, proof) = exchange.finish(data).ok()?;
                Some(Answer::Accepted {
                    principal: self.principal(&name, &secret)?,
                    data: Some(proof),
                })
            }
        }
    }

    /// Whom the proof has shown the client to be, if its certificate does not say otherwise and the password is still
    /// the one that it was at the challenge.
    fn principal(&self, name: &str, secret: &Secret) -> Option<Principal> {
        let peer = &self.arrival.peer;
        if let Some(which) = peer.admission.certificate_name
            && let Some(certificate) = &peer.certificate
        {
            by_certificate(certificate, which, Some(name)).ok()?;
        }
        let sources = self.access.sources.load();
        let passwords = sources.passwords.as_ref()?;
        let stamp = passwords.stamp(name)?;
        (passwords.scram(name) == *secret).then(|| Credential::Password(stamp).of(name))
    }
}
