//! From CONNECT to CONNACK.

use std::sync::Arc;

use quince_codec::{
    Connect, ConnectReturnCode, Property, PropertyList, QoS, ReasonCode, Version,
    Will as ConnectWill,
};

use super::ending::{ClosedBy, Ending, LastWord};
use super::link::Link;
use super::stream::Stream;
use crate::attach::{AttachRequest, Attached};
use crate::config::Config;
use crate::delayed::Destination;
use crate::hub::Hub;
use crate::outbox::Gate;
use crate::policy::{Action, InForce, Principal, Subject};
use crate::position::Position;
use crate::record::Change;
use crate::session::{NEVER, Session, SessionWill, Will};

/// A CONNECT that is well-formed and within the limits, on its way to CONNACK.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) request: AttachRequest,
    version: Version,
    assigned: bool,
    /// Keep Alive as it will be enforced, in seconds.
    pub(crate) keep_alive: u16,
    keep_alive_limited: bool,
    expiry_limited: bool,
    will: Option<Arc<Will>>,
    /// What the authenticator has to say with CONNACK.
    pub(crate) authentication_data: Option<Vec<u8>>,
}

/// A refusal of CONNECT in the words of its version.
pub(crate) fn refusal(version: Version, code: ReasonCode) -> Ending {
    let last_word = match version {
        Version::V5_0 => LastWord::ConnAck(code.0),
        // What has no return code is closed without CONNACK [MQTT3-3.2.2-6].
        Version::V3_1 | Version::V3_1_1 => match ConnectReturnCode::from_reason_code(code) {
            Some(return_code) => LastWord::ConnAck(return_code.0),
            None => LastWord::Nothing,
        },
    };
    Ending {
        code,
        by: ClosedBy::Server,
        last_word,
    }
}

impl Pending {
    /// Judges what the bytes of a CONNECT do not show: the broker's limits and abilities.
    pub(crate) fn of(hub: &Hub, connect: &Connect<'_>) -> Result<Self, Ending> {
        let version = connect.version;
        let refuse = |code| refusal(version, code);
        let config = &hub.config;
        if hub.is_shutting_down() {
            return Err(refuse(ReasonCode::SERVER_UNAVAILABLE));
        }
        if let Some(redirect) = &config.redirect {
            return Err(refuse(redirect.validity.reason_code()));
        }
        if connect.client_id.len() > config.client_id_length {
            return Err(refuse(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID));
        }
        let assigned = connect.client_id.is_empty();
        if assigned && version == Version::V3_1_1 && !connect.clean_start {
            // [MQTT3-3.1.3-8]
            return Err(refuse(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID));
        }
        // [MQTT5-4.12.0-1]
        let method = connect.properties.authentication_method();
        if method.is_some_and(|method| !config.offers(method)) {
            return Err(refuse(ReasonCode::BAD_AUTHENTICATION_METHOD));
        }
        if connect.properties.user_properties().count() > config.user_properties {
            return Err(refuse(ReasonCode::QUOTA_EXCEEDED));
        }
        if let Some(will) = &connect.will {
            config
                .check_message(will.qos, will.retain)
                .map_err(refuse)?;
        }
        let will = connect
            .will
            .as_ref()
            .map(|will| store_will(hub, will))
            .transpose()
            .map_err(refuse)?;
        let wanted_expiry = match version {
            Version::V5_0 => connect.properties.session_expiry_interval().unwrap_or(0),
            // CleanSession 1 ends with the connection; 0 has no end of its own [MQTT3-3.1.2-4] [MQTT3-3.1.2-6].
            Version::V3_1 | Version::V3_1_1 if connect.clean_start => 0,
            Version::V3_1 | Version::V3_1_1 => NEVER,
        };
        let expiry = wanted_expiry.min(config.session_expiry_maximum);
        let keep_alive = limit_keep_alive(connect.keep_alive, config.keep_alive_maximum);
        let client_id = if assigned {
            hub.registry().assign_client_id()
        } else {
            Arc::from(connect.client_id)
        };
        Ok(Self {
            request: AttachRequest {
                client_id,
                principal: Principal::anonymous(),
                clean_start: connect.clean_start,
                expiry,
            },
            version,
            assigned,
            // Version 3.1.1 cannot be told of another Keep Alive, so its own counts.
            keep_alive: if version == Version::V5_0 {
                keep_alive
            } else {
                connect.keep_alive
            },
            keep_alive_limited: keep_alive != connect.keep_alive,
            expiry_limited: expiry != wanted_expiry,
            will,
            authentication_data: None,
        })
    }

    /// Takes over who the client is, and asks the policy about it and its Will Message.
    pub(crate) fn identify(
        &mut self,
        in_force: &InForce,
        principal: Principal,
    ) -> Result<(), Ending> {
        self.request.principal = principal;
        let subject = Subject {
            client_id: &self.request.client_id,
            principal: &self.request.principal,
        };
        let may_publish = |will: &Arc<Will>| {
            // What could not be read was refused before.
            Destination::of(&will.topic).is_ok_and(|destination| {
                in_force.authorize(subject, Action::Publish(destination.topic))
            })
        };
        if in_force.policy.admits(subject) && self.will.as_ref().is_none_or(may_publish) {
            Ok(())
        } else {
            Err(refusal(self.version, ReasonCode::NOT_AUTHORIZED))
        }
    }

