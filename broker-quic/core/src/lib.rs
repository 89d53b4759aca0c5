//! An MQTT broker as pure state machines: no I/O, no clock, no thread, no randomness.
//!
//! Time is an argument ([`Time`]), randomness is a seed ([`Config::seed`]), bytes are slices. What runs in production
//! is what a simulator can schedule: [`Connection`] per network connection, and one [`Hub`] that they share.
//!
//! # The pump: what every driver keeps true
//!
//! After **every** call that takes `now`, and after every wake (which calls [`Connection::advance`]), the driver
//!
//! 1. takes [`Connection::poll_output`] until it is `None`, and obeys: authenticate, end a flow, or close and drop;
//! 2. offers [`Connection::writable`] of each flow in [`Connection::flows_with_output`] to the transport and tells by
//!    [`Connection::written`] how much it took; when the transport took all, it starts again at 1;
//! 3. sets its timer to [`Connection::next_timeout`], which calls [`Connection::handle_timeout`];
//! 4. reads a flow if and only if [`Connection::wants_input`] of it, and passes the bytes to [`Connection::receive`].
//!
//! It never waits in the middle of this. When it does so for every connection, and one timer (moved forward by
//! [`Hub::set_timer_waker`]) calls [`Hub::handle_timeout`] at [`Hub::next_timeout`], then everything the broker owes to
//! anybody is in a transport, in an outbox that the transport does not empty, in the queue of a Session, or waits for
//! a time that a timer is set to.
//!
//! # Who owns what
//!
//! ```text
//! bytes -> Connection -> Exchange -> Hub::publish -> Mailbox of each subscriber -> (wake) -> its Connection -> bytes
//!              |             |            |
//!            Session      Registry      Routes (snapshot), retained messages
//! ```
//!
//! The Session State is a value that moves: from a connection to the registry when the connection ends, and from
//! there to the next connection with its Client Identifier. If another connection still has it, that one is asked to
//! yield and woken; the new one waits for the hand-over and is woken in turn.

mod aliases;
mod attach;
pub mod bench;
mod config;
mod connection;
mod delayed;
mod fanout;
mod figures;
mod flow;
mod hub;
mod identifier;
mod image;
mod interleave;
mod mailbox;
mod message;
mod outbox;
mod policy;
mod position;
mod record;
mod recovery;
mod registry;
mod retained;
mod routes;
mod seed;
mod session;
mod time;

pub use self::config::{Config, Redirect, Validity};
pub use self::connection::{
    Answer, AuthenticationRequest, ClosedBy, Connection, Enhanced, FlowEnd, Output, READ_AT_MOST,
    Round,
};
pub use self::figures::Figures;
pub use self::hub::Hub;
pub use self::identifier::{ConnectionId, FlowId};
pub use self::image::{Contents, Image};
pub use self::interleave::{Interleave, Seam};
pub use self::policy::{Action, AllowAll, Policy, Principal, Subject};
pub use self::position::{Batch, Durability, Position};
pub use self::record::{Record, RecordError};
pub use self::time::Time;
