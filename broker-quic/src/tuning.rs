//! What is set on listeners beyond the defaults of the system and of the libraries, for those who compare.

use std::io;
use std::sync::Arc;

use rustls::NamedGroup;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::net::TcpListener;

use crate::settings::TcpSettings;

/// Sets up a listening socket; each socket that it accepts inherits that.
///
/// # Errors
/// When the system does not know what is asked for.
pub(crate) fn set_up(listener: &TcpListener, settings: &TcpSettings) -> io::Result<()> {
    match &settings.congestion {
        Some(name) => set_congestion(listener, name),
        None => Ok(()),
    }
}

/// The cryptography that agrees to `group` only, or to all that it knows.
///
/// # Errors
/// When there is no such key exchange group.
pub(crate) fn provider(group: Option<NamedGroup>) -> Result<Arc<CryptoProvider>, rustls::Error> {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(group) = group {
        provider.kx_groups.retain(|known| known.name() == group);
        if provider.kx_groups.is_empty() {
            let reason = format!("the key exchange group {group:?} is not known here");
            return Err(rustls::Error::General(reason));
        }
    }
    Ok(Arc::new(provider))
}

#[cfg(target_os = "linux")]
fn set_congestion(listener: &TcpListener, name: &str) -> io::Result<()> {
    rustix::net::sockopt::set_tcp_congestion(listener, name).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(
            error.kind(),
            format!("TCP congestion control '{name}': {error}"),
        )
    })
}

#[cfg(not(target_os = "linux"))]
fn set_congestion(_: &TcpListener, name: &str) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("TCP congestion control '{name}' can only be chosen on Linux"),
    ))
}
