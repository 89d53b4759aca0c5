//! A byte stream with layers over one TCP socket, shared by the task that reads and the side that
//! writes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::transport::Ending;

/// What lies over a socket and carries bytes in both directions.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The socket at the bottom.
    fn socket(&self) -> &TcpStream;

    /// How the peer has ended what it sends, once reading has come to the end.
    fn ending(&self) -> Ending {
        Ending::Finished
    }

    /// Has the bytes written next travel as one text message, where there are messages at all.
    ///
    /// Returns whether there are.
    fn write_next_as_text(&mut self) -> bool {
        false
    }
}

impl Carrier for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Carrier for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// One of the two owners of a carrier; the socket closes with the last.
#[derive(Clone)]
pub(crate) struct Half(Arc<Mutex<dyn Carrier>>);

impl Half {
    pub(crate) fn pair(carrier: impl Carrier) -> [Self; 2] {
        let half = Self(Arc::new(Mutex::new(carrier)));
        [half.clone(), half]
    }

    /// Makes the closing of the socket a reset, which overtakes what was not yet sent.
    ///
    /// # Errors
    /// When the socket is already gone.
    pub(crate) fn reset_at_close(&self) -> io::Result<()> {
        self.lock().socket().set_zero_linger()
    }

    /// How the peer has ended, as its layers tell it.
    pub(crate) fn ending(&self) -> Ending {
        self.lock().ending()
    }

    /// Has the bytes written next travel as one text message; false where there is no such thing.
    pub(crate) fn write_next_as_text(&self) -> bool {
        self.lock().write_next_as_text()
    }

    fn lock(&self) -> MutexGuard<'_, dyn Carrier + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Half {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Half")
    }
}

impl AsyncRead for Half {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Half {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(context)
    }
}
