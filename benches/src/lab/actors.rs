//! Publisher and subscriber as threads at their ends of the link, and the signals between them and the trial.

use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use quince_client::StreamStrategy;
use quince_link::{End, Link};
use tokio::sync::{mpsc, watch};

use super::broker::Broker;
use super::clients::{Dial, Published, Subscribed, publish, subscribe};
use super::clock::Instant;
use super::contender::{Carrier, Contender};
use super::fault::{Fault, patient, runtime};
use super::load::Message;
use super::trial::Trial;

/// The two clients, connected and subscribed.
pub(crate) struct Actors {
    /// Where the schedule's messages go.
    pub(crate) messages: mpsc::UnboundedSender<Message>,
    /// How long the connection over the link took, up to CONNACK.
    pub(crate) setup: Duration,
    received: std_mpsc::Receiver<()>,
    handed_over: std_mpsc::Receiver<()>,
    over: watch::Sender<bool>,
    publisher: JoinHandle<std::io::Result<Option<Published>>>,
    subscriber: JoinHandle<std::io::Result<Option<Subscribed>>>,
}

impl Actors {
    /// Connects both at their ends.
    ///
    /// # Errors
    /// When one of them cannot connect or subscribe.
    pub(crate) fn start(trial: &Trial, link: &Link, broker: &Broker) -> Result<Self, Fault> {
        let (publisher_end, subscriber_end) = trial.leg.ends();
        let (over, is_over) = watch::channel(false);
        let load = trial.load;

        let dial = dial(trial, broker, subscriber_end, "subscriber");
        let (ready, subscribed) = std_mpsc::channel();
        let (tell_received, received) = std_mpsc::channel();
        let stop = is_over.clone();
        let subscriber = link.side(subscriber_end).spawn("subscriber", move || {
            Ok(runtime()?.block_on(subscribe(dial, load, &ready, &tell_received, stop)))
        })?;
        let subscriber_took = patient(&subscribed, "the subscriber was silent")??;

        let dial = self::dial(trial, broker, publisher_end, "publisher");
        let (ready, connected) = std_mpsc::channel();
        let (tell_handed_over, handed_over) = std_mpsc::channel();
        let (messages, scheduled) = mpsc::unbounded_channel();
        let publisher = link.side(publisher_end).spawn("publisher", move || {
            Ok(runtime()?.block_on(publish(
                dial,
                load,
                scheduled,
                &ready,
                &tell_handed_over,
                is_over,
            )))
        })?;
        let publisher_took = patient(&connected, "the publisher was silent")??;

        Ok(Self {
            messages,
            setup: if publisher_end == End::A {
                publisher_took
            } else {
                subscriber_took
            },
            received,
            handed_over,
            over,
            publisher,
            subscriber,
        })
    }

    /// Waits until every message has come and, with QoS 1, every PUBACK, or until `deadline`.
    pub(crate) fn wait_until(&self, deadline: Instant) {
        for complete in [&self.received, &self.handed_over] {
            // Complete, too late, or that client is gone: it is over in any case.
            let _ = complete.recv_timeout(deadline.since(Instant::now()));
        }
    }

    /// Ends both, with what they have to tell.
    ///
    /// # Errors
    /// When one of them failed.
    pub(crate) fn stop(self) -> Result<(Published, Subscribed), Fault> {
        // Those who have ended already do not hear it.
        let _ = self.over.send(true);
        drop(self.messages);
        let published = end("publisher", self.publisher)?;
        let subscribed = end("subscriber", self.subscriber)?;
        Ok((published, subscribed))
    }
}

fn end<T>(who: &str, thread: JoinHandle<std::io::Result<Option<T>>>) -> Result<T, Fault> {
    thread
        .join()
        .map_err(|_| Fault::Harness(format!("the {who} panicked")))??
        .ok_or_else(|| Fault::Harness(format!("the {who} ended without a word")))
}

fn dial(trial: &Trial, broker: &Broker, end: End, client_id: &'static str) -> Dial {
    // Beside the broker everybody speaks plain TCP, so that the contenders differ in what crosses the link alone.
    let (endpoint, contender) = match end {
        End::A => (broker.compared.clone(), trial.contender.clone()),
        End::B => (
            broker.local.clone(),
            Contender {
                carrier: Carrier::Tcp,
                tcp_congestion: None,
                streams: StreamStrategy::Single,
            },
        ),
    };
    Dial {
        endpoint,
        contender,
        client_id,
    }
}
