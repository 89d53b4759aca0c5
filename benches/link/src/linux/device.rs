//! A network device as the emulator sees it: whole IP packets out of it and into it.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
};

use super::kernel;

/// The node that makes TUN devices.
pub(crate) const TUN_NODE: &str = "/dev/net/tun";
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// The addresses of the two ends of a veth pair: the kernel's, and the emulator's.
pub(crate) const KERNEL_MAC: [u8; 6] = *b"\x02quinc";
pub(crate) const EMULATOR_MAC: [u8; 6] = *b"\x02quinp";
/// Bytes of packets, with the kernel's own overhead, that may wait for the emulator at a veth device.
const RECEIVE_BUFFER: i32 = 128 << 20;

/// A device whose other side is the kernel of a network namespace.
#[derive(Debug)]
pub(crate) struct PacketDevice {
    descriptor: OwnedFd,
    framing: Framing,
    /// Packets that found the emulator's receive buffer full; the kernel forgets the number when it tells it.
    dropped: AtomicU64,
}

/// What is around an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Nothing: a TUN device.
    Bare,
    /// An Ethernet header: a veth device.
    Ethernet,
}

impl PacketDevice {
    /// Makes the TUN device `name` in the network namespace of the calling thread.
    pub(crate) fn tun(name: &str) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(Path::new(TUN_NODE), flags, Mode::empty())?;
        kernel::make_tun(&descriptor, name)?;
        Ok(Self::new(descriptor, Framing::Bare))
    }

    /// Reads and writes the frames of the interface with this index: the emulator's end of a veth pair.
    pub(crate) fn veth(interface: u32) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // For no protocol, so that nothing comes before it is bound.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        // Beyond the system's limit as root only; what does not fit is counted.
        let set =
            |option| kernel::set_socket_option(&socket, libc::SOL_SOCKET, option, RECEIVE_BUFFER);
        set(libc::SO_RCVBUFFORCE).or_else(|_| set(libc::SO_RCVBUF))?;
        let interface = i32::try_from(interface).map_err(io::Error::other)?;
        kernel::bind_packet(&socket, interface)?;
        Ok(Self::new(socket, Framing::Ethernet))
    }

    fn new(descriptor: OwnedFd, framing: Framing) -> Self {
        Self {
            descriptor,
            framing,
            dropped: AtomicU64::new(0),
        }
    }

    /// Reads one packet that the kernel sent, if there is one.
    pub(crate) fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        loop {
            let length = match rustix::io::read(&self.descriptor, &mut *buffer) {
                Ok(length) => length,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            match self.framing {
                Framing::Bare => return Ok(Some(&buffer[..length])),
                // The socket hears the emulator's own frames as well.
                Framing::Ethernet if length > ETHERNET && buffer[6..12] == KERNEL_MAC => {
                    return Ok(Some(&buffer[ETHERNET..length]));
                }
                Framing::Ethernet => {}
            }
        }
    }

    /// Hands one packet to the kernel.
    pub(crate) fn write(&self, packet: &[u8]) -> io::Result<()> {
        rustix::io::retry_on_intr(|| match self.framing {
            Framing::Bare => rustix::io::write(&self.descriptor, packet),
            Framing::Ethernet => {
                let mut header = [0; ETHERNET];
                header[..6].copy_from_slice(&KERNEL_MAC);
                header[6..12].copy_from_slice(&EMULATOR_MAC);
                let is_v6 = packet.first().is_some_and(|first| first >> 4 == 6);
                header[12..].copy_from_slice(if is_v6 { &[0x86, 0xdd] } else { &[8, 0] });
                let parts = [IoSlice::new(&header), IoSlice::new(packet)];
                rustix::io::writev(&self.descriptor, &parts)
            }
        })?;
        Ok(())
    }

    /// Packets that the kernel sent and the emulator was too late to read.
    pub(crate) fn dropped(&self) -> io::Result<u64> {
        if self.framing == Framing::Bare {
            // The device counts them.
            return Ok(0);
        }
        let mut packets_and_drops = [0; 8];
        kernel::socket_option(
            &self.descriptor,
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            &mut packets_and_drops,
        )?;
        let [_, _, _, _, drops @ ..] = packets_and_drops;
        let drops = u32::from_ne_bytes(drops).into();
        Ok(self.dropped.fetch_add(drops, Ordering::Relaxed) + drops)
    }
}

impl AsFd for PacketDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
