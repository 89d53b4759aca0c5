//! What a dialler sets on its connections beyond the defaults of the system and of the libraries, for those who compare.

use std::io;
use std::sync::Arc;

use rustls::NamedGroup;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::net::TcpStream;

/// Settings of a [`Dialer`](crate::Dialer)'s connections. By default everything is left as it is.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// TCP's congestion control under the kernel's name for it, as `cubic` or `bbr`. Linux only:
    /// elsewhere, and where the kernel has none of that name, dialling fails.
    pub tcp_congestion: Option<String>,
    /// The one key exchange group that TLS and QUIC offer, so that no other can be agreed on.
    pub key_exchange: Option<NamedGroup>,
}

impl Tuning {
    pub(crate) fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        // Publishes and acknowledgements are small and waited for.
        stream.set_nodelay(true)?;
        match &self.tcp_congestion {
            Some(name) => set_congestion(stream, name),
            None => Ok(()),
        }
    }

    /// The cryptography that offers what is set.
    ///
    /// # Errors
    /// When there is no such key exchange group.
    pub(crate) fn provider(&self) -> Result<Arc<CryptoProvider>, rustls::Error> {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(group) = self.key_exchange {
            provider.kx_groups.retain(|known| known.name() == group);
            if provider.kx_groups.is_empty() {
                let reason = format!("the key exchange group {group:?} is not known here");
                return Err(rustls::Error::General(reason));
            }
        }
        Ok(Arc::new(provider))
    }
}

#[cfg(target_os = "linux")]
fn set_congestion(stream: &TcpStream, name: &str) -> io::Result<()> {
    rustix::net::sockopt::set_tcp_congestion(stream, name).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(
            error.kind(),
            format!("TCP congestion control '{name}': {error}"),
        )
    })
}

#[cfg(not(target_os = "linux"))]
fn set_congestion(_: &TcpStream, name: &str) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("TCP congestion control '{name}' can only be chosen on Linux"),
    ))
}
