//! The HTTP API: routes, access, streams and the dashboard's files. A handler checks the request, calls the registry,
//! the store or the sandboxes, and answers with a type of `api-types`.
//!
//! | module | contains |
//! |---|---|
//! | `listen` | connections: places, trusted proxies, time limits, graceful end |
//! | `perimeter` | the checks of Host, Origin and the form of the body, before anything else; security headers |
//! | `audit` | the request id, and one line of the audit log per request |
//! | `authorize`, [`access`] | the caller of a request; keys, scopes, prefixes, rate limits, tickets, shares |
//! | `task`, `submission` | `/task`, `/tasks`; the body of `POST /task` |
//! | `ask` | `/asks`, `/ask/{id}`: asks and the answers to them |
//! | `session`, `ticket` | `/sessions`, `/session/{id}`; tickets for streams |
//! | `stream`, `events`, `logs`, `watch` | the live routes: WebSocket, server-sent events, lines of JSON |
//! | `files` | `/session/{id}/files` |
//! | `agents`, `sandboxes`, `usage`, `webhook` | the routes of these names |
//! | `health`, `metrics` | `/health` and `/ready`; `/metrics` |
//! | `openapi`, `docs`, `dashboard`, `embedded` | the documents and pages in the binary |
//! | `error` | [`ApiError`], and its response |
//! | `body`, `extract`, `fields`, `paging`, `view`, `guarded` | shared: reading a request, pages of a list, records as callers see them, bodies that hold a share |
//! | [`settings`] | the values of the API's settings |
//!
//! [`router`] lists all routes and their layers. The outermost layer is `audit`, so that every refusal has a request id
//! and a line in the audit log.
//!
//! Invariants:
//! - `error` is the only place that makes an error response.
//! - Host and Origin are checked before the key, and the key before the body is read.
//! - A caller whose key has a prefix gets the same answer for another's session as for one that does not exist.
//! - Only this crate handles HTTP statuses, axum and WebSocket frames of callers.
//! - A key, and an address without one, has a share of everything that is bounded, so that one caller cannot take all.
//! - A handler that streams reads from the store or the feed. It never makes a session's worker wait.

pub mod access;
mod agents;
mod ask;
mod asks;
mod audit;
mod authorize;
mod body;
mod dashboard;
mod docs;
mod embedded;
mod error;
mod events;
mod extract;
mod fields;
mod files;
mod guarded;
mod health;
mod listen;
mod logs;
mod metrics;
mod models;
mod openapi;
mod paging;
mod perimeter;
mod sandboxes;
mod session;
pub mod settings;
mod shared_check;
mod stream;
mod submission;
mod task;
mod ticket;
mod unread;
mod usage;
mod view;
mod watch;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{MethodRouter, get, post, put};
use forge::GitHub;
use gateway::{Gateway, PriceFeed};
use observe::metrics::Metrics;
use sandbox::capacity::Capacity;
use sandbox::{SandboxHost, WarmPool};
use sessions::registry::Registry;
use sessions::session::Feed;
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::option_layer;

use crate::settings::OriginList;
use submission::TaskDefaults;

pub use authorize::Guard;
pub use error::ApiError;
pub use health::ReadyChecks;
pub use listen::serve;
pub use perimeter::Perimeter;
pub use submission::TaskDefaults as Defaults;
pub use view::show_task;
pub use webhook::WebhookRules;

/// The bound on a request's body. No model reads a longer message.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The parts that the handlers use, each cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub registry: Registry,
    pub store: Store,
    pub sandboxes: Arc<SandboxHost>,
    pub gateway: Gateway,
    pub capacity: Capacity,
    pub warm: WarmPool,
    pub feed: Feed,
    /// `None`: the server has no credential for a forge.
    pub github: Option<GitHub>,
    /// AGENT_DIR, read again for each request that concerns an agent.
    pub agent_dir: PathBuf,
    pub defaults: Arc<TaskDefaults>,
    pub guard: Arc<Guard>,
    pub cors_origins: OriginList,
    pub perimeter: Arc<Perimeter>,
    /// Streams run here. They outlive the request that opened them.
    pub streams: TaskTracker,
    /// A client that reads nothing for this long is disconnected.
    pub subscriber_timeout: Duration,
    pub metrics: Metrics,
    pub ready: ReadyChecks,
    pub webhooks: Arc<WebhookRules>,
    /// `None`: MODEL_PRICES_URL is not set.
    pub price_feed: Option<Arc<PriceFeed>>,
    /// Cancelled when the server accepts no new task any more.
    pub draining: CancellationToken,
    /// Cancelled when streams have to end.
    pub shutdown: CancellationToken,
}

impl Api {
    /// Returns true when the server accepts no more tasks.
    fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    let cors = authorize::cors(&api.cors_origins);
    let admit = from_fn_with_state(api.clone(), authorize::admit);
    let source = from_fn_with_state(Arc::clone(&api.perimeter), perimeter::check_source);
    let counted = api.metrics.clone();
    // Requests without parameters, and requests without a body.
    let plain = |route: MethodRouter<Api>| route.route_layer(from_fn(unread::refuse_parameters));
    let empty = |route: MethodRouter<Api>| route.route_layer(from_fn(unread::refuse_body));
    Router::new()
        .route("/task", plain(post(task::submit)))
        .route("/task/{id}", plain(get(task::show)))
        .route("/task/{id}/logs", get(logs::logs))
        .route("/task/{id}/abort", empty(post(task::abort)))
        .route("/task/{id}/retry", plain(empty(post(task::retry))))
        .route("/tasks", get(task::list))
        .route("/asks", get(ask::list))
        .route("/ask/{id}", plain(empty(get(ask::show))))
        .route("/ask/{id}/answer", plain(post(ask::answer)))
        .route("/sessions", get(session::list))
        .route("/session/{id}", plain(empty(get(session::show).delete(session::delete))))
        .route("/session/{id}/reset", plain(empty(post(session::reset))))
        .route("/session/{id}/ticket", plain(post(ticket::issue)))
        .route("/session/{id}/credential", plain(put(session::set_credential).delete(session::delete_credential)))
        .route("/session/{id}/events", get(events::events))
        .route("/session/{id}/files", get(files::root))
        .route("/session/{id}/files/{*path}", get(files::path))
        .route("/stream/{id}", get(stream::open))
        .route("/agents", plain(get(agents::list)))
        .route("/models", plain(get(models::list)))
        .route("/models/refresh", plain(empty(post(models::refresh))))
        .route("/sandboxes", plain(get(sandboxes::sandboxes)))
        .route("/watch", plain(get(watch::watch)))
        .route("/usage", get(usage::usage))
        .route("/webhooks", get(webhook::list))
        .route("/webhooks/{id}/replay", plain(empty(post(webhook::replay))))
        .route("/metrics", get(metrics::expose))
        .route("/health", get(health::health).options(health::options))
        .route("/ready", get(health::ready).options(health::options))
        .route("/openapi.json", get(openapi::describe))
        .route("/asyncapi.json", get(openapi::describe_events))
        .route("/docs", get(docs::page))
        .route("/docs/{file}", get(docs::file))
        .route("/", get(dashboard::page).options(health::options))
        .route("/assets/{file}", get(dashboard::asset))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(admit)
        .layer(from_fn(perimeter::check_body))
        .layer(option_layer(cors))
        .layer(source)
        .layer(from_fn_with_state(counted, metrics::count))
        .layer(map_response(perimeter::secure))
        .layer(from_fn(audit::record))
        .with_state(api)
}
