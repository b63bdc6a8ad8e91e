//! Who may call: API keys, and pages of other origins.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderName, Method};
use tower_http::cors::CorsLayer;

use super::ApiError;
use crate::access::Caller;
use crate::config::{ApiKeys, OriginList};

/// Paths that answer without a key: a load balancer has none.
const OPEN: [&str; 2] = ["/health", "/ready"];

/// With keys set, a request without a valid one gets nowhere, not even to learn which routes there are.
pub(super) async fn require_key(
    State(keys): State<Arc<ApiKeys>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    request.extensions_mut().insert(Caller::anyone());
    if keys.is_empty() || OPEN.contains(&request.uri().path()) {
        return Ok(next.run(request).await);
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let secret =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match secret {
        Some((_, secret)) if keys.contain(secret.trim()) => Ok(next.run(request).await),
        Some(_) | None => Err(ApiError::unauthorized()),
    }
}

/// Pages of these origins may call; of no other where the list is empty.
pub(super) fn cors(origins: &OriginList) -> CorsLayer {
    if origins.0.is_empty() {
        return CorsLayer::new();
    }
    CorsLayer::new()
        .allow_origin(origins.0.clone())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            http::header::AUTHORIZATION,
            http::header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("prefer"),
        ])
        .expose_headers([http::header::LINK, http::header::LOCATION, http::header::RETRY_AFTER])
        .max_age(std::time::Duration::from_mins(10))
}
