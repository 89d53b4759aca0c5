//! TCP as one flow.

use std::io;

use bytes::BytesMut;
use quince_core::FlowId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Incoming, READ_BYTES, Reader, Writer};

/// The two halves of an accepted socket.
pub(crate) fn split(stream: TcpStream) -> (TcpReader, TcpWriter) {
    let (reader, writer) = stream.into_split();
    (
        TcpReader {
            reader,
            buffer: BytesMut::new(),
        },
        TcpWriter { writer },
    )
}

pub(crate) struct TcpReader {
    reader: OwnedReadHalf,
    buffer: BytesMut,
}

impl Reader for TcpReader {
    async fn read(&mut self) -> Incoming {
        // An idle connection keeps no buffer: it is made when there is something to read.
        if self.reader.readable().await.is_err() {
            return Incoming::Lost;
        }
        self.buffer.reserve(READ_BYTES);
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(0) => Incoming::Finished(FlowId::CONTROL),
            Ok(_) => Incoming::Bytes(FlowId::CONTROL, self.buffer.split().freeze()),
            Err(_) => Incoming::Lost,
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
