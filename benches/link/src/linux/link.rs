//! A running link, and its two sides.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use super::{
    device::PacketDevice,
    namespace::{DEVICE, Namespace, Plan},
    pump::{Lane, LaneChange, Pump, Router, Shared, lock},
};
use crate::{
    Change, Config, Counts, Direction, End, Family, KernelCounts, Statistics, Unavailable,
    decide::Decider, nat::Translator, pcap::Capture, taint,
};

/// An emulated link between two network namespaces, running until it is dropped.
#[derive(Debug)]
pub struct Link {
    config: Config,
    a: Side,
    b: Side,
    shared: Arc<Shared>,
    a_to_b: Arc<Lane>,
    b_to_a: Arc<Lane>,
    pumps: Vec<JoinHandle<()>>,
}

/// One end of a link: a network namespace with one address.
#[derive(Debug)]
pub struct Side {
    address: IpAddr,
    namespace: Namespace,
    device: Arc<PacketDevice>,
}

impl Side {
    /// The only address of this side, besides loopback's.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Runs `work` on a thread inside this side's network namespace. What the thread makes belongs to the namespace: its
    /// sockets, and its threads. So build a tokio runtime *inside* `work`.
    ///
    /// # Errors
    ///
    /// There can be no thread, or it can't enter the namespace; `work` does not run then.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        self.namespace.spawn(name, work)
    }

    fn kernel_counts(&self) -> KernelCounts {
        let reader = self.spawn("counters", || KernelCounts::here(DEVICE));
        let counts = reader.map(JoinHandle::join);
        let unread = self.device.dropped();
        // What can't be read is not known to be zero: it shows as a loss, which taints.
        let unknown = KernelCounts {
            device_tx_dropped: u64::MAX / 4,
            ..KernelCounts::default()
        };
        match (counts, unread) {
            (Ok(Ok(Ok(counts))), Ok(unread)) => KernelCounts {
                device_tx_dropped: counts.device_tx_dropped + unread,
                ..counts
            },
            _ => unknown,
        }
    }
}

impl Link {
    /// Makes two namespaces with a device each, and starts the emulator between them. Takes some milliseconds.
    ///
    /// # Errors
    ///
    /// The machine does not allow it, or `config` is out of range: see [`Unavailable`].
    pub fn open(config: Config) -> Result<Self, Unavailable> {
        config.check().map_err(|why| Unavailable {
            why,
            way_out: "mend the configuration".into(),
        })?;
        let (a, b, prefix) = addresses(config.family);
        let make = |address| {
            let mtu = config.mtu;
            let (namespace, device) = Namespace::make(Plan {
                address,
                prefix,
                mtu,
                device: config.device,
            })?;
            let device = Arc::new(device);
            Ok(Side {
                address,
                namespace,
                device,
            })
        };
        let (a, b) = (make(a)?, make(b)?);
        let router = config.nat.as_ref().map(|nat| {
            let translator = Translator::new(a.address, nat.clone());
            Mutex::new(Router::new(translator))
        });
        let [capture_a, capture_b] = captures(config.capture.as_deref())?;
        let shared = Arc::new(Shared {
            opened: Instant::now(),
            stop: AtomicBool::new(false),
            scheduling: config.scheduling,
            router,
            capture_a,
            capture_b,
        });
        let lane = |direction| {
            let lane = Lane::new(direction).map_err(|error| Unavailable {
                why: format!("an eventfd: {error}"),
                way_out: "raise the limit of open files (`ulimit -n`)".into(),
            })?;
            Ok(Arc::new(lane))
        };
        let mut link = Self {
            a,
            b,
            shared,
            a_to_b: lane(Direction::AToB)?,
            b_to_a: lane(Direction::BToA)?,
            pumps: Vec::new(),
            config,
        };
        link.start()?;
        Ok(link)
    }

    fn start(&mut self) -> Result<(), Unavailable> {
        let (a, b) = (&self.a.device, &self.b.device);
        let lanes = (&self.a_to_b, &self.b_to_a);
        let directions = [
            (lanes, &self.config.a_to_b, (a, b)),
            ((lanes.1, lanes.0), &self.config.b_to_a, (b, a)),
        ];
        for (lanes, impairment, devices) in directions {
            let direction = lanes.0.direction;
            let decider = Decider::new(self.config.seed, direction, impairment.clone());
            let pump = Pump::new(&self.shared, lanes, devices, decider);
            let pump = thread::Builder::new()
                .name(format!("link {}", self.config.name).trim_end().to_owned())
                .spawn(move || pump.run())
                .map_err(|error| Unavailable {
                    why: format!("a thread of the emulator: {error}"),
                    way_out: "raise the limit of processes (`ulimit -u`)".into(),
                })?;
            self.pumps.push(pump);
        }
        Ok(())
    }

