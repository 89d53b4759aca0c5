//! Address translation as a value: packets in, translated packets out, no I/O and no clock.
//!
//! One host is inside. A flow is its protocol and its port inside, whatever the destination: mappings are independent of the
//! endpoint, and so is filtering (RFC 4787's easiest NAT), because what is to be seen here is what a *changed* mapping does.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use crate::{
    Family, Nat, OldMapping, Public, Rebind,
    packet::{self, ICMP, ICMP6, Layout, Of, TCP, UDP},
};

/// Public ports are from here to the end.
const FIRST_PORT: u16 = 1024;
/// The first public port that is taken.
const START_PORT: u16 = 20_000;
/// Public addresses there are; after the last comes the first again.
const ADDRESSES: u8 = 250;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// What becomes of a packet at the translation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    /// It goes on, translated.
    Passes,
    /// It vanishes.
    Dropped,
    /// It vanishes, and this packet goes back to where it came from.
    Answered(Vec<u8>),
}

/// What ports are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tcp,
    Udp,
    /// ICMP's echo, whose identifier serves as a port.
    Echo,
}

/// A public address and port.
type Outside = (Kind, u8, u16);

#[derive(Debug, Clone, Copy)]
struct Mapping {
    outside: Outside,
    /// When a packet last left through it.
    used: Duration,
}

/// The state of the translation.
#[derive(Debug)]
pub(crate) struct Translator {
    inside: IpAddr,
    family: Family,
    settings: Nat,
    /// Through what a port inside leaves.
    outward: BTreeMap<(Kind, u16), Mapping>,
    /// To what port inside a public address and port leads.
    inward: BTreeMap<Outside, u16>,
    address: u8,
    next_port: u16,
    /// What happens to segments of connections that have no mapping.
    unmapped: OldMapping,
}

impl Translator {
    pub(crate) fn new(inside: IpAddr, settings: Nat) -> Self {
        let family = match inside {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        Self {
            inside,
            family,
            settings,
            outward: BTreeMap::new(),
            inward: BTreeMap::new(),
            address: 1,
            next_port: START_PORT,
            unmapped: OldMapping::Silent,
        }
    }

    /// Begins anew.
    pub(crate) fn rebind(&mut self, rebind: Rebind) {
        if rebind.to == Public::PortAndAddress {
            self.address = self.address % ADDRESSES + 1;
        }
        match rebind.old {
            OldMapping::Kept => self.outward.retain(|(kind, _), _| *kind == Kind::Tcp),
            OldMapping::Reset | OldMapping::Silent => {
                self.outward.clear();
                self.inward.clear();
            }
        }
        self.unmapped = rebind.old;
    }

    /// Translates a packet from the inside.
    pub(crate) fn outward(&mut self, now: Duration, packet: &mut [u8]) -> Translation {
        let Some(ports) = Ports::of(packet, Of::Source) else {
            return self.outward_error(packet);
        };
        self.expire(now);
        let key = (ports.kind, packet::word(packet, ports.at));
        let mapping = match self.outward.get(&key) {
            Some(mapping) => *mapping,
            None if ports.opens(packet) => match self.map(key, now) {
                Some(mapping) => mapping,
                None => return Translation::Dropped,
            },
            None => return self.refuse(packet, &ports),
        };
        let (_, address, port) = mapping.outside;
        self.outward.insert(
            key,
            Mapping {
                used: now,
                ..mapping
            },
        );
        let address = public_address(self.family, address);
        packet::readdress(packet, &ports.layout, Of::Source, address, (ports.at, port));
        Translation::Passes
    }

    /// Translates a packet from the outside.
    pub(crate) fn inward(&mut self, now: Duration, packet: &mut [u8]) -> Translation {
        let Some(ports) = Ports::of(packet, Of::Destination) else {
            return self.inward_error(packet);
        };
        self.expire(now);
        let address = ports.layout.address(packet, Of::Destination);
        let port = packet::word(packet, ports.at);
        let inside =
            public_index(address).and_then(|index| self.inward.get(&(ports.kind, index, port)));
        let Some(&inside) = inside else {
            return self.refuse(packet, &ports);
        };
        packet::readdress(
            packet,
            &ports.layout,
            Of::Destination,
            self.inside,
            (ports.at, inside),
        );
        Translation::Passes
    }

    /// A new mapping, or `None` if every port of the public address is taken.
    fn map(&mut self, key: (Kind, u16), now: Duration) -> Option<Mapping> {
        for _ in FIRST_PORT..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            let outside = (key.0, self.address, port);
            if let Entry::Vacant(free) = self.inward.entry(outside) {
                free.insert(key.1);
                let mapping = Mapping { outside, used: now };
                self.outward.insert(key, mapping);
                return Some(mapping);
            }
        }
        None
    }

