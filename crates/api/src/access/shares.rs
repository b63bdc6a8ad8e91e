//! The routes whose requests hold something for long, and the share of it that one caller may hold.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::Method;

use super::share::{Exhausted, Holder, Pool, Share};
use super::turns::{Turn, Turns};
use crate::guarded::Guarded;
use crate::{ApiError, MAX_BODY_BYTES};

/// The time for which a list waits for an earlier one of the same caller.
const LIST_WAIT: Duration = Duration::from_secs(1);
/// The time for which a request waits for earlier ones of the same caller. Callers that ask for hundreds of tasks at once wait for
/// milliseconds; longer only where answers are not read.
const TURN_WAIT: Duration = Duration::from_secs(5);
/// The most that the values of a small body take beside its text: a value of `metadata` has 72 bytes.
const VALUE_BYTES: usize = 36;
/// The most that the values of any body take, which is reached by the largest `metadata`.
const MAX_VALUE_BYTES: usize = VALUE_BYTES * 16 * 1024;
/// The room that a body may need.
const MAX_ROOM: usize = MAX_BODY_BYTES + MAX_VALUE_BYTES;

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
    /// Records of tasks and sessions, and answers of tasks. Each may have megabytes until its caller has read it.
    records: Turns,
    /// Pages that were read from the store for subscribers, each about a mebibyte at most.
    pages: Turns,
    /// All other requests with a key.
    others: Turns,
    /// Requests to routes that need no key.
    open: Pool,
    /// Bytes of bodies that are being received, and of the values in them.
    bodies: Pool,
}

/// Returns a request's share when it is dropped, which may be after the handler's end. An extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct HeldShare {
    _grant: Arc<Grant>,
}

/// The part of a resource that a request has.
#[derive(Debug)]
enum Grant {
    Share(#[expect(dead_code, reason = "dropping it returns it")] Share),
    Turn(#[expect(dead_code, reason = "dropping it returns it")] Turn),
}

/// The resources that a handler takes for its caller while it works. An extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct CallerShares {
    holder: Holder,
    bodies: Pool,
    records: Turns,
    pages: Turns,
}

/// The resource of a route.
struct Held<'a> {
    resource: Resource<'a>,
    /// The time for which a request waits if there is no room.
    wait: Duration,
    refuse: fn(Exhausted) -> ApiError,
}

