//! The routes whose requests hold something for long, and the share of it that one caller may hold.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::share::{Exhausted, Holder, Pool, Share};
use crate::guarded::Guarded;
use crate::{ApiError, MAX_BODY_BYTES};

/// The time for which a list waits for an earlier one of the same caller.
const LIST_WAIT: Duration = Duration::from_secs(1);

/// One pool for each resource that requests hold while they run.
pub struct Shares {
    /// Readers of `GET /watch`. The feed bounds their number.
    watchers: Pool,
    /// Readers of a session's events or a task's log, by WebSocket or HTTP.
    subscribers: Pool,
    /// Readers of workspaces. Each has a container, and the sandbox host bounds their number.
    files: Pool,
    /// Lists, searches and sums. The store reads eight at once.
    lists: Pool,
    /// Requests to routes that need no key.
    open: Pool,
    /// Bytes of bodies that are being received.
    bodies: Pool,
}

/// Returns a request's share when it is dropped, which may be after the handler's end. An extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct HeldShare {
    _share: Arc<Share>,
}

/// The room for a request's body. An extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct BodyShare {
    pool: Pool,
    holder: Holder,
}

/// The resource of a route.
struct Held<'a> {
    pool: &'a Pool,
    /// The time for which a request waits if there is no room.
    wait: Duration,
    refuse: fn(Exhausted) -> ApiError,
}

impl Default for Shares {
    fn default() -> Self {
        Shares {
            watchers: Pool::of_shares(64),
            subscribers: Pool::new(12_288, 4_096),
            files: Pool::of_shares(8),
            lists: Pool::new(32, 6),
            open: Pool::new(256, 32),
            bodies: Pool::new(16 * MAX_BODY_BYTES, 8 * MAX_BODY_BYTES),
        }
    }
}

impl Shares {
    /// Runs a request. Its share is held until the answer is read to the end.
    pub(crate) async fn hold(
        &self,
        holder: Holder,
        route: Option<&str>,
        is_open: bool,
        mut request: Request,
        next: Next,
    ) -> Result<Response, ApiError> {
        request.extensions_mut().insert(BodyShare { pool: self.bodies.clone(), holder: holder.clone() });
        let Some(held) = self.held(route, is_open) else { return Ok(next.run(request).await) };
        let share = held.pool.take_within(&holder, 1, held.wait).await.map_err(held.refuse)?;
        let share = HeldShare { _share: Arc::new(share) };
        request.extensions_mut().insert(share.clone());
        let response = next.run(request).await;
        Ok(response.map(|body| Body::new(Guarded::new(body, share))))
    }

    /// Returns `None` if requests to this route hold no resource for long.
    fn held(&self, route: Option<&str>, is_open: bool) -> Option<Held<'_>> {
        let held = |pool, refuse| Some(Held { pool, wait: Duration::ZERO, refuse });
        match route? {
            "/watch" => held(&self.watchers, |exhausted| ApiError::exhausted("readers of GET /watch", exhausted)),
            "/stream/{id}" | "/session/{id}/events" | "/task/{id}/logs" => {
                held(&self.subscribers, |exhausted| ApiError::exhausted("readers of events and logs", exhausted))
            }
            "/session/{id}/files" | "/session/{id}/files/{*path}" => {
                held(&self.files, |exhausted| ApiError::exhausted("readers of files", exhausted))
            }
            "/tasks" | "/sessions" | "/webhooks" | "/usage" => {
                Some(Held { pool: &self.lists, wait: LIST_WAIT, refuse: |_| ApiError::lists_busy() })
            }
            _ if is_open => held(&self.open, |exhausted| ApiError::exhausted("requests without a key", exhausted)),
            _ => None,
        }
    }
}

impl BodyShare {
    /// Reserves room for a body of this length. `None`: the length is not known yet.
    pub(crate) fn reserve(&self, length: Option<u64>) -> Result<Share, ApiError> {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(MAX_BODY_BYTES);
        self.pool.take(&self.holder, length.min(MAX_BODY_BYTES)).map_err(ApiError::too_many_bodies)
    }
}
