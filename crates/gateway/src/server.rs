//! Serves HTTP/1.1 on the streams of a sandbox.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use domain::egress::{EgressChannel, EgressDecision, EgressRefusal};
use http::header::{HOST, RETRY_AFTER};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::answer::{Body, model_error};
use super::proxy::{self, TunnelSlot};
use super::sandbox::SandboxGateway;
use super::{git, model};

/// The gateway's own address in the container. A client that sends everything through its proxy requests it by URL.
const OWN_AUTHORITIES: [&str; 2] = ["127.0.0.1:8787", "localhost:8787"];

const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 86\r\n\r\n\
    {\"code\":\"too_many_connections\",\"error\":\"this sandbox has too many connections open\"}\n\n";

impl SandboxGateway {
    /// Serves one connection until it ends. Every line that it logs has the caller's tracing span.
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
            // This timeout starts at the end of the last answer, so it is also the idle timeout of a persistent connection.
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
        self.activity_tracker.touch();
        if let Err(wait) = self.task_quota.take_request(Instant::now()) {
            return too_many_requests(wait);
        }
        if request.method() == Method::CONNECT {
            return proxy::connect(&self, request, slot).await;
        }
        match request.uri().authority() {
            Some(authority) if !is_own(request.uri().scheme(), authority) => proxy::forward(&self, request).await,
            _ if !names_us(request.headers()) => {
                self.decided(
                    EgressChannel::Model,
                    request.uri().path(),
                    EgressDecision::Refused(EgressRefusal::OtherHost),
                );
                let message = "this is 127.0.0.1:8787, and the Host header names another; whole URLs go to the proxy";
                model_error(StatusCode::MISDIRECTED_REQUEST, "invalid_request_error", message)
            }
            _ if request.uri().path().starts_with(git::PREFIX) => git::answer(&self, request).await,
            _ => model::answer(&self, request).await,
        }
    }
}

fn is_own(scheme: Option<&Scheme>, authority: &Authority) -> bool {
    scheme == Some(&Scheme::HTTP) && OWN_AUTHORITIES.contains(&authority.as_str())
}

/// Returns true if there is no Host, or the gateway's own.
fn names_us(headers: &HeaderMap) -> bool {
    let hosts = headers.get_all(HOST);
    hosts.iter().count() <= 1 && hosts.iter().all(|host| OWN_AUTHORITIES.iter().any(|own| host == own))
}

fn too_many_requests(wait: Duration) -> Response<Body> {
    tracing::warn!("a sandbox exceeds its limit of requests");
    let message = "this sandbox has used its requests of this minute";
    let mut answer = model_error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    answer
}

async fn refuse<S: AsyncWrite + Unpin>(mut stream: S) {
    tracing::warn!("a sandbox has too many connections open");
    // A client that hung up needs no answer.
    let _ = stream.write_all(TOO_MANY_CONNECTIONS).await;
    let _ = stream.shutdown().await;
}
