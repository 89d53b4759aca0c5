//! The broker under test: a process that is started and killed.

use std::fs::{File, OpenOptions};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::CrashError;

/// How long a broker may take until it takes connections.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a broker is started.
#[derive(Debug)]
pub(crate) struct Recipe {
    command: String,
    pub(crate) port: u16,
    log: File,
}

/// A running broker; it dies with this value.
#[derive(Debug)]
pub(crate) struct Broker(Child);

impl Recipe {
    /// A command for `sh`, in which `{port}` and `{dir}` stand for a free port and for `folder`/data.
    pub(crate) fn new(command: &str, folder: &Path) -> std::io::Result<Self> {
        let port = free_port()?;
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("broker.log"))?;
        let command = command
            .replace("{port}", &port.to_string())
            .replace("{dir}", &data.display().to_string());
        Ok(Self { command, port, log })
    }

    /// Starts it, and returns at once.
    pub(crate) fn start(&self) -> Result<Broker, CrashError> {
        let child = Command::new("sh")
            .args(["-c", &format!("exec {}", self.command)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log.try_clone()?)
            .spawn()?;
        Ok(Broker(child))
    }

    /// Waits until it takes connections.
    pub(crate) async fn ready(&self, broker: &mut Broker) -> Result<(), CrashError> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            broker.check()?;
            if Instant::now() > deadline {
                return Err(CrashError::Broker("it takes no connection".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

impl Broker {
    /// Fails if it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), CrashError> {
        match self.0.try_wait()? {
            Some(status) => Err(CrashError::Broker(format!("it ended by itself: {status}"))),
            None => Ok(()),
        }
    }

    /// Kills it by SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<(), CrashError> {
        self.check()?;
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may be gone already.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A port that is free for TCP and for UDP.
fn free_port() -> std::io::Result<u16> {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
}
