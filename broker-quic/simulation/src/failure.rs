//! How a run can fail.

use core::fmt;

use quince_model::Violation;

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The model refuses what clients saw.
    Refused(Violation),
    /// A call on the core panicked.
    Panicked(String),
    /// Something never ends, or nobody can go on.
    Stuck(String),
    /// The broker keeps what nobody needs any more, or sends what is no packet.
    Wrong(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(violation) => violation.fmt(formatter),
            Self::Panicked(message) => write!(formatter, "panicked: {message}"),
            Self::Stuck(what) => write!(formatter, "stuck: {what}"),
            Self::Wrong(what) => formatter.write_str(what),
        }
    }
}

impl core::error::Error for Failure {}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Refused(violation)
    }
}
