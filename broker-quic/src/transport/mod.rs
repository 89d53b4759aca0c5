//! What every transport gives the driver: ordered byte streams named by flow, and their ends.
//!
//! Both halves are safe to cancel at any await, because the driver's loop drops them whenever
//! something else happens first. Nothing here knows MQTT.

mod gate;
pub(crate) mod quic;
pub(crate) mod stream;
pub(crate) mod tcp;
pub(crate) mod websocket;

use bytes::Bytes;
use quince_core::{FlowEnd, FlowId};

/// Largest read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// What a peer delivered.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// The peer has opened a flow.
    Opened(FlowId),
    /// The next bytes of a flow.
    Bytes(FlowId, Bytes),
    /// The peer's orderly end of a flow.
    Finished(FlowId),
    /// The peer's abrupt end of a flow.
    Reset(FlowId, u64),
    /// The connection is gone.
    Lost,
}

/// What became of bytes.
#[derive(Debug)]
pub(crate) enum Written {
    /// This many were taken on a flow.
    Some(FlowId, usize),
    /// The peer takes nothing more on a flow.
    Stopped(FlowId, u64),
    /// The connection is gone.
    Lost,
}

/// The half that reads.
pub(crate) trait Reader: Send {
    /// Waits for what the peer delivers next; bytes come only on flows that are `wanted`. Safe to cancel.
    fn read(
        &mut self,
        wanted: impl Fn(FlowId) -> bool + Send + Sync,
    ) -> impl Future<Output = Incoming> + Send;

    /// Nothing more is read on a data flow.
    fn end_flow(&mut self, flow: FlowId, end: FlowEnd);
}

/// The half that writes.
pub(crate) trait Writer: Send {
    /// Writes some of what is on offer, on a flow that takes any; at least one flow must be on offer. Safe to cancel:
    /// the next call offers the same bytes again, with more behind them perhaps, and goes on from there.
    fn write<'a>(
        &mut self,
        offers: impl Iterator<Item = (FlowId, &'a [u8])> + Clone + Send,
    ) -> impl Future<Output = Written> + Send;

    /// Nothing more is written on a data flow.
    fn end_flow(&mut self, flow: FlowId, end: FlowEnd);

    /// Says that nothing follows on the control flow, and waits until the peer has everything or is gone; the caller
    /// bounds the time.
    fn finish(&mut self) -> impl Future<Output = ()> + Send;
}

/// What a transport with one flow has to write.
fn only<'a>(mut offers: impl Iterator<Item = (FlowId, &'a [u8])>) -> &'a [u8] {
    offers.next().map_or(&[], |(_, bytes)| bytes)
}
