//! One flow over any byte stream that keeps bytes of its own: TLS, WebSocket, both.

use std::io;

use bytes::BytesMut;
use quince_core::{FlowEnd, FlowId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::{Incoming, READ_BYTES, Reader, Writer, Written, only};

/// What an idle connection keeps ready to read into; a busy one takes [`READ_BYTES`].
const IDLE_READ_BYTES: usize = 4 * 1024;

/// The two halves of an established stream.
pub(crate) fn split<S: AsyncRead + AsyncWrite>(stream: S) -> (StreamReader<S>, StreamWriter<S>) {
    let (reader, writer) = tokio::io::split(stream);
    (
        StreamReader {
            reader,
            buffer: BytesMut::new(),
            next_read: IDLE_READ_BYTES,
        },
        StreamWriter {
            writer,
            accepted: 0,
        },
    )
}

pub(crate) struct StreamReader<S> {
    reader: ReadHalf<S>,
    buffer: BytesMut,
    next_read: usize,
}

impl<S: AsyncRead + AsyncWrite + Send> Reader for StreamReader<S> {
    async fn read(&mut self, wanted: impl Fn(FlowId) -> bool + Send + Sync) -> Incoming {
        if !wanted(FlowId::CONTROL) {
            return std::future::pending().await;
        }
        self.buffer.reserve(self.next_read);
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(0) => Incoming::Finished(FlowId::CONTROL),
            Ok(count) => {
                self.next_read = if count < self.next_read {
                    IDLE_READ_BYTES
                } else {
                    READ_BYTES
                };
                Incoming::Bytes(FlowId::CONTROL, self.buffer.split().freeze())
            }
            Err(_) => Incoming::Lost,
        }
    }

    fn end_flow(&mut self, _flow: FlowId, _end: FlowEnd) {}
}

pub(crate) struct StreamWriter<S> {
    writer: WriteHalf<S>,
    /// Bytes that the stream has taken and that have perhaps not left it.
    accepted: usize,
}

impl<S: AsyncRead + AsyncWrite + Send> StreamWriter<S> {
    async fn write_and_flush(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.accepted == 0 {
            self.accepted = self.writer.write(bytes).await?;
        }
        // Bytes count as written when they have left the stream: what it holds back must neither
        // wait for the next packet nor escape the bound on what waits for a peer.
        self.writer.flush().await?;
        Ok(std::mem::take(&mut self.accepted))
    }
}

impl<S: AsyncRead + AsyncWrite + Send> Writer for StreamWriter<S> {
    async fn write<'a>(
        &mut self,
        offers: impl Iterator<Item = (FlowId, &'a [u8])> + Clone + Send,
    ) -> Written {
        match self.write_and_flush(only(offers)).await {
            Ok(count) => Written::Some(FlowId::CONTROL, count),
            Err(_) => Written::Lost,
        }
    }

    fn end_flow(&mut self, _flow: FlowId, _end: FlowEnd) {}

    async fn finish(&mut self) {
        // A peer that is already gone has nothing to wait for.
        let _ = self.writer.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::BufStream;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_write_counts_when_it_has_left_and_goes_on_where_it_was_cancelled() {
        let (near, mut far) = tokio::io::duplex(4);
        // Takes everything at once, as TLS does, and holds it back until it is flushed.
        let (_reader, mut writer) = split(BufStream::new(near));
        let stuck = writer.write_and_flush(b"0123456789");
        assert!(timeout(Duration::from_millis(20), stuck).await.is_err());
        let mut arrived = [0; 10];
        let (written, read) = tokio::join!(
            writer.write_and_flush(b"0123456789 and more"),
            far.read_exact(&mut arrived)
        );
        assert_eq!(written.expect("written"), 10);
        read.expect("read");
        assert_eq!(&arrived, b"0123456789");
    }
}
