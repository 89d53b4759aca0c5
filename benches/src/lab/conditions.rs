//! The link conditions that a cell of the table stands for.

use std::fmt;
use std::time::Duration;

use quince_link::{Impairment, Jitter, Order};
use serde::Serialize;

use super::profile::Profile;

/// A link.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Conditions {
    /// One impairment or two, the same all the time and in each direction.
    Even(Even),
    /// A link that people know.
    Profile(Box<Profile>),
}

/// Impairments that act on each direction alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Even {
    /// Round trip time in milliseconds: half of it one way.
    pub(crate) rtt: f64,
    /// Share of the packets lost, in percent, each independently of the others, in each direction.
    pub(crate) loss: f64,
    /// Additional delay of a packet, drawn evenly between 0 and this many milliseconds; packets overtake each other.
    pub(crate) jitter: f64,
}

impl Conditions {
    pub(crate) fn of(profile: Profile) -> Self {
        Self::Profile(Box::new(profile))
    }

    /// Round trip time in milliseconds, jitter and queues apart.
    pub(crate) fn rtt(&self) -> f64 {
        match self {
            Self::Even(even) => even.rtt,
            Self::Profile(profile) => profile.rtt(),
        }
    }

    /// The delay of one direction, jitter apart; of the faster one where they differ.
    pub(crate) fn one_way(&self) -> Duration {
        match self {
            Self::Even(even) => Duration::from_secs_f64(even.rtt / 2_000.0),
            Self::Profile(profile) => profile.one_way(),
        }
    }

    /// What happens to packets to the broker, and to those from it.
    pub(crate) fn impairments(&self) -> (Impairment, Impairment) {
        match self {
            Self::Even(even) => {
                let impairment = Impairment {
                    jitter: (even.jitter > 0.0).then(|| Jitter {
                        most: Duration::from_secs_f64(even.jitter / 1_000.0),
                        order: Order::Free,
                    }),
                    ..Impairment::delayed(self.one_way()).losing(even.loss / 100.0)
                };
                (impairment.clone(), impairment)
            }
            Self::Profile(profile) => profile.impairments(),
        }
    }

    /// What is unusual, in a few words.
    pub(crate) fn trouble(&self) -> Trouble<'_> {
        Trouble(self)
    }

    /// Nothing but delay: what is measured here beyond it is the machine's own doing.
    pub(crate) fn is_undisturbed(&self) -> bool {
        match self {
            Self::Even(even) => even.loss <= 0.0 && even.jitter <= 0.0,
            Self::Profile(_) => false,
        }
    }
}

/// What is unusual about a link, its round trip time apart.
pub(crate) struct Trouble<'a>(&'a Conditions);

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Conditions::Even(Even { loss, jitter, .. }) if *jitter <= 0.0 => {
                write!(f, "{loss} % loss")
            }
            Conditions::Even(Even { loss, jitter, .. }) if *loss <= 0.0 => {
                write!(f, "jitter {jitter} ms")
            }
            Conditions::Even(Even { loss, jitter, .. }) => {
                write!(f, "{loss} %, jitter {jitter}")
            }
            Conditions::Profile(profile) => f.write_str(&profile.name),
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even(even) => write!(f, "RTT {} ms, {}", even.rtt, self.trouble()),
            Self::Profile(profile) => f.write_str(&profile.name),
        }
    }
}