enum Resource<'a> {
    Pool(&'a Pool),
    Turns(&'a Turns),
}

impl Default for Shares {
    fn default() -> Self {
        Shares {
            watchers: Pool::of_shares(64),
            subscribers: Pool::new(12_288, 4_096),
            files: Pool::of_shares(8),
            lists: Pool::new(32, 6),
            open: Pool::new(256, 32),
            records: Turns::new(8),
            pages: Turns::new(64),
            others: Turns::new(256),
            bodies: Pool::new(16 * MAX_ROOM, 8 * MAX_ROOM),
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
        request.extensions_mut().insert(CallerShares {
            holder: holder.clone(),
            bodies: self.bodies.clone(),
            records: self.records.clone(),
            pages: self.pages.clone(),
        });
        let Some(held) = self.held(request.method(), route, is_open) else { return Ok(next.run(request).await) };
        let grant = match held.resource {
            Resource::Pool(pool) => pool.take_within(&holder, 1, held.wait).await.map(Grant::Share),
            Resource::Turns(turns) => turns.take_within(&holder, held.wait).await.map(Grant::Turn),
        };
        let share = HeldShare { _grant: Arc::new(grant.map_err(held.refuse)?) };
        request.extensions_mut().insert(share.clone());
        let response = next.run(request).await;
        Ok(response.map(|body| Body::new(Guarded::new(body, share))))
    }

    /// Returns `None` for `POST /task`, whose caller may wait for hours and takes a turn for the answer, and where there is no route.
    fn held(&self, method: &Method, route: Option<&str>, is_open: bool) -> Option<Held<'_>> {
        let held = |pool, refuse| Some(Held { resource: Resource::Pool(pool), wait: Duration::ZERO, refuse });
        let turn = |turns, refuse| Some(Held { resource: Resource::Turns(turns), wait: TURN_WAIT, refuse });
        match route? {
            "/watch" => held(&self.watchers, |exhausted| ApiError::exhausted("readers of GET /watch", exhausted)),
            "/stream/{id}" | "/session/{id}/events" | "/task/{id}/logs" => {
                held(&self.subscribers, |exhausted| ApiError::exhausted("readers of events and logs", exhausted))
            }
            "/session/{id}/files" | "/session/{id}/files/{*path}" => {
                held(&self.files, |exhausted| ApiError::exhausted("readers of files", exhausted))
            }
            "/tasks" | "/sessions" | "/webhooks" | "/webhooks/{id}/replay" | "/usage" => {
                let resource = Resource::Pool(&self.lists);
                Some(Held { resource, wait: LIST_WAIT, refuse: |_| ApiError::lists_busy() })
            }
            "/task" => None,
            "/task/{id}" | "/session/{id}" | "/agents" | "/sandboxes" | "/models" | "/metrics"
                if method == Method::GET || method == Method::HEAD =>
            {
                turn(&self.records, |exhausted| ApiError::exhausted("answers that are not read", exhausted))
            }
            _ if is_open => held(&self.open, |exhausted| ApiError::exhausted("requests without a key", exhausted)),
            _ => turn(&self.others, |exhausted| ApiError::exhausted("requests", exhausted)),
        }
    }
}

impl CallerShares {
    /// Reserves room for a body of this length. `None`: the length is not known yet.
    pub(crate) fn reserve(&self, length: Option<u64>) -> Result<Share, ApiError> {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(MAX_BODY_BYTES);
        let length = length.min(MAX_BODY_BYTES);
        let values = length.saturating_mul(VALUE_BYTES).min(MAX_VALUE_BYTES);
        self.bodies.take(&self.holder, length + values).map_err(ApiError::too_many_bodies)
    }

    /// Takes a turn for an answer. `None`: other answers are not read yet.
    pub(crate) async fn answer_now(&self) -> Option<Turn> {
        self.records.take_within(&self.holder, Duration::ZERO).await.ok()
    }

    /// Waits for a turn for an answer.
    pub(crate) async fn answer(&self) -> Turn {
        self.records.take(&self.holder, 1).await
    }

    /// Waits for a turn to read a page of so many mebibytes from the store. It is held until the page is read.
    pub(crate) async fn page(&self, mebibytes: u32) -> Turn {
        self.pages.take(&self.holder, mebibytes).await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use http::Method;

    use super::{Grant, Holder, Resource, Shares};

    fn holder(address: &str) -> Holder {
        Holder::Address(address.parse().unwrap())
    }

    /// Takes one at once, if the holder has not used up its share.
    fn take(resource: &Resource<'_>, holder: &Holder) -> Option<Grant> {
        match resource {
            Resource::Pool(pool) => pool.take(holder, 1).ok().map(Grant::Share),
            Resource::Turns(turns) => turns.take(holder, 1).now_or_never().map(Grant::Turn),
        }
    }

    #[test]
    fn one_caller_has_so_much_of_each_route_and_leaves_the_rest() {
        let (get, delete) = (Method::GET, Method::DELETE);
        for (method, route, is_open, share) in [
            (&get, "/watch", false, 64),
            (&get, "/stream/{id}", false, 4_096),
            (&get, "/session/{id}/events", false, 4_096),
            (&get, "/task/{id}/logs", false, 4_096),
            (&get, "/session/{id}/files", false, 8),
            (&get, "/session/{id}/files/{*path}", false, 8),
            (&get, "/tasks", false, 6),
            (&get, "/sessions", false, 6),
            (&get, "/webhooks", false, 6),
            (&Method::POST, "/webhooks/{id}/replay", false, 6),
            (&get, "/usage", false, 6),
            (&get, "/task/{id}", false, 8),
            (&Method::HEAD, "/task/{id}", false, 8),
            (&get, "/session/{id}", false, 8),
            (&get, "/metrics", false, 8),
            (&delete, "/session/{id}", false, 256),
            (&Method::POST, "/task/{id}/abort", false, 256),
            (&get, "/a/route/of/a/later/version", false, 256),
            (&get, "/ready", true, 32),
            (&get, "/docs/{file}", true, 32),
        ] {
            let shares = Shares::default();
            let held = shares.held(method, Some(route), is_open).unwrap().resource;
            let (one, other) = (holder("192.0.2.1"), holder("192.0.2.2"));
            let taken: Vec<Grant> = std::iter::from_fn(|| take(&held, &one)).take(10_000).collect();
            assert_eq!(taken.len(), share, "{method} {route}");
            assert!(take(&held, &other).is_some(), "{method} {route}: nothing is left for others");
            drop(taken);
            assert!(take(&held, &one).is_some(), "{method} {route}: it was not returned");
        }
        assert!(Shares::default().held(&Method::POST, Some("/task"), false).is_none(), "callers wait for hours");
    }
}
