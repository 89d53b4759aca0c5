//! Connecting as the arguments say, once or until it works.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::time::Duration;

use quince_client::{Client, Dialer};
use quince_codec::{Connect, Property, PropertyList, Will};
use tokio::time::sleep;

use crate::PATIENCE;
use crate::args::Connection;
use crate::failure::Failure;

/// How long a session is asked to be kept, in seconds, where `--keep-session` does not say.
const ONE_DAY: u32 = 24 * 60 * 60;
/// The first and the longest pause between two attempts.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Makes the connections of one run of the command.
pub(crate) struct Connector<'a> {
    arguments: &'a Connection,
    dialer: Dialer,
    /// The Client Identifier of the last connection; the broker may have assigned it.
    client_id: String,
    pause: Duration,
}

impl<'a> Connector<'a> {
    pub(crate) fn new(arguments: &'a Connection) -> Result<Self, Failure> {
        arguments.check()?;
        Ok(Self {
            arguments,
            dialer: arguments.dialer(PATIENCE)?,
            client_id: arguments.id.clone(),
            pause: PAUSES[0],
        })
    }

    /// Connects once.
    pub(crate) async fn connect(&mut self) -> Result<Client, Failure> {
        let arguments = self.arguments;
        let transport = self.dialer.dial(&arguments.url).await?;
        let (mut properties, mut will_properties) = (PropertyList::new(), PropertyList::new());
        let expiry = arguments
            .session_expiry
            .or_else(|| arguments.keep_session.then_some(ONE_DAY));
        if arguments.has_properties()
            && let Some(seconds) = expiry
        {
            properties.push(Property::SessionExpiryInterval(seconds));
        }
        if let Some(seconds) = arguments.will.delay {
            will_properties.push(Property::WillDelayInterval(seconds));
        }
        let will = arguments.will.topic.as_deref().map(|topic| Will {
            qos: arguments.will.qos,
            retain: arguments.will.retain,
            properties: will_properties.as_properties(),
            topic,
            payload: arguments.will.message.as_bytes(),
        });
        let connect = Connect {
            version: arguments.version,
            clean_start: !arguments.keep_session,
            keep_alive: arguments.keep_alive,
            properties: properties.as_properties(),
            client_id: &self.client_id,
            will,
            user_name: arguments.user.as_deref(),
            password: arguments.password.as_deref().map(str::as_bytes),
        };
        let client = Client::start(transport, &connect, PATIENCE).await?;
        client.granted().client_id.clone_into(&mut self.client_id);
        self.pause = PAUSES[0];
        Ok(client)
    }

    /// Waits before the next attempt, each time for longer, if there is to be one after `failure`.
    ///
    /// # Errors
    /// `failure`, if it is the end.
    pub(crate) async fn pause_after(&mut self, failure: Failure) -> Result<(), Failure> {
        if !self.arguments.reconnect || !failure.may_pass() {
            return Err(failure);
        }
        // Between half and all of it, so that many clients do not come back at one moment.
        let random = RandomState::new().build_hasher().finish() % 512;
        let pause = self.pause.mul_f64(0.5 + random as f64 / 1024.0);
        self.pause = (self.pause * 2).min(PAUSES[1]);
        // Nobody may be left to read it.
        let _ = writeln!(
            anstream::stderr(),
            "quince-client: {failure}; the next attempt is in {:.1} s",
            pause.as_secs_f64()
        );
        tokio::select! {
            () = sleep(pause) => Ok(()),
            _ = tokio::signal::ctrl_c() => Err(failure),
        }
    }

    /// Says goodbye, and waits until the broker has it.
    pub(crate) async fn end(self, client: Client) -> Result<(), Failure> {
        client.disconnect().await?;
        self.dialer.wait_idle().await;
        Ok(())
    }
}
