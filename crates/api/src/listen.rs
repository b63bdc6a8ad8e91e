//! Connections: how many, how long each may take to ask, and their end.

mod head;
mod linger;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::perimeter::LocalAddress;
use head::HeadBound;

/// Subscribers included, of which a thousand on one session are ordinary. Whoever comes then waits in the kernel's
/// queue.
const MAX_CONNECTIONS: usize = 16_384;

/// The time limits of a connection.
#[derive(Clone, Copy)]
struct Patience {
    /// From the first byte of a request to its last header; of the first request, from the connection's begin.
    head: Duration,
    /// Between two requests.
    idle: Duration,
    /// After the last answer.
    linger: linger::Patience,
}

/// Reverse proxies keep connections for a minute, and must be the ones that close them.
const PATIENCE: Patience =
    Patience { head: Duration::from_secs(10), idle: Duration::from_secs(90), linger: linger::PATIENCE };

/// Request line and headers together; more than that is answered with 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Browsers send about twenty.
const MAX_HEADERS: usize = 100;

/// The wait when the process has no file descriptor left: until a connection ends, accepting fails at once.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves until `closing`. Connections run on `tracker`; at the end each may finish the request that it is at.
pub async fn serve(listener: TcpListener, router: Router, closing: CancellationToken, tracker: TaskTracker) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, peer) = listener.accept().await?;
            Ok::<_, io::Error>((stream, permit, peer))
        };
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, place, peer)) => {
                // Events are small and must be sent at once. This fails only on a closed connection.
                let _ = stream.set_nodelay(true);
                let ends = (Some(peer), stream.local_addr().ok());
                let (router, closing) = (router.clone(), closing.clone());
                tracker.spawn(async move { connection(stream, place, ends, router, PATIENCE, closing).await });
            }
            // The peer's own doing, and over.
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<S>(
    stream: S,
    place: OwnedSemaphorePermit,
    (peer, local): (Option<SocketAddr>, Option<SocketAddr>),
    router: Router,
    patience: Patience,
    closing: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, expecting) = HeadBound::new(stream, place, patience, closing.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let expecting = expecting.clone();
        let mut request = request.map(|body| expecting.body_after(body));
        peer.map(|peer| request.extensions_mut().insert(ConnectInfo(peer)));
        local.map(|local| request.extensions_mut().insert(LocalAddress(local)));
        let router = router.clone();
        async move {
            let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            Ok::<_, Infallible>(expecting.after(response))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // It begins when the request before has been answered, so it is the one for idle connections.
        .header_read_timeout(patience.idle)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended");
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
