//! What a link is to be like: addresses, impairments in each direction, address translation, captures.

use std::{collections::BTreeSet, fmt, ops::Range, path::PathBuf, sync::Arc, time::Duration};

/// How a [`Link`](crate::Link) is made. The default is a perfect IPv4 link: no delay, no loss.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its threads are named after it, as far as 15 characters go.
    pub name: String,
    /// Every draw comes from this: the same seed loses the same packets, by their index in their direction.
    pub seed: u64,
    /// The largest IP packet in bytes, at least 1,280.
    pub mtu: u16,
    /// IPv4 or IPv6.
    pub family: Family,
    /// What happens to packets from [`End::A`] to [`End::B`].
    pub a_to_b: Impairment,
    /// What happens to packets from [`End::B`] to [`End::A`].
    pub b_to_a: Impairment,
    /// Address translation in front of [`End::A`], as a home router does it.
    pub nat: Option<Nat>,
    /// A folder for `a.pcap` and `b.pcap`: what each side sent and received. It is made when missing.
    pub capture: Option<PathBuf>,
    /// Which devices to make.
    pub device: Device,
    /// How the emulator's threads are scheduled.
    pub scheduling: Scheduling,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::new(),
            seed: 1,
            mtu: 1500,
            family: Family::V4,
            a_to_b: Impairment::default(),
            b_to_a: Impairment::default(),
            nat: None,
            capture: None,
            device: Device::Any,
            scheduling: Scheduling::Ordinary,
        }
    }
}

/// One of the two ends of a link. Where there is address translation, A is the one behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The client's end, by custom.
    A,
    /// The server's end, by custom.
    B,
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

/// A direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From [`End::A`] to [`End::B`].
    AToB,
    /// From [`End::B`] to [`End::A`].
    BToA,
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AToB => "a to b",
            Self::BToA => "b to a",
        })
    }
}

/// The address family of a link. A link carries one of them; packets of the other are dropped uncounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The kind of network device at each end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Device {
    /// TUN where it can be had, else veth.
    Any,
    /// A TUN device: needs `/dev/net/tun`.
    Tun,
    /// One end of a veth pair, read and written through AF_PACKET.
    Veth,
}

/// How the emulator's threads are scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheduling {
    /// As any other thread.
    Ordinary,
    /// `SCHED_FIFO` where it is allowed (root of the initial user namespace), else as any other thread. What came of it is
    /// in [`Statistics::real_time`](crate::Statistics).
    RealTimeIfAllowed,
}

/// Address translation in front of [`End::A`]: every flow gets a public address and port of its own, and B's packets reach A
/// only through such a mapping. A mapping is made by the first packet from A; for TCP only by a SYN.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nat {
    /// A mapping of UDP is forgotten, silently, when no packet left A through it for this long. `None`: never.
    pub udp_idle: Option<Duration>,
    /// The same for TCP.
    pub tcp_idle: Option<Duration>,
}

/// What happens to the packets of one direction. The default does nothing to them.
///
/// A packet meets, in this order: blackouts, loss, the queue of the bandwidth, delay and jitter, corruption, duplication.
/// So a lost packet takes no bandwidth, and a duplicate takes none either.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Impairment {
    /// How long every packet takes at least.
    pub delay: Duration,
    /// What some packets take longer.
    pub jitter: Option<Jitter>,
    /// Which packets are lost.
    pub loss: Loss,
    /// The share of packets that arrive twice, 0 to 1.
    pub duplication: f64,
    /// Packets of which one bit is flipped.
    pub corruption: Option<Corruption>,
    /// A bottleneck with a queue.
    pub bandwidth: Option<Bandwidth>,
    /// Times since the opening of the link in which every packet that enters is lost. The end is not part of it.
    pub blackouts: Vec<Range<Duration>>,
}

impl Impairment {
    /// Nothing but `delay`.
    #[must_use]
    pub fn delayed(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// The same with independent loss of `probability`, 0 to 1.
    #[must_use]
    pub fn losing(self, probability: f64) -> Self {
        Self {
            loss: Loss::Independent { probability },
            ..self
        }
    }
}

/// Delay that varies from packet to packet, evenly between 0 and `most`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jitter {
    /// The largest further delay.
    pub most: Duration,
    /// Whether a packet may overtake another.
    pub order: Order,
}

/// Whether jitter reorders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A packet never arrives before one that was sent earlier: it waits for it.
    Kept,
    /// Each packet arrives by its own delay, and so may overtake.
    Free,
}

/// Which packets are lost.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with the same probability, independently.
    Independent {
        /// 0 to 1.
        probability: f64,
    },
    /// Exactly those whose indexes (from 0, counted in this direction) are listed.
    List(Arc<BTreeSet<u64>>),
    /// In bursts, by the model of Gilbert and Elliott: a good and a bad state with a loss probability each.
    GilbertElliott(GilbertElliott),
    /// As a trace tells.
    Trace(Trace),
}

/// What moves a model of loss on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Each packet: the same indexes are lost whatever the transport, at different times.
    Packet,
    /// Each millisecond since the opening of the link: whatever the transport, it meets the same fades at the same times.
    Millisecond,
}

/// Loss in bursts.
#[derive(Debug, Clone, PartialEq)]
pub struct GilbertElliott {
    /// What moves the state on.
    pub step: Step,
    /// The probability of going from good to bad in a step, 0 to 1.
    pub to_bad: f64,
    /// The probability of going from bad to good in a step, 0 to 1.
    pub to_good: f64,
    /// The share of packets lost in the good state, 0 to 1; 0 in Gilbert's model.
    pub loss_good: f64,
    /// The share of packets lost in the bad state, 0 to 1; 1 in Gilbert's model.
    pub loss_bad: f64,
}