    /// Forgets mappings that were idle too long.
    fn expire(&mut self, now: Duration) {
        if self.settings == Nat::default() {
            return;
        }
        let settings = &self.settings;
        let inward = &mut self.inward;
        self.outward.retain(|(kind, _), mapping| {
            let limit = match kind {
                Kind::Tcp => settings.tcp_idle,
                Kind::Udp | Kind::Echo => settings.udp_idle,
            };
            let stays = limit.is_none_or(|limit| now - mapping.used < limit);
            if !stays {
                inward.remove(&mapping.outside);
            }
            stays
        });
    }

    /// What becomes of a packet that has no mapping.
    fn refuse(&self, packet: &[u8], ports: &Ports) -> Translation {
        if ports.kind == Kind::Tcp && self.unmapped == OldMapping::Reset {
            return reset(packet, &ports.layout)
                .map_or(Translation::Dropped, Translation::Answered);
        }
        Translation::Dropped
    }

    /// Translates an ICMP error from the inside: it tells of a packet that came in.
    fn outward_error(&self, packet: &mut [u8]) -> Translation {
        let Some((outer, inner)) = error_within(packet, Of::Destination) else {
            return Translation::Dropped;
        };
        let key = (inner.kind, packet::word(packet, inner.at));
        let Some(mapping) = self.outward.get(&key) else {
            return Translation::Dropped;
        };
        let (_, address, port) = mapping.outside;
        let address = public_address(self.family, address);
        rewrite_error(
            packet,
            &outer,
            &inner,
            (Of::Source, Of::Destination),
            (address, port),
        );
        Translation::Passes
    }

    /// Translates an ICMP error from the outside: it tells of a packet that left.
    fn inward_error(&self, packet: &mut [u8]) -> Translation {
        let Some((outer, inner)) = error_within(packet, Of::Source) else {
            return Translation::Dropped;
        };
        let address = inner.layout.address(packet, Of::Source);
        let port = packet::word(packet, inner.at);
        let inside =
            public_index(address).and_then(|index| self.inward.get(&(inner.kind, index, port)));
        let Some(&inside) = inside else {
            return Translation::Dropped;
        };
        let inside = (self.inside, inside);
        rewrite_error(
            packet,
            &outer,
            &inner,
            (Of::Destination, Of::Source),
            inside,
        );
        Translation::Passes
    }
}

/// Where the port of a packet is that is to be translated.
#[derive(Debug)]
struct Ports {
    layout: Layout,
    kind: Kind,
    at: usize,
}

impl Ports {
    /// `None` if the packet has no ports: it is a fragment, of another protocol, or an ICMP error.
    fn of(packet: &[u8], of: Of) -> Option<Self> {
        let layout = Layout::at(packet, 0)?;
        layout
            .is_whole(packet)
            .then(|| Self::in_layout(packet, layout, of))?
    }

    fn in_layout(packet: &[u8], layout: Layout, of: Of) -> Option<Self> {
        // Eight bytes of transport are what an ICMP error repeats at least.
        if layout.fragment || packet.len() < layout.transport + 8 {
            return None;
        }
        let (kind, offset) = match (layout.protocol, of) {
            (TCP, Of::Source) => (Kind::Tcp, 0),
            (TCP, Of::Destination) => (Kind::Tcp, 2),
            (UDP, Of::Source) => (Kind::Udp, 0),
            (UDP, Of::Destination) => (Kind::Udp, 2),
            (ICMP, _) if matches!(packet[layout.transport], 0 | 8) => (Kind::Echo, 4),
            (ICMP6, _) if matches!(packet[layout.transport], 128 | 129) => (Kind::Echo, 4),
            _ => return None,
        };
        let at = layout.transport + offset;
        Some(Self { layout, kind, at })
    }