    /// One of the two sides.
    #[must_use]
    pub fn side(&self, end: End) -> &Side {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// What the link was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The instant at which the link was opened: where its time is zero.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.shared.opened
    }

    /// Changes the link now. Packets that the emulator reads from now on meet the change.
    ///
    /// # Errors
    ///
    /// As [`Self::change_at`].
    pub fn change(&self, change: Change) -> Result<(), String> {
        self.change_at(self.shared.opened.elapsed(), change)
    }

    /// Changes the link when `at` has passed since it was opened; at once if it has.
    ///
    /// # Errors
    ///
    /// The change is out of range, and the range.
    pub fn change_at(&self, at: Duration, change: Change) -> Result<(), String> {
        match change {
            Change::Impair(direction, impairment) => {
                impairment.check(self.config.mtu)?;
                let lane = match direction {
                    Direction::AToB => &self.a_to_b,
                    Direction::BToA => &self.b_to_a,
                };
                lane.change(at, LaneChange::Impair(impairment));
            }
            Change::Blackout(length) => {
                self.a_to_b.change(at, LaneChange::BlackOut(length));
                self.b_to_a.change(at, LaneChange::BlackOut(length));
            }
            Change::Rebind(rebind) => match &self.shared.router {
                Some(router) => lock(router).rebind(at, rebind),
                None => return Err("this link has no address translation to rebind".into()),
            },
        }
        Ok(())
    }

    /// Everything counted so far. Asks the kernels of both sides too, which takes a millisecond.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            a_to_b: self.a_to_b.counts(),
            b_to_a: self.b_to_a.counts(),
            kernel_a: self.a.kernel_counts(),
            kernel_b: self.b.kernel_counts(),
            real_time: self.a_to_b.is_real_time() && self.b_to_a.is_real_time(),
        }
    }

    /// What was counted so far in one direction. Cheap: it asks no kernel.
    #[must_use]
    pub fn counts(&self, direction: Direction) -> Counts {
        match direction {
            Direction::AToB => self.a_to_b.counts(),
            Direction::BToA => self.b_to_a.counts(),
        }
    }

    /// Why a trial over this link proves nothing, if it doesn't: packets were lost that nobody configured, or the emulator
    /// was late. See [`taint`].
    #[must_use]
    pub fn taint(&self) -> Option<String> {
        taint::of(&self.statistics(), &self.config)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.a_to_b.wake();
        self.b_to_a.wake();
        for pump in self.pumps.drain(..) {
            // A pump that panicked has said so.
            let _ = pump.join();
        }
        let captures = [&self.shared.capture_a, &self.shared.capture_b];
        for capture in captures.into_iter().flatten() {
            // There is nobody to tell; a full disk shows in the counts before.
            let _ = lock(capture).flush();
        }
    }
}

/// The addresses of A and B, and how many bits they share: of the ranges that are set aside for measurements.
fn addresses(family: Family) -> (IpAddr, IpAddr, u8) {
    match family {
        Family::V4 => (
            Ipv4Addr::new(198, 18, 0, 1).into(),
            Ipv4Addr::new(198, 18, 1, 1).into(),
            16,
        ),
        Family::V6 => (
            Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0xa).into(),
            Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0xb).into(),
            64,
        ),
    }
}

/// The captures of both sides, if there is a folder for them.
fn captures(folder: Option<&Path>) -> Result<[Option<Mutex<Capture>>; 2], Unavailable> {
    let Some(folder) = folder else {
        return Ok([None, None]);
    };
    let opened = SystemTime::now();
    let make = |name: &str| {
        let path = folder.join(name);
        let capture = fs::create_dir_all(folder).and_then(|()| Capture::create(&path, opened));
        let capture = capture.map_err(|error| Unavailable {
            why: format!("a capture at {}: {error}", path.display()),
            way_out: "name a folder that can be written to".into(),
        })?;
        Ok(Some(Mutex::new(capture)))
    };
    Ok([make("a.pcap")?, make("b.pcap")?])
}
