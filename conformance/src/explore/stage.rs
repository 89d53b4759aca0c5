//! Where programs are played: on a broker behind sockets, or on a core of its own in virtual time.

use std::sync::Arc;

use quince_client::{Dialer, Endpoint};
use quince_codec::Version;
use tokio::task::JoinSet;

use super::failure::Failure;
use super::play::{Played, Setting, play};
use super::program::Program;
use crate::link::socket::SocketLink;
use crate::player::{Capabilities, unique_prefix};
use crate::preflight;

/// How much time a play gives the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Short, while looking for failures.
    Quick,
    /// Long, where a failure is confirmed: what is missing gets more time.
    Patient,
}

impl Pace {
    fn setting(self) -> Setting {
        let (patience, quiet) = match self {
            Self::Quick => (1000, 100),
            Self::Patient => (2000, 1500),
        };
        Setting {
            prefix: unique_prefix(),
            patience,
            quiet,
        }
    }
}

/// A place to play programs, as often as one likes.
#[expect(
    async_fn_in_trait,
    reason = "each kind of stage says itself whether its futures can be sent"
)]
pub trait Stage {
    /// Plays a program once, on names that no other play uses.
    async fn play(&self, program: &Program, pace: Pace) -> Played;

    /// Plays all of these, quickly; which of them fail like `failure`, in their order. A stage may play some of them at once.
    async fn alike(&self, programs: Vec<Program>, failure: &Failure) -> Vec<bool> {
        let mut alike = Vec::new();
        for program in programs {
            let played = self.play(&program, Pace::Quick).await;
            alike.push(played.failure.is_some_and(|other| other.is_like(failure)));
        }
        alike
    }

    /// What the broker says it can do.
    fn capabilities(&self) -> Capabilities;
}

/// A broker behind a URL.
#[derive(Clone, Debug)]
pub struct SocketStage {
    /// Opens connections.
    pub dialer: Arc<Dialer>,
    /// Where.
    pub endpoint: Endpoint,
    /// See [`Stage::capabilities`].
    pub capabilities: Capabilities,
}

impl SocketStage {
    /// Asks a broker what it can do; and in which of these versions it lets anybody in. `None` if in none.
    pub async fn ask(
        dialer: Arc<Dialer>,
        endpoint: Endpoint,
        versions: &[Version],
    ) -> Option<(Self, Vec<Version>)> {
        let mut capabilities = None;
        let mut served = Vec::new();
        for version in versions {
            let Ok(answered) = preflight::ask(&dialer, &endpoint, *version, None).await else {
                continue;
            };
            if let Some(told) = answered.capabilities() {
                served.push(*version);
                // Only version 5.0 tells anything; it holds for clients of the others as well.
                if *version == Version::V5_0 || capabilities.is_none() {
                    capabilities = Some(told);
                }
            }
            answered.end().await;
        }
        let stage = Self {
            dialer,
            endpoint,
            capabilities: capabilities?,
        };
        Some((stage, served))
    }
}

/// How many candidates of one shrinking are played at once.
const AT_ONCE: usize = 8;

impl Stage for SocketStage {
    async fn play(&self, program: &Program, pace: Pace) -> Played {
        let mut link = SocketLink::new(Arc::clone(&self.dialer), self.endpoint.clone());
        play(&mut link, program, &pace.setting()).await
    }

    async fn alike(&self, programs: Vec<Program>, failure: &Failure) -> Vec<bool> {
        let mut alike = vec![false; programs.len()];
        let mut waiting = programs.into_iter().enumerate();
        let mut playing = JoinSet::new();
        loop {
            while playing.len() < AT_ONCE
                && let Some((index, program)) = waiting.next()
            {
                let stage = self.clone();
                playing.spawn_local(async move {
                    let played = stage.play(&program, Pace::Quick).await;
                    (index, played.failure)
                });
            }
            match playing.join_next().await {
                None => return alike,
                Some(Ok((index, other))) => {
                    alike[index] = other.is_some_and(|other| other.is_like(failure));
                }
                // A play that panicked is no shorter program.
                Some(Err(_)) => {}
            }
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}

/// The embedded core: each play has a fresh one, so that a program always comes to the same.
#[cfg(feature = "embedded")]
#[derive(Clone, Copy, Debug, Default)]
pub struct CoreStage;

#[cfg(feature = "embedded")]
impl Stage for CoreStage {
    async fn play(&self, program: &Program, pace: Pace) -> Played {
        let mut link = crate::link::core::CoreLink::default();
        play(&mut link, program, &pace.setting()).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}
