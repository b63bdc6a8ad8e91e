//! The time limit of a head starts with its first byte. Between requests a connection may be idle for longer: a reverse proxy keeps
//! its connections for a minute, and loses a request that it sends on a closing one. hyper's only timer covers the rest.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::Patience;
use super::linger::{self, Linger};
use super::places::ConnectionPlace;
use crate::guarded::Guarded;

/// The next read of a connection.
#[derive(Clone)]
pub(super) struct Expecting(Arc<Next>);

struct Next {
    /// A head.
    head: AtomicBool,
    /// The rest of a request whose head has partly arrived.
    rest: AtomicBool,
    /// Nothing of HTTP: the connection is a WebSocket.
    upgraded: AtomicBool,
}

impl Expecting {
    /// The head of a request is complete. Its body is returned for the router.
    pub(super) fn body_after(&self, body: Incoming) -> Body {
        self.0.head.store(false, Ordering::Relaxed);
        self.0.rest.store(!body.is_end_stream(), Ordering::Relaxed);
        Body::new(Asked { body, expecting: self.clone() })
    }

    /// The next head may arrive after this response, except after an upgrade. If a refusal leaves a body unread, the response
    /// announces the end of the connection and ends it.
    pub(super) fn after(&self, mut response: Response<Body>) -> Response<Body> {
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            self.0.upgraded.store(true, Ordering::Relaxed);
            return response;
        }
        let refused = status.is_client_error() || status.is_server_error();
        if refused && self.0.rest.load(Ordering::Relaxed) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Body::new(Guarded::new(body, End(self.clone()))))
    }
}

/// A connection that fails with `TimedOut` if a head takes too long, or if its client reads nothing of an answer for too long. The
/// time of the first head starts at once. If it is shut down in the middle of a request, it lingers. It counts as a connection for as long as it is open, also as a WebSocket.
pub(super) struct HeadBound<S> {
    stream: S,
    _place: ConnectionPlace,
    expecting: Expecting,
    timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    stall: Duration,
    /// Set while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    linger: linger::Patience,
    lingering: Option<Linger>,
    closing: CancellationToken,
}

impl<S> HeadBound<S> {
    pub(super) fn new(
        stream: S,
        place: ConnectionPlace,
        patience: Patience,
        closing: CancellationToken,
    ) -> (Self, Expecting) {
        let expecting = Expecting(Arc::new(Next {
            head: AtomicBool::new(true),
            rest: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
        }));
        let bound = HeadBound {
            stream,
            _place: place,
            expecting: expecting.clone(),
            timeout: patience.head,
            deadline: Some(Box::pin(sleep(patience.head))),
            stall: patience.stall,
            stalled: None,
            linger: patience.linger,
            lingering: None,
            closing,
        };
        (bound, expecting)
    }
}

impl<S> HeadBound<S> {
    /// Returns the result of a write, or an error if the client has read nothing for too long.
    fn in_time(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() || self.expecting.0.upgraded.load(Ordering::Relaxed) {
            self.stalled = None;
            return written;
        }
        let stall = self.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadBound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let expecting = self.expecting.0.head.load(Ordering::Relaxed);
        if !expecting {
            self.deadline = None;
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if expecting && buf.filled().len() > before {
            self.expecting.0.rest.store(true, Ordering::Relaxed);
            if self.deadline.is_none() {
                self.deadline = Some(Box::pin(sleep(self.timeout)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadBound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.in_time(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.in_time(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.expecting.0.rest.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this.lingering.get_or_insert_with(|| Linger::begin(this.linger, this.closing.clone()));
        lingering.poll(&mut this.stream, cx).map(Ok)
    }
}

/// A request's body that reports its end.
struct Asked {
    body: Incoming,
    expecting: Expecting,
}

impl hyper::body::Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.expecting.0.rest.store(false, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reports the end of a response's body when it is dropped.
struct End(Expecting);

impl Drop for End {
    fn drop(&mut self) {
        self.0.0.head.store(true, Ordering::Relaxed);
    }
}
