//! What all sessions share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::{AgentTemplate, TemplateError};
use crate::redact::Redactor;
use crate::sandbox::SandboxHost;
use crate::store::Store;

#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Tasks that may wait in one session.
    pub max_queue: usize,
    pub idle_timeout: Duration,
    pub stall_timeout: Duration,
    pub agent_dir: PathBuf,
    /// At the end of the coordinator sandboxes are left to the next one.
    pub hand_off: bool,
}

pub struct SessionContext {
    pub store: Store,
    pub sandboxes: Arc<SandboxHost>,
    pub redactor: Arc<Redactor>,
    pub settings: SessionSettings,
    pub tracker: TaskTracker,
    /// Cancelled when no task is to begin any more: those that wait do so until the next start.
    pub draining: CancellationToken,
    /// Cancelled when sessions have to end.
    pub shutdown: CancellationToken,
}

impl SessionContext {
    /// Reads the template anew, so that a change of it needs no restart.
    pub async fn template(&self) -> Result<Arc<AgentTemplate>, TemplateError> {
        let directory = self.settings.agent_dir.clone();
        let loading = tokio::task::spawn_blocking(move || AgentTemplate::load(&directory));
        match loading.await {
            Ok(template) => template.map(Arc::new),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and with it whoever waits here.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
