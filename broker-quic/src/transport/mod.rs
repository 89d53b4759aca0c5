//! What every transport gives the driver: ordered byte streams named by flow, and their ends.
//!
//! Both halves are safe to cancel at any await, because the driver's loop drops them whenever
//! something else happens first. Nothing here knows MQTT.

mod gate;
pub(crate) mod quic;
pub(crate) mod stream;
pub(crate) mod tcp;
pub(crate) mod websocket;

use std::io;

use bytes::Bytes;
use quince_core::FlowId;

/// Largest read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// What a peer delivered.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// The next bytes of a flow.
    Bytes(FlowId, Bytes),
    /// The peer's orderly end of a flow.
    Finished(FlowId),
    /// The peer's abrupt end of a flow.
    Reset(FlowId, u64),
    /// The connection is gone.
    Lost,
}

/// The half that reads.
pub(crate) trait Reader: Send {
    /// Waits for what the peer delivers next. Safe to cancel.
    fn read(&mut self) -> impl Future<Output = Incoming> + Send;
}

/// The half that writes.
pub(crate) trait Writer: Send {
    /// Writes some of `bytes` on `flow` and tells how many. Safe to cancel: the next call offers the
    /// same bytes again, with more behind them perhaps, and goes on from there.
    fn write(
        &mut self,
        flow: FlowId,
        bytes: &[u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;

    /// Says that nothing follows, and waits until the peer has everything or is gone; the caller
    /// bounds the time.
    fn finish(&mut self) -> impl Future<Output = ()> + Send;
}
