//! The emulator on Linux: namespaces, devices, and the threads between them.

mod counters;
mod device;
mod fidelity;
mod kernel;
mod link;
mod namespace;
mod netlink;
mod pump;
mod tcp_info;

pub use link::{Link, Side};
pub(crate) use namespace::{enter_user_namespace, privilege};
