//! A broker behind a URL, as a place to play.

use std::{rc::Rc, sync::Arc, time::Duration};

use quince_client::{Dialer, Endpoint};
use quince_codec::Version;
use tokio::sync::Mutex;

use crate::{
    link::socket::SocketLink,
    player::{PlayOptions, play},
    preflight::{self, Answered, Silent},
    runner::{Arena, Job},
    verdict::Outcome,
};

/// How long a target may take to answer before it counts as gone.
const GONE: Duration = Duration::from_secs(2);

/// A broker behind a URL.
#[derive(Debug)]
pub struct SocketArena {
    dialer: Arc<Dialer>,
    endpoint: Endpoint,
    versions: Vec<Version>,
    /// Held while somebody asks whether the target lives, so that many failures do not ask at once.
    asking: Mutex<()>,
}

impl SocketArena {
    /// A place to play in these versions.
    pub fn new(dialer: Arc<Dialer>, endpoint: Endpoint, versions: Vec<Version>) -> Rc<Self> {
        Rc::new(Self {
            dialer,
            endpoint,
            versions,
            asking: Mutex::new(()),
        })
    }

    /// Waits for an answer to CONNECT, and returns what the broker says of itself.
    ///
    /// # Errors
    /// [`Silent`] if nothing answers in time.
    pub async fn preflight(&self) -> Result<String, Silent> {
        Ok(self.ask(preflight::PATIENCE).await?.name().await)
    }

    async fn ask(&self, within: Duration) -> Result<Answered, Silent> {
        let _one_at_a_time = self.asking.lock().await;
        preflight::wait_for_answer(&self.dialer, &self.endpoint, &self.versions, within).await
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
        play(
            &job.scenario,
            case,
            job.version,
            &mut link,
            &PlayOptions::default(),
        )
        .await
    }

    async fn answers(&self) -> bool {
        self.responds(GONE).await
    }

    async fn comes_back(&self) -> bool {
        self.responds(preflight::PATIENCE).await
    }
}
