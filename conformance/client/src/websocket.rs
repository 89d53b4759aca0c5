//! WebSocket: the bytes of the binary messages, one after the other, as one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message};

use crate::carrier::Carrier;
use crate::endpoint::Endpoint;
use crate::transport::Ending;

/// What a client must offer, and the server must choose [MQTT5-6.0.0-3].
const SUBPROTOCOL: &str = "mqtt";
/// Largest message taken, in bytes: a whole packet of the largest size that MQTT has.
const LARGEST_MESSAGE: usize = 256 * 1024 * 1024;

/// A byte stream over a WebSocket connection.
pub(crate) struct WebSocket<S> {
    socket: WebSocketStream<S>,
    /// What is left of the message read last.
    unread: Bytes,
    /// How the peer ended, once it has.
    ending: Option<Ending>,
    /// The kind of the message that is written next.
    next_kind: Data,
}

impl<S: Carrier> WebSocket<S> {
    /// The opening handshake, on a stream to `endpoint`.
    ///
    /// # Errors
    /// In words: what the server answered instead.
    pub(crate) async fn open(stream: S, endpoint: &Endpoint) -> Result<Self, String> {
        let uri = endpoint.to_string().parse();
        let uri = uri.map_err(|error| format!("this is no address of the web: {error}"))?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_frame_size(Some(LARGEST_MESSAGE))
            .max_message_size(Some(LARGEST_MESSAGE));
        let opening = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let (socket, _) = opening.await.map_err(|error| match error {
            Error::Http(response) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = String::from_utf8_lossy(body);
                let status = response.status();
                format!(
                    "the server does not open a WebSocket: {status} {}",
                    body.trim()
                )
            }
            other => format!("the server does not open a WebSocket: {other}"),
        })?;
        Ok(Self {
            socket,
            unread: Bytes::new(),
            ending: None,
            next_kind: Data::Binary,
        })
    }
}

impl<S: Carrier> Carrier for WebSocket<S> {
    fn socket(&self) -> &TcpStream {
        self.socket.get_ref().socket()
    }

    fn ending(&self) -> Ending {
        self.ending.clone().unwrap_or(Ending::Finished)
    }

    fn write_next_as_text(&mut self) -> bool {
        self.next_kind = Data::Text;
        true
    }
}

impl<S: Carrier> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() && self.ending.is_none() {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                // Answered by the library itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_) | Message::Frame(_))) => {
                    let reason = "the server sent a WebSocket message that is not binary";
                    return Poll::Ready(Err(io::Error::other(reason)));
                }
                Some(Ok(Message::Close(frame))) => {
                    self.ending = Some(frame.map_or(Ending::Finished, |frame| {
                        Ending::WebSocket(frame.code.into(), frame.reason.to_string())
                    }));
                    // The library has an answer ready; a peer that is gone does not need it.
                    let _ = Pin::new(&mut self.socket).poll_flush(context);
                }
                // TCP has ended without the closing handshake, which is an end all the same.
                None | Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                    self.ending = Some(Ending::Finished);
                }
                Some(Err(Error::Io(error))) => return Poll::Ready(Err(error)),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Carrier> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(&mut self.socket);
        ready!(socket.poll_ready(context)).map_err(io::Error::other)?;
        let kind = std::mem::replace(&mut self.next_kind, Data::Binary);
        let message = Bytes::copy_from_slice(bytes);
        let message = Message::Frame(Frame::message(message, OpCode::Data(kind), true));
        let socket = Pin::new(&mut self.socket);
        socket.start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Pin::new(&mut self.socket);
        socket.poll_flush(context).map_err(io::Error::other)
    }

    /// Sends the closing handshake's Close; the peer's own ends what is read.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Pin::new(&mut self.socket);
        socket.poll_close(context).map_err(io::Error::other)
    }
}
