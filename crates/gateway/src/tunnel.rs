//! Connections to outside hosts: they are dialled, counted, and closed when idle.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use domain::egress::Via;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Method, Request};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use network_access::UpstreamProxy;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_util::either::Either;
use tracing::Instrument as _;

use super::activity::ActivityTracker;
use super::egress::{Route, Target};
use super::model_proxy::refusal;
use super::sandbox::SandboxGateway;
use super::settings::Bounds;
use super::task_quota::TaskQuota;

/// A connection to an outside host. Its traffic counts for the connection and for the task's quota.
pub(super) struct Outside {
    stream: Either<TcpStream, TokioIo<Upgraded>>,
    own: Arc<ActivityTracker>,
    sandbox: Arc<ActivityTracker>,
    task_quota: Arc<TaskQuota>,
}

impl Outside {
    /// Connects to `target`: to the first of its addresses that answers in `timeout`, or to the proxy. A request by plain http then still
    /// has to name its target to the proxy.
    pub(super) async fn dial(
        route: &Route,
        target: &Target,
        timeout: Duration,
        sandbox: &SandboxGateway,
    ) -> io::Result<Outside> {
        let stream = match route {
            Route::Direct(addresses) => Either::Left(first_of(addresses, timeout).await?),
            Route::Proxy(proxy) => {
                let opened = async {
                    Ok(match target.via {
                        Via::Plain => Either::Left(to_proxy(proxy).await?),
                        Via::Tunnel => Either::Right(through(proxy, target, sandbox).await?),
                    })
                };
                let opened = tokio::time::timeout(timeout, opened).await;
                opened.unwrap_or_else(|_| Err(of_proxy(proxy, "no answer in time")))?
            }
        };
        Ok(Outside {
            stream,
            own: Arc::new(ActivityTracker::new()),
            sandbox: Arc::clone(&sandbox.activity_tracker),
            task_quota: Arc::clone(&sandbox.task_quota),
        })
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

async fn first_of(addresses: &[SocketAddr], timeout: Duration) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Nagle's algorithm would delay small writes. A failure only costs speed.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}

async fn to_proxy(proxy: &UpstreamProxy) -> io::Result<TcpStream> {
    let connected = TcpStream::connect((proxy.host.as_str(), proxy.port)).await;
    let stream = connected.map_err(|error| of_proxy(proxy, &error.to_string()))?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Opens a tunnel to `target` through the proxy (RFC 9110, section 9.3.6).
async fn through(proxy: &UpstreamProxy, target: &Target, sandbox: &SandboxGateway) -> io::Result<TokioIo<Upgraded>> {
    let stream = to_proxy(proxy).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let closed = sandbox.closed.clone();
    let driver = async move {
        // Both ends of the connection show its end.
        let _ = closed.run_until_cancelled(connection.with_upgrades()).await;
    };
    sandbox.shared.tracker.spawn(driver.in_current_span());
    let authority = target.to_string();
    let mut request = Request::builder().method(Method::CONNECT).uri(&authority).header(HOST, &authority);
    if let Some(authorization) = &proxy.authorization {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(|error| of_proxy(proxy, &error.to_string()))?;
    match response.status() {
        status if status.is_success() => hyper::upgrade::on(response).await.map(TokioIo::new).map_err(io::Error::other),
        status => Err(io::Error::other(refusal(proxy, status, "HTTPS_PROXY"))),
    }
}

fn of_proxy(proxy: &UpstreamProxy, what: &str) -> io::Error {
    io::Error::other(format!("proxy {}:{}: {what}", proxy.host, proxy.port))
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