impl GilbertElliott {
    /// The share of time spent in the bad state in the long run.
    #[must_use]
    pub fn share_bad(&self) -> f64 {
        let sum = self.to_bad + self.to_good;
        if sum == 0.0 { 0.0 } else { self.to_bad / sum }
    }

    /// The share of packets lost in the long run.
    #[must_use]
    pub fn share_lost(&self) -> f64 {
        let bad = self.share_bad();
        bad * self.loss_bad + (1.0 - bad) * self.loss_good
    }
}

/// Loss as it was recorded: one fate for each step, from the beginning again after the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What moves the trace on.
    pub step: Step,
    /// Whether a packet is lost in each step. At least one.
    pub lost: Arc<[bool]>,
}

impl Trace {
    /// Reads a trace: `1` is a step in which packets are lost, `0` one in which they pass; white space is ignored, and so is
    /// the rest of a line after `#`.
    ///
    /// # Errors
    ///
    /// Any other character, with its line and column; or a text without a step.
    pub fn parse(text: &str, step: Step) -> Result<Self, String> {
        let mut lost = Vec::new();
        for (line, content) in text.lines().enumerate() {
            let content = content.split('#').next().unwrap_or_default();
            for (column, character) in content.chars().enumerate() {
                match character {
                    '0' => lost.push(false),
                    '1' => lost.push(true),
                    space if space.is_whitespace() => {}
                    other => {
                        return Err(format!(
                            "line {}, column {}: expected 0 or 1, found {other:?}",
                            line + 1,
                            column + 1
                        ));
                    }
                }
            }
        }
        if lost.is_empty() {
            return Err("a trace needs at least one 0 or 1".into());
        }
        Ok(Self {
            step,
            lost: lost.into(),
        })
    }
}

/// Packets of which one bit beyond the IP header is flipped.
#[derive(Debug, Clone, PartialEq)]
pub struct Corruption {
    /// The share of packets, 0 to 1.
    pub probability: f64,
    /// What becomes of the transport checksum.
    pub checksum: Checksum,
}

/// What becomes of the checksum of a corrupted packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It is left, so that the receiving kernel finds the damage and drops the packet.
    Left,
    /// It is made good again, so that the damage reaches whoever reads the payload: TLS, or QUIC's packet protection.
    /// Only the payload of TCP and UDP is damaged then.
    Repaired,
}

/// A bottleneck: packets leave one after another, and wait in a queue that drops what does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bits of IP packets in each second; at least 1,000.
    pub bits_per_second: u64,
    /// Bytes that may wait, the packet being sent included. At least the MTU.
    pub queue: u64,
}

/// A change of a running link.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// From now on packets that enter in this direction meet this. Indexes, times and what is in flight go on; a blackout
    /// ends.
    Impair(Direction, Impairment),
    /// Every packet that enters in either direction is lost for this long.
    Blackout(Duration),
    /// The address translation forgets its mappings. Nothing happens where there is none.
    Rebind(Rebind),
}

/// How address translation begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebind {
    /// Where new mappings are.
    pub to: Public,
    /// What becomes of the mappings that there are.
    pub old: OldMapping,
}

/// Where new mappings are after a rebinding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Public {
    /// At new ports of the same address.
    Port,
    /// At new ports of a new address.
    PortAndAddress,
}

/// What becomes of mappings that were made before a rebinding. Whatever it is, the next UDP packet of a flow leaves from a
/// new port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldMapping {
    /// What comes in by an old mapping still reaches A, and TCP connections stay on theirs in both directions.
    Kept,
    /// Old mappings are gone; a TCP segment of such a connection is answered with RST, whoever sent it.
    Reset,
    /// Old mappings are gone, and packets that would need them vanish.
    Silent,
}

impl Config {
    /// The reason why no link can be like this, if there is one.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range, and its range.
    pub fn check(&self) -> Result<(), String> {
        if self.mtu < 1280 {
            return Err(format!("an MTU of {} is below 1,280", self.mtu));
        }
        self.a_to_b.check(self.mtu)?;
        self.b_to_a.check(self.mtu)
    }
}

impl Impairment {
    /// The reason why no direction of a link with this MTU can be like this, if there is one.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range, and its range.
    pub fn check(&self, mtu: u16) -> Result<(), String> {
        probability("duplication", self.duplication)?;
        if let Some(corruption) = &self.corruption {
            probability("corruption", corruption.probability)?;
        }
        match &self.loss {
            Loss::None | Loss::List(_) => {}
            Loss::Independent { probability: share } => probability("loss", *share)?,
            Loss::GilbertElliott(model) => {
                probability("to_bad", model.to_bad)?;
                probability("to_good", model.to_good)?;
                probability("loss_good", model.loss_good)?;
                probability("loss_bad", model.loss_bad)?;
            }
            Loss::Trace(trace) => {
                if trace.lost.is_empty() {
                    return Err("a trace needs at least one step".into());
                }
            }
        }
        if let Some(bandwidth) = &self.bandwidth {
            if bandwidth.bits_per_second < 1000 {
                return Err("a bandwidth is at least 1,000 bits per second".into());
            }
            if bandwidth.queue < u64::from(mtu) {
                return Err(format!(
                    "a queue of {} bytes takes no packet of the MTU's {mtu} bytes",
                    bandwidth.queue
                ));
            }
        }
        Ok(())
    }
}

fn probability(name: &str, value: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} is {value}, but must be from 0 to 1"))
    }
}

#[cfg(test)]
mod tests;
