//! Why a play was not clean.

use std::fmt;

use quince_model::Violation;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No right server can have caused this.
    Refused(Violation),
    /// The broker sent what is no packet, or none that its version has.
    Malformed(String),
    /// There is nobody to connect to: no finding about the protocol.
    Unreachable(String),
}

impl Failure {
    /// The statements that it breaks, as the catalogue names them; none if no statement says it alone.
    #[must_use]
    pub fn statements(&self) -> &'static [&'static str] {
        match self {
            Self::Refused(violation) => violation.rule.statements(),
            Self::Malformed(_) | Self::Unreachable(_) => &[],
        }
    }

    /// Whether two plays failed for the same kind of reason.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.kind() == other.kind()
    }

    /// What kind of failure it is: the rule that was broken.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Refused(violation) => format!("{:?}", violation.rule),
            Self::Malformed(_) => "Malformed".to_owned(),
            Self::Unreachable(_) => "Unreachable".to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(violation) => {
                write!(f, "{:?}: {}", violation.rule, violation.detail)
            }
            Self::Malformed(what) => {
                write!(f, "Malformed: the broker sent what is no packet: {what}")
            }
            Self::Unreachable(why) => write!(f, "the broker is not reached: {why}"),
        }
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Refused(violation)
    }
}
