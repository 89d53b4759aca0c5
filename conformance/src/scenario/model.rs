//! A scenario as a value: what the parser makes and the player plays.

use std::fmt;

use quince_codec::Version;

use super::{
    expression::Expression,
    fault::Fault,
    field::{Field, PacketName},
    malformed::{Edit, Parts},
};
use crate::{setup::Setup, verdict::Level};

/// One scenario of a file.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The stable id.
    pub slug: String,
    /// The file it stands in, as it was named to the parser.
    pub file: String,
    /// The line of its first word, from 1.
    pub line: usize,
    /// What must hold, in one sentence.
    pub why: String,
    /// The versions it is played in.
    pub versions: Vec<Version>,
    /// Catalogue ids it proves in every case.
    pub proves: Vec<String>,
    /// As written in the file; else what a play judges decides ([`crate::weight::level`]).
    pub level: Option<Level>,
    /// What the target must be able to do.
    pub needs: Needs,
    /// What the target must be set to.
    pub setups: Vec<Setup>,
    /// The variants; one without a name if the file has none.
    pub cases: Vec<Case>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// How a broker could break the rule.
    pub faults: Vec<Fault>,
}

/// One variant of a scenario.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name behind the slash; empty if the scenario has no cases.
    pub name: String,
    /// Its variables.
    pub variables: Vec<(String, Expression)>,
    /// The versions it is played in.
    pub versions: Vec<Version>,
    /// Ids that this case proves beside those of the scenario.
    pub proves: Vec<String>,
}

impl Scenario {
    /// The stable id of one of its cases: `slug` or `slug/case`.
    pub fn id(&self, case: &Case) -> String {
        if case.name.is_empty() {
            self.slug.clone()
        } else {
            format!("{}/{}", self.slug, case.name)
        }
    }

    /// The ids that one of its cases proves in that version.
    pub fn statements(&self, case: &Case, version: Version) -> Vec<String> {
        self.proves
            .iter()
            .chain(&case.proves)
            .filter(|id| super::statements::version_of(id).is_none_or(|of| of == version))
            .cloned()
            .collect()
    }

    /// Every step, also those inside blocks, in the order of the file.
    pub fn all_steps(&self) -> Vec<&Step> {
        fn collect<'a>(steps: &'a [Step], found: &mut Vec<&'a Step>) {
            for step in steps {
                found.push(step);
                for block in step.action.blocks() {
                    collect(block, found);
                }
            }
        }
        let mut found = Vec::new();
        collect(&self.steps, &mut found);
        found
    }

    /// Whether a step can only be played over QUIC.
    pub fn needs_quic(&self) -> bool {
        let streams = self.streams();
        let is_reset = |step: &&Step| match &step.action {
            Action::Reset { client, .. } => !streams.contains(&client.as_str()),
            _ => false,
        };
        self.needs.quic || self.all_steps().iter().any(is_reset)
    }

    /// The data streams that its steps open.
    pub fn streams(&self) -> Vec<&str> {
        let steps = self.all_steps().into_iter();
        steps
            .filter_map(|step| match &step.action {
                Action::Stream { client, .. } => Some(client.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Whether it can only be played over WebSocket.
    pub fn needs_websocket(&self) -> bool {
        let text = |step: &&Step| {
            matches!(
                &step.action,
                Action::Send {
                    carried: Carried::Text,
                    ..
                }
            )
        };
        self.needs.websocket || self.all_steps().iter().any(text)
    }
}

/// What the target must be able to do for the scenario to mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Retained messages.
    pub retain: bool,
    /// Wildcards in filters.
    pub wildcard_subscriptions: bool,
    /// Subscription Identifiers.
    pub subscription_identifiers: bool,
    /// Shared subscriptions.
    pub shared_subscriptions: bool,
    /// The server leaves Keep Alive to the client.
    pub own_keep_alive: bool,
    /// The server leaves the Session Expiry Interval to the client.
    pub own_session_expiry: bool,
    /// Maximum QoS.
    pub maximum_qos: Amount,
    /// Topic Alias Maximum.
    pub topic_alias_maximum: Amount,
    /// Receive Maximum.
    pub receive_maximum: Amount,
    /// Maximum Packet Size, in bytes.
    pub maximum_packet_size: Amount,
    /// QUIC as the transport.
    pub quic: bool,
    /// TCP as the transport.
    pub tcp: bool,
    /// WebSocket as the transport, over TLS or not.
    pub websocket: bool,
}

/// How much of something is needed, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The least that will do.
    pub least: u64,
    /// The most that will do.
    pub most: u64,
}

impl Amount {
    /// At least so much.
    pub const fn at_least(least: u64) -> Self {
        let most = u64::MAX;
        Self { least, most }
    }

    /// Whether so much will do.
    pub const fn allows(self, there: u64) -> bool {
        self.least <= there && there <= self.most
    }
}

impl Default for Amount {
    fn default() -> Self {
        Self::at_least(0)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            u64::MAX => write!(f, "{}", self.least),
            most => write!(f, "{} to {most}", self.least),
        }
    }
}

