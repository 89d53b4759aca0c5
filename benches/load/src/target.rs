//! Brokers: such that run already, and such that are started for each case.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use quince_client::{Endpoint, Scheme};

use crate::LoadError;

/// How long a broker may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// A broker to be measured.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Runs(Endpoint),
    Starts { scheme: Scheme, command: String },
}

/// A broker that can be dialled; one that we started ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) endpoint: Endpoint,
    /// Whether we started it, so that its certificate needs no trust.
    pub(crate) own: bool,
    child: Option<Child>,
}

impl Target {
    pub(crate) fn running(name: &str, endpoint: Endpoint) -> Self {
        Self {
            name: name.to_owned(),
            source: Source::Runs(endpoint),
        }
    }

    pub(crate) fn started(name: &str, scheme: Scheme, command: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: Source::Starts {
                scheme,
                command: command.to_owned(),
            },
        }
    }

    fn error(&self, reason: impl ToString) -> LoadError {
        LoadError::Target {
            target: self.name.clone(),
            reason: reason.to_string(),
        }
    }

    /// Starts it if need be, and waits until its port is taken.
    pub(crate) fn start(&self) -> Result<Running, LoadError> {
        let (scheme, command) = match &self.source {
            Source::Runs(endpoint) => {
                return Ok(Running {
                    endpoint: endpoint.clone(),
                    own: false,
                    child: None,
                });
            }
            Source::Starts { scheme, command } => (*scheme, command),
        };
        let port = free_port(scheme).map_err(|error| self.error(error))?;
        let command = command.replace("{port}", &port.to_string());
        let child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| self.error(error))?;
        let endpoint = Endpoint::parse(&format!("{}://127.0.0.1:{port}", scheme.name()))
            .map_err(|error| self.error(error))?;
        let mut running = Running {
            endpoint,
            own: true,
            child: Some(child),
        };
        let deadline = Instant::now() + START_PATIENCE;
        while !is_taken(scheme, port) {
            let ended = running
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                return Err(self.error(format!("`{command}` ended at once: {status}")));
            }
            if Instant::now() > deadline {
                return Err(self.error(format!(
                    "`{command}` does not listen on port {port} after {} s",
                    START_PATIENCE.as_secs()
                )));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(running)
    }
}

impl Running {
    /// The process, if we started it.
    pub(crate) fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            _ = child.kill();
            _ = child.wait();
        }
    }
}

fn free_port(scheme: Scheme) -> std::io::Result<u16> {
    let address = ("127.0.0.1", 0);
    match scheme {
        Scheme::Quic => UdpSocket::bind(address)?.local_addr(),
        _ => TcpListener::bind(address)?.local_addr(),
    }
    .map(|address| address.port())
}

fn is_taken(scheme: Scheme, port: u16) -> bool {
    match scheme {
        Scheme::Quic => UdpSocket::bind(("127.0.0.1", port)).is_err(),
        _ => TcpStream::connect(("127.0.0.1", port)).is_ok(),
    }
}
