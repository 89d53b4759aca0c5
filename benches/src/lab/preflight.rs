//! What is tried before minutes of measuring are spent: a link, and the congestion controls that were asked for.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;

use quince_link::{Config, End, Link, Side, Unavailable};

use super::contender::Contender;
use super::fault::Fault;

/// Tries a link, and what `contenders` need of the kernel.
///
/// # Errors
/// The refusal, with the way out.
pub(crate) fn check(contenders: &[Contender]) -> Result<(), Fault> {
    let refused = |error: Unavailable| Fault::Refused(error.to_string());
    let link = Link::open(Config::default()).map_err(refused)?;
    let names: BTreeSet<_> = contenders
        .iter()
        .filter_map(|contender| contender.tcp_congestion.as_deref())
        .collect();
    for name in names {
        congestion(link.side(End::A), name).map_err(refused)?;
    }
    Ok(())
}

/// Sets TCP's congestion control on a socket at `side`; gives what the socket says then.
///
/// # Errors
/// The kernel does not have it, or does not allow it.
pub(crate) fn congestion(side: &Side, name: &str) -> Result<String, Unavailable> {
    let wanted = name.to_owned();
    let tried = at(side, move || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        rustix::net::sockopt::set_tcp_congestion(&listener, &wanted)?;
        Ok(rustix::net::sockopt::tcp_congestion(&listener)?)
    });
    tried.map_err(|error| Unavailable {
        why: format!("TCP congestion control '{name}': {error}"),
        way_out: format!("`modprobe tcp_{name}` as root, or leave it out (`--transports`)"),
    })
}

/// Runs `work` on a thread at `side`, and waits for it.
pub(crate) fn at<T: Send + 'static>(
    side: &Side,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    side.spawn("preflight", work)?
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
}
