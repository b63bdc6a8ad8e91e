//! The sandbox that the previous coordinator left.

use domain::agent::AgentName;
use domain::repository::Checkout;
use domain::session::{SandboxRecord, SessionKey};
use domain::task::TaskId;
use domain::usage::Cost;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Launched, NotLaunched, prepare};
use crate::repository::Lease;
use crate::session::context::SessionContext;
use crate::session::durable::DurableState;
use crate::session::tasks::Tasks;

pub(crate) struct Found {
    session: SessionKey,
    agent: AgentName,
    sandbox: SandboxRecord,
    works_in: WorksIn,
    checkout: Option<Checkout>,
    /// The task that was running.
    task: Option<TaskId>,
}

/// The place where a session's agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WorksIn {
    Workspace,
    Repository,
}

impl Found {
    /// `None`: the session's record has no sandbox.
    pub(crate) fn new(durable: &DurableState, tasks: &Tasks) -> Option<Self> {
        Some(Found {
            session: durable.key(),
            agent: durable.agent(),
            sandbox: durable.sandbox()?.clone(),
            works_in: if durable.repository().is_some() { WorksIn::Repository } else { WorksIn::Workspace },
            checkout: durable.checkout().cloned(),
            task: tasks.running().map(|running| running.record.id.clone()),
        })
    }

    /// The right to work on the session's branch.
    pub(super) fn lease(&self, context: &SessionContext) -> Option<Lease> {
        context.repositories.as_ref()?.try_lease(self.checkout.as_ref()?)
    }

    pub(super) async fn reattach(
        self,
        context: &SessionContext,
        cancel: CancellationToken,
    ) -> Result<Launched, NotLaunched> {
        // The cost is read before the agent can spend more.
        let spent = self.spent(context).await;
        let template = match self.works_in {
            WorksIn::Workspace => context.template(&self.agent).await.map_err(NotLaunched::Template)?,
            WorksIn::Repository => prepare::worker_template(context).await?,
        };
        let access = self.checkout.as_ref().and_then(|checkout| Some(context.repositories.as_ref()?.access(checkout)));
        let sandbox = context.sandboxes.reattach(self.session, self.sandbox, access, cancel).await?;
        Ok(Launched { sandbox, template, transcript_lost: false, spent, slot: None, lease: None })
    }

    /// The ledger's figure is more exact than the one that is stored with the agent's last output.
    async fn spent(&self, context: &SessionContext) -> Option<Cost> {
        let task = self.task.as_ref()?;
        let balance = context.sandboxes.gateway().budgets().of_task(task).await;
        let balance =
            balance.inspect_err(|error| warn!(task.id = %task, %error, "could not read what a task has cost"));
        balance.ok().map(|balance| balance.spent)
    }
}
