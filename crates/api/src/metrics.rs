//! `GET /metrics`, and the count of requests that it shows.

use axum::Extension;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use forge::GitHub;
use http::header::CONTENT_TYPE;
use observe::metrics::{self, Metrics, Standing};

use super::session::prefix;
use super::{Api, ApiError};
use crate::access::Caller;

/// Needs a key of any scope without a prefix, because the numbers concern all sessions.
pub(super) async fn expose(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Result<Response, ApiError> {
    if let Some(prefix) = prefix(&caller) {
        return Err(ApiError::not_for_a_prefix(prefix));
    }
    let (capacity, (running_tasks, queued_tasks)) = (api.capacity.counts(), api.registry.load());
    let mut sandboxes = api.registry.states();
    sandboxes.push(("warm", api.warm.ready()));
    let github = api.github.as_ref().and_then(GitHub::rate_limit);
    let standing = Standing {
        sandboxes,
        max_sandboxes: capacity.max,
        waiting_sessions: capacity.waiting,
        running_tasks,
        queued_tasks,
        pending_webhooks: api.store.pending_webhooks().await?,
        github: github.map(|limit| (limit.remaining, limit.limit)),
    };
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], api.metrics.expose(&standing)).into_response())
}

/// Counts every request, including those that the perimeter refuses.
pub(super) async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut counted = Counted { metrics, method: request.method().clone(), route, status: None };
    let response = next.run(request).await;
    counted.status = Some(response.status().as_u16());
    response
}

/// Counts a request on drop, even if its caller hangs up, which ends its handler.
struct Counted {
    metrics: Metrics,
    method: http::Method,
    route: Option<MatchedPath>,
    status: Option<u16>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.http_request(self.method.as_str(), self.route.as_ref().map(MatchedPath::as_str), self.status);
    }
}
