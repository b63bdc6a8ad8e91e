//! Warm sandboxes are launched and initialised in advance, so that a new session starts at once.
//!
//! A warm sandbox has volumes under a session key that no session has yet. The session that takes it also takes the key, so nothing
//! is renamed. Warm sandboxes are not stored: after a crash they are orphans and are removed. A mark below RUNTIME_DIR records that
//! no session had the volumes, so they are removed without a grace period. No backup and no copy of a data directory contains a
//! mark, so an old store cannot mistake a session's volumes for those of a warm sandbox.

mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use agent_template::AgentTemplate;
use domain::agent::AgentName;
use domain::session::SessionKey;
use engine::EngineError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::capacity::{Capacity, Slot};
use super::{Sandbox, SandboxHost};

/// Number of requests that wait for the worker, which takes a few microseconds for each.
const TAKE_REQUESTS: usize = 64;

/// The parameters of the pool.
#[derive(Clone, Debug)]
pub struct WarmSettings {
    /// The number of sandboxes to keep ready. With 0, none is launched in advance.
    pub count: usize,
    /// The model of an agent whose template names none. A session may set another one.
    pub model: String,
    pub agent_dir: PathBuf,
}

/// A sandbox that no session has yet.
pub struct Warm {
    /// The session key that names its volumes.
    pub session: SessionKey,
    pub sandbox: Sandbox,
    /// The template of its workspace and its agent.
    pub template: Arc<AgentTemplate>,
    /// The image that it was created from. `None` if the engine did not report it.
    pub image: Option<String>,
    pub slot: Slot,
}

/// A request for a warm sandbox of this agent.
struct TakeRequest {
    agent: AgentName,
    reply: oneshot::Sender<Option<Box<Warm>>>,
}

/// Keeps warm sandboxes of the default agent ready. It is cheap to clone.
#[derive(Clone)]
pub struct WarmPool {
    requests: mpsc::Sender<TakeRequest>,
    ready: watch::Receiver<usize>,
    count: usize,
}

impl WarmPool {
    /// Returns the pool and the future that fills it. The future runs until `draining` and then removes all its
    /// sandboxes.
    pub fn new(
        settings: WarmSettings,
        host: Arc<SandboxHost>,
        capacity: Capacity,
        tracker: TaskTracker,
        draining: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, receiver) = mpsc::channel(TAKE_REQUESTS);
        let (ready_sender, ready) = watch::channel(0);
        let count = settings.count;
        let keep = async move {
            if count > 0 {
                worker::run(settings, host, capacity, receiver, ready_sender, draining, tracker).await;
            }
        };
        (WarmPool { requests, ready, count }, keep)
    }

    /// The number of ready sandboxes.
    pub fn ready(&self) -> usize {
        *self.ready.borrow()
    }

    /// True if sandboxes are launched in advance.
    pub fn is_on(&self) -> bool {
        self.count > 0
    }

    /// Takes a warm sandbox of that agent, if there is one. The caller owns it from then on.
    pub async fn take(&self, agent: &AgentName) -> Option<Box<Warm>> {
        if self.ready() == 0 {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.requests.send(TakeRequest { agent: agent.clone(), reply }).await.ok()?;
        answer.await.ok().flatten()
    }
}

impl Warm {
    /// True if a cold start would create the same sandbox now. An unknown image counts as unchanged.
    pub fn is_current(&self, template: &AgentTemplate, image: Option<&str>) -> bool {
        self.template.is_same(template)
            && match (self.image.as_deref(), image) {
                (Some(then), Some(now)) => then == now,
                (None, _) | (_, None) => true,
            }
    }

    /// Removes the sandbox with its volumes. The cleanup of orphans removes the rest if that fails.
    pub async fn discard(self, host: &SandboxHost) {
        let Warm { session, sandbox, slot, .. } = self;
        remove(host, session, sandbox).await;
        drop(slot);
    }
}

async fn remove(host: &SandboxHost, session: SessionKey, sandbox: Sandbox) {
    match host.replace(session, sandbox).await {
        Ok(()) => host.disown(session),
        Err(error) => {
            warn!(session.key = %session, %error, "could not remove a warm sandbox");
            host.abandon(session);
        }
    }
}

impl SandboxHost {
    /// Protects volumes of this key from the cleanup of orphans, although no session has the key yet.
    pub fn own(&self, session: SessionKey) {
        self.unclaimed.insert(session);
        if let Err(error) = self.links.mark(&session.to_string()) {
            warn!(session.key = %session, %error, "could not mark a warm sandbox; after a crash its volumes have their grace");
        }
    }

    /// Forgets the volumes of an earlier coordinator's warm sandbox, which were removed.
    pub fn forget_warm(&self, session: SessionKey) {
        if let Err(error) = self.links.remove_mark(&session.to_string()) {
            warn!(session.key = %session, %error, "could not remove the mark of a warm sandbox");
        }
    }

    /// Ends the protection: a session with the key is stored, or there will be none.
    pub fn disown(&self, session: SessionKey) {
        // The mark must be removed before the session works in the volumes.
        self.forget_warm(session);
        self.unclaimed.remove(&session);
    }

    /// Ends the protection of volumes that could not be removed. The mark stays, so that the cleanup of orphans removes them
    /// without a grace.
    pub(super) fn abandon(&self, session: SessionKey) {
        self.unclaimed.remove(&session);
    }

    /// True if volumes of this key are protected by [`SandboxHost::own`].
    pub fn owns(&self, session: SessionKey) -> bool {
        self.unclaimed.contains(&session)
    }

    /// Removes a sandbox with its volumes, so that another can be launched for the same session.
    pub async fn replace(&self, session: SessionKey, sandbox: Sandbox) -> Result<(), EngineError> {
        let name = sandbox.name.clone();
        drop(sandbox);
        self.take_down(&name).await?;
        self.remove_volumes(session).await
    }

    /// The id of the image that a new sandbox would use. `None` if the engine does not answer quickly.
    pub async fn image_id(&self) -> Option<String> {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
        let image = tokio::time::timeout(PATIENCE, self.engine.image(&self.settings.image)).await;
        Some(image.ok()?.ok()??.id)
    }
}
