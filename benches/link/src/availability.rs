//! What a machine allows, found out by trying.

use std::fmt;

use crate::{Config, Device, Family, Link, Unavailable};

/// As what the process makes namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Root of the machine.
    Root,
    /// Root of a user namespace: after [`enter_user_namespace`](crate::enter_user_namespace), in `unshare -Ur`, or in a
    /// container that has one.
    UserNamespace,
    /// Neither.
    None,
}

impl fmt::Display for Privilege {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Root => "root",
            Self::UserNamespace => "root of a user namespace",
            Self::None => "neither root nor in a user namespace",
        })
    }
}

/// What can be had, and for each thing that can't the reason and the way out.
#[derive(Debug, Clone)]
pub struct Report {
    /// As what the process makes namespaces.
    pub privilege: Privilege,
    /// A link by TUN devices.
    pub tun: Result<(), Unavailable>,
    /// A link by veth devices and AF_PACKET.
    pub veth: Result<(), Unavailable>,
    /// A link with IPv6, by either.
    pub v6: Result<(), Unavailable>,
}

impl Report {
    /// The devices that [`Device::Any`] takes, or `None` if there can be no link.
    #[must_use]
    pub fn best(&self) -> Option<Device> {
        let found = [(&self.tun, Device::Tun), (&self.veth, Device::Veth)];
        let mut possible = found.into_iter().filter(|(result, _)| result.is_ok());
        possible.next().map(|(_, device)| device)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "this process is {}", self.privilege)?;
        let tried = [
            ("TUN", &self.tun),
            ("veth and AF_PACKET", &self.veth),
            ("IPv6", &self.v6),
        ];
        for (what, result) in tried {
            match result {
                Ok(()) => write!(formatter, "\n{what}: available")?,
                Err(reason) => write!(formatter, "\n{what}: not available: {reason}")?,
            }
        }
        Ok(())
    }
}

/// Finds out what this process may have, by opening a link of each kind; nothing of it stays. Call
/// [`enter_user_namespace`](crate::enter_user_namespace) before: what it returns is the reason where the privilege is none.
#[must_use]
pub fn availability() -> Report {
    let open = |device, family| {
        let config = Config {
            device,
            family,
            ..Config::default()
        };
        Link::open(config).map(drop)
    };
    Report {
        privilege: crate::linux::privilege(),
        tun: open(Device::Tun, Family::V4),
        veth: open(Device::Veth, Family::V4),
        v6: open(Device::Any, Family::V6),
    }
}
