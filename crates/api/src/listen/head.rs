//! The time for a head counts from its first byte. Between requests a connection may rest for longer: a reverse proxy keeps
//! its own for a minute, and a request that meets one which is just being closed is lost. hyper's one timer covers the rest.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

/// Whether what comes next on a connection is a head.
#[derive(Clone)]
pub(super) struct Expecting(Arc<AtomicBool>);

impl Expecting {
    /// The head of a request is complete.
    pub(super) fn request_came(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// The next head may come when this response has gone out; after an upgrade none does.
    pub(super) fn after(&self, response: Response<Body>) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        response.map(|body| Body::new(Answer { body, _end: End(self.clone()) }))
    }
}

/// A connection that fails with `TimedOut` where a head takes too long. The first one's time begins at once. It has its place
/// among all connections for as long as it is open, as a WebSocket too.
pub(super) struct HeadBound<S> {
    stream: S,
    _place: OwnedSemaphorePermit,
    expecting: Expecting,
    timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> HeadBound<S> {
    pub(super) fn new(stream: S, place: OwnedSemaphorePermit, timeout: Duration) -> (Self, Expecting) {
        let expecting = Expecting(Arc::new(AtomicBool::new(true)));
        let deadline = Some(Box::pin(sleep(timeout)));
        let bound = HeadBound { stream, _place: place, expecting: expecting.clone(), timeout, deadline };
        (bound, expecting)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadBound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let expecting = self.expecting.0.load(Ordering::Relaxed);
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
        if expecting && self.deadline.is_none() && buf.filled().len() > before {
            self.deadline = Some(Box::pin(sleep(self.timeout)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadBound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A response's body, whose end is told.
struct Answer {
    body: Body,
    _end: End,
}

struct End(Expecting);

impl Drop for End {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
