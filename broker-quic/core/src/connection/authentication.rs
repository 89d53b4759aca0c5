//! Who the client is: the question to the driver, its answers, and the exchange of AUTH packets around them.
//!
//! Enhanced authentication is a conversation of rounds. The client speaks in CONNECT or AUTH, the driver judges and
//! answers by [`Connection::authenticated`], and a challenge goes out as AUTH until one side has had enough.

use core::fmt;
use std::sync::Arc;

use quince_codec::{Auth, Connect, Packet, Property, PropertyList, ReasonCode, Version};

use super::ending::Ending;
use super::handshake::{Pending, refusal};
use super::{Connection, Output, State};
use crate::identifier::ConnectionId;
use crate::policy::Principal;
use crate::time::Time;

/// What the driver must have somebody judge; the answer goes to
/// [`Connection::authenticated`](crate::Connection::authenticated).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticationRequest {
    /// The connection that asks.
    pub connection: ConnectionId,
    /// The version that the client speaks.
    pub version: Version,
    /// The Client Identifier, also when the broker assigned it.
    pub client_id: Arc<str>,
    /// The User Name of CONNECT; absent in later rounds.
    pub user_name: Option<String>,
    /// The Password of CONNECT; absent in later rounds.
    pub password: Option<Vec<u8>>,
    /// What the client said in enhanced authentication (section 4.12), if it uses any.
    pub enhanced: Option<Enhanced>,
}

/// One round of enhanced authentication, as the client sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Enhanced {
    /// The Authentication Method: one of [`Config::authentication_methods`](crate::Config::authentication_methods).
    pub method: Arc<str>,
    /// The Authentication Data of this round, at most a packet long.
    pub data: Option<Vec<u8>>,
    /// Where in the conversation it was said.
    pub round: Round,
}

/// Where in the conversation an [`AuthenticationRequest`] comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// In CONNECT.
    Connect,
    /// In AUTH with Continue authentication (0x18), after a challenge.
    Continue,
    /// In AUTH with Re-authenticate (0x19), on a connection that is up.
    Renew,
}

impl fmt::Debug for AuthenticationRequest {
    /// Leaves the password out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AuthenticationRequest")
            .field("connection", &self.connection)
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("has_password", &self.password.is_some())
            .field("enhanced", &self.enhanced)
            .finish()
    }
}

impl fmt::Debug for Enhanced {
    /// Leaves the data out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Enhanced")
            .field("method", &self.method)
            .field("has_data", &self.data.is_some())
            .field("round", &self.round)
            .finish()
    }
}

/// The answer to an [`AuthenticationRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The client is this principal.
    Accepted {
        /// Whom it was found to be. It must not change in a re-authentication.
        principal: Principal,
        /// Authentication Data that goes with CONNACK or the last AUTH; only for enhanced authentication.
        data: Option<Vec<u8>>,
    },
    /// The client must say more; only for enhanced authentication.
    Challenge(Vec<u8>),
    /// The client is refused with this Reason Code, 0x80 or above.
    Refused(ReasonCode),
}

impl From<Result<Principal, ReasonCode>> for Answer {
    fn from(answer: Result<Principal, ReasonCode>) -> Self {
        match answer {
            Ok(principal) => Self::Accepted {
                principal,
                data: None,
            },
            Err(code) => Self::Refused(code),
        }
    }
}

/// Whose turn it is in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The driver judges.
    Broker,
    /// The client was challenged.
    Client,
}

/// A re-authentication that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Renewal {
    pub(super) turn: Turn,
    pub(super) deadline: Time,
}

impl Connection {
    pub(super) fn on_connect(&mut self, now: Time, connect: &Connect<'_>) {
        self.link.agree(&self.hub.config, connect);
        match Pending::of(&self.hub, connect) {
            Ok(pending) => {
                let properties = connect.properties;
                let request = AuthenticationRequest {
                    connection: self.id,
                    version: connect.version,
                    client_id: Arc::clone(&pending.request.client_id),
                    user_name: connect.user_name.map(String::from),
                    password: connect.password.map(Vec::from),
                    enhanced: self.enhanced(properties.authentication_data(), Round::Connect),
                };
                self.outputs.push_back(Output::Authenticate(request));
                let deadline = now + self.hub.config.authentication_timeout;
                self.state = State::Authenticating {
                    pending: Box::new(pending),
                    deadline,
                    turn: Turn::Broker,
                };
            }
            Err(ending) => self.end(now, ending),
        }
    }

    fn enhanced(&self, data: Option<&[u8]>, round: Round) -> Option<Enhanced> {
        self.link
            .authentication_method
            .as_ref()
            .map(|method| Enhanced {
                method: Arc::clone(method),
                data: data.map(Vec::from),
                round,
            })
    }

    fn ask_again(&mut self, client_id: Arc<str>, auth: &Auth<'_>, round: Round) {
        let request = AuthenticationRequest {
            connection: self.id,
            version: self.link.version,
            client_id,
            user_name: None,
            password: None,
            enhanced: self.enhanced(auth.properties.authentication_data(), round),
        };
        self.outputs.push_back(Output::Authenticate(request));
    }

    /// The answer to [`Output::Authenticate`]: who the client is, what it must say more, or the refusal.
    ///
    /// It has no effect when the connection does not wait for it (any more).
    pub fn authenticated(&mut self, now: Time, answer: impl Into<Answer>) {
        self.now = now;
        match self.state {
            State::Authenticating {
                turn: Turn::Broker, ..
            } => self.answered_before_connack(now, answer.into()),
            State::Connected(_) if self.renewal.is_some_and(|it| it.turn == Turn::Broker) => {
                self.answered_while_connected(now, answer.into());
            }
            _ => return,
        }
        self.pump(now);
    }

