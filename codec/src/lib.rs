//! MQTT packets: bytes to packets and back, borrowed, strict, without I/O.
//!
//! A [`Framer`] cuts received bytes into [`Frame`]s. [`Frame::decode`] gives a [`Packet`] that borrows from the frame,
//! after everything has been checked that can be told from one packet and the [`Version`]; [`Frame::into_owned`] gives
//! one that keeps its bytes. [`Packet::encode`] writes a packet. [`error_response`] tells what a server answers to bytes that are no packet.
//!
//! Without the feature `std`, which is on by default, it needs no more than `core` and `alloc`.
//!
//! ```
//! use quince_codec::{Framer, Packet, Version};
//!
//! let mut framer = Framer::new(65_536);
//! framer.push(b"\x30\x06\x00\x01t");
//! assert_eq!(framer.next_frame()?, None);
//! framer.push(b"\x00hi");
//! let frame = framer.next_frame()?.expect("the packet is complete");
//! let Packet::Publish(publish) = frame.decode(Version::V5_0)? else { panic!("not a PUBLISH") };
//! assert_eq!((publish.topic, publish.payload), ("t", &b"hi"[..]));
//! # Ok::<(), quince_codec::DecodeError>(())
//! ```

#![no_std]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

extern crate alloc;

mod error;
mod frame;
mod framer;
mod owned;
mod packet;
mod packet_id;
mod packet_type;
pub mod property;
mod qos;
mod reader;
mod reason_code;
mod response;
mod return_code;
mod scan;
pub mod topic;
mod version;
mod writer;

pub use error::{DecodeError, DecodeErrorClass, DecodeErrorKind, EncodeError};
pub use frame::Frame;
pub use framer::Framer;
pub use owned::OwnedPacket;
pub use packet::{
    Acknowledgement, Auth, ConnAck, Connect, Disconnect, FilterIter, FilterList, Filters,
    InvalidRetainHandling, Packet, Publish, RetainHandling, SubAck, Subscribe, Subscription,
    SubscriptionIter, SubscriptionList, SubscriptionOptions, Subscriptions, UnsubAck, Unsubscribe,
    Will,
};
pub use packet_id::PacketId;
pub use packet_type::PacketType;
pub use property::{Properties, Property, PropertyIter, PropertyList};
pub use qos::{InvalidQoS, QoS};
pub use reason_code::{ReasonCode, ReasonCodeDefinition};
pub use response::{ConnectionState, ErrorResponse, error_response};
pub use return_code::ConnectReturnCode;
pub use topic::SharedSubscription;
pub use version::{ParseVersionError, Version};
