//! The session's sandbox comes to be: a warm one, or a new one as soon as there is room.

use std::sync::Arc;
use std::time::Duration;

use agent_template::{AgentTemplate, TemplateError};
use domain::agent::AgentName;
use domain::budget::{Payer, Spent};
use domain::event::{Event, QueuedReason};
use domain::session::SessionKey;
use domain::task::Failure;
use failpoint::failpoint;
use observe::telemetry::{Preparing, SandboxStart, TaskTrace};
use sandbox::capacity::{Shortage, Slot};
use sandbox::{Assignment, LaunchError, LaunchOrder, Sandbox, Warm};
use store::StoreError;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::prepare::{self, WantedRepository};
use super::repository::WorksIn;
use super::sandbox::failure_of;
use super::{Report, Worker};
use crate::repository::Lease;
use crate::session::context::SessionContext;
use crate::session::payer;
use crate::session::state::{Input, State};

/// How long a task waits for an engine that cannot be reached, and how often that is tried.
const ENGINE_PATIENCE: Duration = Duration::from_secs(30);
const ENGINE_RETRY: Duration = Duration::from_millis(500);

pub(crate) struct Launched {
    pub(super) sandbox: Sandbox,
    pub(super) template: Arc<AgentTemplate>,
    /// A conversation was to be resumed and its transcript is gone.
    pub(super) transcript_lost: bool,
    pub(super) slot: Option<Slot>,
    pub(super) lease: Option<Lease>,
}

pub(crate) enum NotLaunched {
    Template(TemplateError),
    Sandbox(LaunchError),
    /// There was no room for that long.
    NoRoom(Duration),
    /// There is no money for the task.
    Spent(Spent),
    Store(StoreError),
    /// The repository could not be prepared.
    Failed(Failure),
}

/// What a session knows of the sandbox that it wants.
pub(super) struct Wanted {
    pub(super) session: SessionKey,
    agent: AgentName,
    pub(super) model: String,
    pub(super) resume: Option<String>,
    pub(super) untouched: bool,
    /// Of the task that it is wanted for; `None` where no task waits yet.
    pub(super) payer: Option<Payer>,
    /// Of the same task.
    pub(super) trace: TaskTrace,
    /// There where the session works in a repository.
    pub(super) repository: Option<WantedRepository>,
}

/// Where it begins.
enum From {
    Warm(Box<Warm>),
    /// There is room already.
    Room(Slot),
    Nothing,
}

impl Worker {
    /// A warm sandbox for a session that begins now. The session takes its key, which it has to be written down with.
    pub(super) async fn take_warm(&mut self, agent: &AgentName) -> Option<Box<Warm>> {
        if self.state != State::Cold || self.context.draining.is_cancelled() {
            return None;
        }
        let warm = self.context.warm.take(agent).await;
        if self.context.warm.is_on() {
            self.context.metrics.warm_claimed(warm.is_some());
        }
        let warm = warm?;
        self.conversation.journal.rename(warm.session);
        failpoint!("warm.taken");
        Some(warm)
    }

    /// The session that a warm sandbox was taken for could not be written down.
    pub(super) fn discard_warm(&mut self, warm: Option<Box<Warm>>) {
        let Some(warm) = warm else { return };
        self.conversation.journal.rename(SessionKey::generate());
        let context = Arc::clone(&self.context);
        self.context.tracker.spawn(async move { warm.discard(&context.sandboxes).await });
    }

    /// Somebody looks at a session that rests: a task may follow. Nothing is started where that would take from others.
    pub(super) async fn prepare(&mut self) {
        let had_conversation =
            self.conversation.record.as_ref().is_some_and(|record| record.claude_session_id.is_some());
        let in_repository = self.works_in_repository() == WorksIn::Repository;
        let off = in_repository || !self.context.warm.is_on() || self.context.draining.is_cancelled();
        if off || !had_conversation || self.state != State::Cold {
            return;
        }
        self.slot = self.context.capacity.spare();
        if self.slot.is_some() {
            self.transition(Input::Expected).await;
        }
    }

