//! QUIC: the client's first bidirectional stream is the control flow, each further one a data flow
//! (`docs/mqtt-over-quic.md`).

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Bound;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use quince_congestion::FlooredCubicConfig;
use quince_core::{FlowEnd, FlowId};
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, ReadError, RecvStream, SendStream, VarInt, WriteError};
use rustls::pki_types::CertificateDer;

use super::{Incoming, READ_BYTES, Reader, Writer, Written};
use crate::settings::{QuicCongestion, QuicSettings};

/// A listener's configuration.
///
/// # Errors
/// When a setting is out of QUIC's range.
pub(crate) fn server_config(
    settings: &QuicSettings,
    tls: Arc<QuicServerConfig>,
) -> Result<quinn::ServerConfig, rustls::Error> {
    let mut config = quinn::ServerConfig::with_crypto(tls);
    config
        .transport_config(Arc::new(transport_config(settings)?))
        .max_incoming(settings.waiting_handshakes)
        .incoming_buffer_size(settings.waiting_handshake_bytes)
        .incoming_buffer_size_total(settings.waiting_handshake_bytes);
    Ok(config)
}

/// The chain that the client showed and proved to own, its own certificate first.
pub(crate) fn chain(connection: &quinn::Connection) -> Option<Vec<CertificateDer<'static>>> {
    // What quinn hands out untyped is, with rustls, always this.
    let chain = connection.peer_identity()?;
    chain.downcast().ok().map(|chain| *chain)
}

fn transport_config(settings: &QuicSettings) -> Result<quinn::TransportConfig, rustls::Error> {
    let idle = IdleTimeout::try_from(settings.idle_timeout)
        .map_err(|_| rustls::Error::General("the QUIC idle timeout is too long".to_owned()))?;
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(settings.keep_alive))
        .max_concurrent_bidi_streams(settings.bidirectional_streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(settings.stream_window.into())
        .receive_window(settings.connection_window.into())
        .send_window(settings.send_window.into())
        .crypto_buffer_size(settings.crypto_buffer)
        .packet_threshold(settings.reordering_packets)
        .time_threshold(f32::from(settings.reordering_percent) / 100.0)
        .congestion_controller_factory(match settings.congestion {
            QuicCongestion::CubicWithFloor => Arc::new(FlooredCubicConfig::default()),
            QuicCongestion::Cubic => Arc::new(CubicConfig::default()),
        })
        .datagram_receive_buffer_size(None);
    Ok(transport)
}

/// The two halves of a connection whose control stream is open.
pub(crate) fn split(
    connection: quinn::Connection,
    send: SendStream,
    receive: RecvStream,
) -> (QuicReader, QuicWriter) {
    // What is urgent for all flows, as PINGRESP and DISCONNECT, goes first.
    let _ = send.set_priority(1);
    let (opened, newly_opened) = mpsc::channel();
    let reader = QuicReader {
        connection: connection.clone(),
        accepts: true,
        flows: Flows {
            control: receive,
            data: BTreeMap::new(),
            last_read: FlowId::CONTROL,
        },
        opened,
    };
    let writer = QuicWriter {
        connection,
        control: send,
        data: BTreeMap::new(),
        newly_opened,
        last_written: FlowId::CONTROL,
    };
    (reader, writer)
}

/// What is read.
struct Flows {
    control: RecvStream,
    /// `None` when the client has ended its side.
    data: BTreeMap<FlowId, Option<RecvStream>>,
    /// They take turns.
    last_read: FlowId,
}

pub(crate) struct QuicReader {
    connection: quinn::Connection,
    /// Whether there may be further streams: not when the connection is lost. That is told when what was received on the
    /// control flow before has been read.
    accepts: bool,
    flows: Flows,
    /// The other half of each stream, on its way to the writer.
    opened: mpsc::Sender<(FlowId, SendStream)>,
}

impl QuicReader {
    fn open(&mut self, send: SendStream, receive: RecvStream) -> Incoming {
        // A stream is not numbered twice, and neither is a flow. Stream 0 is the control flow.
        let flow = FlowId::new(receive.id().index());
        self.flows.data.insert(flow, Some(receive));
        // The writer lives as long as the reader.
        let _ = self.opened.send((flow, send));
        Incoming::Opened(flow)
    }
}

impl Flows {
    /// What came on any flow, the ones behind the last first.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        wanted: &impl Fn(FlowId) -> bool,
    ) -> Poll<Incoming> {
        let last = self.last_read;
        let behind = (Bound::Excluded(last), Bound::Unbounded);
        for (flow, stream) in self.data.range_mut(behind) {
            if let Poll::Ready(incoming) = poll_data(*flow, stream, context, wanted) {
                self.last_read = *flow;
                return Poll::Ready(incoming);
            }
        }
        if wanted(FlowId::CONTROL)
            && let Poll::Ready(incoming) = poll_control(&mut self.control, context)
        {
            self.last_read = FlowId::CONTROL;
            return Poll::Ready(incoming);
        }
        for (flow, stream) in self.data.range_mut(..=last) {
            if let Poll::Ready(incoming) = poll_data(*flow, stream, context, wanted) {
                self.last_read = *flow;
                return Poll::Ready(incoming);
            }
        }
        Poll::Pending
    }
}