/// Names one step of one scenario; the same in every play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub usize);

/// One thing that is done or expected.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number in the scenario.
    pub id: StepId,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line it stands in, from 1.
    pub line: usize,
    /// The step as written, on one line.
    pub text: String,
    /// What it is.
    pub action: Action,
}

impl Step {
    /// How reports call it: its name, or its line.
    pub fn label(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("line {}", self.line))
    }
}

/// When an expectation must be met.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    /// At the latest so long after the start.
    pub within: Option<Expression>,
    /// At the earliest so long after the start.
    pub not_before: Option<Expression>,
    /// The step whose end is the start; the step's own start if there is none.
    pub since: Option<String>,
}

/// What a client expects next.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Who.
    pub client: String,
    /// What.
    pub what: Expected,
    /// The most bytes that the whole packet may have, if that is limited.
    pub at_most: Option<Expression>,
    /// When.
    pub timing: Timing,
}

/// One packet that is expected.
#[derive(Clone, Debug)]
pub enum Expected {
    /// A packet with fields like these.
    Packet(PacketTemplate),
    /// Exactly these bytes.
    Raw(Parts),
}

/// What a client sends.
#[derive(Clone, Debug)]
pub enum Sent {
    /// A packet, perhaps edited.
    Packet(PacketTemplate, Option<Edit>),
    /// First byte, right Remaining Length, parts.
    Framed(Expression, Parts),
    /// Parts as they are.
    Raw(Parts),
}

/// What carries the bytes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// What the transport has for them; over WebSocket a binary message for each piece.
    Plain,
    /// A WebSocket text message.
    Text,
}

/// A sentinel message that closes an absence.
#[derive(Clone, Debug)]
pub struct Sentinel {
    /// Who publishes it.
    pub by: String,
    /// Where.
    pub topic: Expression,
    /// With which QoS.
    pub qos: Expression,
}

/// How a server ends its side of a data stream.
#[derive(Clone, Debug)]
pub enum StreamEnd {
    /// In order.
    Finished,
    /// By a reset, with a code like that, if it matters.
    Aborted(Option<Expression>),
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Opens a connection, sends CONNECT, expects CONNACK.
    Connect {
        /// Who.
        client: String,
        /// The CONNECT.
        connect: PacketTemplate,
        /// The CONNACK.
        expect: PacketTemplate,
        /// Whether an open connection is dropped first and the session is kept.
        again: bool,
    },
    /// Opens a connection.
    Open {
        /// Who.
        client: String,
    },
    /// Opens a data stream on a connection. It is like a client of its own from then on, without CONNECT.
    Stream {
        /// What it is called.
        client: String,
        /// Whose connection.
        of: String,
    },
    /// Sends.
    Send {
        /// Who.
        client: String,
        /// What.
        what: Sent,
        /// Only so many bytes; the rest stays pending.
        first: Option<Expression>,
        /// In pieces of that size.
        chunks: Option<Expression>,
        /// In what.
        carried: Carried,
    },
    /// Sends what is pending.
    Rest {
        /// Who.
        client: String,
        /// Only so many bytes.
        first: Option<Expression>,
    },
    /// Expects.
    Expect(Expectation),
    /// SUBSCRIBE and its SUBACK.
    Subscribe {
        /// Who.
        client: String,
        /// The SUBSCRIBE, without its identifier.
        subscribe: PacketTemplate,
    },
    /// PUBLISH and the handshake of its QoS.
    Publish {
        /// Who.
        client: String,
        /// The PUBLISH, without its identifier.
        publish: PacketTemplate,
    },
    /// Nothing has come.
    Quiet {
        /// Who.
        client: String,
        /// How it is closed; PINGREQ if there is none.
        sentinel: Option<Sentinel>,
    },
    /// PINGREQ is answered.
    Alive {
        /// Who.
        client: String,
    },
    /// The server closes.
    Closed {
        /// Who.
        client: String,
        /// The code that an announcement must have.
        code: Option<Expression>,
        /// Whether no announcement may come.
        silently: bool,
        /// When.
        timing: Timing,
    },
    /// The server ends a data stream.
    Ended {
        /// Which.
        client: String,
        /// How.
        end: StreamEnd,
        /// When.
        timing: Timing,
    },
    /// DISCONNECT, end, and the server's end.
    Disconnect {
        /// Who.
        client: String,
        /// The DISCONNECT.
        disconnect: PacketTemplate,
    },
    /// Closes at once.
    Drop {
        /// Who.
        client: String,
    },
    /// Ends the sending side.
    Finish {
        /// Who.
        client: String,
    },
    /// Resets the sending side of a stream.
    Reset {
        /// Who.
        client: String,
        /// The application error code.
        code: Expression,
    },
    /// Lets time pass.
    Wait(Expression),
    /// The first that matches.
    Either(Vec<Vec<Step>>),
    /// All, in any order.
    Unordered(Vec<Step>),
    /// May come once.
    Optional(Expectation),
    /// May come from now on.
    Ignore(Expectation),
    /// So many times.
    Repeat {
        /// How often.
        count: Expression,
        /// The first value of the counter.
        from: Expression,
        /// The name of the counter.
        variable: Option<String>,
        /// What.
        steps: Vec<Step>,
    },
    /// In these versions only.
    Only(Vec<Version>, Vec<Step>),
}

