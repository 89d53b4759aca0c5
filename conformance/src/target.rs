//! A target file: one broker with its listeners, its credentials, the commands that start and change it, and the
//! configurations in which it is judged. `docs/targets.md` describes it.

mod file;
pub mod group;
mod hooks;

use std::{
    io,
    net::{TcpListener, UdpSocket},
    path::PathBuf,
    time::Duration,
};

use quince_client::{Endpoint, Scheme, Trust};
use quince_codec::Version;

use crate::setup::{Facts, Setup};
pub use hooks::{HookError, Hooks};

/// The name of the configuration that plays everything that needs no setup.
pub const PLAIN: &str = "plain";

/// User name and password.
pub type Credentials = (String, Vec<u8>);

/// One broker, and how to judge it.
#[derive(Debug)]
pub struct TargetFile {
    /// How reports call it.
    pub name: String,
    /// The folder of the file, from which paths and commands are seen.
    pub folder: PathBuf,
    /// Its known deviations.
    pub baseline: Option<PathBuf>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// How it is started, started again and changed.
    pub commands: Commands,
    /// What it is set to in turn; the plain one comes first.
    pub configurations: Vec<Configuration>,
}

/// Where a target listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its URL. Port 0 stands for one that is free when the run begins.
    pub endpoint: Endpoint,
    /// The versions that are spoken there.
    pub versions: Vec<Version>,
}

/// The commands of a target: a program and its arguments each, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Runs the broker, in the foreground, until it is told to end.
    pub start: Option<Vec<String>>,
    /// Starts a broker again that somebody else has started.
    pub restart: Option<Vec<String>>,
    /// Changes a broker that somebody else has started.
    pub reconfigure: Option<Vec<String>>,
    /// How long `restart` and `reconfigure` may take, and the broker until it answers.
    pub patience: Duration,
}

/// One way in which a target is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Its name, told to the commands.
    pub name: String,
    /// With what the suite logs in.
    pub credentials: Option<Credentials>,
    /// What the broker is set to.
    pub facts: Facts,
}

impl TargetFile {
    /// Gives each listener with port 0 a port that is free now. All configurations have the same, and so has a broker that is
    /// started again.
    ///
    /// # Errors
    /// When the system has no port left.
    pub fn assign_ports(&mut self) -> io::Result<()> {
        // Kept until all are chosen, so that no port is chosen twice.
        let mut kept: (Vec<TcpListener>, Vec<UdpSocket>) = (Vec::new(), Vec::new());
        for listener in &mut self.listeners {
            if listener.endpoint.port() != 0 {
                continue;
            }
            let here = (listener.endpoint.host().to_owned(), 0);
            let port = if listener.endpoint.scheme() == Scheme::Quic {
                let socket = UdpSocket::bind(here)?;
                let port = socket.local_addr()?.port();
                kept.1.push(socket);
                port
            } else {
                let socket = TcpListener::bind(here)?;
                let port = socket.local_addr()?.port();
                kept.0.push(socket);
                port
            };
            listener.endpoint = listener.endpoint.with_port(port);
        }
        Ok(())
    }

    /// What the commands find in their environment in that configuration, beside what is there already:
    /// `TARGET_CONFIGURATION`, and for each listener its port: `TARGET_PORT_TCP`, for a second one `TARGET_PORT_TCP_2`.
    pub fn environment(&self, configuration: &Configuration) -> Vec<(String, String)> {
        let mut environment = vec![(
            "TARGET_CONFIGURATION".to_owned(),
            configuration.name.clone(),
        )];
        for (index, listener) in self.listeners.iter().enumerate() {
            let scheme = listener.endpoint.scheme();
            let earlier = self.listeners[..index]
                .iter()
                .filter(|other| other.endpoint.scheme() == scheme)
                .count();
            let mut name = format!("TARGET_PORT_{}", scheme.name().to_uppercase());
            if earlier > 0 {
                name = format!("{name}_{}", earlier + 1);
            }
            environment.push((name, listener.endpoint.port().to_string()));
        }
        environment
    }

    /// The first configuration that is set to all of `setups`, or the plain one.
    pub fn configuration_for(&self, setups: &[Setup]) -> usize {
        self.configurations
            .iter()
            .position(|configuration| configuration.facts.missing(setups).is_none())
            .unwrap_or_default()
    }
}