    /// Makes the Session this connection's and puts CONNACK into the outbox. On an error the Session comes back.
    pub(crate) fn accept(
        self,
        hub: &Hub,
        (link, stream): (&mut Link, &mut Stream),
        attached: Attached,
    ) -> Result<Box<Session>, (Ending, Box<Session>)> {
        let Attached {
            mut session,
            present,
            after,
        } = attached;
        let will = self.will.clone();
        let will_record = will.as_ref().filter(|_| session.is_recorded).map(|will| {
            hub.log.append(|number| Change::WillSet {
                session: session.id,
                number,
                will: Arc::clone(will),
            })
        });
        let after = after.max(will_record.unwrap_or_default());
        let gate = Gate {
            after,
            durable: hub.log.durable(),
        };
        let method = link.authentication_method.clone();
        let properties = self.connack_properties(&hub.config, method.as_deref());
        if link
            .send_connack(stream, present, properties.as_properties(), gate)
            .is_err()
        {
            // The client's Maximum Packet Size leaves no room for what it must know.
            return Err((Ending::silent(ReasonCode::PACKET_TOO_LARGE), session));
        }
        session.will = will.map(|will| SessionWill {
            will,
            record: will_record.map(Position::records),
        });
        session.control.begin_connection();
        Ok(session)
    }

    fn connack_properties(&self, config: &Config, method: Option<&str>) -> PropertyList {
        let mut properties = PropertyList::new();
        if self.version != Version::V5_0 {
            return properties;
        }
        if self.expiry_limited {
            properties.push(Property::SessionExpiryInterval(self.request.expiry));
        }
        properties.push(Property::ReceiveMaximum(config.receive_maximum));
        if config.maximum_qos < QoS::ExactlyOnce {
            // [MQTT5-3.2.2-9]
            properties.push(Property::MaximumQoS(config.maximum_qos as u8));
        }
        if !config.retain_available {
            properties.push(Property::RetainAvailable(false));
        }
        properties.push(Property::MaximumPacketSize(config.packet_after_connack));
        if self.assigned {
            // [MQTT5-3.1.3-7]
            properties.push(Property::AssignedClientIdentifier(&self.request.client_id));
        }
        properties.push(Property::TopicAliasMaximum(config.topic_alias_maximum));
        if self.keep_alive_limited {
            properties.push(Property::ServerKeepAlive(self.keep_alive));
        }
        if let Some(method) = method {
            // [MQTT5-4.12.0-5]
            properties.push(Property::AuthenticationMethod(method));
            if let Some(data) = &self.authentication_data {
                properties.push(Property::AuthenticationData(data));
            }
        }
        properties
    }
}

impl Link {
    /// Takes over what the client announced in CONNECT.
    pub(crate) fn agree(&mut self, config: &Config, connect: &Connect<'_>) {
        let properties = connect.properties;
        self.version = connect.version;
        self.maximum_packet_size = properties.maximum_packet_size().unwrap_or(u32::MAX);
        self.window = usize::from(
            properties
                .receive_maximum()
                .unwrap_or(u16::MAX)
                .min(config.receive_maximum),
        );
        self.server_reference = config
            .redirect
            .as_ref()
            .map(|redirect| Arc::clone(&redirect.server_reference));
        self.authentication_method = properties.authentication_method().map(Arc::from);
        self.problem_information = properties.request_problem_information().unwrap_or(true);
        self.outgoing_aliases = properties
            .topic_alias_maximum()
            .unwrap_or(0)
            .min(config.topic_alias_maximum);
    }
}

/// Keep Alive 0 is none at all, which is longer than any maximum.
fn limit_keep_alive(wanted: u16, maximum: Option<u16>) -> u16 {
    match maximum {
        Some(maximum) if wanted == 0 || wanted > maximum => maximum,
        _ => wanted,
    }
}

fn store_will(hub: &Hub, will: &ConnectWill<'_>) -> Result<Arc<Will>, ReasonCode> {
    if will.topic.split('/').count() > hub.config.topic_levels
        || Destination::of(will.topic).is_err()
    {
        return Err(ReasonCode::TOPIC_NAME_INVALID);
    }
    if will.properties.user_properties().count() > hub.config.user_properties {
        return Err(ReasonCode::QUOTA_EXCEEDED);
    }
    let bytes = Will::size(will.topic, will.properties, will.payload);
    let charge = hub.budget.charge(bytes).ok_or(ReasonCode::QUOTA_EXCEEDED)?;
    let mut properties = PropertyList::new();
    will.properties
        .iter()
        .for_each(|property| properties.push(property));
    Ok(Arc::new(Will {
        topic: Box::from(will.topic),
        properties,
        payload: Box::from(will.payload),
        qos: will.qos,
        retain: will.retain,
        delay: will.properties.will_delay_interval().unwrap_or(0),
        _charge: charge,
    }))
}
