//! Network namespaces: making one with a device in it, and running threads inside.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, Ipv6Addr},
    os::fd::{AsFd, OwnedFd},
    panic,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    net::netdevice::name_to_index,
    process::{getegid, geteuid},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{
    device::{EMULATOR_MAC, KERNEL_MAC, PacketDevice, TUN_NODE},
    kernel,
    netlink::{Netlink, Resolution},
};
use crate::{Device, Enter, Family, Privilege, Unavailable};

/// The name of the device in each namespace.
pub(crate) const DEVICE: &str = "quince0";
/// The emulator's end, where the device is one of a veth pair.
const PEER: &str = "quince1";
/// The settings of a device that let the kernel hand over what is no packet yet: checksums to be filled in, several
/// segments in one. By their numbers for ethtool: tx-checksumming, scatter-gather, TSO, GSO, GRO.
const OFFLOADS: [u32; 5] = [0x17, 0x19, 0x1f, 0x24, 0x2c];
/// `ETHTOOL_GLINK`.
const HAS_CARRIER: u32 = 0x0a;
/// How long the kernel may take to make a route.
const LONGEST_WAIT_MS: u32 = 10_000;
/// Packets that may wait for the emulator. A TUN device's own 500 are too few for a burst.
const QUEUE: u32 = 20_000;

/// What a namespace is to contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
    pub(crate) mtu: u16,
    pub(crate) device: Device,
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
    let netlink = Netlink::open().map_err(step("a netlink socket"))?;
    let device = match plan.device {
        Device::Tun => tun()?,
        Device::Veth => veth(&netlink)?,
        Device::Any => tun().or_else(|no_tun| {
            veth(&netlink).map_err(|no_veth| Unavailable {
                why: format!("{}; {}", no_tun.why, no_veth.why),
                way_out: no_tun.way_out,
            })
        })?,
    };
    configure(&netlink, plan).map_err(step("an address on the device"))?;
    // Of the thread, because /proc/self is the first thread's.
    let file = File::open("/proc/thread-self/ns/net").map_err(step("the namespace's file"))?;
    let file = Arc::new(file);
    Ok((Namespace { file }, device))
}

fn tun() -> Result<PacketDevice, Unavailable> {
    PacketDevice::tun(DEVICE).map_err(|error| Unavailable {
        why: format!("a TUN device by {TUN_NODE}: {error}"),
        way_out: tun_way_out(&error),
    })
}

/// A veth pair, of which one end is the device and the other one is read and written by the emulator.
fn veth(netlink: &Netlink) -> Result<PacketDevice, Unavailable> {
    let make = || {
        netlink.add_veth((DEVICE, KERNEL_MAC), (PEER, EMULATOR_MAC))?;
        let no_v6 = format!("/proc/sys/net/ipv6/conf/{PEER}/disable_ipv6");
        if fs::exists(&no_v6)? {
            fs::write(no_v6, "1")?;
        }
        let socket = any_socket()?;
        for offload in OFFLOADS {
            kernel::ethtool(&socket, DEVICE, offload, 0)?;
        }
        let peer = interface_index(PEER)?;
        let device = PacketDevice::veth(peer)?;
        netlink.switch_on(peer, Resolution::None)?;
        Ok(device)
    };
    make().map_err(|error: io::Error| Unavailable {
        why: format!("a veth pair and an AF_PACKET socket: {error}"),
        way_out: "run as root, or where user namespaces are allowed; `modprobe veth`".into(),
    })
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
    // There is one neighbour, and it answers no question for its address.
    netlink.switch_on(index, Resolution::None)?;
    // The kernel takes up to a second to notice the carrier of a veth device, and drops what is sent before. To ask for
    // the carrier makes it notice.
    if kernel::ethtool(any_socket()?, DEVICE, HAS_CARRIER, 0)? == 0 {
        return Err(io::Error::other("the device has no carrier"));
    }
    netlink.switch_on(interface_index("lo")?, Resolution::Usual)?;
    match plan.address {
        IpAddr::V4(_) => Ok(()),
        IpAddr::V6(address) => wait_until_received(address),
    }
}

/// Waits until the kernel takes packets to an address of its own: for IPv6 it makes the route to it in the background, and
/// drops, uncounted, what comes before.
fn wait_until_received(address: Ipv6Addr) -> io::Result<()> {
    let digits: String = address
        .octets()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // The destination, its 128 bits; and of the flags at the end the one of a local route.
    let is_it = |line: &str| {
        let mut words = line.split_whitespace();
        let flags = words.clone().nth(8).unwrap_or_default();
        words.next() == Some(&digits) && words.next() == Some("80") && flags.starts_with('8')
    };
    for _ in 0..LONGEST_WAIT_MS {
        let routes = fs::read_to_string("/proc/thread-self/net/ipv6_route")?;
        if routes.lines().any(is_it) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(io::Error::other(
        "the kernel made no route to its own address",
    ))
}

fn interface_index(name: &str) -> io::Result<u32> {
    Ok(name_to_index(any_socket()?, name)?)
}

/// A socket of the thread's namespace, to ask about devices.
fn any_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::DGRAM,
        None,
    )?)
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

/// As what the process makes namespaces.
pub(crate) fn privilege() -> Privilege {
    if !geteuid().is_root() {
        return Privilege::None;
    }
    // The initial user namespace maps everybody to themselves.
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if map.split_whitespace().eq(["0", "0", "4294967295"]) {
        Privilege::Root
    } else {
        Privilege::UserNamespace
    }
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
