//! Sessions on an engine and a store: the server without the HTTP API. The binary adds the API, and `tests/model` drives the server
//! on an engine in memory.

use std::sync::Arc;

use engine::Engine;
use gateway::Gateway;
use observe::metrics::Metrics;
use observe::redact::Redactor;
use observe::telemetry::Telemetry;
use sandbox::capacity::Capacity;
use sandbox::{Instance, Links, SandboxHost, SandboxSettings, WarmPool, WarmSettings};
use sessions::maintenance;
use sessions::registry::{Registry, RegistryError};
use sessions::repository::Repositories;
use sessions::session::{Feed, SessionContext, SessionSettings};
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everything that a server is built from.
pub struct Parts {
    pub store: Store,
    pub engine: Arc<dyn Engine>,
    pub links: Links,
    pub gateway: Gateway,
    pub instance: Instance,
    pub capacity: Capacity,
    pub sandbox: SandboxSettings,
    pub warm: WarmSettings,
    pub sessions: SessionSettings,
    /// `None`: the server has no credential for a forge.
    pub repositories: Option<Repositories>,
    pub redactor: Arc<Redactor>,
    pub metrics: Metrics,
    pub telemetry: Telemetry,
    pub lifetime: Lifetime,
}

/// The stages of a server's shutdown, and the work that must be finished by then.
#[derive(Clone, Default)]
pub struct Lifetime {
    /// Every spawned task, so that the end can wait for it.
    pub tracker: TaskTracker,
    /// Cancelled when no more tasks may start. Waiting tasks start after the next start of the server.
    pub draining: CancellationToken,
    /// Cancelled when sessions must end.
    pub shutdown: CancellationToken,
}

/// A running server.
pub struct Server {
    pub registry: Registry,
    pub context: Arc<SessionContext>,
    pub lifetime: Lifetime,
}

impl Server {
    /// Builds the parts, takes over the sandboxes of an earlier server, and starts the background work. An error means that the store
    /// could not be read, and that no work was started.
    pub async fn build(parts: Parts) -> Result<Server, RegistryError> {
        let Lifetime { tracker, draining, shutdown } = parts.lifetime.clone();
        let sandboxes =
            SandboxHost::new(parts.engine, parts.links, parts.gateway, parts.instance, parts.sandbox, tracker.clone());
        let sandboxes = Arc::new(sandboxes);
        let (warm, keep_warm) = WarmPool::new(
            parts.warm,
            Arc::clone(&sandboxes),
            parts.capacity.clone(),
            tracker.clone(),
            draining.clone(),
        );
        let context = Arc::new(SessionContext {
            store: parts.store,
            sandboxes,
            capacity: parts.capacity,
            warm,
            redactor: parts.redactor,
            feed: Feed::default(),
            metrics: parts.metrics,
            telemetry: parts.telemetry,
            repositories: parts.repositories,
            settings: parts.sessions,
            tracker: tracker.clone(),
            draining,
            shutdown,
        });
        let registry = Registry::new(Arc::clone(&context));
        registry.restore().await?;
        // This must be the last step: launching a sandbox removes those that no known session has.
        let (sandboxes, ends) = (Arc::clone(&context.sandboxes), context.shutdown.clone());
        tracker.spawn(async move { sandboxes.follow_images(ends).await });
        tracker.spawn(keep_warm);
        tracker.spawn(maintenance::run(registry.clone()));
        tracker.spawn(maintenance::index(registry.clone()));
        Ok(Server { registry, context, lifetime: parts.lifetime })
    }
}
