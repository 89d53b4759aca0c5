//! Network namespaces: making one with a device in it, and running threads inside.

use std::{
    fs::{self, File},
    io,
    net::IpAddr,
    os::fd::AsFd,
    panic,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use rustix::{
    net::netdevice::name_to_index,
    process::{getegid, geteuid},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{
    device::{PacketDevice, TUN_NODE},
    kernel,
    netlink::{Netlink, Resolution},
};
use crate::{Enter, Family, Unavailable};

/// The name of the device in each namespace.
pub(crate) const DEVICE: &str = "quince0";
/// Packets that may wait for the emulator. A TUN device's own 500 are too few for a burst.
const QUEUE: u32 = 20_000;

/// What a namespace is to contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
    pub(crate) mtu: u16,
}

impl Plan {
    fn family(&self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

/// A network namespace. It lives as long as this, or a thread or socket in it.
#[derive(Debug, Clone)]
pub(crate) struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// Makes a namespace with a device in it. The calling thread stays where it is.
    pub(crate) fn make(plan: Plan) -> Result<(Self, PacketDevice), Unavailable> {
        let maker = thread::Builder::new()
            .name("namespace".into())
            .spawn(move || make_here(plan))
            .map_err(|error| failed("a thread", &error))?;
        maker.join().unwrap_or_else(|_| {
            Err(Unavailable {
                why: "making a network namespace panicked".into(),
                way_out: "this is a fault of quince-link: please report it".into(),
            })
        })
    }

    /// Runs `work` on a thread inside.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let (tell, hear) = mpsc::sync_channel(1);
        let file = Arc::clone(&self.file);
        let handle = thread::Builder::new().name(name.into()).spawn(move || {
            let moved = move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network));
            drop(file);
            let went_well = moved.is_ok();
            // The listener waits for this, so it is there.
            let _ = tell.send(moved);
            if !went_well {
                // Nobody has the handle; and nothing may run outside of the namespace.
                panic::resume_unwind(Box::new(()));
            }
            work()
        })?;
        match hear.recv() {
            Ok(Ok(())) => Ok(handle),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(io::Error::other("the thread ended at once")),
        }
    }
}

fn make_here(plan: Plan) -> Result<(Namespace, PacketDevice), Unavailable> {
    kernel::unshare_network().map_err(|error| Unavailable {
        why: format!("a network namespace: {error}"),
        way_out: "run as root, or where user namespaces are allowed".into(),
    })?;
    let step = |what: &'static str| move |error: io::Error| failed(what, &error);
    prepare(plan.family()).map_err(step("settings of the network namespace"))?;
    let device = PacketDevice::tun(DEVICE).map_err(|error| Unavailable {
        why: format!("a TUN device by {TUN_NODE}: {error}"),
        way_out: tun_way_out(&error),
    })?;
    let netlink = Netlink::open().map_err(step("a netlink socket"))?;
    configure(&netlink, plan).map_err(step("an address on the device"))?;
    // Of the thread, because /proc/self is the first thread's.
    let file = File::open("/proc/thread-self/ns/net").map_err(step("the namespace's file"))?;
    let file = Arc::new(file);
    Ok((Namespace { file }, device))
}

/// The way out when a TUN device can't be had.
pub(crate) fn tun_way_out(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("`modprobe tun`, or give the container {TUN_NODE} (`--device {TUN_NODE}`)")
        }
        io::ErrorKind::PermissionDenied => {
            format!("`chmod 0666 {TUN_NODE}` as root, or run as root")
        }
        _ => "run as root, or where user namespaces are allowed".into(),
    }
}

/// Settings of the thread's namespace that come before any device.
fn prepare(family: Family) -> io::Result<()> {
    let set = |name: &str, value: &str| fs::write(format!("/proc/sys/net/{name}"), value);
    if !fs::exists("/proc/sys/net/ipv6")? {
        return Ok(());
    }
    for scope in ["all", "default"] {
        let scope = format!("ipv6/conf/{scope}");
        match family {
            // The kernel's own packets would take indexes, and with them the losses of the packets that count.
            Family::V4 => set(&format!("{scope}/disable_ipv6"), "1")?,
            Family::V6 => {
                set(&format!("{scope}/accept_ra"), "0")?;
                set(&format!("{scope}/router_solicitations"), "0")?;
                set(&format!("{scope}/accept_dad"), "0")?;
            }
        }
    }
    if family == Family::V6 {
        // No link-local address.
        set("ipv6/conf/default/addr_gen_mode", "1")?;
    }
    Ok(())
}

/// Addresses and sizes; then everything is switched on.
fn configure(netlink: &Netlink, plan: Plan) -> io::Result<()> {
    let index = interface_index(DEVICE)?;
    netlink.set_size(index, plan.mtu.into(), QUEUE)?;
    netlink.add_address(index, plan.address, plan.prefix)?;
    netlink.switch_on(index, Resolution::Usual)?;
    netlink.switch_on(interface_index("lo")?, Resolution::Usual)
}

fn interface_index(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    Ok(name_to_index(&socket, name)?)
}

fn failed(what: &str, error: &io::Error) -> Unavailable {
    Unavailable {
        why: format!("{what}: {error}"),
        way_out: "`quince-lab doctor` tells what this machine allows".into(),
    }
}

/// Moves the process into a user namespace in which it is root, when it must or is told to.
///
/// See [`crate::enter_user_namespace`].
pub(crate) fn enter_user_namespace(enter: Enter) -> Result<(), Unavailable> {
    let (user, group) = (geteuid(), getegid());
    if enter == Enter::UnlessRoot && user.is_root() {
        return Ok(());
    }
    kernel::unshare_user_and_network().map_err(|error| Unavailable {
        why: format!("a user namespace: {error}"),
        way_out: user_namespace_way_out(&error),
    })?;
    map_to_root(user.as_raw(), group.as_raw()).map_err(|error| Unavailable {
        why: format!("the user map of a user namespace: {error}"),
        way_out: user_namespace_way_out(&error),
    })
}

fn map_to_root(user: u32, group: u32) -> io::Result<()> {
    // Without this the kernel lets nobody but root write the group map.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// The way out when user namespaces are refused.
pub(crate) fn user_namespace_way_out(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EINVAL) => {
            "this is a fault of the program: it must come before the first thread".into()
        }
        Some(libc::ENOSPC) => {
            "`sysctl user.max_user_namespaces=1000` as root, or run as root".into()
        }
        _ => {
            let knobs = [
                "kernel.unprivileged_userns_clone",
                "kernel.apparmor_restrict_unprivileged_userns",
            ];
            let expected = ["1", "0"];
            for (knob, good) in knobs.into_iter().zip(expected) {
                let path = format!("/proc/sys/{}", knob.replace('.', "/"));
                let value = fs::read_to_string(path).unwrap_or_default();
                if !value.is_empty() && value.trim() != good {
                    return format!("`sysctl {knob}={good}` as root, or run as root");
                }
            }
            "run as root; in a container, allow `unshare` (`--security-opt seccomp=unconfined`)"
                .into()
        }
    }
}
