//! A launch: a warm sandbox, or a new one as soon as a slot is free. It runs beside the worker.

use std::sync::Arc;
use std::time::Duration;

use agent_template::{AgentTemplate, TemplateError};
use domain::budget::Spent;
use domain::task::Failure;
use domain::usage::Cost;
use failpoint::failpoint;
use observe::telemetry::{Preparing, SandboxStart};
use sandbox::capacity::Slot;
use sandbox::{Assignment, LaunchError, LaunchOrder, Sandbox, Warm};
use store::StoreError;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Reserved, Wanted, failure_of, prepare};
use crate::repository::Lease;
use crate::session::context::SessionContext;
use crate::session::report::Report;

/// The time that a task waits for an engine that does not answer.
const ENGINE_PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two attempts at an engine that does not answer.
const ENGINE_RETRY: Duration = Duration::from_millis(500);

pub(crate) struct Launch {
    pub(super) context: Arc<SessionContext>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) wanted: Wanted,
    pub(super) cancel: CancellationToken,
}

/// A sandbox whose agent waits for messages, with the rights that were acquired for it.
pub(crate) struct Launched {
    pub(super) sandbox: Sandbox,
    pub(super) template: Arc<AgentTemplate>,
    /// A conversation was to be resumed, but its transcript is lost.
    pub(super) transcript_lost: bool,
    /// The cost of the task that was running, if the sandbox was reattached.
    pub(super) spent: Option<Cost>,
    pub(super) slot: Option<Slot>,
    pub(super) lease: Option<Lease>,
}

pub(crate) enum NotLaunched {
    Template(TemplateError),
    Sandbox(LaunchError),
    /// No slot became free in this time.
    NoRoom(Duration),
    /// A budget is used up.
    Spent(Spent),
    Store(StoreError),
    /// The repository could not be prepared.
    Failed(Failure),
}

impl NotLaunched {
    pub(super) fn cancelled() -> Self {
        NotLaunched::Sandbox(LaunchError::Cancelled)
    }
}

impl From<LaunchError> for NotLaunched {
    fn from(error: LaunchError) -> Self {
        NotLaunched::Sandbox(error)
    }
}

impl From<Failure> for NotLaunched {
    fn from(failure: Failure) -> Self {
        NotLaunched::Failed(failure)
    }
}

impl Launch {
    pub(super) async fn run(&self, reserved: Reserved) -> Result<Launched, NotLaunched> {
        // The budget is checked before the launch waits for a slot that the task cannot pay for.
        let refused = self.check_budget().await.err();
        match (reserved, refused) {
            (Reserved::Warm(warm), Some(refused)) => {
                warm.discard(&self.context.sandboxes).await;
                Err(refused)
            }
            (Reserved::Slot(_) | Reserved::Nothing, Some(refused)) => Err(refused),
            (Reserved::Warm(warm), None) => self.use_warm(*warm).await,
            (Reserved::Slot(slot), None) => self.start(slot).await,
            (Reserved::Nothing, None) => {
                let slot = self.wait_for_slot().await?;
                // Other tasks may have used up the budget in the meantime.
                self.check_budget().await?;
                self.start(slot).await
            }
        }
    }

    /// A task whose budget cannot pay its first request needs no sandbox.
    async fn check_budget(&self) -> Result<(), NotLaunched> {
        let Some(payer) = &self.wanted.payer else { return Ok(()) };
        match self.context.sandboxes.gateway().budgets().spent(payer).await {
            Ok(None) => Ok(()),
            Ok(Some(spent)) => Err(NotLaunched::Spent(spent)),
            Err(error) => Err(NotLaunched::Store(error)),
        }
    }

    /// Gives a warm sandbox to the session. One that is out of date is replaced.
    async fn use_warm(&self, warm: Warm) -> Result<Launched, NotLaunched> {
        let preparing = Preparing::begin(&self.wanted.trace, SandboxStart::Warm);
        let sandboxes = &self.context.sandboxes;
        let (template, image) = tokio::join!(self.context.template(&self.wanted.agent), sandboxes.image_id());
        let current = template.as_ref().is_ok_and(|template| warm.is_current(template, image.as_deref()));
        let Warm { session, sandbox, template, slot, .. } = warm;
        if current && (sandbox.asks || !self.wanted.asks) {
            failpoint!("warm.given");
            preparing.ended(None);
            // A new session has no conversation to resume.
            return Ok(self.launched(sandbox, template, slot, None));
        }
        info!(sandbox.name = %sandbox.name, "a warm sandbox was out of date, or its agent does not ask");
        // The workspace is replaced too, because it may have files that the template no longer has.
        sandboxes.replace(session, sandbox).await.map_err(LaunchError::from)?;
        self.start(slot).await
    }

    /// Waits in the line of all sessions.
    async fn wait_for_slot(&self) -> Result<Slot, NotLaunched> {
        let patience = self.context.settings.capacity_timeout;
        let payer = self.wanted.payer.as_ref().and_then(|payer| payer.key.clone());
        let claim = self.context.capacity.claim(payer, async |ahead, shortage| {
            let _ = self.reports.send(Report::Waits { ahead, shortage }).await;
        });
        let slot = self.unless_cancelled(timeout(patience, claim)).await?;
        slot.map_err(|_| NotLaunched::NoRoom(patience))
    }

    async fn start(&self, slot: Slot) -> Result<Launched, NotLaunched> {
        let start = if self.wanted.resume.is_some() { SandboxStart::Resume } else { SandboxStart::Cold };
        let preparing = Preparing::begin(&self.wanted.trace, start);
        let launched = Box::pin(self.start_untraced(slot)).await;
        preparing.ended(launched.as_ref().err().map(|error| failure_of(error).error_type));
        launched
    }

    async fn start_untraced(&self, slot: Slot) -> Result<Launched, NotLaunched> {
        if let Some(repository) = &self.wanted.repository {
            return Box::pin(prepare::prepare(self, repository, slot)).await;
        }
        let template = self.context.template(&self.wanted.agent).await.map_err(NotLaunched::Template)?;
        let order = self.wanted.order(Arc::clone(&template), Assignment::Workspace);
        let sandbox = self.launch_when_possible(order).await?;
        Ok(self.launched(sandbox, template, slot, None))
    }

    pub(super) fn launched(
        &self,
        sandbox: Sandbox,
        template: Arc<AgentTemplate>,
        slot: Slot,
        lease: Option<Lease>,
    ) -> Launched {
        let transcript_lost = self.wanted.resume.is_some() && !sandbox.resumed;
        Launched { sandbox, template, transcript_lost, spent: None, slot: Some(slot), lease }
    }

    /// Waits, within a bound, for an engine that is restarting, and for a free file descriptor.
    async fn launch_when_possible(&self, order: LaunchOrder) -> Result<Sandbox, NotLaunched> {
        let give_up = Instant::now() + ENGINE_PATIENCE;
        loop {
            match self.context.sandboxes.launch(order.clone(), self.cancel.clone()).await {
                Err(error) if error.may_pass() && Instant::now() < give_up => {}
                outcome => return Ok(outcome?),
            }
            self.unless_cancelled(tokio::time::sleep(ENGINE_RETRY)).await?;
        }
    }

    pub(super) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, NotLaunched> {
        self.cancel.run_until_cancelled(work).await.ok_or_else(NotLaunched::cancelled)
    }
}
