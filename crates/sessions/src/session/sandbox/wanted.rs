//! The sandbox that a session needs.

use std::sync::Arc;

use agent_template::AgentTemplate;
use domain::agent::AgentName;
use domain::budget::Payer;
use domain::repository::Checkout;
use domain::session::{SessionId, SessionKey};
use domain::task::{RepositoryRequest, TaskId};
use gateway::{AssignedTask, Assignee, SessionAccess};
use observe::telemetry::TaskTrace;
use sandbox::{Assignment, LaunchOrder};

use crate::session::context::SessionContext;
use crate::session::durable::DurableState;
use crate::session::environment;
use crate::session::payer;
use crate::session::tasks::Tasks;

pub(crate) struct Wanted {
    pub(super) session: SessionKey,
    pub(super) agent: AgentName,
    pub(super) model: String,
    /// The CLI's conversation to resume.
    pub(super) resume: Option<String>,
    /// No agent has worked in the workspace.
    pub(super) fresh_workspace: bool,
    /// The payer of the first task. `None`: no task waits yet.
    pub(super) payer: Option<Payer>,
    /// The trace of the first task.
    pub(super) trace: TaskTrace,
    /// The first task has rules for calls of tools.
    pub(super) asks: bool,
    /// Set if the session works in a repository.
    pub(super) repository: Option<WantedRepository>,
}

/// The repository that a session works in, as far as it is known.
pub(super) struct WantedRepository {
    pub(super) task: TaskId,
    pub(super) request: RepositoryRequest,
    pub(super) checkout: Option<Checkout>,
    pub(super) cloned: bool,
    pub(super) session: SessionId,
    pub(super) access: SessionAccess,
}

impl Wanted {
    /// The sandbox for the first task of the queue. Without one, the sandbox is for a task that is expected.
    pub(crate) fn new(context: &SessionContext, durable: &DurableState, tasks: &Tasks) -> Self {
        let first = tasks.first().map(|waiting| &waiting.record);
        let record = durable.record();
        let resume = durable.claude_session_id().map(str::to_owned);
        Wanted {
            session: durable.key(),
            agent: durable.agent(),
            model: first.map_or_else(|| context.settings.model.clone(), |task| task.request.model.clone()),
            fresh_workspace: resume.is_none() && record.is_none_or(|record| record.turns == 0),
            resume,
            payer: first.map(payer::of_task),
            asks: first.is_some_and(|task| task.request.asks.is_some()),
            trace: first.map(|task| context.trace(task, &durable.agent())).unwrap_or_default(),
            repository: WantedRepository::new(durable, tasks),
        }
    }

    pub(super) fn order(&self, template: Arc<AgentTemplate>, assignment: Assignment) -> LaunchOrder {
        LaunchOrder {
            session: self.session,
            asks: self.asks || template.settings.asks.is_some(),
            template,
            model: self.model.clone(),
            resume: self.resume.clone(),
            fresh_workspace: self.fresh_workspace,
            assignment,
        }
    }

    /// The assignee while the repository is prepared.
    pub(super) fn preparing(&self, repository: &WantedRepository) -> Assignee {
        Assignee {
            session: repository.session.clone(),
            access: repository.access.clone(),
            task: Some(AssignedTask {
                payer: self.payer.clone().unwrap_or_default(),
                trace: self.trace.before_agent(),
                model: Some(self.model.clone()),
            }),
        }
    }
}

impl WantedRepository {
    fn new(durable: &DurableState, tasks: &Tasks) -> Option<Self> {
        let session = durable.record()?;
        let repository = session.repository.as_ref()?;
        let record = &tasks.first()?.record;
        Some(WantedRepository {
            task: record.id.clone(),
            request: record.request.repository.clone().unwrap_or_default(),
            checkout: repository.checkout.clone(),
            cloned: repository.cloned,
            session: session.id.clone(),
            access: environment::access(&session.env, &[]),
        })
    }
}
