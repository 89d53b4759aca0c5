//! The core as its clients see it, in virtual time.

mod access;
mod authentication;
mod connect;
mod delayed;
mod deliver;
mod durability;
mod errors;
mod figures;
mod flows;
mod hostile;
mod interleave;
mod limits;
mod mqtt_3_1;
mod net;
mod policy;
mod qos;
mod recovery;
mod retain;
mod session;
mod shared;
mod subscribe;
mod takeover;
mod threads;
mod will;
