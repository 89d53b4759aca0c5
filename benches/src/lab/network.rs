//! The link of a trial, and what is the same for all who cross it.

use quince_link::{Config, Nat, Scheduling};
use rustls::NamedGroup;

use super::conditions::Conditions;

/// The one key exchange group that TLS and QUIC offer and accept: the library's preference may change, and the group
/// decides how many packets a handshake has.
pub(crate) const KEY_EXCHANGE: NamedGroup = NamedGroup::X25519;

/// The configuration of a link under `conditions`, whose draws come from `seed`.
pub(crate) fn link(conditions: &Conditions, seed: u64, nat: Option<Nat>) -> Config {
    let (a_to_b, b_to_a) = conditions.impairments();
    Config {
        seed,
        a_to_b,
        b_to_a,
        nat,
        scheduling: Scheduling::RealTimeIfAllowed,
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quince_link::Loss;

    use super::super::conditions::Even;
    use super::*;

    #[test]
    fn conditions_act_on_each_direction() {
        let conditions = Conditions::Even(Even {
            rtt: 50.0,
            loss: 5.0,
            jitter: 10.0,
        });
        let config = link(&conditions, 7, None);
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.seed, 7);
        assert_eq!(config.a_to_b, config.b_to_a);
        assert_eq!(config.a_to_b.delay, Duration::from_millis(25));
        assert_eq!(config.a_to_b.loss, Loss::Independent { probability: 0.05 });
        let jitter = config.a_to_b.jitter.expect("jitter");
        assert_eq!(jitter.most, Duration::from_millis(10));
    }
}
