//! Connections: their number, their time limits, and their end.

mod head;
mod linger;
mod places;
mod proxy;
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
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::authorize::Guard;
use super::perimeter::LocalAddress;
use crate::settings::TrustedProxies;
use head::HeadBound;
pub(crate) use places::ConnectionPlace;
use places::Places;

/// The time limits of a connection.
#[derive(Clone, Copy)]
struct Patience {
    /// The time from a request's first byte to its last header. The first request's time starts with the connection.
    head: Duration,
    /// The time between two requests.
    idle: Duration,
    /// The time after the last answer.
    linger: linger::Patience,
    /// The time until a request must have shown a key, if keys are required.
    stranger: Duration,
    /// The time in which a client must read some of its answer. A WebSocket has a limit of its own.
    stall: Duration,
}

/// Reverse proxies keep connections for a minute, and must be the ones that close them.
const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(90),
    linger: linger::PATIENCE,
    stranger: places::STRANGER_TIMEOUT,
    stall: Duration::from_secs(30),
};

/// The maximum size of request line and headers together. A larger head gets 431. As much of a half-sent head, and of an answer
/// that is not read, may be in memory for each connection.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Browsers send about twenty.
const MAX_HEADERS: usize = 100;

/// The wait if the process has no file descriptor left: until a connection ends, accepting fails at once.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The time in which a stranger has to read its last answer.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until `closing`. Connections run on `tracker`; at the end each may finish the request that it is at. A client that reads
/// nothing of its answer for `stall` is disconnected.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    guard: Arc<Guard>,
    proxies: TrustedProxies,
    stall: Duration,
    closing: CancellationToken,
    tracker: TaskTracker,
) {
    let server = Server {
        router,
        needs_keys: Arc::new(move || guard.keys.anyone().is_none()),
        proxies: Arc::new(proxies),
        places: Places::new(),
        closing,
        patience: Patience { stall, ..PATIENCE },
    };
    let closing = server.closing.clone();
    loop {
        let accepted = async {
            let (stream, peer) = listener.accept().await?;
            let permit = server.places.room().await.ok_or(io::ErrorKind::Other)?;
            Ok::<_, io::Error>((stream, permit, peer))
        };
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, permit, peer)) => {
                // Events are small and must be sent at once. This fails only on a closed connection.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().ok();
                tracker.spawn(server.clone().connection(stream, permit, peer, local));
            }
            // The client caused the error, and the connection has ended.
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The parts and settings that all connections use.
#[derive(Clone)]
struct Server {
    router: Router,
    needs_keys: Arc<dyn Fn() -> bool + Send + Sync>,
    proxies: Arc<TrustedProxies>,
    places: Arc<Places>,
    closing: CancellationToken,
    patience: Patience,
}

impl Server {
    /// Determines the client of a connection and serves it.
    async fn connection(
        self,
        mut stream: TcpStream,
        permit: OwnedSemaphorePermit,
        peer: SocketAddr,
        local: Option<SocketAddr>,
    ) {
        if !self.proxies.contain(peer.ip()) {
            let Some(place) = self.places.enter(permit, peer.ip(), false) else { return };
            return self.requests(stream, place, peer, local).await;
        }
        let preface = timeout(self.patience.head, proxy::read_preface(&mut stream));
        let Some(Ok(Ok(preface))) = self.closing.run_until_cancelled(preface).await else {
            debug!(%peer, "a trusted proxy's connection began with a header of the PROXY protocol that is cut or wrong");
            return;
        };
        let is_proxy = preface.client.is_none_or(|client| self.proxies.contain(client.ip()));
        let peer = preface.client.unwrap_or(peer);
        let Some(place) = self.places.enter(permit, peer.ip(), is_proxy) else {
            warn!(%peer, "trusted proxies have more connections open than this server takes of them");
            return;
        };
        let (read, write) = stream.into_split();
        let stream = tokio::io::join(io::Cursor::new(preface.rest).chain(read), write);
        self.requests(stream, place, peer, local).await;
    }

    /// Serves a connection's requests.
    async fn requests<S>(self, stream: S, place: ConnectionPlace, peer: SocketAddr, local: Option<SocketAddr>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Server { router, needs_keys, proxies, closing, patience, .. } = self;
        let (stream, expecting) = HeadBound::new(stream, place.clone(), patience, closing.clone());
        let requests_place = place.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let expecting = expecting.clone();
            let mut request = request.map(|body| expecting.body_after(body));
            let client = match proxy::client(&proxies, peer.ip(), request.headers()) {
                client if client == peer.ip() => peer,
                client => (client, 0).into(),
            };
            request.extensions_mut().insert(ConnectInfo(client));
            request.extensions_mut().insert(requests_place.clone());
            local.map(|local| request.extensions_mut().insert(LocalAddress(local)));
            let router = router.clone();
            async move {
                let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                Ok::<_, Infallible>(expecting.after(response))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // This timer starts after the previous answer, so it is the limit for idle connections.
            .header_read_timeout(patience.idle)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = place.displaced() => return debug!(%peer, "a connection without a key makes room for another one"),
            () = overstays(&place, &*needs_keys, patience) => {
                connection.as_mut().graceful_shutdown();
                match timeout(LAST_ANSWER_TIMEOUT, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
            () = closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection ended");
        }
    }
}

/// Resolves when a connection is open for too long without a key where keys are required.
async fn overstays(place: &ConnectionPlace, needs_keys: &(dyn Fn() -> bool + Send + Sync), patience: Patience) {
    sleep(patience.stranger).await;
    if !place.is_stranger() || !needs_keys() {
        std::future::pending::<()>().await;
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
