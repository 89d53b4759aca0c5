//! A network device as the emulator sees it: whole IP packets out of it and into it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::kernel;

/// The node that makes TUN devices.
pub(crate) const TUN_NODE: &str = "/dev/net/tun";

/// A device whose other side is the kernel of a network namespace.
#[derive(Debug)]
pub(crate) struct PacketDevice {
    descriptor: OwnedFd,
}

impl PacketDevice {
    /// Makes the TUN device `name` in the network namespace of the calling thread.
    pub(crate) fn tun(name: &str) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(Path::new(TUN_NODE), flags, Mode::empty())?;
        kernel::make_tun(&descriptor, name)?;
        Ok(Self { descriptor })
    }

    /// Reads one packet that the kernel sent, if there is one: its length in `buffer`.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.descriptor, buffer) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands one packet to the kernel.
    pub(crate) fn write(&self, packet: &[u8]) -> io::Result<()> {
        rustix::io::retry_on_intr(|| rustix::io::write(&self.descriptor, packet))?;
        Ok(())
    }
}

impl AsFd for PacketDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