/// Reads some of a stream. It is woken when there is more to read, though the future that asked is gone.
fn poll_chunk(
    stream: &mut RecvStream,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, ReadError>> {
    let chunk = ready!(pin!(stream.read_chunk(READ_BYTES, true)).poll(context))?;
    Poll::Ready(Ok(chunk.map(|chunk| chunk.bytes)))
}

fn poll_control(stream: &mut RecvStream, context: &mut Context<'_>) -> Poll<Incoming> {
    let flow = FlowId::CONTROL;
    Poll::Ready(match ready!(poll_chunk(stream, context)) {
        Ok(Some(bytes)) => Incoming::Bytes(flow, bytes),
        Ok(None) => Incoming::Finished(flow),
        Err(ReadError::Reset(code)) => Incoming::Reset(flow, code.into_inner()),
        Err(_) => Incoming::Lost,
    })
}

/// What came on a data flow. That the connection is lost, the control flow tells.
fn poll_data(
    flow: FlowId,
    stream: &mut Option<RecvStream>,
    context: &mut Context<'_>,
    wanted: &impl Fn(FlowId) -> bool,
) -> Poll<Incoming> {
    let Some(open) = stream.as_mut().filter(|_| wanted(flow)) else {
        return Poll::Pending;
    };
    let outcome = ready!(poll_chunk(open, context));
    if let Ok(Some(bytes)) = outcome {
        return Poll::Ready(Incoming::Bytes(flow, bytes));
    }
    *stream = None;
    match outcome {
        Ok(_) => Poll::Ready(Incoming::Finished(flow)),
        Err(ReadError::Reset(code)) => Poll::Ready(Incoming::Reset(flow, code.into_inner())),
        Err(_) => Poll::Pending,
    }
}

impl Reader for QuicReader {
    async fn read(&mut self, wanted: impl Fn(FlowId) -> bool + Send + Sync) -> Incoming {
        loop {
            tokio::select! {
                accepted = self.connection.accept_bi(), if self.accepts => match accepted {
                    Ok((send, receive)) => return self.open(send, receive),
                    Err(_) => self.accepts = false,
                },
                incoming = poll_fn(|context| self.flows.poll(context, &wanted)) => return incoming,
            }
        }
    }

    fn end_flow(&mut self, flow: FlowId, end: FlowEnd) {
        let ended = self.flows.data.remove(&flow).flatten();
        if let (Some(mut stream), FlowEnd::Aborted(code)) = (ended, end) {
            // It may have ended meanwhile.
            let _ = stream.stop(application_code(code));
        }
    }
}

pub(crate) struct QuicWriter {
    connection: quinn::Connection,
    control: SendStream,
    data: BTreeMap<FlowId, SendStream>,
    newly_opened: mpsc::Receiver<(FlowId, SendStream)>,
    /// Flows take turns here too: one that always has something to send leaves the others their share of the window.
    last_written: FlowId,
}

/// What is on offer, beginning behind the flow that had the last turn.
fn in_turn<'a>(
    offers: impl Iterator<Item = (FlowId, &'a [u8])> + Clone,
    last: FlowId,
) -> impl Iterator<Item = (FlowId, &'a [u8])> {
    let behind = offers.clone().filter(move |(flow, _)| *flow > last);
    behind.chain(offers.filter(move |(flow, _)| *flow <= last))
}

impl QuicWriter {
    fn take_in_opened(&mut self) {
        self.data.extend(self.newly_opened.try_iter());
    }

    fn stream(&mut self, flow: FlowId) -> Option<&mut SendStream> {
        if flow == FlowId::CONTROL {
            return Some(&mut self.control);
        }
        self.data.get_mut(&flow)
    }
}

impl Writer for QuicWriter {
    async fn write<'a>(
        &mut self,
        offers: impl Iterator<Item = (FlowId, &'a [u8])> + Clone + Send,
    ) -> Written {
        self.take_in_opened();
        poll_fn(move |context| {
            for (flow, bytes) in in_turn(offers.clone(), self.last_written) {
                let Some(stream) = self.stream(flow) else {
                    continue;
                };
                let Poll::Ready(outcome) = Pin::new(stream).poll_write(context, bytes) else {
                    continue;
                };
                self.last_written = flow;
                return Poll::Ready(match outcome {
                    Ok(count) => Written::Some(flow, count),
                    // Found out by writing alone: waiting for `SendStream::stopped` would leave something
                    // behind in quinn for each stream that is then reset (`docs/upstream.md`).
                    Err(WriteError::Stopped(code)) => Written::Stopped(flow, code.into_inner()),
                    Err(_) => Written::Lost,
                });
            }
            Poll::Pending
        })
        .await
    }

    fn end_flow(&mut self, flow: FlowId, end: FlowEnd) {
        self.take_in_opened();
        let Some(mut stream) = self.data.remove(&flow) else {
            return;
        };
        // The client may have stopped it meanwhile.
        let _ = match end {
            FlowEnd::Finished => stream.finish(),
            FlowEnd::Aborted(code) => stream.reset(application_code(code)),
        };
    }

    async fn finish(&mut self) {
        // Closing the connection drops what the stream still holds, so the peer comes first:
        // end of stream, wait until it has it, close.
        if self.control.finish().is_ok() {
            let _ = self.control.stopped().await;
        }
    }
}

impl Drop for QuicWriter {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}

/// An application error code; what does not fit QUIC's numbers is the largest of them.
fn application_code(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_always_has_something_to_send_does_not_hold_up_the_others() {
        let flows = [0, 1, 4, 7].map(FlowId::new);
        let offers = || flows.iter().map(|flow| (*flow, &b"x"[..]));
        let mut last = FlowId::CONTROL;
        let turns = (0..9).map(|_| {
            last = in_turn(offers(), last).next().expect("an offer").0;
            last.number()
        });
        assert_eq!(turns.collect::<Vec<_>>(), [1, 4, 7, 0, 1, 4, 7, 0, 1]);
        let gone = in_turn(offers(), FlowId::new(5)).map(|(flow, _)| flow.number());
        assert_eq!(gone.collect::<Vec<_>>(), [7, 0, 1, 4]);
    }
}
