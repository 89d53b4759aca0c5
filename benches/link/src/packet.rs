//! What the emulator reads of an IP packet, and what it changes: checksums are checked, and kept right by difference
//! (RFC 1624), so that a wrong one stays wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Checksum, Damage};

/// Numbers of protocols.
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP6: u8 = 58;

/// Where the parts of an IP packet are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Where the IP header begins: 0, but in a packet within an ICMP error.
    pub(crate) start: usize,
    /// 4 or 6.
    pub(crate) version: u8,
    /// Of the transport.
    pub(crate) protocol: u8,
    /// Where the transport header begins.
    pub(crate) transport: usize,
    /// Where the packet ends by its own account.
    pub(crate) end: usize,
    /// It is a part of a packet: its checksum is not of it alone, and its ports may be elsewhere.
    pub(crate) fragment: bool,
}

/// Which of its two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Source,
    Destination,
}

impl Layout {
    /// The layout of the IP packet that begins at `start`; `None` if the bytes are none, or not even its header is whole.
    pub(crate) fn at(packet: &[u8], start: usize) -> Option<Self> {
        let bytes = packet.get(start..)?;
        match bytes.first()? >> 4 {
            4 => Self::v4(bytes, start),
            6 => Self::v6(bytes, start),
            _ => None,
        }
    }

    fn v4(bytes: &[u8], start: usize) -> Option<Self> {
        let header = usize::from(bytes[0] & 15) * 4;
        if header < 20 || bytes.len() < header {
            return None;
        }
        Some(Self {
            start,
            version: 4,
            protocol: bytes[9],
            transport: start + header,
            end: start + usize::from(word(bytes, 2)),
            fragment: word(bytes, 6) & 0x3fff != 0,
        })
    }

    fn v6(bytes: &[u8], start: usize) -> Option<Self> {
        if bytes.len() < 40 {
            return None;
        }
        let (mut protocol, mut transport, mut fragment) = (bytes[6], 40, false);
        // Hop-by-hop options, routing, destination options; a fragment header ends what can be known.
        while matches!(protocol, 0 | 43 | 60) {
            let extension = bytes.get(transport..transport + 2)?;
            protocol = extension[0];
            transport += (usize::from(extension[1]) + 1) * 8;
        }
        if protocol == 44 {
            fragment = true;
        }
        Some(Self {
            start,
            version: 6,
            protocol,
            transport: start + transport,
            end: start + 40 + usize::from(word(bytes, 4)),
            fragment,
        })
    }

    /// Whether the packet is as long as it says, to the byte.
    pub(crate) fn is_whole(&self, packet: &[u8]) -> bool {
        self.end == packet.len() && self.transport <= self.end
    }

    /// Where an address is, and its length.
    fn address_at(&self, of: Of) -> (usize, usize) {
        match (self.version, of) {
            (4, Of::Source) => (self.start + 12, 4),
            (4, Of::Destination) => (self.start + 16, 4),
            (_, Of::Source) => (self.start + 8, 16),
            (_, Of::Destination) => (self.start + 24, 16),
        }
    }

    pub(crate) fn address(&self, packet: &[u8], of: Of) -> IpAddr {
        let (at, length) = self.address_at(of);
        let bytes = &packet[at..at + length];
        if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
            Ipv4Addr::from(octets).into()
        } else {
            let octets: [u8; 16] = std::array::from_fn(|byte| bytes[byte]);
            Ipv6Addr::from(octets).into()
        }
    }

    /// Where the transport checksum is, if the protocol has one and the packet reaches that far.
    pub(crate) fn checksum_at(&self, packet: &[u8]) -> Option<usize> {
        let at = self.transport
            + match self.protocol {
                TCP => 16,
                UDP => 6,
                ICMP | ICMP6 => 2,
                _ => return None,
            };
        (at + 2 <= packet.len()).then_some(at)
    }

    /// Whether the transport checksum covers the addresses.
    fn covers_addresses(&self) -> bool {
        self.protocol != ICMP
    }

    /// The sum that the transport checksum makes all ones.
    fn transport_sum(&self, packet: &[u8]) -> u16 {
        let mut sum = Sum::default();
        if self.covers_addresses() {
            let (source, length) = self.address_at(Of::Source);
            sum.add(&packet[source..source + 2 * length]);
            sum.add(&[0, self.protocol]);
            let length = u32::try_from(self.end - self.transport).unwrap_or_default();
            sum.add(&length.to_be_bytes());
        }
        sum.add(&packet[self.transport..self.end]);
        sum.fold()
    }

    /// The first byte of payload of TCP or UDP, if there is payload.
    fn payload_at(&self, packet: &[u8]) -> Option<usize> {
        let header = match self.protocol {
            TCP => usize::from(packet.get(self.transport + 12)? >> 4) * 4,
            UDP => 8,
            _ => return None,
        };
        let at = self.transport + header;
        (at < packet.len()).then_some(at)
    }
}

/// A sum of 16-bit words in one's complement. Every part but the last has an even length.
#[derive(Debug, Default)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<2>();
        self.0 += words
            .iter()
            .map(|&pair| u64::from(u16::from_be_bytes(pair)))
            .sum::<u64>();
        if let [last] = rest {
            self.0 += u64::from(*last) << 8;
        }
    }

    fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap_or(u16::MAX)
    }
}

