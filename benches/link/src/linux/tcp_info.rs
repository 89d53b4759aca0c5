//! Asking Linux about a TCP connection.

use std::{io, os::fd::AsFd, time::Duration};

use super::kernel;
use crate::TcpInfo;

impl TcpInfo {
    /// Asks the kernel about a connected TCP socket.
    ///
    /// # Errors
    ///
    /// That of `getsockopt`: it is no TCP socket.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let mut bytes = [0; 256];
        // What the kernel does not write stays zero.
        kernel::socket_option(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut bytes)?;
        // The offsets of `struct tcp_info`, to which the kernel only ever appends.
        let word = |offset: usize| {
            let four: [u8; 4] = std::array::from_fn(|byte| bytes[offset + byte]);
            u32::from_ne_bytes(four)
        };
        let long = |offset: usize| {
            let eight: [u8; 8] = std::array::from_fn(|byte| bytes[offset + byte]);
            u64::from_ne_bytes(eight)
        };
        Ok(Self {
            total_retransmits: word(100),
            lost: word(32),
            round_trip: Duration::from_micros(word(68).into()),
            least_round_trip: Duration::from_micros(word(148).into()),
            congestion_window: word(80),
            segment_size: word(16),
            segments_out: word(136),
            segments_in: word(140),
            data_segments_out: word(156),
            bytes_retransmitted: long(208),
            duplicates_told: word(216),
        })
    }
}
