//! Congestion control for QUIC: quinn's CUBIC (RFC 9438), with a floor under its window.
//!
//! CUBIC takes every loss for a sign that the path is full, and gives up three tenths of its window for each. On a radio link that loses
//! packets for other reasons, a flow of some messages per second ends up with two packets in flight, and messages wait for
//! acknowledgements at the sender though the path is empty. With the floor it may always have as many packets in flight as a new
//! connection may (RFC 9002, section 7.2, begins with ten), as long as nothing says that it is this flow which fills the path:
//!
//! - while even the shortest of the last round trips take longer than the shortest of all did, packets wait in a queue on the path, and CUBIC alone
//!   decides;
//! - after persistent congestion (RFC 9002, section 7.6) the floor begins again at two packets, and grows by what is acknowledged, as a window does
//!   in slow start.
//!
//! `tests/it` measures what that takes from a CUBIC flow beside it, in virtual time; `docs/tuning.md` has figures of whole brokers.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{
    Controller, ControllerFactory, ControllerMetrics, Cubic, CubicConfig,
};

/// Packets that may be in flight whatever was lost, unless the path is full: as many as a connection may begin with.
const PACKETS: u64 = 10;
/// Where the floor begins again after persistent congestion: RFC 9002's smallest window.
const LEAST_PACKETS: u64 = 2;
/// What the shortest of the last round trips may take longer than five quarters of the shortest of all, and still say nothing of a queue.
const SLACK: Duration = Duration::from_millis(10);

/// Makes a [`FlooredCubic`] for each path.
#[derive(Clone, Debug, Default)]
pub struct FlooredCubicConfig {
    cubic: Arc<CubicConfig>,
}

impl ControllerFactory for FlooredCubicConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(FlooredCubic {
            cubic: Cubic::new(Arc::clone(&self.cubic), now, current_mtu),
            floor: Floor::new(current_mtu),
        })
    }
}

/// CUBIC with a floor under its window. See the module.
#[derive(Clone, Debug)]
pub struct FlooredCubic {
    cubic: Cubic,
    floor: Floor,
}

impl Controller for FlooredCubic {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
        let sample = now.saturating_duration_since(sent);
        self.floor.acknowledged(now, sample, rtt.get(), rtt.min());
        self.floor.grow(bytes);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.cubic
            .on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.cubic
            .on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
        if is_persistent_congestion {
            self.floor.congested();
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
        self.floor.set_packet(new_mtu);
    }

