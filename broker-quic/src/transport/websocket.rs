//! WebSocket: the bytes of the binary messages, one after the other, as one stream.
//!
//! MQTT packets and messages have nothing to do with each other: a packet may span messages and a
//! message may hold several packets [MQTT5-6.0.0-2]. What is no binary message ends the connection
//! [MQTT5-6.0.0-1].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::gate::Gate;
use crate::listener::PATH;
use crate::settings::WebSocketSettings;

/// Where MQTT is. Some clients ask for the root when nobody tells them more.
const PATHS: [&str; 2] = [PATH, "/"];
/// The subprotocol of MQTT [MQTT5-6.0.0-3], and the older one that clients of MQTT 3.1 offer.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];
/// What is read from the socket at once; every connection keeps that much.
const READ_BYTES: usize = 16 * 1024;
/// Largest message sent, in bytes.
const LARGEST_SENT: usize = 64 * 1024;

/// Answers the opening handshake.
///
/// # Errors
/// When the client does not speak WebSocket, or wants something that is not here.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: &WebSocketSettings,
) -> Result<WebSocket<S>, Error> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_frame_size(Some(settings.message_bytes))
        .max_message_size(Some(settings.message_bytes));
    let gate = Gate::new(stream, settings.bytes_before_first_answer);
    let socket =
        tokio_tungstenite::accept_hdr_async_with_config(gate, choose, Some(config)).await?;
    Ok(WebSocket {
        socket,
        unread: Bytes::new(),
        over: false,
    })
}

/// Finds MQTT in what a client asks for.
#[expect(
    clippy::result_large_err,
    reason = "the library's callback has this signature"
)]
fn choose(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let refuse = |status: StatusCode, why: String| {
        let mut refusal = ErrorResponse::new(Some(why));
        *refusal.status_mut() = status;
        Err(refusal)
    };
    let path = request.uri().path();
    if !PATHS.contains(&path) {
        let why = format!("no MQTT at '{path}': it is at '{}'\n", PATHS[0]);
        return refuse(StatusCode::NOT_FOUND, why);
    }
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offered: Vec<_> = offers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .collect();
    // The server answers with the one that it chose [MQTT5-6.0.0-4].
    let Some(chosen) = SUBPROTOCOLS.into_iter().find(|one| offered.contains(one)) else {
        let why = "the subprotocol 'mqtt' must be offered\n".to_owned();
        return refuse(StatusCode::BAD_REQUEST, why);
    };
    response.headers_mut().insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(chosen),
    );
    Ok(response)
}

/// A byte stream over a WebSocket connection.
#[derive(Debug)]
pub(crate) struct WebSocket<S> {
    socket: WebSocketStream<Gate<S>>,
    /// What is left of the message read last.
    unread: Bytes,
    /// The peer has closed, or has done what it must not.
    over: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Ends the connection for a reason; it is sent with whatever is sent next, at the latest by
    /// the shutdown.
    fn refuse(&mut self, code: CloseCode, reason: &'static str) {
        self.over = true;
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // Where not even that can be sent, the connection is gone anyway.
        let _ = Pin::new(&mut self.socket).start_send(Message::Close(Some(frame)));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() && !self.over {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                // Answered by the library itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_) | Message::Frame(_))) => {
                    self.refuse(CloseCode::Unsupported, "MQTT takes binary messages only");
                }
                Some(Ok(Message::Close(_))) | None => self.over = true,
                Some(Err(Error::Capacity(_))) => {
                    self.refuse(CloseCode::Size, "the message is too large");
                }
                Some(Err(Error::Protocol(_) | Error::Utf8(_))) => {
                    self.refuse(CloseCode::Protocol, "this is not WebSocket");
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket.get_mut().open();
        let socket = Pin::new(&mut self.socket);
        ready!(socket.poll_ready(context)).map_err(io::Error::other)?;
        let bytes = &bytes[..bytes.len().min(LARGEST_SENT)];
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
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