/// The 16-bit word at `at`.
pub(crate) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn set_word(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// What becomes of a checksum when a word that it covers changes (RFC 1624, equation 3).
pub(crate) fn adjusted(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Whether this is an IP packet to one receiver. The kernel's own multicast is not: it would take indexes.
pub(crate) fn is_for_one(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => packet.len() >= 20 && packet[16] < 224,
        Some(6) => packet.len() >= 40 && packet[24] != 0xff,
        _ => false,
    }
}

/// Whether every checksum in the packet is right. Of a fragment only that of the IP header can be told.
pub(crate) fn checksums_are_right(packet: &[u8]) -> bool {
    let Some(layout) = Layout::at(packet, 0) else {
        return false;
    };
    if !layout.is_whole(packet) {
        return false;
    }
    if layout.version == 4 {
        let mut sum = Sum::default();
        sum.add(&packet[..layout.transport]);
        if sum.fold() != 0xffff {
            return false;
        }
    }
    if layout.fragment {
        return true;
    }
    match layout.checksum_at(packet) {
        // Over IPv4 a sender of UDP may do without.
        Some(at) if layout.version == 4 && layout.protocol == UDP && word(packet, at) == 0 => true,
        Some(_) => layout.transport_sum(packet) == 0xffff,
        // Too short for its checksum is wrong; a protocol without one is not.
        None => !matches!(layout.protocol, TCP | UDP | ICMP | ICMP6),
    }
}

/// Writes the right checksums into a whole packet.
pub(crate) fn complete_checksums(packet: &mut [u8]) {
    let Some(layout) = Layout::at(packet, 0) else {
        return;
    };
    if layout.version == 4 {
        set_word(packet, 10, 0);
        let mut sum = Sum::default();
        sum.add(&packet[..layout.transport]);
        let checksum = !sum.fold();
        set_word(packet, 10, checksum);
    }
    if let Some(at) = layout.checksum_at(packet) {
        set_word(packet, at, 0);
        let checksum = !layout.transport_sum(packet);
        // For UDP zero means none, and all ones is the same number.
        let checksum = if layout.protocol == UDP && checksum == 0 {
            0xffff
        } else {
            checksum
        };
        set_word(packet, at, checksum);
    }
}

/// Flips one bit of the payload of TCP or UDP, or, if it is left to be found, of whatever is beyond the IP header: whether
/// there was one to flip.
pub(crate) fn damage(packet: &mut [u8], damage: Damage) -> bool {
    let Some(layout) = Layout::at(packet, 0).filter(|layout| layout.is_whole(packet)) else {
        return false;
    };
    let from = match (layout.payload_at(packet), damage.checksum) {
        (Some(payload), _) if !layout.fragment => payload,
        (_, Checksum::Left) => layout.transport,
        (_, Checksum::Repaired) => return false,
    };
    let bits = (packet.len() - from) as u64 * 8;
    if bits == 0 {
        return false;
    }
    let bit = usize::try_from(damage.draw % bits).unwrap_or_default();
    let byte = from + bit / 8;
    let before = packet[byte];
    packet[byte] ^= 1 << (bit % 8);
    if damage.checksum == Checksum::Repaired
        && let Some(at) = layout.checksum_at(packet)
    {
        let high = (byte - layout.transport).is_multiple_of(2);
        let as_word = |value: u8| u16::from(value) << if high { 8 } else { 0 };
        let (old, new) = (as_word(before), as_word(packet[byte]));
        set_transport_checksum(packet, &layout, at, old, new);
    }
    true
}

/// Adjusts the transport checksum for one changed word, by the rules of its protocol.
fn set_transport_checksum(packet: &mut [u8], layout: &Layout, at: usize, old: u16, new: u16) {
    let checksum = word(packet, at);
    if layout.protocol == UDP && layout.version == 4 && checksum == 0 {
        return;
    }
    let checksum = adjusted(checksum, old, new);
    let checksum = if layout.protocol == UDP && checksum == 0 {
        0xffff
    } else {
        checksum
    };
    set_word(packet, at, checksum);
}

/// Replaces an address, and a port or echo identifier at `port_at`, and keeps every checksum as right or wrong as it was.
pub(crate) fn readdress(
    packet: &mut [u8],
    layout: &Layout,
    of: Of,
    address: IpAddr,
    port: (usize, u16),
) {
    let (at, _) = layout.address_at(of);
    let checksum_at = layout.checksum_at(packet);
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    for (index, pair) in octets.as_chunks::<2>().0.iter().enumerate() {
        let at = at + 2 * index;
        let (old, new) = (word(packet, at), u16::from_be_bytes(*pair));
        set_word(packet, at, new);
        if layout.version == 4 {
            let header = word(packet, layout.start + 10);
            set_word(packet, layout.start + 10, adjusted(header, old, new));
        }
        if let Some(checksum_at) = checksum_at.filter(|_| layout.covers_addresses()) {
            set_transport_checksum(packet, layout, checksum_at, old, new);
        }
    }
    let (port_at, port) = port;
    let old = word(packet, port_at);
    set_word(packet, port_at, port);
    if let Some(checksum_at) = checksum_at {
        set_transport_checksum(packet, layout, checksum_at, old, port);
    }
}

#[cfg(test)]
pub(crate) mod tests;
