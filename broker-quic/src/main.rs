//! The daemon `quince-broker`.

mod args;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use quince_broker::{
    CertificateFiles, ClientCertificates, Demand, ListenerUrl, Scheme, Server, Settings,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Serve};

fn main() -> ExitCode {
    let serve = Cli::parse().into_serve();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(
            EnvFilter::try_from_env("QUINCE_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("failed to start: {error}"))
        .and_then(|runtime| runtime.block_on(run(serve)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody may be left to read it.
            let _ = writeln!(anstream::stderr(), "quince-broker: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: Serve) -> Result<(), String> {
    let urls = listeners(&serve)?;
    let settings = settings(&serve);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut reload = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let server = Server::bind(&urls, settings)
        .await
        .map_err(|error| error.to_string())?;
    announce(&server).map_err(|error| format!("failed to write to standard output: {error}"))?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {
                info!("interrupted, shutting down");
                break;
            }
            _ = terminate.recv() => {
                info!("terminated, shutting down");
                break;
            }
            _ = reload.recv() => match server.reload_tls() {
                Ok(()) => info!("certificates and revocation lists are read again"),
                Err(error) => warn!("everything stays as it was: {error}"),
            },
        }
    }
    server.shut_down().await;
    Ok(())
}

/// One line per listener with its real URL, then `ready`: what starts the broker waits for it.
fn announce(server: &Server) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for listener in server.listeners() {
        writeln!(out, "{listener}")?;
    }
    writeln!(out, "ready")?;
    out.flush()
}

fn listeners(serve: &Serve) -> Result<Vec<ListenerUrl>, String> {
    if serve.listen.is_empty() {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        return Ok(vec![
            ListenerUrl::new(Scheme::Tcp, loopback(1883)),
            ListenerUrl::new(Scheme::Ws, loopback(8083)),
            ListenerUrl::new(Scheme::Quic, loopback(14567)),
        ]);
    }
    for listener in &serve.listen {
        if !listener.address().ip().is_loopback() && !serve.allow_anonymous {
            return Err(format!(
                "{listener} is not on loopback, and anybody who reaches it would be let in: \
                 add --allow-anonymous if that is meant"
            ));
        }
    }
    Ok(serve.listen.clone())
}

fn settings(serve: &Serve) -> Settings {
    let mut settings = Settings::default();
    if let (Some(chain), Some(key)) = (&serve.cert, &serve.key) {
        settings.tls.certificate = Some(CertificateFiles {
            chain: chain.clone(),
            key: key.clone(),
        });
    }
    if let Some(authorities) = &serve.client_ca {
        settings.tls.clients = Some(ClientCertificates {
            authorities: authorities.clone(),
            revocation_lists: serve.crl.clone(),
            demand: Demand::Required,
        });
    }
    // Assigned client identifiers must not repeat from one start to the next.
    settings.core.seed = [0, 1].map(|_| RandomState::new().build_hasher().finish());
    settings
}
