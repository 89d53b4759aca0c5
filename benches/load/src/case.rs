//! The cases: who publishes to whom, and what is asked of it.

use std::fmt;
use std::time::Duration;

use quince_client::Endpoint;
use quince_codec::{QoS, Version};

use crate::LoadError;
use crate::measure::Outcome;
use crate::target::Running;
use crate::traffic::{Shape, Traffic};
use crate::{connections, paced};

/// What all cases of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) endpoint: Endpoint,
    pub(crate) version: Version,
    pub(crate) insecure: bool,
    /// Payload in bytes.
    pub(crate) size: usize,
    pub(crate) duration: Duration,
    /// Messages per second of the paced cases.
    pub(crate) rate: u32,
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// One publisher, one subscriber.
    Through(QoS),
    /// One publisher, so many subscribers of its topic, QoS 0.
    FanOut(usize),
    /// So many publishers, one subscriber of all, QoS 0.
    FanIn(usize),
    /// So many independent pairs of publisher and subscriber, QoS 0.
    Pairs(usize),
    /// One publisher at a steady rate, one subscriber.
    Paced(QoS),
    /// Connections that are made, accepted and ended.
    Connect,
    /// So many connections that do nothing but wait for one topic each.
    Idle(usize),
}

/// Messages that may be under way per publisher.
const WINDOW_QOS_0: u64 = 2000;
const WINDOW_ACKNOWLEDGED: u64 = 100;
const WINDOW_FAN_OUT: u64 = 20;
const WINDOW_FAN_IN: u64 = 10;
const WINDOW_PAIRS: u64 = 100;

impl Case {
    pub(crate) fn through(qos: u8) -> Self {
        Self::Through(QoS::try_from(qos).unwrap_or(QoS::AtMostOnce))
    }

    /// Plays it.
    pub(crate) async fn play(
        &self,
        setting: &Setting,
        running: &Running,
    ) -> Result<Outcome, LoadError> {
        let traffic = |shape, qos, window| Traffic { shape, qos, window };
        let traffic = match *self {
            Self::Through(qos) => {
                let window = if qos == QoS::AtMostOnce {
                    WINDOW_QOS_0
                } else {
                    WINDOW_ACKNOWLEDGED
                };
                traffic(Shape::Pairs(1), qos, window)
            }
            Self::FanOut(count) => traffic(Shape::FanOut(count), QoS::AtMostOnce, WINDOW_FAN_OUT),
            Self::FanIn(count) => traffic(Shape::FanIn(count), QoS::AtMostOnce, WINDOW_FAN_IN),
            Self::Pairs(count) => traffic(Shape::Pairs(count), QoS::AtMostOnce, WINDOW_PAIRS),
            Self::Paced(qos) => return paced::play(setting, running, qos).await,
            Self::Connect => return connections::connect(setting, running).await,
            Self::Idle(count) => return connections::idle(setting, running, count).await,
        };
        traffic.play(setting, running).await
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Through(qos) => write!(f, "q{}", *qos as u8),
            Self::FanOut(count) => write!(f, "fanout {count}"),
            Self::FanIn(count) => write!(f, "fanin {count}"),
            Self::Pairs(count) => write!(f, "pairs {count}"),
            Self::Paced(qos) => write!(f, "paced q{}", *qos as u8),
            Self::Connect => write!(f, "connect"),
            Self::Idle(count) => write!(f, "idle {count}"),
        }
    }
}
