//! Connections to outside hosts: they are dialled, counted, and closed when idle.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::net::TcpStream;

use super::activity::ActivityTracker;
use super::sandbox::SandboxGateway;
use super::settings::Bounds;
use super::task_quota::TaskQuota;

/// A connection to an outside host. Its traffic counts for the connection and for the task's quota.
pub(super) struct Outside {
    stream: TcpStream,
    own: Arc<ActivityTracker>,
    sandbox: Arc<ActivityTracker>,
    task_quota: Arc<TaskQuota>,
}

impl Outside {
    /// Connects to the first of `addresses` that answers in `timeout`.
    pub(super) async fn dial(
        addresses: &[SocketAddr],
        timeout: Duration,
        sandbox: &SandboxGateway,
    ) -> io::Result<Outside> {
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Nagle's algorithm would delay small writes. A failure only costs speed.
                    let _ = stream.set_nodelay(true);
                    return Ok(Outside {
                        stream,
                        own: Arc::new(ActivityTracker::new()),
                        sandbox: Arc::clone(&sandbox.activity_tracker),
                        task_quota: Arc::clone(&sandbox.task_quota),
                    });
                }
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }

    /// Returns when the connection has been idle for the idle timeout or has reached its maximum life.
    pub(super) fn over(&self, bounds: &Bounds) -> impl Future<Output = ()> + Send + 'static {
        let own = Arc::clone(&self.own);
        let (limit, lifetime) = (bounds.idle_timeout, bounds.outside_lifetime);
        let idle = async move {
            while let Some(rest) = limit.checked_sub(own.last().elapsed()).filter(|rest| !rest.is_zero()) {
                tokio::time::sleep(rest).await;
            }
        };
        async move {
            let _ = tokio::time::timeout(lifetime, idle).await;
        }
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        if bytes == 0 || self.task_quota.take_bytes(bytes) {
            return Ok(());
        }
        Err(io::Error::other("the task has exchanged all the bytes that it may (EGRESS_MAX_BYTES)"))
    }
}

impl AsyncRead for Outside {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let bytes = buf.filled().len() - before;
        self.own.received(bytes);
        self.sandbox.received(bytes);
        Poll::Ready(self.take(bytes))
    }
}

impl AsyncWrite for Outside {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.own.sent(bytes);
        self.sandbox.sent(bytes);
        Poll::Ready(self.take(bytes).map(|()| bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A CONNECT request that was answered with 200: from here on bytes pass unchanged.
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) outside: Outside,
    pub(super) bounds: Bounds,
}

impl Tunnel {
    /// Ends when both sides have closed, when either broke, or when the connection is [`Outside::over`].
    pub(super) async fn run(mut self) {
        let Ok(client) = self.client.await else { return };
        let over = self.outside.over(&self.bounds);
        let mut client = TokioIo::new(client);
        tokio::select! {
            ended = copy_bidirectional(&mut client, &mut self.outside) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a tunnel broke");
                }
            }
            () = over => tracing::debug!("a tunnel was idle or open for too long"),
        }
    }
}
