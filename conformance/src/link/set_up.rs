//! The core, set up as a scenario needs it.

use std::sync::Arc;

use quince_codec::{QoS, ReasonCode};
use quince_core::{
    Action, AllowAll, Answer, AuthenticationRequest, Config, Policy, Principal, Subject,
    bench::VirtualBroker,
};

use super::{Medium, core::CoreLink};
use crate::{
    player::PlayOptions,
    scenario::{Scenario, expression::Value},
    setup::{Facts, Setup},
    target::Credentials,
};

const USER: &str = "judge";
const PASSWORD: &[u8] = b"judge's own";
const DENIED: &str = "denied";
/// Longer than the limit that is set.
const REFUSED: &str = "a-client-identifier-that-is-too-long";
const METHOD: &str = "two-steps";
const FIRST: &[u8] = b"first";
const SECOND: &[u8] = b"second";

/// A broker of its own for each play of one scenario, set up with what that needs.
#[derive(Clone, Debug, Default)]
pub struct CoreSetup {
    setups: Vec<Setup>,
    medium: Medium,
}

impl CoreSetup {
    /// What that scenario needs.
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            setups: scenario.setups.clone(),
            medium: if scenario.needs_websocket() {
                Medium::Ws
            } else {
                Medium::Memory
            },
        }
    }

    /// A fresh broker.
    pub fn link(&self) -> CoreLink {
        let has = |setup| self.setups.contains(&setup);
        let mut config = Config::default();
        if has(Setup::MaximumQos) {
            config.maximum_qos = QoS::AtLeastOnce;
        }
        config.retain_available = !has(Setup::NoRetain);
        if has(Setup::MaximumPacketSize) {
            config.packet_after_connack = 1_000;
        }
        if has(Setup::NoTopicAliases) {
            config.topic_alias_maximum = 0;
        }
        if has(Setup::ServerKeepAlive) {
            config.keep_alive_maximum = Some(2);
        }
        if has(Setup::SessionExpiry) {
            config.session_expiry_maximum = 2;
        }
        if has(Setup::RefusedClientId) {
            config.client_id_length = REFUSED.len() - 1;
        }
        if has(Setup::EnhancedAuthentication) {
            config.authentication_methods = vec![METHOD.into()];
        }
        let mut broker = if has(Setup::DeniedTopic) {
            VirtualBroker::with_policy(config, Arc::new(OneDenied))
        } else {
            VirtualBroker::new(config)
        };
        if has(Setup::EnhancedAuthentication) || has(Setup::Users) {
            broker.set_authenticator(Box::new(|request| Some(authenticate(request))));
        }
        CoreLink::around(broker).over(self.medium)
    }

    /// How plays on it are done.
    pub fn options(&self) -> PlayOptions {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut facts = Facts::default();
        for setup in &self.setups {
            let values = match setup {
                Setup::MaximumQos => vec![Value::Number(1)],
                Setup::NoRetain | Setup::NoTopicAliases => Vec::new(),
                Setup::MaximumPacketSize => vec![Value::Number(1_000)],
                Setup::ServerKeepAlive | Setup::SessionExpiry => vec![Value::Number(2)],
                Setup::Users => vec![text(USER), Value::Bytes(PASSWORD.to_vec())],
                Setup::DeniedTopic => vec![text(DENIED)],
                Setup::RefusedClientId => vec![text(REFUSED)],
                Setup::EnhancedAuthentication => vec![text(METHOD), Value::Bytes(FIRST.to_vec())],
            };
            facts.set(*setup, values);
        }
        let has = |setup| self.setups.contains(&setup);
        let credentials: Credentials = (USER.to_owned(), PASSWORD.to_vec());
        PlayOptions {
            facts,
            credentials: (has(Setup::Users) || has(Setup::EnhancedAuthentication))
                .then_some(credentials),
            ..PlayOptions::default()
        }
    }
}

/// One user, by password; or two steps of enhanced authentication, of which the second must be right.
fn authenticate(request: &AuthenticationRequest) -> Answer {
    let user = || Ok(Principal::named(USER));
    match &request.enhanced {
        Some(enhanced) => match enhanced.data.as_deref() {
            Some(FIRST) => Answer::Challenge(b"and now?".to_vec()),
            Some(SECOND) => user().into(),
            _ => Answer::Refused(ReasonCode::NOT_AUTHORIZED),
        },
        None => {
            let name = request.user_name.as_deref();
            let password = request.password.as_deref();
            if name == Some(USER) && password == Some(PASSWORD) {
                user().into()
            } else {
                Answer::Refused(ReasonCode::BAD_USER_NAME_OR_PASSWORD)
            }
        }
    }
}

/// Everything but one topic.
#[derive(Debug)]
struct OneDenied;

impl Policy for OneDenied {
    fn allows(&self, subject: Subject<'_>, action: Action<'_>) -> bool {
        match action {
            Action::Publish(DENIED) | Action::Subscribe(DENIED) | Action::Receive(DENIED) => false,
            other => AllowAll.allows(subject, other),
        }
    }
}
