//! A stream that takes only so much from a peer before the first answer.
//!
//! MQTT bounds what comes before CONNACK, but what gathers whole messages below MQTT would gather
//! larger ones first. Behind a gate it cannot: once that much was read, nothing further is until
//! something has been written. Who then still sends no whole CONNECT runs out of time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream behind a gate.
#[derive(Debug)]
pub(crate) struct Gate<S> {
    stream: S,
    /// How many bytes may still be read; `None` once the gate is open.
    left: Option<usize>,
}

impl<S> Gate<S> {
    /// At most `limit` bytes pass before the gate opens.
    pub(crate) fn new(stream: S, limit: usize) -> Self {
        Self {
            stream,
            left: Some(limit),
        }
    }

    /// Lets everything pass from now on. Whoever writes reads again afterwards, so nobody is woken.
    pub(crate) fn open(&mut self) {
        self.left = None;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(left) = self.left else {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        };
        if left == 0 {
            return Poll::Pending;
        }
        let room = left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let polled = Pin::new(&mut self.stream).poll_read(context, &mut part);
        let count = part.filled().len();
        buffer.advance(count);
        self.left = Some(left - count);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn nothing_beyond_the_limit_passes_before_it_opens() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b"0123456789").await.expect("written");
        let mut gate = Gate::new(near, 4);
        let mut buffer = [0; 8];
        assert_eq!(gate.read(&mut buffer).await.expect("read"), 4);
        assert_eq!(&buffer[..4], b"0123");
        let mut more = poll(&mut gate);
        assert!(more.is_pending(), "the gate is shut");
        gate.open();
        more = poll(&mut gate);
        assert!(more.is_ready(), "the gate is open");
    }

    fn poll(gate: &mut Gate<tokio::io::DuplexStream>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 8];
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(gate).poll_read(&mut context, &mut ReadBuf::new(&mut bytes))
    }
}