    /// Whether the packet may open a flow.
    fn opens(&self, packet: &[u8]) -> bool {
        self.kind != Kind::Tcp || flags(packet, &self.layout) & (SYN | ACK | RST) == SYN
    }
}

fn flags(packet: &[u8], layout: &Layout) -> u8 {
    packet
        .get(layout.transport + 13)
        .copied()
        .unwrap_or_default()
}

/// The layouts of an ICMP error and of the packet that it repeats.
fn error_within(packet: &[u8], of: Of) -> Option<(Layout, Ports)> {
    let outer = Layout::at(packet, 0).filter(|layout| layout.is_whole(packet))?;
    let kind = *packet.get(outer.transport)?;
    // Unreachable, time exceeded, parameter problem; in IPv6 too big as well.
    let is_error = match outer.protocol {
        ICMP => matches!(kind, 3 | 11 | 12),
        ICMP6 => matches!(kind, 1..=4),
        _ => false,
    };
    if !is_error || outer.fragment {
        return None;
    }
    let inner = Layout::at(packet, outer.transport + 8)?;
    let inner = Ports::in_layout(packet, inner, of)?;
    Some((outer, inner))
}

/// Translates both packets of an ICMP error, `which` address of the outer and of the inner.
fn rewrite_error(
    packet: &mut [u8],
    outer: &Layout,
    inner: &Ports,
    which: (Of, Of),
    (address, port): (IpAddr, u16),
) {
    let from = outer.transport + 8;
    let before = packet[from..].to_vec();
    packet::readdress(packet, &inner.layout, which.1, address, (inner.at, port));
    // The ICMP checksum covers all that changed; an odd last byte did not.
    let at = outer.transport + 2;
    for (index, pair) in before.as_chunks::<2>().0.iter().enumerate() {
        let new = packet::word(packet, from + 2 * index);
        let checksum = packet::adjusted(packet::word(packet, at), u16::from_be_bytes(*pair), new);
        packet::set_word(packet, at, checksum);
    }
    // The outer packet has no port; its ICMP type and code are written back as they are.
    let unchanged = (outer.transport, packet::word(packet, outer.transport));
    packet::readdress(packet, outer, which.0, address, unchanged);
}

/// The RST that answers a TCP segment (RFC 9293, 3.10.7.1), as if from its receiver. None answers an RST.
fn reset(packet: &[u8], layout: &Layout) -> Option<Vec<u8>> {
    let transport = packet.get(layout.transport..layout.transport + 20)?;
    let flags = transport[13];
    if flags & RST != 0 {
        return None;
    }
    let long = |at: usize| u32::from_be_bytes(std::array::from_fn(|byte| transport[at + byte]));
    let header = usize::from(transport[12] >> 4) * 4;
    let payload = (layout.end - layout.transport).checked_sub(header)?;
    let occupied =
        u32::try_from(payload).ok()? + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let (sequence, acknowledgement, flags) = if flags & ACK == 0 {
        (0, long(4).wrapping_add(occupied), RST | ACK)
    } else {
        (long(8), 0, RST)
    };
    let mut answer = match layout.version {
        4 => {
            let mut answer = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, TCP, 0, 0];
            answer.extend(&packet[16..20]);
            answer.extend(&packet[12..16]);
            answer
        }
        _ => {
            let mut answer = vec![0x60, 0, 0, 0, 0, 20, TCP, 64];
            answer.extend(&packet[24..40]);
            answer.extend(&packet[8..24]);
            answer
        }
    };
    answer.extend(&transport[2..4]);
    answer.extend(&transport[..2]);
    answer.extend(sequence.to_be_bytes());
    answer.extend(acknowledgement.to_be_bytes());
    answer.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
    packet::complete_checksums(&mut answer);
    Some(answer)
}

/// The public address with this number, from 1.
pub(crate) fn public_address(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(198, 18, 2, number).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0xc, number.into()).into(),
    }
}

/// The number of a public address.
fn public_index(address: IpAddr) -> Option<u8> {
    let number = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    let family = match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    (public_address(family, number) == address).then_some(number)
}

#[cfg(test)]
mod tests;
