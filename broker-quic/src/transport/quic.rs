//! QUIC, single stream: the client's first bidirectional stream is the control flow.

use std::io;
use std::sync::Arc;

use quince_core::FlowId;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, VarInt};
use rustls::pki_types::CertificateDer;

use super::{Incoming, READ_BYTES, Reader, Writer};
use crate::settings::QuicSettings;

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
        .max_concurrent_uni_streams(settings.unidirectional_streams.into())
        .stream_receive_window(settings.stream_window.into())
        .receive_window(settings.connection_window.into())
        .send_window(settings.send_window.into())
        .crypto_buffer_size(settings.crypto_buffer)
        .datagram_receive_buffer_size(None);
    Ok(transport)
}

/// The two halves of a connection whose control stream is open.
pub(crate) fn split(
    connection: quinn::Connection,
    send: quinn::SendStream,
    receive: quinn::RecvStream,
) -> (QuicReader, QuicWriter) {
    (QuicReader { receive }, QuicWriter { connection, send })
}

pub(crate) struct QuicReader {
    receive: quinn::RecvStream,
}

impl Reader for QuicReader {
    async fn read(&mut self) -> Incoming {
        match self.receive.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => Incoming::Bytes(FlowId::CONTROL, chunk.bytes),
            Ok(None) => Incoming::Finished(FlowId::CONTROL),
            Err(quinn::ReadError::Reset(code)) => {
                Incoming::Reset(FlowId::CONTROL, code.into_inner())
            }
            Err(_) => Incoming::Lost,
        }
    }
}

pub(crate) struct QuicWriter {
    connection: quinn::Connection,
    send: quinn::SendStream,
}

impl Writer for QuicWriter {
    async fn write(&mut self, _flow: FlowId, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.send.write(bytes).await?)
    }

    async fn finish(&mut self) {
        // Closing the connection drops what the stream still holds, so the peer comes first:
        // end of stream, wait until it has it, close.
        if self.send.finish().is_ok() {
            let _ = self.send.stopped().await;
        }
    }
}

impl Drop for QuicWriter {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}
