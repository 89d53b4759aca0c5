//! Why there is no link, and what to do about it.

use std::{error::Error, fmt};

/// There can be no link: why, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// What was tried and how it failed.
    pub why: String,
    /// What a person can do about it.
    pub way_out: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.why, self.way_out)
    }
}

impl Error for Unavailable {}
