//! The daemon `quince-broker`.

mod args;
mod passwd;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use quince_broker::{
    Access, Configuration, DEFAULT, DataSettings, Flags, Inspection, Problem, Server, inspect,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, Serve};

fn main() -> ExitCode {
    let outcome = match Cli::parse().into_command() {
        Command::Serve(serve) => serve_until_told(*serve),
        Command::Passwd(passwd) => passwd::run(&passwd),
        Command::CheckConfig(check) => check_config(&check.file),
        Command::DefaultConfig => print(DEFAULT),
        Command::Inspect(inspect) => inspect_store(&inspect.directory),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody may be left to read it.
            let _ = writeln!(anstream::stderr(), "quince-broker: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve_until_told(serve: Serve) -> Result<(), String> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(
            EnvFilter::try_from_env("QUINCE_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("failed to start: {error}"))
        .and_then(|runtime| runtime.block_on(run(serve)))
}

async fn run(serve: Serve) -> Result<(), String> {
    let (configuration, access) = configuration(&serve).map_err(|problem| problem.explain())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut reload = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut server = Server::start(&configuration.listeners, configuration.settings, access)
        .await
        .map_err(|error| error.to_string())?;
    announce(&server).map_err(|error| format!("failed to write to standard output: {error}"))?;
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            error = server.store_failed() => {
                outcome = Err(format!("the store has failed: {error}"));
                break;
            }
            _ = interrupt.recv() => {
                info!("interrupted, shutting down");
                break;
            }
            _ = terminate.recv() => {
                info!("terminated, shutting down");
                break;
            }
            _ = reload.recv() => read_again(&server),
        }
    }
    server.shut_down().await;
    outcome
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

fn configuration(serve: &Serve) -> Result<(Configuration, Access), Problem> {
    let flags = Flags {
        settings: serve.settings.clone(),
        listen: serve.listen.clone(),
        allow_anonymous: serve.allow_anonymous,
        password_file: serve.password_file.clone(),
        acl_file: serve.acl_file.clone(),
        certificate: serve.cert.clone(),
        key: serve.key.clone(),
        client_authorities: serve.client_ca.clone(),
        client_revocation_lists: serve.crl.clone(),
    };
    // A variable that is not text sets nothing of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut configuration = Configuration::load(serve.config.as_deref(), environment, &flags)?;
    // Assigned client identifiers must not repeat from one start to the next.
    configuration.settings.data = serve.data_dir.clone().map(|directory| DataSettings {
        directory,
        durable: serve.durability,
        accept_loss: serve.accept_loss,
    });
    configuration.settings.core.seed = [0, 1].map(|_| RandomState::new().build_hasher().finish());
    let access = Access::load(configuration.access.clone())?;
    Ok((configuration, access))
}

fn check_config(file: &Path) -> Result<(), String> {
    let checked = Configuration::load(Some(file), [], &Flags::default())
        .and_then(|configuration| {
            Access::load(configuration.access.clone())?;
            Ok(configuration)
        })
        .map_err(|problem| problem.explain())?;
    Server::check_tls(&checked.settings).map_err(|error| error.to_string())?;
    print(&format!(
        "{} is good: {} listeners\n",
        file.display(),
        checked.listeners.len()
    ))
}

fn inspect_store(directory: &Path) -> Result<(), String> {
    let found = inspect(directory).map_err(|error| error.to_string())?;
    let Some(Inspection {
        contents,
        records,
        lost,
    }) = found
    else {
        return Err(format!("there is no store in '{}'", directory.display()));
    };
    let mut text = String::new();
    for (count, what) in [
        (contents.sessions, "stored sessions"),
        (contents.subscriptions, "subscriptions"),
        (contents.deliveries, "messages queued or in flight"),
        (contents.exchanges, "QoS 2 exchanges under way"),
        (contents.retained, "retained messages"),
        (contents.delayed, "delayed messages"),
        (contents.wills, "will messages"),
    ] {
        text.push_str(&format!("{count:>10} {what}\n"));
    }
    text.push_str(&format!("{records:>10} records so far\n"));
    print(&text)?;
    match lost {
        None => Ok(()),
        Some(what) => Err(format!("something is gone: {what}")),
    }
}

fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| format!("failed to write to standard output: {error}"))
}

/// Each of the two is read again as a whole or stays as it was.
fn read_again(server: &Server) {
    match server.reload_tls() {
        Ok(()) => info!("certificates and revocation lists are read again"),
        Err(error) => error!("certificates and revocation lists stay as they were: {error}"),
    }
    match server.reload() {
        Ok(()) => info!("passwords, tokens' key and access rules are read again"),
        Err(problem) => {
            error!("passwords, tokens' key and access rules stay as they were: {problem}")
        }
    }
}
