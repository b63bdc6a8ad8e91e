//! The parts that all sessions share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_template::{AgentTemplate, Agents, TemplateError};
use domain::agent::AgentName;
use domain::ask::{AskRecord, Remembered};
use domain::task::TaskRecord;
use jiff::Timestamp;
use observe::metrics::Metrics;
use observe::redact::Redactor;
use observe::telemetry::{TaskTrace, Telemetry};
use sandbox::capacity::Capacity;
use sandbox::{SandboxHost, WarmPool};
use store::{Store, StoreError, UnfinishedTask};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::Feed;
use super::durable::DurableState;
use super::tasks::FirstOutput;
use crate::repository::Repositories;

#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// The number of tasks that may wait in one session.
    pub max_queue: usize,
    pub idle_timeout: Duration,
    pub stall_timeout: Duration,
    pub agent_dir: PathBuf,
    /// The coordinator leaves its sandboxes to the next one when it ends.
    pub hand_off: bool,
    /// The time that a task waits for a slot for its sandbox.
    pub capacity_timeout: Duration,
    /// The time that a volume without a session is kept.
    pub orphan_volume_grace: Duration,
    /// The model of an agent that starts before its task.
    pub model: String,
}

pub struct SessionContext {
    pub store: Store,
    pub sandboxes: Arc<SandboxHost>,
    pub capacity: Capacity,
    pub warm: WarmPool,
    pub redactor: Arc<Redactor>,
    /// Receives the changes of sessions and tasks.
    pub feed: Feed,
    pub metrics: Metrics,
    pub telemetry: Telemetry,
    /// `None`: the server has no credential for a forge.
    pub repositories: Option<Repositories>,
    pub settings: SessionSettings,
    pub tracker: TaskTracker,
    /// Cancelled when no more tasks may start: queued tasks wait for the next start.
    pub draining: CancellationToken,
    /// Cancelled when all workers have to end.
    pub shutdown: CancellationToken,
}

impl SessionContext {
    /// Reads the template each time, so that a change of it needs no restart.
    pub async fn template(&self, agent: &AgentName) -> Result<Arc<AgentTemplate>, TemplateError> {
        AgentTemplate::read(self.settings.agent_dir.clone(), Some(agent.clone())).await.map(Arc::new)
    }

    /// The trace that a task of this agent is recorded in.
    pub(crate) fn trace(&self, record: &TaskRecord, agent: &AgentName) -> TaskTrace {
        self.telemetry.trace(record, agent)
    }

    /// Reads the charges of the previous coordinator's tasks into the ledger.
    pub(crate) async fn load_balances(&self, unfinished: &[UnfinishedTask]) {
        for UnfinishedTask { record, .. } in unfinished {
            if let Err(error) = self.sandboxes.gateway().budgets().of_task(&record.id).await {
                warn!(task.id = %record.id, %error, "could not read what a task has cost");
            }
        }
    }

    /// Reads the asks that the previous coordinator left open, and the decisions that the session remembers. If they cannot be read,
    /// the agent asks again.
    pub(crate) async fn load_asks(&self, durable: &DurableState) -> (Vec<AskRecord>, Vec<Remembered>) {
        if durable.record().is_none() {
            return Default::default();
        }
        let key = durable.key();
        let (open, remembered) = tokio::join!(self.store.open_asks(key), self.store.remembered_decisions(key));
        let unread =
            |error: &StoreError| warn!(session.id = %durable.id(), %error, "could not read the session's asks");
        let open = open.inspect_err(unread).unwrap_or_default();
        (open, remembered.inspect_err(unread).unwrap_or_default())
    }

    /// Counts a task whose first attempt starts.
    pub(crate) fn count_begun(&self, record: &TaskRecord, trace: &TaskTrace) {
        let now = Timestamp::now();
        self.metrics.task_began(record.kind(), between(record.created, now));
        trace.queued(record, now);
    }

    /// Counts a task whose agent produced its first output.
    pub(crate) fn count_first_output(&self, output: &FirstOutput) {
        self.metrics.first_output(output.kind, between(output.submitted, Timestamp::now()));
    }

    /// Counts a task that ended.
    pub(crate) fn count_ended(&self, record: &TaskRecord, agent: &AgentName) {
        let failure = record.failure.as_ref().map(|failure| failure.error_type);
        let took = record.started.zip(record.finished).map(|(started, finished)| between(started, finished));
        self.metrics.task_ended(record.kind(), failure, took);
        self.trace(record, agent).ended(record);
    }

    /// The agents that AGENT_DIR has now.
    pub async fn agents(&self) -> Result<Agents, TemplateError> {
        Agents::read(self.settings.agent_dir.clone()).await
    }
}

/// The time between two moments of the wall clock, which may have been set back.
fn between(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}
