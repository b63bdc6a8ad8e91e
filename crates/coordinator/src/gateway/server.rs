//! Serves the bytes that come out of a sandbox as HTTP/1.1.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use http::uri::{Authority, Scheme};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::answer::Body;
use super::git;
use super::model;
use super::proxy::{self, TunnelSlot};
use super::sandbox::SandboxGateway;

/// The gateway's own address in the container. A client that sends everything through its proxy asks for it by URL.
const OWN_AUTHORITIES: [&str; 2] = ["127.0.0.1:8787", "localhost:8787"];

const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 86\r\n\r\n\
    {\"code\":\"too_many_connections\",\"error\":\"this sandbox has too many connections open\"}\n\n";

impl SandboxGateway {
    /// Serves one connection until it ends. The caller's tracing span is on every line that it logs.
    pub async fn serve<S>(self: Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(_permit) = Arc::clone(&self.connections).try_acquire_owned() else {
            refuse(stream).await;
            return;
        };
        let closed = self.closed.clone();
        closed.run_until_cancelled(self.converse(stream)).await;
    }

    async fn converse<S>(self: Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let bounds = self.shared.bounds;
        let slot = Arc::new(TunnelSlot::default());
        let in_service = Arc::clone(&slot);
        let service = service_fn(move |request| {
            let (gateway, slot) = (Arc::clone(&self), Arc::clone(&in_service));
            async move { Ok::<_, Infallible>(gateway.answer(request, &slot).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // It runs from the end of the last answer, so it is the idle timeout of a connection that is kept too.
            .header_read_timeout(bounds.idle_timeout)
            .max_buf_size(bounds.header_bytes)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the gateway broke");
        }
        let tunnel = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tunnel) = tunnel {
            tunnel.run().await;
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, slot: &TunnelSlot) -> Response<Body> {
        self.pulse.touch();
        if request.method() == Method::CONNECT {
            return proxy::connect(&self, request, slot).await;
        }
        match request.uri().authority() {
            Some(authority) if !is_own(request.uri().scheme(), authority) => proxy::forward(&self, request).await,
            _ if request.uri().path().starts_with(git::PREFIX) => git::answer(&self, request).await,
            _ => model::answer(&self, request).await,
        }
    }
}

fn is_own(scheme: Option<&Scheme>, authority: &Authority) -> bool {
    scheme == Some(&Scheme::HTTP) && OWN_AUTHORITIES.contains(&authority.as_str())
}

async fn refuse<S: AsyncWrite + Unpin>(mut stream: S) {
    tracing::warn!("a sandbox has too many connections open");
    // A client that is gone meanwhile needs no answer.
    let _ = stream.write_all(TOO_MANY_CONNECTIONS).await;
    let _ = stream.shutdown().await;
}
