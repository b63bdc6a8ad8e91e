//! Warm sandboxes: started, filled and initialised before anybody asks, so that a new session begins at once.
//!
//! A warm sandbox has volumes of its own under a session key that no session has yet. The session that takes it takes the
//! key too, so nothing is renamed. None is written down: after a crash they are leftovers, and swept like others.

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

/// New sessions that ask at the same moment; who comes then waits a few microseconds longer.
const CLAIMS: usize = 64;

#[derive(Clone, Debug)]
pub struct WarmSettings {
    /// How many are kept ready. 0: none is started ahead of its task.
    pub count: usize,
    /// That its agent is started with where its template names none. A session may set another one.
    pub model: String,
    pub agent_dir: PathBuf,
}

/// A sandbox that no session has.
pub struct Warm {
    /// Names its volumes.
    pub session: SessionKey,
    pub sandbox: Sandbox,
    /// What its workspace holds and its agent was told.
    pub template: Arc<AgentTemplate>,
    /// The image that it was made from, where the engine said.
    pub image: Option<String>,
    pub slot: Slot,
}

/// Somebody asks for a warm sandbox of this agent.
struct Claim {
    agent: AgentName,
    reply: oneshot::Sender<Option<Box<Warm>>>,
}

/// Keeps warm sandboxes of the default agent ready. Cheap to clone.
#[derive(Clone)]
pub struct WarmPool {
    claims: mpsc::Sender<Claim>,
    ready: watch::Receiver<usize>,
    count: usize,
}

impl WarmPool {
    /// The pool, and what keeps it full: runs until `draining`, which no sandbox of it outlives.
    pub fn new(
        settings: WarmSettings,
        host: Arc<SandboxHost>,
        capacity: Capacity,
        tracker: TaskTracker,
        draining: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (claims, inbox) = mpsc::channel(CLAIMS);
        let (tell, ready) = watch::channel(0);
        let count = settings.count;
        let keep = async move {
            if count > 0 {
                worker::run(settings, host, capacity, inbox, tell, draining, tracker).await;
            }
        };
        (WarmPool { claims, ready, count }, keep)
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        *self.ready.borrow()
    }

    /// Whether sandboxes are started ahead of their tasks at all.
    pub fn is_on(&self) -> bool {
        self.count > 0
    }

    /// A warm sandbox of that agent, if there is one. It is the caller's from here on.
    pub async fn take(&self, agent: &AgentName) -> Option<Box<Warm>> {
        if self.ready() == 0 {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.claims.send(Claim { agent: agent.clone(), reply }).await.ok()?;
        answer.await.ok().flatten()
    }
}

impl Warm {
    /// Whether a cold start would make the same now. An image of which nothing is known is taken for unchanged.
    pub fn is_current(&self, template: &AgentTemplate, image: Option<&str>) -> bool {
        self.template.is_same(template)
            && match (self.image.as_deref(), image) {
                (Some(then), Some(now)) => then == now,
                (None, _) | (_, None) => true,
            }
    }

    /// Removes it with its volumes. What cannot be removed is left to the sweep.
    pub async fn discard(self, host: &SandboxHost) {
        let Warm { session, sandbox, slot, .. } = self;
        remove(host, session, sandbox).await;
        drop(slot);
    }
}

async fn remove(host: &SandboxHost, session: SessionKey, sandbox: Sandbox) {
    if let Err(error) = host.replace(session, sandbox).await {
        warn!(session.key = %session, %error, "could not remove a warm sandbox");
    }
    host.disown(session);
}

impl SandboxHost {
    /// Volumes under this key are no leftovers, though no session has it yet.
    pub fn own(&self, session: SessionKey) {
        self.unclaimed.insert(session);
    }

    /// The session is written down, or there will be none of this key.
    pub fn disown(&self, session: SessionKey) {
        self.unclaimed.remove(&session);
    }

    pub fn owns(&self, session: SessionKey) -> bool {
        self.unclaimed.contains(&session)
    }

    /// Removes a sandbox with its volumes, so that another can be made for the same session.
    pub async fn replace(&self, session: SessionKey, sandbox: Sandbox) -> Result<(), EngineError> {
        let name = sandbox.name.clone();
        drop(sandbox);
        self.take_down(&name).await?;
        self.remove_volumes(session).await
    }

    /// The id of the image that a sandbox would be made from now; `None` where the engine does not say so soon.
    pub async fn image_id(&self) -> Option<String> {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
        let image = tokio::time::timeout(PATIENCE, self.engine.image(&self.settings.image)).await;
        Some(image.ok()?.ok()??.id)
    }
}
