//! Connections to outside hosts: dialled, counted, ended when nothing passes any more.

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

use super::activity::Pulse;

/// A connection to an outside host. What passes is counted for it and for its sandbox.
pub(super) struct Outside {
    stream: TcpStream,
    own: Arc<Pulse>,
    sandbox: Arc<Pulse>,
}

impl Outside {
    /// Connects to the first of `addresses` that answers in `timeout`.
    pub(super) async fn dial(addresses: &[SocketAddr], timeout: Duration, sandbox: &Arc<Pulse>) -> io::Result<Outside> {
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Small writes pass as they come; a failure to say so costs speed only.
                    let _ = stream.set_nodelay(true);
                    return Ok(Outside { stream, own: Arc::new(Pulse::new()), sandbox: Arc::clone(sandbox) });
                }
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }

    /// Returns when nothing has passed for `limit`.
    pub(super) fn idle(&self, limit: Duration) -> impl Future<Output = ()> + Send + 'static {
        let own = Arc::clone(&self.own);
        async move {
            while let Some(rest) = limit.checked_sub(own.last().elapsed()).filter(|rest| !rest.is_zero()) {
                tokio::time::sleep(rest).await;
            }
        }
    }
}

impl AsyncRead for Outside {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let bytes = buf.filled().len() - before;
        self.own.received(bytes);
        self.sandbox.received(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Outside {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.own.sent(bytes);
        self.sandbox.sent(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A CONNECT request that was answered with 200: from here on bytes pass as they are.
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) outside: Outside,
    pub(super) idle_timeout: Duration,
}

impl Tunnel {
    /// Ends when both sides have closed, either broke, or nothing passed for the idle timeout.
    pub(super) async fn run(mut self) {
        let Ok(client) = self.client.await else { return };
        let idle = self.outside.idle(self.idle_timeout);
        let mut client = TokioIo::new(client);
        tokio::select! {
            ended = copy_bidirectional(&mut client, &mut self.outside) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a tunnel broke");
                }
            }
            () = idle => tracing::debug!("a tunnel was idle for too long"),
        }
    }
}