    pub(super) fn start_sandbox(&mut self) {
        let record = self.conversation.record.as_ref();
        let resume = record.and_then(|record| record.claude_session_id.clone());
        let wanted = Wanted {
            session: self.conversation.journal.session(),
            // There is none but for a session that was written down.
            agent: record.map(|record| record.agent.clone()).unwrap_or_default(),
            model: self
                .queue
                .first()
                .map_or_else(|| self.context.settings.model.clone(), |waiting| waiting.record.request.model.clone()),
            untouched: resume.is_none() && record.is_none_or(|record| record.turns == 0),
            resume,
            payer: self.queue.first().map(|waiting| payer::of_task(&waiting.record)),
            trace: self.queue.first().map(|waiting| self.trace(&waiting.record)).unwrap_or_default(),
            repository: self.wanted_repository(),
        };
        let from = match (self.warm.take(), self.slot.take()) {
            (Some(warm), _) => From::Warm(warm),
            (None, Some(slot)) => From::Room(slot),
            (None, None) => From::Nothing,
        };
        let cancel = CancellationToken::new();
        self.launching = Some(cancel.clone());
        let (context, report) = (Arc::clone(&self.context), self.reports.0.clone());
        self.context.tracker.spawn(async move {
            let launched = Box::pin(obtain(&context, &report, wanted, from, &cancel)).await;
            let _ = report.send(Report::Launched(Box::new(launched))).await;
        });
    }

    /// The task that a sandbox is wanted for has to wait for it, and everyone is told so.
    pub(super) async fn on_waits(&mut self, ahead: usize, shortage: Shortage) {
        let Some(waiting) = self.queue.first() else { return };
        let reason = match shortage {
            Shortage::Sandboxes => QueuedReason::Capacity,
            Shortage::Memory => QueuedReason::Memory,
        };
        info!(session.id = %self.conversation.id, task.id = %waiting.record.id, ahead, "task waits for room for its sandbox");
        let event =
            Event::TaskQueued { session_id: self.conversation.id.clone(), position: ahead, reason: Some(reason) };
        let task = waiting.record.id.clone();
        self.conversation.journal.tell(&event, Some(&task));
        self.flush().await;
    }
}

async fn obtain(
    context: &SessionContext,
    report: &mpsc::Sender<Report>,
    wanted: Wanted,
    from: From,
    cancel: &CancellationToken,
) -> Result<Launched, NotLaunched> {
    // Before it stands in line for what it cannot pay.
    let refused = check_money(context, &wanted).await.err();
    match (from, refused) {
        (From::Warm(warm), Some(refused)) => {
            warm.discard(&context.sandboxes).await;
            Err(refused)
        }
        (From::Room(_) | From::Nothing, Some(refused)) => Err(refused),
        (From::Warm(warm), None) => assign(context, report, wanted, *warm, cancel).await,
        (From::Room(slot), None) => launch(context, report, wanted, slot, cancel).await,
        (From::Nothing, None) => {
            let slot = wait_for_room(context, report, cancel).await?;
            // Others may have spent it meanwhile.
            check_money(context, &wanted).await?;
            launch(context, report, wanted, slot, cancel).await
        }
    }
}

/// Without money for its first request a task needs no sandbox.
async fn check_money(context: &SessionContext, wanted: &Wanted) -> Result<(), NotLaunched> {
    let Some(payer) = &wanted.payer else { return Ok(()) };
    match context.sandboxes.gateway().budgets().spent(payer).await {
        Ok(None) => Ok(()),
        Ok(Some(spent)) => Err(NotLaunched::Spent(spent)),
        Err(error) => Err(NotLaunched::Store(error)),
    }
}

