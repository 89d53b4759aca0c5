//! What a kernel tells of a TCP connection.

use std::time::Duration;

/// A part of `TCP_INFO`: what the kernel knows of a TCP connection. What an old kernel does not tell is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Segments that were sent again, over the connection's whole life.
    pub total_retransmits: u32,
    /// Segments that the kernel holds lost now.
    pub lost: u32,
    /// The smoothed round-trip time.
    pub round_trip: Duration,
    /// The smallest round-trip time seen.
    pub least_round_trip: Duration,
    /// The congestion window, in segments.
    pub congestion_window: u32,
    /// The largest segment that is sent, in bytes of payload.
    pub segment_size: u32,
    /// Segments sent, acknowledgements included.
    pub segments_out: u32,
    /// Segments received, acknowledgements included.
    pub segments_in: u32,
    /// Segments sent with payload, again or not.
    pub data_segments_out: u32,
    /// Bytes of payload that were sent again.
    pub bytes_retransmitted: u64,
    /// Segments that arrived twice at the peer, as far as it told: sent again in vain, or duplicated on the way.
    pub duplicates_told: u32,
}
