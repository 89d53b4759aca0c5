//! Where faults are played: each run on a link of its own.

use std::sync::Arc;

use quince_client::{Dialer, Endpoint};

use crate::{
    link::{
        Link, LinkError,
        scripted::{Peer, ScriptedLink},
        socket::SocketLink,
    },
    player::PlayOptions,
};
#[cfg(feature = "embedded")]
use crate::{
    link::{core::CoreLink, set_up::CoreSetup},
    scenario::Scenario,
};

/// Makes links to one broker.
#[expect(
    async_fn_in_trait,
    reason = "as for links: whether the future can be sent is for the stage to say"
)]
pub trait Stage {
    /// The links it makes.
    type Link: Link;

    /// A fresh link.
    ///
    /// # Errors
    /// When there is nobody to play against.
    async fn link(&mut self) -> Result<Self::Link, LinkError>;

    /// How plays on it are done.
    fn options(&self) -> PlayOptions {
        PlayOptions::default()
    }
}

/// The core in virtual time, a fresh broker for each run.
#[cfg(feature = "embedded")]
#[derive(Clone, Debug, Default)]
pub struct CoreStage(CoreSetup);

#[cfg(feature = "embedded")]
impl CoreStage {
    /// The core set up with what that scenario needs.
    pub fn of(scenario: &Scenario) -> Self {
        Self(CoreSetup::of(scenario))
    }
}

#[cfg(feature = "embedded")]
impl Stage for CoreStage {
    type Link = CoreLink;

    async fn link(&mut self) -> Result<CoreLink, LinkError> {
        Ok(self.0.link())
    }

    fn options(&self) -> PlayOptions {
        self.0.options()
    }
}

/// A broker behind a URL.
#[derive(Clone, Debug)]
pub struct SocketStage {
    dialer: Arc<Dialer>,
    endpoint: Endpoint,
    options: PlayOptions,
}

impl SocketStage {
    /// Plays against `endpoint` with these options.
    pub const fn new(dialer: Arc<Dialer>, endpoint: Endpoint, options: PlayOptions) -> Self {
        Self {
            dialer,
            endpoint,
            options,
        }
    }
}

impl Stage for SocketStage {
    type Link = SocketLink;

    async fn link(&mut self) -> Result<SocketLink, LinkError> {
        Ok(SocketLink::new(
            Arc::clone(&self.dialer),
            self.endpoint.clone(),
        ))
    }

    fn options(&self) -> PlayOptions {
        self.options.clone()
    }
}

/// Scripted peers: for tests of proof itself.
#[derive(Clone, Copy, Debug)]
pub struct ScriptedStage<F>(pub F);

impl<F: Fn() -> Box<dyn Peer> + Clone + Send + 'static> Stage for ScriptedStage<F> {
    type Link = ScriptedLink;

    async fn link(&mut self) -> Result<ScriptedLink, LinkError> {
        Ok(ScriptedLink::new(self.0.clone()))
    }
}