/// Gives a warm sandbox to the session. One that is out of date is replaced.
async fn assign(
    context: &SessionContext,
    report: &mpsc::Sender<Report>,
    wanted: Wanted,
    warm: Warm,
    cancel: &CancellationToken,
) -> Result<Launched, NotLaunched> {
    let preparing = Preparing::begin(&wanted.trace, SandboxStart::Warm);
    let (template, image) = tokio::join!(context.template(&wanted.agent), context.sandboxes.image_id());
    let current = template.as_ref().is_ok_and(|template| warm.is_current(template, image.as_deref()));
    let Warm { session, sandbox, template, slot, .. } = warm;
    if current {
        failpoint!("warm.given");
        preparing.ended(None);
        return Ok(Launched { sandbox, template, transcript_lost: false, slot: Some(slot), lease: None });
    }
    info!(sandbox.name = %sandbox.name, "a warm sandbox was out of date");
    // Its workspace too: a file that the template does not have any more must not be there.
    let removed = context.sandboxes.replace(session, sandbox).await;
    removed.map_err(|error| NotLaunched::Sandbox(error.into()))?;
    launch(context, report, wanted, slot, cancel).await
}

/// Waits in the line of all sessions.
async fn wait_for_room(
    context: &SessionContext,
    report: &mpsc::Sender<Report>,
    cancel: &CancellationToken,
) -> Result<Slot, NotLaunched> {
    let patience = context.settings.capacity_timeout;
    let claim = context.capacity.claim(async |ahead, shortage| {
        let _ = report.send(Report::Waits { ahead, shortage }).await;
    });
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(NotLaunched::Sandbox(LaunchError::Cancelled)),
        slot = timeout(patience, claim) => slot.map_err(|_| NotLaunched::NoRoom(patience)),
    }
}

async fn launch(
    context: &SessionContext,
    report: &mpsc::Sender<Report>,
    wanted: Wanted,
    slot: Slot,
    cancel: &CancellationToken,
) -> Result<Launched, NotLaunched> {
    let start = if wanted.resume.is_some() { SandboxStart::Resume } else { SandboxStart::Cold };
    let preparing = Preparing::begin(&wanted.trace, start);
    let launched = Box::pin(bring_up(context, report, wanted, slot, cancel)).await;
    preparing.ended(launched.as_ref().err().map(|error| failure_of(error).error_type));
    launched
}

async fn bring_up(
    context: &SessionContext,
    report: &mpsc::Sender<Report>,
    wanted: Wanted,
    slot: Slot,
    cancel: &CancellationToken,
) -> Result<Launched, NotLaunched> {
    if wanted.repository.is_some() {
        return prepare::prepare(context, report, wanted, slot, cancel).await;
    }
    let template = context.template(&wanted.agent).await.map_err(NotLaunched::Template)?;
    let Wanted { session, model, resume, untouched, .. } = wanted;
    let resumes = resume.is_some();
    let assignment = Assignment::Workspace;
    let order = LaunchOrder { session, template: Arc::clone(&template), model, resume, untouched, assignment };
    let sandbox = launch_when_possible(context, order, cancel).await.map_err(NotLaunched::Sandbox)?;
    Ok(Launched { transcript_lost: resumes && !sandbox.resumed, sandbox, template, slot: Some(slot), lease: None })
}

/// An engine that is being restarted is waited for, within a bound; so is a file descriptor where none is left.
async fn launch_when_possible(
    context: &SessionContext,
    order: LaunchOrder,
    cancel: &CancellationToken,
) -> Result<Sandbox, LaunchError> {
    let give_up = Instant::now() + ENGINE_PATIENCE;
    loop {
        match context.sandboxes.launch(order.clone(), cancel.clone()).await {
            Err(error) if error.may_pass() && Instant::now() < give_up => {}
            outcome => return outcome,
        }
        tokio::select! {
            () = cancel.cancelled() => return Err(LaunchError::Cancelled),
            () = tokio::time::sleep(ENGINE_RETRY) => {}
        }
    }
}
