//! The link conditions that a cell of the table stands for.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// A link. Every impairment acts on each direction alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Conditions {
    /// Round trip time in milliseconds: half of it one way.
    pub(crate) rtt: f64,
    /// Share of the packets lost, in percent, each independently of the others, in each direction.
    pub(crate) loss: f64,
    /// Additional delay of a packet, drawn evenly between 0 and this many milliseconds; packets overtake each other.
    pub(crate) jitter: f64,
}

impl Conditions {
    /// The delay of one direction, jitter apart.
    pub(crate) fn one_way(&self) -> Duration {
        Duration::from_secs_f64(self.rtt / 2_000.0)
    }

    /// What is unusual, in a few words.
    pub(crate) fn trouble(&self) -> Trouble<'_> {
        Trouble(self)
    }

    /// Nothing but delay: what is measured here beyond it is the machine's own doing.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.loss <= 0.0 && self.jitter <= 0.0
    }
}

/// What is unusual about a link, its round trip time apart.
pub(crate) struct Trouble<'a>(&'a Conditions);

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { loss, jitter, .. } = *self.0;
        if jitter <= 0.0 {
            write!(f, "{loss} % loss")
        } else if loss <= 0.0 {
            write!(f, "jitter {jitter} ms")
        } else {
            write!(f, "{loss} %, jitter {jitter}")
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RTT {} ms, {}", self.rtt, self.trouble())
    }
}
