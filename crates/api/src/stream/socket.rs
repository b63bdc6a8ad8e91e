//! The server's end of a WebSocket on which events go out as they were encoded.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::{Buf as _, Bytes};
use futures::{SinkExt as _, StreamExt as _};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::request::Parts;
use http::{HeaderValue, Request};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sessions::session::Frames;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::ApiError;

/// Subscribers send nothing but pongs; what is read is bounded and small.
const READ_BYTES: usize = 4096;

/// A request for a WebSocket (RFC 6455 §4.2). Any other request is refused with 400.
pub(in super::super) struct Upgrade {
    response: Response,
    upgraded: OnUpgrade,
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let refused = |why: String| ApiError::invalid(format!("this is opened as a WebSocket: {why}"));
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.version_mut() = parts.version;
        *request.headers_mut() = parts.headers.clone();
        let response = create_response_with_body(&request, Body::empty).map_err(|error| refused(error.to_string()))?;
        let upgraded =
            parts.extensions.remove().ok_or_else(|| refused("the connection cannot become one".to_owned()))?;
        Ok(Upgrade { response, upgraded })
    }
}

impl Upgrade {
    /// Returns the answer and the future socket. `protocol` is chosen if the client offers it.
    pub(super) fn accept(
        mut self,
        offered: &http::HeaderMap,
        protocol: &'static str,
    ) -> (Response, impl Future<Output = Result<Socket, hyper::Error>> + use<>) {
        let offers = offered.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        if offers.flat_map(|value| value.split(',')).any(|offer| offer.trim() == protocol) {
            self.response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        let upgraded = self.upgraded;
        (self.response, async move { Ok(Socket::new(upgraded.await?).await) })
    }
}

pub(super) struct Socket {
    /// Reads, and writes what is not an event.
    stream: WebSocketStream<TokioIo<Upgraded>>,
    unsent: Option<Unsent>,
}

/// Events that were sent partly.
struct Unsent {
    frames: Frames,
    rest: Bytes,
}

impl Socket {
    async fn new(upgraded: Upgraded) -> Self {
        // The library's own buffer is empty: events do not go through it.
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(READ_BYTES))
            .max_frame_size(Some(READ_BYTES));
        let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        Socket { stream, unsent: None }
    }

    /// Waits for the end of the connection. Messages of a subscriber are ignored, and the library answers pings. Safe to cancel.
    pub(super) async fn closed(&mut self) {
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    pub(super) async fn send_text(&mut self, text: Utf8Bytes) -> Result<(), Error> {
        self.stream.send(Message::Text(text)).await
    }

    /// Safe to cancel. Unsent bytes are kept for [`Self::cut`].
    pub(super) async fn send_events(&mut self, frames: Frames) -> Result<(), Error> {
        self.unsent = Some(Unsent { rest: frames.bytes(), frames });
        self.drain().await
    }

    /// Drops everything unsent, except the rest of a partly sent event. Returns the number of the last event that the subscriber
    /// gets, if some were dropped.
    pub(super) fn cut(&mut self) -> Option<u64> {
        let unsent = self.unsent.as_mut()?;
        let sent = unsent.frames.bytes().len() - unsent.rest.len();
        let (end, whole) = unsent.frames.end_of_frame(sent);
        unsent.rest.truncate(end - sent);
        Some(unsent.frames.first() + whole - 1)
    }

    /// Completes a partly sent event, then closes the connection.
    pub(super) async fn close(mut self, frame: CloseFrame, patience: Duration) {
        let close = async {
            self.drain().await?;
            self.stream.send(Message::Close(Some(frame))).await
        };
        let _ = tokio::time::timeout(patience, close).await;
    }

    async fn drain(&mut self) -> Result<(), Error> {
        let Some(unsent) = &mut self.unsent else { return Ok(()) };
        // The answer to a ping may have been sent partly.
        self.stream.flush().await?;
        while unsent.rest.has_remaining() {
            if self.stream.get_mut().write_buf(&mut unsent.rest).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
        }
        self.unsent = None;
        Ok(())
    }
}
