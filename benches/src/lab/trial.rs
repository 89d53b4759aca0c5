//! One trial: one contender under one set of conditions with one seed, from an empty pair of namespaces to figures.

use std::time::Duration;

use hdrhistogram::Histogram;
use quince_link::{Change, End, Link, Nat, Rebind, Statistics};
use serde::{Deserialize, Serialize};

use super::actors::Actors;
use super::broker::Broker;
use super::clients::{Published, Subscribed};
use super::clock::Instant;
use super::conditions::Conditions;
use super::contender::Contender;
use super::fault::Fault;
use super::generator::{self, Generated};
use super::load::Load;
use super::machine::load_average;
use super::network;
use super::samples::{QuicSamples, TcpSampler, TcpSamples};
use super::statistics::{Figures, milliseconds};
use super::tally;

/// Between the last set-up and the first message.
const LULL: Duration = Duration::from_millis(300);
/// The share of the one-way delay that the generator may be late at its 99th percentile.
const LATE_GENERATOR: f64 = 0.1;
/// The milliseconds that it may be late there on any link, as the emulator may.
const ALWAYS_ALLOWED: f64 = 1.0;

/// Which way of a message crosses the link. The other clients sit beside the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leg {
    /// From the publisher to the broker.
    Publisher,
    /// From the broker to the subscriber.
    Subscriber,
    /// Both: publisher and subscriber are at the far end.
    Both,
}

impl Leg {
    /// Where publisher and subscriber are; the broker is at B.
    pub(crate) fn ends(self) -> (End, End) {
        match self {
            Self::Publisher => (End::A, End::B),
            Self::Subscriber => (End::B, End::A),
            Self::Both => (End::A, End::A),
        }
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Publisher => {
                "the publisher is across the link; the subscriber sits beside the broker, over plain TCP"
            }
            Self::Subscriber => {
                "the subscriber is across the link; the publisher sits beside the broker, over plain TCP"
            }
            Self::Both => "publisher and subscriber are both across the link, on a connection each",
        }
    }
}

/// A change of address in the middle of a trial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interruption {
    /// When, from the first message on.
    pub(crate) after: Duration,
    pub(crate) rebind: Rebind,
}

/// What is tried.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) contender: Contender,
    pub(crate) conditions: Conditions,
    pub(crate) load: Load,
    pub(crate) leg: Leg,
    pub(crate) seed: u64,
    /// How long after the last message the stragglers are waited for.
    pub(crate) patience: Duration,
    pub(crate) interruption: Option<Interruption>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Messages of the schedule.
    pub(crate) scheduled: u64,
    /// Messages that the publisher could hand to its connection.
    pub(crate) sent: u64,
    /// QoS 1 only: messages that the broker acknowledged.
    pub(crate) acknowledged: u64,
    pub(crate) received: u64,
    pub(crate) duplicated: u64,
    /// Messages of the schedule that had not come when the patience was over.
    pub(crate) lost: u64,
    /// What came and was no message of the trial.
    pub(crate) foreign: u64,
    /// One-way latency from the scheduled instant, in milliseconds.
    pub(crate) latency: Figures,
    /// Longest time between two arrivals, in milliseconds.
    pub(crate) longest_silence: f64,
    /// When that began, in milliseconds after the first message was due.
    pub(crate) silence_from: f64,
    /// Last arrival, in milliseconds after the first message was due.
    pub(crate) last_arrival: Option<f64>,
    /// From the first packet to CONNACK, over the link, in milliseconds.
    pub(crate) setup: f64,
    /// Why the publisher's connection ended before its time.
    pub(crate) publisher_ended: Option<String>,
    /// Why the subscriber's connection ended before its time.
    pub(crate) subscriber_ended: Option<String>,
    /// How late the generator was at the 99th percentile, in milliseconds. It counts as latency.
    pub(crate) generator_late: f64,
    /// The kernel's view of each TCP connection over the link, at either end; empty for QUIC.
    pub(crate) tcp_at_client: Vec<TcpSamples>,
    pub(crate) tcp_at_broker: Vec<TcpSamples>,
    /// Of the client; it is the sender when the publisher is across the link.
    pub(crate) quic_at_client: Option<QuicSamples>,
    pub(crate) link: LinkReport,
    /// Why the figures of this trial are not to be trusted; empty when they are.
    pub(crate) taint: Vec<String>,
    /// Load average over the last minute, at the end.
    pub(crate) load_average: Option<f64>,
    #[serde(skip, default = "tally::histogram")]
    pub(crate) latencies: Histogram<u64>,
}

/// What the emulator says of its link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LinkReport {
    pub(crate) to_broker: DirectionReport,
    pub(crate) from_broker: DirectionReport,
    /// Packets lost that nobody configured.
    pub(crate) unconfigured_losses: u64,
}

/// One direction of it. Packets and bytes are IP's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DirectionReport {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
    pub(crate) reordered: u64,
    pub(crate) unmapped: u64,
    pub(crate) resets: u64,
    pub(crate) bad_checksums: u64,
    /// How late packets were handed over, in milliseconds: 99th percentile and largest.
    pub(crate) late_p99: f64,
    pub(crate) late_max: f64,
}

impl LinkReport {
    fn of(statistics: &Statistics) -> Self {
        let direction = |counts: &quince_link::Counts| DirectionReport {
            packets: counts.packets,
            bytes: counts.bytes,
            lost: counts.lost,
            reordered: counts.reordered,
            unmapped: counts.unmapped,
            resets: counts.resets,
            bad_checksums: counts.bad_checksums,
            late_p99: counts.lateness.percentile(0.99).as_secs_f64() * 1_000.0,
            late_max: counts.lateness.most().as_secs_f64() * 1_000.0,
        };
        Self {
            to_broker: direction(&statistics.a_to_b),
            from_broker: direction(&statistics.b_to_a),
            unconfigured_losses: statistics.unconfigured_losses(),
        }
    }
}

