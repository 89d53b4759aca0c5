//! Properties that hold for any bytes, as ordinary functions: each panics when its property is violated.
//!
//! A fuzzer calls them with bytes of its own making; the test beside them replays the files in `fuzz/corpus` and
//! `fuzz/regressions`. See `docs/fuzzing.md`.

mod broker;
mod canonical;
mod connection;
mod decode;
mod hearing;
mod limits;
mod operations;
mod round_trip;
mod specimen;
mod store;
mod stream;
mod subscriptions;
mod topic;
mod words;

pub use broker::broker;
pub use canonical::canonical;
pub use connection::connection;
pub use decode::decode;
pub use operations::operations;
pub use round_trip::round_trip;
pub use store::{store, store_seeds};
pub use stream::stream;
pub use subscriptions::subscriptions;
pub use topic::topic;

/// A property: it returns if `bytes` satisfy it and panics otherwise.
pub type Target = fn(bytes: &[u8]);

/// Every target under its name, which is also that of its folders in `fuzz/corpus` and `fuzz/regressions`.
pub const TARGETS: &[(&str, Target)] = &[
    ("broker", broker),
    ("canonical", canonical),
    ("connection", connection),
    ("decode", decode),
    ("operations", operations),
    ("round_trip", round_trip),
    ("store", store),
    ("stream", stream),
    ("subscriptions", subscriptions),
    ("topic", topic),
];