    fn answered_before_connack(&mut self, now: Time, answer: Answer) {
        let version = self.link.version;
        let State::Authenticating {
            mut pending,
            deadline,
            ..
        } = core::mem::replace(&mut self.state, State::Closed)
        else {
            return;
        };
        match answer {
            Answer::Accepted { principal, data } => {
                self.hub.refresh(&mut self.link.in_force);
                match pending.identify(&self.link.in_force, principal) {
                    Ok(()) => {
                        pending.authentication_data = data;
                        self.attach(now, pending);
                    }
                    Err(ending) => self.end(now, ending),
                }
            }
            Answer::Challenge(data) if self.link.authentication_method.is_some() => {
                self.state = State::Authenticating {
                    pending,
                    deadline,
                    turn: Turn::Client,
                };
                // [MQTT5-4.12.0-2]
                self.say(now, ReasonCode::CONTINUE_AUTHENTICATION, Some(&data));
            }
            Answer::Challenge(_) => self.end(now, refusal(version, ReasonCode::NOT_AUTHORIZED)),
            // [MQTT5-4.12.0-4]
            Answer::Refused(code) => self.end(now, refusal(version, code)),
        }
    }

    fn answered_while_connected(&mut self, now: Time, answer: Answer) {
        match answer {
            Answer::Accepted { principal, data } => {
                self.hub.refresh(&mut self.link.in_force);
                let State::Connected(session) = &mut self.state else {
                    return;
                };
                // A Session belongs to its principal.
                if !session.principal.is_same_as(&principal) {
                    self.end(now, Ending::error(ReasonCode::NOT_AUTHORIZED));
                    return;
                }
                session.principal = principal;
                // The policy is asked about the new proof.
                self.admitted = 0;
                self.renewal = None;
                self.say(now, ReasonCode::SUCCESS, data.as_deref());
            }
            Answer::Challenge(data) => {
                if let Some(renewal) = &mut self.renewal {
                    renewal.turn = Turn::Client;
                }
                self.say(now, ReasonCode::CONTINUE_AUTHENTICATION, Some(&data));
            }
            // [MQTT5-4.12.1-2]
            Answer::Refused(code) => self.end(now, Ending::error(code)),
        }
    }

    /// Sends AUTH; every one repeats the method [MQTT5-4.12.0-5].
    fn say(&mut self, now: Time, code: ReasonCode, data: Option<&[u8]>) {
        let method = self.link.authentication_method.clone();
        let mut properties = PropertyList::new();
        if let Some(method) = &method {
            properties.push(Property::AuthenticationMethod(method));
        }
        if let Some(data) = data {
            properties.push(Property::AuthenticationData(data));
        }
        if self
            .link
            .send_auth(&mut self.streams.control, code, properties.as_properties())
            .is_err()
        {
            // The client cannot be told what it must know.
            self.end(now, Ending::silent(ReasonCode::PACKET_TOO_LARGE));
        }
    }

    /// A packet between CONNECT and CONNACK: only AUTH and DISCONNECT may come [MQTT5-3.1.2-30].
    pub(super) fn on_packet_before_connack(&mut self, now: Time, packet: &Packet<'_>) {
        let version = self.link.version;
        match packet {
            Packet::Auth(auth)
                if auth.reason_code == ReasonCode::CONTINUE_AUTHENTICATION
                    && self.has_right_method(auth) =>
            {
                if let State::Authenticating { pending, turn, .. } = &mut self.state {
                    *turn = Turn::Broker;
                    let client_id = Arc::clone(&pending.request.client_id);
                    self.ask_again(client_id, auth, Round::Continue);
                }
            }
            Packet::Disconnect(disconnect) => {
                self.end(now, Ending::by_client(disconnect.reason_code));
            }
            _ => self.end(now, refusal(version, ReasonCode::PROTOCOL_ERROR)),
        }
    }

    /// AUTH on a connection that is up.
    pub(super) fn on_auth(&mut self, now: Time, auth: &Auth<'_>) {
        let State::Connected(session) = &self.state else {
            return;
        };
        let client_id = Arc::clone(&session.client_id);
        let round = match (auth.reason_code, self.renewal.map(|renewal| renewal.turn)) {
            (ReasonCode::RE_AUTHENTICATE, None) => Round::Renew,
            (ReasonCode::CONTINUE_AUTHENTICATION, Some(Turn::Client)) => Round::Continue,
            _ => {
                self.end(now, Ending::error(ReasonCode::PROTOCOL_ERROR));
                return;
            }
        };
        // Without a method in CONNECT there is no AUTH [MQTT5-4.12.0-7]; with one it stays the same [MQTT5-4.12.1-1].
        if !self.has_right_method(auth) {
            self.end(now, Ending::error(ReasonCode::PROTOCOL_ERROR));
            return;
        }
        let begun = self.renewal.map(|renewal| renewal.deadline);
        self.renewal = Some(Renewal {
            turn: Turn::Broker,
            // The whole conversation has as long as one before CONNACK.
            deadline: begun.unwrap_or(now + self.hub.config.authentication_timeout),
        });
        self.ask_again(client_id, auth, round);
    }

    fn has_right_method(&self, auth: &Auth<'_>) -> bool {
        let agreed = self.link.authentication_method.as_deref();
        agreed.is_some() && auth.properties.authentication_method() == agreed
    }
}
