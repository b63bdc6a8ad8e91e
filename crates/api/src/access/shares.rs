//! The routes that hold something for long, and what of it one caller may hold.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::share::{Exhausted, Holder, Pool, Share};
use crate::guarded::Guarded;
use crate::{ApiError, MAX_BODY_BYTES};

/// Routes that read many rows.
const LISTS: [&str; 4] = ["/tasks", "/sessions", "/webhooks", "/usage"];
/// How long a list waits for an earlier one of the same caller.
const LIST_WAIT: Duration = Duration::from_secs(1);

/// One pool for each resource that requests hold while they run.
pub struct Shares {
    /// Readers of `GET /watch`.
    watchers: Pool,
    /// Subscribers of a session's events, by WebSocket or HTTP.
    subscribers: Pool,
    /// Readers of workspaces. Each has a container.
    files: Pool,
    /// Lists, searches and sums. The store reads eight at once.
    lists: Pool,
    /// Requests to routes that need no key.
    open: Pool,
    /// Bytes of bodies that are being received.
    bodies: Pool,
}

/// Keeps what a request holds, beyond its handler too. An extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct HeldShare {
    _share: Arc<Share>,
}

/// What a request's body may hold. An extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct BodyShare {
    pool: Pool,
    holder: Holder,
}

impl Default for Shares {
    fn default() -> Self {
        Shares {
            watchers: Pool::new(256, 64),
            subscribers: Pool::new(12_288, 4_096),
            files: Pool::new(32, 8),
            lists: Pool::new(32, 6),
            open: Pool::new(256, 32),
            bodies: Pool::new(16 * MAX_BODY_BYTES, 8 * MAX_BODY_BYTES),
        }
    }
}

impl Shares {
    /// Runs a request with what its route holds, until its answer is read to the end.
    pub(crate) async fn hold(
        &self,
        holder: Holder,
        route: Option<&str>,
        is_open: bool,
        mut request: Request,
        next: Next,
    ) -> Result<Response, ApiError> {
        request.extensions_mut().insert(BodyShare { pool: self.bodies.clone(), holder: holder.clone() });
        let share = if route.is_some_and(|route| LISTS.contains(&route)) {
            self.lists.take_within(&holder, 1, LIST_WAIT).await.map_err(|_| ApiError::lists_busy())?
        } else if let Some((pool, held)) = self.pool(route, is_open) {
            pool.take(&holder, 1).map_err(|exhausted| ApiError::exhausted(held, exhausted))?
        } else {
            return Ok(next.run(request).await);
        };
        let share = HeldShare { _share: Arc::new(share) };
        request.extensions_mut().insert(share.clone());
        let response = next.run(request).await;
        Ok(response.map(|body| Body::new(Guarded::new(body, share))))
    }

    /// The pool of a route, and the words for what it has.
    fn pool(&self, route: Option<&str>, is_open: bool) -> Option<(&Pool, &'static str)> {
        match route? {
            "/watch" => Some((&self.watchers, "readers of GET /watch")),
            "/stream/{id}" | "/session/{id}/events" => Some((&self.subscribers, "subscribers")),
            "/session/{id}/files" | "/session/{id}/files/{*path}" => Some((&self.files, "readers of files")),
            _ if is_open => Some((&self.open, "requests without a key")),
            _ => None,
        }
    }
}

impl BodyShare {
    /// Reserves room for a body of this length. `None`: the length is not known yet.
    pub(crate) fn reserve(&self, length: Option<u64>) -> Result<Share, ApiError> {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(MAX_BODY_BYTES);
        let reserved = self.pool.take(&self.holder, length.min(MAX_BODY_BYTES));
        reserved.map_err(|exhausted: Exhausted| ApiError::too_many_bodies(exhausted))
    }
}
