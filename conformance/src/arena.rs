//! A broker behind a URL, as a place to play.

use std::{rc::Rc, sync::Arc, time::Duration};

use quince_client::{Dialer, Endpoint};
use quince_codec::Version;
use tokio::{
    sync::{Mutex, watch},
    time::sleep,
};

use crate::{
    link::socket::SocketLink,
    player::{PlayOptions, SharedVariables, play},
    preflight::{self, Answered, Silent},
    runner::{Arena, Job},
    target::Hooks,
    verdict::Outcome,
};

/// How long a target may take to answer before it counts as gone.
const GONE: Duration = Duration::from_secs(2);
/// How often a broker of ours is looked at while it does not answer yet.
const GLANCE: Duration = Duration::from_millis(100);

/// The commands of a target, shared by its listeners.
pub type SharedHooks = Rc<Mutex<Hooks>>;

/// A broker behind a URL.
#[derive(Debug)]
pub struct SocketArena {
    dialer: Arc<Dialer>,
    endpoint: Endpoint,
    versions: Vec<Version>,
    options: PlayOptions,
    hooks: Option<SharedHooks>,
    stop: Option<watch::Receiver<bool>>,
    /// Held while somebody asks whether the target lives, so that many failures do not ask at once.
    asking: Mutex<()>,
}

impl SocketArena {
    /// A place to play in these versions.
    pub fn new(dialer: Arc<Dialer>, endpoint: Endpoint, versions: Vec<Version>) -> Self {
        Self {
            dialer,
            endpoint,
            versions,
            options: PlayOptions::default(),
            hooks: None,
            stop: None,
            asking: Mutex::new(()),
        }
    }

    /// The same, with plays done in this way.
    #[must_use]
    pub fn with_options(self, options: PlayOptions) -> Self {
        Self { options, ..self }
    }

    /// The same, with commands that start the target again.
    #[must_use]
    pub fn with_hooks(self, hooks: Option<SharedHooks>) -> Self {
        Self { hooks, ..self }
    }

    /// The same, with an end to all plays once `stop` says true.
    #[must_use]
    pub fn until(self, stop: watch::Receiver<bool>) -> Self {
        Self {
            stop: Some(stop),
            ..self
        }
    }

    /// Waits for an answer to CONNECT, and returns what the broker says of itself.
    ///
    /// # Errors
    /// In words, if nothing answers in time; a broker of ours that has ended tells its last ones.
    pub async fn preflight(&self) -> Result<String, String> {
        let within = match &self.hooks {
            Some(hooks) => hooks.lock().await.patience().max(preflight::PATIENCE),
            None => preflight::PATIENCE,
        };
        tokio::select! {
            answered = self.ask(within) => match answered {
                Ok(answered) => Ok(answered.name().await),
                Err(silent) => Err(silent.to_string()),
            },
            words = self.broker_ended() => Err(format!("{} does not answer CONNECT: {words}", self.endpoint)),
        }
    }

    /// Ready when a broker of ours has ended by itself, with its last words.
    async fn broker_ended(&self) -> String {
        loop {
            if let Some(hooks) = &self.hooks
                && let Some(words) = hooks.lock().await.last_words()
            {
                return words;
            }
            sleep(GLANCE).await;
        }
    }

    async fn ask(&self, within: Duration) -> Result<Answered, Silent> {
        let _one_at_a_time = self.asking.lock().await;
        let credentials = self.options.credentials.as_ref();
        let (dialer, endpoint) = (&self.dialer, &self.endpoint);
        preflight::wait_for_answer(dialer, endpoint, &self.versions, credentials, within).await
    }

    async fn responds(&self, within: Duration) -> bool {
        match self.ask(within).await {
            Ok(answered) => {
                // Nobody needs to wait for the goodbye.
                tokio::task::spawn_local(answered.end());
                true
            }
            Err(_) => false,
        }
    }
}

impl Arena for SocketArena {
    async fn play(&self, job: &Job) -> Outcome {
        let mut link = SocketLink::new(Arc::clone(&self.dialer), self.endpoint.clone());
        let case = &job.scenario.cases[job.case];
        let options = PlayOptions {
            variables: SharedVariables::default(),
            ..self.options.clone()
        };
        play(&job.scenario, case, job.version, &mut link, &options).await
    }

    async fn answers(&self) -> bool {
        self.responds(GONE).await
    }

    async fn comes_back(&self) -> Result<(), String> {
        if let Some(hooks) = &self.hooks {
            let mut hooks = hooks.lock().await;
            // Another listener of the same broker may have started it again while this one waited.
            if !self.responds(GONE).await {
                hooks.restart().await.map_err(|error| error.to_string())?;
            }
        }
        if self.responds(preflight::PATIENCE).await {
            Ok(())
        } else {
            Err("it does not answer CONNECT any more".to_owned())
        }
    }

    async fn stopped(&self) {
        if let Some(stop) = &self.stop
            && stop.clone().wait_for(|stop| *stop).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}