    fn window(&self) -> u64 {
        self.floor.under(self.cubic.window())
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = self.cubic.metrics();
        metrics.congestion_window = self.window();
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The floor, and what takes it away.
#[derive(Clone, Debug)]
struct Floor {
    /// The size of a packet in bytes.
    packet: u64,
    /// Where it is, in bytes: at [`PACKETS`], or on the way there.
    bytes: u64,
    recent: Recent,
    /// Packets wait in a queue on the path.
    queue: bool,
}

impl Floor {
    fn new(packet: u16) -> Self {
        let packet = packet.into();
        Self {
            packet,
            bytes: PACKETS * packet,
            recent: Recent::default(),
            queue: false,
        }
    }

    fn set_packet(&mut self, packet: u16) {
        let packets = self.bytes / self.packet;
        self.packet = packet.into();
        self.bytes = packets * self.packet;
    }

    /// The window, given what CUBIC would have it be.
    fn under(&self, window: u64) -> u64 {
        if self.queue {
            window
        } else {
            window.max(self.bytes)
        }
    }

    /// Nothing got through for long.
    fn congested(&mut self) {
        self.bytes = LEAST_PACKETS * self.packet;
    }

    /// This many bytes got through.
    fn grow(&mut self, bytes: u64) {
        self.bytes = (self.bytes + bytes).min(PACKETS * self.packet);
    }

    /// How long one packet took until it was acknowledged, what round trips take on average, and what the shortest of all took.
    fn acknowledged(&mut self, now: Instant, took: Duration, average: Duration, least: Duration) {
        let recent = self.recent.note(now, took, average);
        self.queue = recent > least * 5 / 4 + SLACK;
    }
}

/// The shortest round trip of the last one or two round trips. What varies by chance hardly shows in it, a queue does: it keeps
/// everybody waiting.
#[derive(Clone, Debug, Default)]
struct Recent {
    /// When the current span began, and the shortest in it.
    current: Option<(Instant, Duration)>,
    /// The shortest in the span before.
    before: Option<Duration>,
}

impl Recent {
    /// Takes one more into account; a span lasts as long as round trips do on average.
    fn note(&mut self, now: Instant, took: Duration, average: Duration) -> Duration {
        let shortest = match self.current {
            Some((begin, shortest)) if now.saturating_duration_since(begin) < average => {
                let shortest = shortest.min(took);
                self.current = Some((begin, shortest));
                shortest
            }
            last => {
                self.before = last.map(|(_, shortest)| shortest);
                self.current = Some((now, took));
                took
            }
        };
        self.before.map_or(shortest, |before| before.min(shortest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u16 = 1200;
    const FLOOR: u64 = PACKETS * PACKET as u64;

    fn cubic() -> (Box<dyn Controller>, Instant) {
        let now = Instant::now();
        let config = Arc::new(FlooredCubicConfig::default());
        (config.build(now, PACKET), now)
    }

    /// Each loss is of a packet that was sent behind the one before.
    fn lose(controller: &mut dyn Controller, start: Instant, times: u64, persistent: bool) {
        for index in 1..=times {
            let sent = start + Duration::from_millis(100 * index);
            let now = sent + Duration::from_millis(50);
            controller.on_congestion_event(now, sent, persistent, PACKET.into());
        }
    }

    #[test]
    fn losses_take_the_window_to_the_floor_and_not_below() {
        let (mut controller, start) = cubic();
        lose(&mut *controller, start, 50, false);
        assert_eq!(controller.window(), FLOOR);
        assert_eq!(controller.metrics().congestion_window, FLOOR);
        let bare: &FlooredCubic = &controller.into_any().downcast().expect("what was built");
        assert_eq!(bare.cubic.window(), 2 * u64::from(PACKET));
    }

    #[test]
    fn persistent_congestion_takes_the_floor_away() {
        let (mut controller, start) = cubic();
        lose(&mut *controller, start, 1, true);
        assert_eq!(controller.window(), 2 * u64::from(PACKET));
        // A lost packet more does not bring it back.
        lose(&mut *controller, start + Duration::from_secs(9), 1, false);
        assert_eq!(controller.window(), 2 * u64::from(PACKET));
    }

    #[test]
    fn after_persistent_congestion_the_floor_grows_by_what_gets_through() {
        let packet = u64::from(PACKET);
        let mut floor = Floor::new(PACKET);
        floor.congested();
        assert_eq!(floor.under(1), 2 * packet);
        floor.grow(2 * packet);
        assert_eq!(floor.under(1), 4 * packet);
        floor.grow(100 * packet);
        assert_eq!(floor.under(1), FLOOR);
    }

    #[test]
    fn a_queue_on_the_path_takes_the_floor_away_while_it_is_there() {
        let ms = Duration::from_millis;
        let mut floor = Floor::new(PACKET);
        let mut now = Instant::now();
        // A hundred packets, each acknowledged after one of these times, in milliseconds.
        let mut acknowledge = |floor: &mut Floor, times: &[u64]| {
            for time in times.iter().cycle().take(100) {
                now += ms(5);
                floor.acknowledged(now, ms(*time), ms(80), ms(50));
            }
        };
        acknowledge(&mut floor, &[72]);
        assert_eq!(floor.under(1), FLOOR);
        // Everything waits.
        acknowledge(&mut floor, &[73, 90, 75]);
        assert_eq!(floor.under(1), 1);
        // Much takes longer, but not everything: that is no queue.
        acknowledge(&mut floor, &[50, 200, 150, 300, 100]);
        assert_eq!(floor.under(1), FLOOR);
        acknowledge(&mut floor, &[200]);
        assert_eq!(floor.under(1), 1);
        acknowledge(&mut floor, &[50]);
        assert_eq!(floor.under(1), FLOOR);
    }

    #[test]
    fn a_larger_packet_makes_a_larger_floor() {
        let (mut controller, start) = cubic();
        controller.on_mtu_update(1452);
        lose(&mut *controller, start, 50, false);
        assert_eq!(controller.window(), PACKETS * 1452);
    }

    #[test]
    fn a_window_above_the_floor_is_cubics() {
        let floor = Floor::new(PACKET);
        assert_eq!(floor.under(FLOOR + 1), FLOOR + 1);
    }
}
