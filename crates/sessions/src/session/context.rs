//! What all sessions share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_template::{AgentTemplate, Agents, TemplateError};
use domain::agent::AgentName;
use observe::metrics::Metrics;
use observe::redact::Redactor;
use observe::telemetry::Telemetry;
use sandbox::capacity::Capacity;
use sandbox::{SandboxHost, WarmPool};
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Feed;
use crate::repository::Repositories;

#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Tasks that may wait in one session.
    pub max_queue: usize,
    pub idle_timeout: Duration,
    pub stall_timeout: Duration,
    pub agent_dir: PathBuf,
    /// At the end of the coordinator sandboxes are left to the next one.
    pub hand_off: bool,
    /// How long a task waits for room for its sandbox.
    pub capacity_timeout: Duration,
    /// That an agent is started with where no task says.
    pub model: String,
}

pub struct SessionContext {
    pub store: Store,
    pub sandboxes: Arc<SandboxHost>,
    pub capacity: Capacity,
    pub warm: WarmPool,
    pub redactor: Arc<Redactor>,
    /// Told of what changes in sessions and tasks.
    pub feed: Feed,
    pub metrics: Metrics,
    pub telemetry: Telemetry,
    /// `None`: the server has no credential for a forge.
    pub repositories: Option<Repositories>,
    pub settings: SessionSettings,
    pub tracker: TaskTracker,
    /// Cancelled when no task is to begin any more: those that wait do so until the next start.
    pub draining: CancellationToken,
    /// Cancelled when sessions have to end.
    pub shutdown: CancellationToken,
}

impl SessionContext {
    /// Reads the template anew, so that a change of it needs no restart.
    pub async fn template(&self, agent: &AgentName) -> Result<Arc<AgentTemplate>, TemplateError> {
        AgentTemplate::read(self.settings.agent_dir.clone(), Some(agent.clone())).await.map(Arc::new)
    }

    /// The agents that there are now.
    pub async fn agents(&self) -> Result<Agents, TemplateError> {
        Agents::read(self.settings.agent_dir.clone()).await
    }
}
