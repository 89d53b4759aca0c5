//! A bad link that kernel TCP and QUIC cross alike, in one process, without set-up.
//!
//! Two network namespaces with a device each; between them the emulator, which delays, loses, duplicates, damages and queues
//! whole IP packets by a seed. It works as root, and in a user namespace where those are allowed; on Linux only: elsewhere
//! everything builds, and [`Link::open`] says that it is not available.
//!
//! ```no_run
//! use std::{io, net::{TcpListener, TcpStream}, time::Duration};
//! use quince_link::{Change, Config, End, Enter, Impairment, Link};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // First of all, before any thread.
//!     quince_link::enter_user_namespace(Enter::UnlessRoot)?;
//!     let link = Link::open(Config {
//!         seed: 7,
//!         a_to_b: Impairment::delayed(Duration::from_millis(25)).losing(0.01),
//!         b_to_a: Impairment::delayed(Duration::from_millis(25)),
//!         ..Config::default()
//!     })?;
//!     let server = link.side(End::B).address();
//!     // Sockets belong to the namespace of the thread that makes them: so does a tokio runtime built here.
//!     let listener = link.side(End::B).spawn("server", move || TcpListener::bind((server, 0)))?;
//!     let listener = listener.join().expect("no panic")?;
//!     let address = listener.local_addr()?;
//!     let client = link.side(End::A).spawn("client", move || TcpStream::connect(address))?;
//!     let _stream = client.join().expect("no panic")?;
//!     link.change(Change::Blackout(Duration::from_millis(500)))?;
//!     println!("{:?}", link.statistics());
//!     if let Some(reason) = link.taint() {
//!         println!("this run proves nothing: {reason}");
//!     }
//!     Ok(())
//! }
//! ```

mod availability;
mod config;
mod decide;
mod draw;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod linux;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "linux", test))]
mod nat;
#[cfg(any(target_os = "linux", test))]
mod packet;
#[cfg(target_os = "linux")]
mod pcap;
mod statistics;
pub mod taint;
mod tcp_info;
mod unavailable;

pub use availability::{Privilege, Report, availability};
pub use config::{
    Bandwidth, Change, Checksum, Config, Corruption, Device, Direction, End, Family,
    GilbertElliott, Impairment, Jitter, Loss, Nat, OldMapping, Order, Public, Rebind, Scheduling,
    Step, Trace,
};
pub use decide::{Arrival, Cause, Damage, Decider, Fate};
pub use linux::{Link, Side};
pub use statistics::{Counts, Fidelity, KernelCounts, Lateness, Statistics};
pub use tcp_info::TcpInfo;
pub use unavailable::Unavailable;

/// When [`enter_user_namespace`] does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enter {
    /// Unless the process is root.
    UnlessRoot,
    /// In any case.
    Always,
}

/// Moves the process into a user namespace in which it may make network namespaces.
///
/// Call it first of all in `main`: the kernel refuses it to a process with more than one thread, and a tokio runtime, a
/// logger or a test harness have threads.
///
/// # Errors
///
/// The machine does not allow it, or there is more than one thread: see [`Unavailable`].
pub fn enter_user_namespace(enter: Enter) -> Result<(), Unavailable> {
    linux::enter_user_namespace(enter)
}
