//! QUIC, single stream: the client's first bidirectional stream is the control flow.

use std::io;
use std::sync::Arc;

use quince_core::FlowId;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, VarInt};
use rustls::crypto::CryptoProvider;

use super::{Incoming, READ_BYTES, Reader, Writer};
use crate::certificate::Certificate;
use crate::settings::QuicSettings;

/// The ALPN of MQTT over QUIC.
const ALPN: &[u8] = b"mqtt";

/// A listener's configuration.
///
/// # Errors
/// When TLS does not take the certificate.
pub(crate) fn server_config(
    settings: &QuicSettings,
    certificate: &Certificate,
    provider: Arc<CryptoProvider>,
) -> Result<quinn::ServerConfig, rustls::Error> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(certificate.chain(), certificate.key())?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = QuicServerConfig::try_from(tls)
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport_config(settings)?))
        .max_incoming(settings.waiting_handshakes)
        .incoming_buffer_size(settings.waiting_handshake_bytes)
        .incoming_buffer_size_total(settings.waiting_handshake_bytes);
    Ok(config)
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
