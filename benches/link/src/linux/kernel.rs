//! The calls into the kernel that no safe wrapper offers: the only unsafe code of this crate.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use rustix::{
    ioctl::{Opcode, Updater, ioctl},
    thread::{UnshareFlags, unshare_unsafe},
};

/// `TUNSETIFF`: `_IOW('T', 202, int)`.
const SET_INTERFACE: Opcode = rustix::ioctl::opcode::write::<libc::c_int>(b'T', 202);
/// `SIOCETHTOOL`.
const ETHTOOL: Opcode = 0x8946;

/// `struct ifreq` with flags.
#[repr(C)]
struct FlagsRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// `struct ifreq` with a pointer.
#[repr(C)]
struct PointerRequest {
    name: [u8; 16],
    data: *mut EthtoolValue,
    rest: [u8; 16],
}

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    value: u32,
}

/// The name of an interface as the kernel wants it.
pub(crate) fn interface_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    let length = name.len().min(15);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}

/// Moves the calling thread into a network namespace of its own.
pub(crate) fn unshare_network() -> io::Result<()> {
    unshare(UnshareFlags::NEWNET)
}

/// Moves the process into a user and a network namespace of its own. Fails in a process with several threads.
pub(crate) fn unshare_user_and_network() -> io::Result<()> {
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "the wrapper is unsafe for the sake of CLONE_FILES"
    )]
    // SAFETY: only CLONE_FILES makes the call unsafe, because it takes file descriptors away from other threads; it is
    // not among the flags.
    unsafe {
        unshare_unsafe(flags)?;
    }
    Ok(())
}

/// Turns an open `/dev/net/tun` into the TUN device `name` of the thread's network namespace: whole IP packets, no header
/// before them.
pub(crate) fn make_tun(tun: impl AsFd, name: &str) -> io::Result<()> {
    let flags = u16::try_from(libc::IFF_TUN | libc::IFF_NO_PI).unwrap_or_default();
    let mut request = FlagsRequest {
        name: interface_name(name),
        flags,
        rest: [0; 22],
    };
    #[expect(unsafe_code, reason = "an ioctl without a safe wrapper")]
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which has the layout and the 40 bytes of `FlagsRequest`.
    unsafe {
        ioctl(
            tun,
            Updater::<SET_INTERFACE, FlagsRequest>::new(&mut request),
        )?;
    }
    Ok(())
}

/// Asks for or sets what is a command and a value to ethtool (`ETHTOOL_STSO` and the like): the value as it is afterwards.
/// `socket` is any socket of the device's network namespace.
pub(crate) fn ethtool(socket: impl AsFd, name: &str, command: u32, value: u32) -> io::Result<u32> {
    let mut setting = EthtoolValue { command, value };
    let mut request = PointerRequest {
        name: interface_name(name),
        data: &raw mut setting,
        rest: [0; 16],
    };
    #[expect(unsafe_code, reason = "an ioctl without a safe wrapper")]
    // SAFETY: SIOCETHTOOL reads a `struct ifreq`, which has the layout and the 40 bytes of `PointerRequest`; its pointer
    // leads to a `struct ethtool_value`, which the commands of this form read and write, and which outlives the call.
    unsafe {
        ioctl(
            socket,
            Updater::<ETHTOOL, PointerRequest>::new(&mut request),
        )?;
    }
    Ok(setting.value)
}

/// Binds an AF_PACKET socket to the interface with this index, for all protocols.
pub(crate) fn bind_packet(socket: impl AsFd, interface: i32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be(),
        sll_ifindex: interface,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or_default();
    #[expect(unsafe_code, reason = "a socket address that no safe wrapper knows")]
    // SAFETY: the pointer leads to a whole `sockaddr_ll` that lives through the call, and the length is its size.
    let result = unsafe {
        libc::bind(
            socket.as_fd().as_raw_fd(),
            (&raw const address).cast(),
            length,
        )
    };
    check(result)
}

/// An option of a socket, as bytes: how many of `value` the kernel wrote.
pub(crate) fn socket_option(
    socket: impl AsFd,
    level: i32,
    option: i32,
    value: &mut [u8],
) -> io::Result<usize> {
    let mut length = libc::socklen_t::try_from(value.len()).unwrap_or(libc::socklen_t::MAX);
    #[expect(unsafe_code, reason = "options without a safe wrapper")]
    // SAFETY: the kernel writes at most `length` bytes to `value`, which has as many, and any bytes are valid there.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    check(result)?;
    Ok(usize::try_from(length).unwrap_or_default())
}

/// Sets an option of a socket that is an `int`.
pub(crate) fn set_socket_option(
    socket: impl AsFd,
    level: i32,
    option: i32,
    value: i32,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or_default();
    #[expect(unsafe_code, reason = "options without a safe wrapper")]
    // SAFETY: the pointer leads to an `int` that lives through the call, and the length is its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    check(result)
}

/// Schedules the calling thread under `SCHED_FIFO` at the lowest priority.
pub(crate) fn schedule_in_real_time() -> io::Result<()> {
    #[expect(unsafe_code, reason = "a call without a safe wrapper")]
    // SAFETY: all bytes zero is a valid `sched_param`.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = 1;
    #[expect(unsafe_code, reason = "a call without a safe wrapper")]
    // SAFETY: the pointer leads to a whole `sched_param` that lives through the call; thread 0 is the calling one.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) };
    check(result)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