impl Action {
    /// The lists of steps inside.
    pub fn blocks(&self) -> Vec<&[Step]> {
        match self {
            Self::Either(alternatives) => alternatives.iter().map(Vec::as_slice).collect(),
            Self::Unordered(steps) | Self::Repeat { steps, .. } | Self::Only(_, steps) => {
                vec![steps]
            }
            _ => Vec::new(),
        }
    }

    /// Whether the audit asks for a fault that is caught here.
    pub const fn is_expectation(&self) -> bool {
        matches!(
            self,
            Self::Expect(_)
                | Self::Quiet { .. }
                | Self::Alive { .. }
                | Self::Closed { .. }
                | Self::Ended { .. }
        )
    }

    /// Whether it sets the scene rather than judging: its failure says nothing about the subject unless it is named.
    pub const fn is_plumbing(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Subscribe { .. }
                | Self::Publish { .. }
                | Self::Disconnect { .. }
                | Self::Open { .. }
                | Self::Stream { .. }
        )
    }
}

/// A packet as the file writes it, to be sent, expected or chosen.
#[derive(Clone, Debug)]
pub struct PacketTemplate {
    /// Which packet; `None` is `any` in a fault.
    pub packet: Option<PacketName>,
    /// What is said about it, in order.
    pub parts: Vec<Part>,
}

/// One thing said about a packet.
#[derive(Clone, Debug)]
pub struct Part {
    /// The versions it is said for; `None`: all.
    pub versions: Option<Vec<Version>>,
    /// What is said.
    pub content: Content,
}

/// What can be said about a packet.
#[derive(Clone, Debug)]
pub enum Content {
    /// A field; two expressions for a User Property.
    Field(&'static Field, Vec<Expression>),
    /// The will.
    Will(PacketTemplate),
    /// One filter of SUBSCRIBE.
    Filter(PacketTemplate),
    /// One filter of UNSUBSCRIBE.
    Unsubscribed(Expression),
}

impl PacketTemplate {
    /// A packet of which nothing is said.
    pub const fn bare(packet: PacketName) -> Self {
        Self {
            packet: Some(packet),
            parts: Vec::new(),
        }
    }

    /// What is said about it in that version.
    pub fn parts_in(&self, version: Version) -> impl Iterator<Item = &Content> {
        self.parts
            .iter()
            .filter(move |part| {
                part.versions
                    .as_ref()
                    .is_none_or(|versions| versions.contains(&version))
            })
            .map(|part| &part.content)
    }

    /// The expressions of a field in that version.
    pub fn field(&self, name: &str, version: Version) -> Option<&[Expression]> {
        self.parts_in(version).find_map(|content| match content {
            Content::Field(field, expressions) if field.name == name => {
                Some(expressions.as_slice())
            }
            _ => None,
        })
    }
}
