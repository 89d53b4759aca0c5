//! TCP as one flow.

use std::io;

use bytes::BytesMut;
use quince_core::FlowId;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Incoming, READ_BYTES, Reader, Writer};

/// The two halves of an accepted socket.
pub(crate) fn split(stream: TcpStream) -> (TcpReader, TcpWriter) {
    let (reader, writer) = stream.into_split();
    (TcpReader { reader }, TcpWriter { writer })
}

pub(crate) struct TcpReader {
    reader: OwnedReadHalf,
}

impl Reader for TcpReader {
    async fn read(&mut self) -> Incoming {
        loop {
            if self.reader.readable().await.is_err() {
                return Incoming::Lost;
            }
            // An idle connection keeps no buffer: it is made when there is something to read, and goes with what was read.
            let mut buffer = BytesMut::with_capacity(READ_BYTES);
            match self.reader.try_read_buf(&mut buffer) {
                Ok(0) => return Incoming::Finished(FlowId::CONTROL),
                Ok(_) => return Incoming::Bytes(FlowId::CONTROL, buffer.freeze()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Incoming::Lost,
            }
        }
    }
}

pub(crate) struct TcpWriter {
    writer: OwnedWriteHalf,
}

impl Writer for TcpWriter {
    async fn write(&mut self, _flow: FlowId, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes).await
    }

    async fn finish(&mut self) {
        // A peer that is already gone has nothing to wait for.
        let _ = self.writer.shutdown().await;
    }
}
