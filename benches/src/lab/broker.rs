//! The real broker, as a library, on a thread of its own inside its side of the link.

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use quince_broker::{ListenerUrl, Scheme, Server, Settings, TcpSettings};
use quince_client::Endpoint;
use quince_link::Side;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::contender::{Carrier, Contender};
use super::fault::{Fault, patient, runtime};
use super::network::KEY_EXCHANGE;

/// How long the broker may take to say goodbye.
const FAREWELL: Duration = Duration::from_millis(500);

/// A broker that runs until [`Broker::stop`].
pub(crate) struct Broker {
    /// Where the compared transport is spoken.
    pub(crate) compared: Endpoint,
    /// Where plain TCP is spoken, for the leg that does not cross the link.
    pub(crate) local: Endpoint,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Broker {
    /// Starts a broker on `side`, on ports that the system chooses.
    ///
    /// # Errors
    /// When it cannot listen there, as with a congestion control that the kernel does not have.
    pub(crate) fn start(side: &Side, contender: &Contender) -> Result<Self, Fault> {
        let address = side.address();
        let settings = Settings {
            tcp: TcpSettings {
                congestion: contender.tcp_congestion.clone(),
            },
            key_exchange: Some(KEY_EXCHANGE),
            ..Settings::default()
        };
        let urls = [
            listener(contender.carrier, address),
            listener(Carrier::Tcp, address),
        ];
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = side.spawn("broker", move || {
            if let Err(fault) = serve(&urls, settings, &ready, stopped) {
                // Whoever waits for the start hears of it; later there is nobody.
                let _ = ready.send(Err(fault));
            }
        })?;
        let bound = patient(&started, "the broker did not start")??;
        let [compared, local] = bound.as_slice() else {
            return Err(Fault::Harness(
                "the broker has other listeners than asked for".to_owned(),
            ));
        };
        Ok(Self {
            compared: compared.clone(),
            local: local.clone(),
            stop,
            thread,
        })
    }

    /// Ends the broker and waits for it.
    pub(crate) fn stop(self) -> Result<(), Fault> {
        // It may have ended by itself.
        let _ = self.stop.send(());
        self.thread
            .join()
            .map_err(|_| Fault::Harness("the broker panicked".to_owned()))
    }
}

fn listener(carrier: Carrier, address: IpAddr) -> ListenerUrl {
    let scheme = match carrier {
        Carrier::Tcp => Scheme::Tcp,
        Carrier::Tls => Scheme::Tls,
        Carrier::Quic => Scheme::Quic,
    };
    ListenerUrl::new(scheme, SocketAddr::new(address, 0))
}

fn serve(
    urls: &[ListenerUrl],
    settings: Settings,
    ready: &mpsc::Sender<Result<Vec<Endpoint>, Fault>>,
    stopped: oneshot::Receiver<()>,
) -> Result<(), Fault> {
    runtime()?.block_on(async {
        let server = Server::bind(urls, settings)
            .await
            .map_err(|error| Fault::Broker(error.to_string()))?;
        let endpoints: Result<Vec<_>, _> = server
            .listeners()
            .iter()
            .map(|listener| Endpoint::parse(&listener.url().to_string()))
            .collect();
        let endpoints = endpoints.map_err(|error| Fault::Harness(error.to_string()))?;
        if ready.send(Ok(endpoints)).is_ok() {
            // An error is the end of the trial as well.
            let _ = stopped.await;
        }
        // The trial is over. Clients whose address is gone would be waited for.
        let _ = timeout(FAREWELL, server.shut_down()).await;
        Ok(())
    })
}