impl Trial {
    /// Runs it. Blocks for the length of the load and what it takes until the last message has come.
    ///
    /// # Errors
    /// When there are no figures, or they would be of something else than what was asked for.
    pub(crate) fn run(&self) -> Result<Outcome, Fault> {
        let nat = self.interruption.map(|_| Nat::default());
        let config = network::link(&self.conditions, self.seed, nat);
        let link = Link::open(config).map_err(|error| Fault::Refused(error.to_string()))?;
        let broker = Broker::start(link.side(End::B), &self.contender)?;
        let actors = Actors::start(self, &link, &broker)?;
        let samplers = Samplers::start(&self.contender, &link)?;
        let start = Instant::now() + LULL;
        let generator = generator::start(self.load, start, actors.messages.clone())?;
        if let Some(interruption) = self.interruption {
            (start + interruption.after).sleep();
            link.change(Change::Rebind(interruption.rebind))
                .map_err(Fault::Refused)?;
        }
        actors.wait_until(start + Duration::from_secs_f64(self.load.seconds) + self.patience);
        // Looked at while everything is still up: farewells are not part of the measurement.
        let (tcp_at_client, tcp_at_broker) = samplers.stop()?;
        let (statistics, taint) = (link.statistics(), link.taint().into_iter().collect());
        let generated = generator
            .join()
            .map_err(|_| Fault::Harness("the generator panicked".to_owned()))?;
        let setup = actors.setup;
        let (published, subscribed) = actors.stop()?;
        broker.stop()?;
        let outcome = self.outcome(Seen {
            start,
            setup,
            published,
            subscribed,
            generated,
            tcp_at_client,
            tcp_at_broker,
            statistics,
            taint,
        });
        self.check(&outcome)?;
        Ok(outcome)
    }

    fn outcome(&self, seen: Seen) -> Outcome {
        let Seen {
            published,
            subscribed,
            start,
            mut taint,
            ..
        } = seen;
        let tally = subscribed.tally;
        let generator_late = milliseconds(seen.generated.lateness.value_at_quantile(0.99));
        let one_way = self.conditions.one_way().as_secs_f64() * 1_000.0;
        if generator_late > (one_way * LATE_GENERATOR).max(ALWAYS_ALLOWED) {
            taint.push(format!(
                "the generator was {generator_late:.1} ms late at its 99th percentile"
            ));
        }
        let since_start = |instant: Instant| instant.since(start).as_secs_f64() * 1_000.0;
        let silence = tally.longest_silence();
        Outcome {
            scheduled: self.load.messages(),
            sent: published.written,
            acknowledged: published.acknowledged,
            received: tally.received(),
            duplicated: tally.duplicated(),
            lost: tally.missing(),
            foreign: tally.foreign(),
            latency: Figures::of(tally.latencies()),
            longest_silence: silence.map_or(0.0, |silence| silence.length.as_secs_f64() * 1_000.0),
            silence_from: silence.map_or(0.0, |silence| since_start(silence.from)),
            last_arrival: tally.last_arrival().map(since_start),
            setup: seen.setup.as_secs_f64() * 1_000.0,
            publisher_ended: published.ended,
            subscriber_ended: subscribed.ended,
            generator_late,
            tcp_at_client: seen.tcp_at_client,
            tcp_at_broker: seen.tcp_at_broker,
            quic_at_client: published.quic,
            link: LinkReport::of(&seen.statistics),
            taint,
            load_average: load_average(),
            latencies: tally.latencies().clone(),
        }
    }

    /// Whether the figures are of what was asked for.
    fn check(&self, outcome: &Outcome) -> Result<(), Fault> {
        if outcome.foreign > 0 {
            let reason = format!(
                "{} messages came that nobody had published",
                outcome.foreign
            );
            return Err(Fault::Unfair(reason));
        }
        let Some(expected) = &self.contender.tcp_congestion else {
            return Ok(());
        };
        for (end, sockets) in [
            ("client", &outcome.tcp_at_client),
            ("broker", &outcome.tcp_at_broker),
        ] {
            if sockets.is_empty() {
                let reason = format!("no TCP connection over the link was seen at the {end}'s end");
                return Err(Fault::Unfair(reason));
            }
            if let Some(other) = sockets.iter().find(|socket| socket.congestion != *expected) {
                return Err(Fault::Unfair(format!(
                    "asked for {expected}, but the {end}'s socket has {}",
                    other.congestion
                )));
            }
        }
        Ok(())
    }
}

/// Everything that was seen of a trial.
struct Seen {
    start: Instant,
    setup: Duration,
    published: Published,
    subscribed: Subscribed,
    generated: Generated,
    tcp_at_client: Vec<TcpSamples>,
    tcp_at_broker: Vec<TcpSamples>,
    statistics: Statistics,
    taint: Vec<String>,
}

/// Looks at TCP at both ends; nothing for QUIC.
struct Samplers(Option<[TcpSampler; 2]>);

impl Samplers {
    fn start(contender: &Contender, link: &Link) -> Result<Self, Fault> {
        if !contender.carrier.is_tcp() {
            return Ok(Self(None));
        }
        let client = TcpSampler::start(link.side(End::A))?;
        let broker = TcpSampler::start(link.side(End::B))?;
        Ok(Self(Some([client, broker])))
    }

    fn stop(self) -> Result<(Vec<TcpSamples>, Vec<TcpSamples>), Fault> {
        match self.0 {
            Some([client, broker]) => Ok((client.stop()?, broker.stop()?)),
            None => Ok((Vec::new(), Vec::new())),
        }
    }
}
