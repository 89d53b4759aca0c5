//! TCP as one flow.

use std::io;

use bytes::BytesMut;
use quince_core::{FlowEnd, FlowId};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Incoming, READ_BYTES, Reader, Writer, Written, only};

/// The two halves of an accepted socket.
pub(crate) fn split(stream: TcpStream) -> (TcpReader, TcpWriter) {
    let (reader, writer) = stream.into_split();
    (TcpReader { reader }, TcpWriter { writer })
}

pub(crate) struct TcpReader {
    reader: OwnedReadHalf,
}

impl Reader for TcpReader {
    async fn read(&mut self, wanted: impl Fn(FlowId) -> bool + Send + Sync) -> Incoming {
        if !wanted(FlowId::CONTROL) {
            return std::future::pending().await;
        }
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

    fn end_flow(&mut self, _flow: FlowId, _end: FlowEnd) {}
}

pub(crate) struct TcpWriter {
    writer: OwnedWriteHalf,
}

impl Writer for TcpWriter {
    async fn write<'a>(
        &mut self,
        offers: impl Iterator<Item = (FlowId, &'a [u8])> + Clone + Send,
    ) -> Written {
        match self.writer.write(only(offers)).await {
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
