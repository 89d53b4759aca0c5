//! Congestion control for QUIC: quinn's CUBIC (RFC 9438), with a floor under its window.
//!
//! CUBIC takes every loss for a sign that the path is full, and gives up three tenths of its window for each. On a radio link that loses
//! packets for other reasons, a flow of some messages per second ends up with two packets in flight, and messages wait for
//! acknowledgements at the sender though the path is empty. With the floor it may always have as many packets in flight as a new
//! connection may (RFC 9002, section 7.2, begins with ten), as long as nothing says that it is this flow which fills the path:
//!
//! - while round trips take longer than the shortest one did, packets wait in a queue on the path, and CUBIC alone decides;
//! - after persistent congestion (RFC 9002, section 7.6) it decides alone until its window has grown to the floor by
//!   itself.
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
/// What a round trip may take longer than five quarters of the shortest, and still say nothing of a queue: the timers of the other
/// end, and jitter.
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
        self.floor.acknowledged(rtt.get(), rtt.min());
        self.floor.grown_to(self.cubic.window());
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
        self.floor.packet = new_mtu.into();
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
    /// Packets wait in a queue on the path.
    queue: bool,
    /// There was persistent congestion, and the window has not grown since.
    congestion: bool,
}

impl Floor {
    fn new(packet: u16) -> Self {
        Self {
            packet: packet.into(),
            queue: false,
            congestion: false,
        }
    }

    fn bytes(&self) -> u64 {
        PACKETS * self.packet
    }

    /// The window, given what CUBIC would have it be.
    fn under(&self, window: u64) -> u64 {
        if self.queue || self.congestion {
            window
        } else {
            window.max(self.bytes())
        }
    }

    /// What round trips take, and what the shortest one took.
    fn acknowledged(&mut self, smoothed: Duration, shortest: Duration) {
        self.queue = smoothed > shortest * 5 / 4 + SLACK;
    }

    fn congested(&mut self) {
        self.congestion = true;
    }

    /// CUBIC's own window has grown.
    fn grown_to(&mut self, window: u64) {
        if window >= self.bytes() {
            self.congestion = false;
        }
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
    fn the_floor_comes_back_when_the_window_has_grown_to_it() {
        let mut floor = Floor::new(PACKET);
        floor.congested();
        floor.grown_to(FLOOR - 1);
        assert_eq!(floor.under(FLOOR / 2), FLOOR / 2);
        floor.grown_to(FLOOR);
        assert_eq!(floor.under(FLOOR / 2), FLOOR);
    }

    #[test]
    fn a_queue_on_the_path_takes_the_floor_away_while_it_is_there() {
        let mut floor = Floor::new(PACKET);
        let shortest = Duration::from_millis(50);
        floor.acknowledged(Duration::from_micros(72_500), shortest);
        assert_eq!(floor.under(1), FLOOR);
        floor.acknowledged(Duration::from_micros(72_501), shortest);
        assert_eq!(floor.under(1), 1);
        floor.acknowledged(Duration::from_millis(60), shortest);
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
