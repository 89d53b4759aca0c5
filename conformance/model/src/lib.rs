//! What an MQTT server may do: a small reference model that judges histories.
//!
//! A history is what clients did and saw: which packets they sent and received on which network connection, and when. The
//! [`Judge`] takes it event by event and refuses what no right server can have caused.
//!
//! Clients do not see when the server acts, and the specification leaves choices. So the model's state is a *set* of states that a
//! right server may be in, kept as intervals: a publish takes effect between its PUBLISH and its PUBACK, a subscription
//! exists possibly from SUBSCRIBE and certainly from SUBACK on, a Session ends within a span of time. What is forbidden is
//! refused only where it is forbidden in every state of the set; what is owed is demanded only where it is owed in
//! every one. It knows nothing of any implementation: the same judge serves virtual brokers, sockets and kill tests.

mod client;
pub mod delivery;
mod history;
mod judge;
mod link;
mod message;
mod session;
pub mod topic;
mod violation;

pub use self::history::{Bounds, End};
pub use self::judge::Judge;
pub use self::violation::{Rule, Violation};
