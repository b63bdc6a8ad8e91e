//! What a session does more that works in a repository: it tells of the stages, opens the pull request, and hands in the work
//! before a task's end is told.

use domain::event::{Event, QueuedReason};
use domain::repository::{Checkout, Pull};
use domain::session::SessionRepository;
use domain::task::{Failure, RepositoryProgress, Stage, TaskRecord, TaskStatus};
use gateway::RepositoryAccess;
use jiff::Timestamp;
use store::Change;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::prepare::{Step, WantedRepository};
use super::tasks::between;
use super::{Report, Worker};
use crate::repository::{Lease, Outcome, WindUp, WorkReport, WoundUp};
use crate::session::conversation::{Conversation, Ending};
use crate::session::environment;
use crate::session::state::State;

/// Where a session's agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorksIn {
    Workspace,
    Repository,
}

/// Waits for the first push and opens the pull request then.
pub(super) struct Opener {
    enough: CancellationToken,
    work: JoinHandle<()>,
}

impl Opener {
    /// Returns when it does nothing more: a call that is under way is not cut, since nobody would know what came of it.
    pub(super) async fn finish(self) {
        self.enough.cancel();
        // It ended, one way or the other.
        let _ = self.work.await;
    }
}

impl Conversation {
    pub(super) fn repository(&self) -> Option<&SessionRepository> {
        self.record.as_ref()?.repository.as_ref()
    }

    pub(super) fn checkout(&self) -> Option<&Checkout> {
        self.repository()?.checkout.as_ref()
    }

    /// The running task is its agent's from here on.
    pub(super) fn enter_worker_stage(&mut self) {
        let known = self.repository().cloned();
        let (Some(known), Some(running)) = (known, &mut self.running) else { return };
        let progress = running.record.repository.get_or_insert_default();
        progress.stage = Some(Stage::Worker);
        progress.stage_began = Some(Timestamp::now());
        learn(progress, &known);
        let event = stage_event(progress);
        let record = running.record.clone();
        self.journal.change(Change::UpdateTask(record.clone()));
        self.journal.tell(&event, Some(&record.id));
        self.log_line(&record.id, "=== WORKER PHASE ===");
    }
}

impl Worker {
    pub(super) fn works_in_repository(&self) -> WorksIn {
        match self.conversation.repository() {
            Some(_) => WorksIn::Repository,
            None => WorksIn::Workspace,
        }
    }

    pub(super) fn wanted_repository(&self) -> Option<WantedRepository> {
        let session = self.conversation.record.as_ref()?;
        let repository = session.repository.as_ref()?;
        let record = &self.queue.first()?.record;
        Some(WantedRepository {
            task: record.id.clone(),
            prompt: record.request.message.clone(),
            request: record.request.repository.clone().unwrap_or_default(),
            checkout: repository.checkout.clone(),
            cloned: repository.cloned,
            session: session.id.clone(),
            access: environment::access(&session.env, &[]),
        })
    }

    /// What the session's git may do.
    pub(super) fn repository_access(&self) -> Option<RepositoryAccess> {
        Some(self.context.repositories.as_ref()?.access(self.conversation.checkout()?))
    }

    pub(super) fn repository_lease(&self) -> Option<Lease> {
        self.context.repositories.as_ref()?.try_lease(self.conversation.checkout()?)
    }

    /// A step on the way to the sandbox. Who prepares it is told when it is durable, and goes no further where it cannot be.
    pub(super) async fn on_step(&mut self, step: Step, written: oneshot::Sender<()>) {
        if self.state != State::Starting {
            return;
        }
        match step {
            Step::Begun => self.begin_preparation(),
            Step::Heard(lines) => {
                if let Some(task) = self.queue.first().map(|waiting| waiting.record.id.clone()) {
                    for line in &lines {
                        self.conversation.log_line(&task, line);
                    }
                }
            }
            Step::Waits => {
                if let Some(task) = self.queue.first().map(|waiting| waiting.record.id.clone()) {
                    let session_id = self.conversation.id.clone();
                    let event = Event::TaskQueued { session_id, position: 0, reason: Some(QueuedReason::Branch) };
                    self.conversation.journal.tell(&event, Some(&task));
                }
            }
            Step::Chosen(checkout) => self.set_checkout(*checkout, false),
            Step::Cloned(checkout) => self.set_checkout(*checkout, true),
        }
        if self.commit().await.is_ok() {
            let _ = written.send(());
        }
    }

    fn begin_preparation(&mut self) {
        let Some(waiting) = self.queue.first_mut() else { return };
        let record = &mut waiting.record;
        let again = record.started.is_some();
        record.status = TaskStatus::Running;
        record.started.get_or_insert_with(Timestamp::now);
        let progress = record.repository.get_or_insert_default();
        progress.stage = Some(Stage::Orchestrator);
        progress.stage_began = Some(Timestamp::now());
        let event = stage_event(progress);
        let record = record.clone();
        if !again {
            let now = Timestamp::now();
            self.context.metrics.task_began(record.kind(), between(record.created, now));
            self.trace(&record).queued(&record, now);
        }
        info!(session.id = %self.conversation.id, task.id = %record.id, "a repository is prepared");
        self.conversation.journal.change(Change::UpdateTask(record.clone()));
        if !again {
            let start = Event::TaskStart { session_id: self.conversation.id.clone() };
            self.conversation.journal.tell(&start, Some(&record.id));
        }
        self.conversation.journal.tell(&event, Some(&record.id));
        self.conversation.log_line(&record.id, "=== ORCHESTRATOR PHASE ===");
    }

    fn set_checkout(&mut self, checkout: Checkout, cloned: bool) {
        let Some(session) = &mut self.conversation.record else { return };
        let repository = session.repository.get_or_insert_default();
        let news = repository.checkout.is_none();
        repository.checkout = Some(checkout);
        repository.cloned = cloned;
        let known = repository.clone();
        self.conversation.touch();
        let Some(waiting) = self.queue.first_mut() else { return };
        let progress = waiting.record.repository.get_or_insert_default();
        learn(progress, &known);
        let event = stage_event(progress);
        let record = waiting.record.clone();
        self.conversation.journal.change(Change::UpdateTask(record.clone()));
        if news {
            self.conversation.journal.tell(&event, Some(&record.id));
        }
    }

    /// From here on the first push opens the pull request.
    pub(super) fn follow_pushes(&mut self) {
        let repository = self.conversation.repository();
        let (Some(SessionRepository { checkout: Some(checkout), pull: None, .. }), Some(sandbox)) =
            (repository, &self.sandbox)
        else {
            return;
        };
        let task = self.conversation.running.as_ref().map(|running| &running.record);
        let task = task.or_else(|| self.queue.first().map(|waiting| &waiting.record));
        let (Some(task), Some(repositories)) = (task, self.context.repositories.clone()) else { return };
        let (checkout, id, prompt) = (checkout.clone(), task.id.to_string(), task.request.message.clone());
        let (mut pushes, report) = (sandbox.gateway.pushes(), self.reports.0.clone());
        let enough = CancellationToken::new();
        let stop = enough.clone();
        let work = self.context.tracker.spawn(async move {
            while stop.run_until_cancelled(next_work(&mut pushes, &checkout.start)).await == Some(true) {
                match repositories.open_pull(&checkout, &id, &prompt).await {
                    Ok(pull) => {
                        let _ = report.send(Report::Opened(pull)).await;
                        return;
                    }
                    // The next push, or the end of the task, is another chance.
                    Err(error) => warn!(task.id = id, %error, "the pull request could not be opened yet"),
                }
            }
        });
        self.opener = Some(Opener { enough, work });
    }

    pub(super) async fn on_opened(&mut self, pull: Pull) {
        info!(session.id = %self.conversation.id, pull.url = pull.html_url, "the pull request is open");
        self.learn_pull(pull);
        if let Some(running) = &self.conversation.running
            && let Some(progress) = &running.record.repository
        {
            let (record, event) = (running.record.clone(), stage_event(progress));
            self.conversation.journal.change(Change::UpdateTask(record.clone()));
            self.conversation.journal.tell(&event, Some(&record.id));
        }
        self.flush().await;
    }

    fn learn_pull(&mut self, pull: Pull) {
        let Some(session) = &mut self.conversation.record else { return };
        let repository = session.repository.get_or_insert_default();
        repository.pull = Some(pull);
        if let Some(running) = &mut self.conversation.running {
            learn(running.record.repository.get_or_insert_default(), repository);
        }
        self.conversation.touch();
    }

    /// What is to be done about the work of the task that ended, where one did.
    pub(super) fn wind_up(&self) -> Option<WindUp> {
        let Ending { record, .. } = self.conversation.ending().filter(|ending| ending.hands_in)?;
        let SessionRepository { checkout, cloned, .. } = self.conversation.repository()?;
        let report = report_of(record);
        Some(WindUp {
            repositories: self.context.repositories.clone()?,
            sandboxes: std::sync::Arc::clone(&self.context.sandboxes),
            session: self.conversation.journal.session(),
            checkout: checkout.clone()?,
            cloned: *cloned,
            outcome: Outcome {
                task: record.id.to_string(),
                prompt: record.request.message.clone(),
                model: record.request.model.clone(),
                cost: record.answer.as_ref().map_or(0.0, |answer| answer.cost),
                failure: record.failure.clone().or_else(|| blocked(report.as_ref())),
                report,
            },
        })
    }

    /// The agent came to an end, and may still be writing its conversation down.
    pub(super) fn ended_by_itself(&self) -> bool {
        self.conversation.ending().is_some_and(|ending| ending.record.status != TaskStatus::Aborted)
    }

    /// Tells the end of a task whose work was handed in. False: there is none.
    pub(super) fn conclude(&mut self, wound_up: Option<WoundUp>) -> bool {
        // Cut short by the end of the coordinator: the next one does it again.
        if self.context.shutdown.is_cancelled() {
            return false;
        }
        if self.tell_settled() {
            return true;
        }
        let Some(Ending { mut record, by, .. }) = self.conversation.take_ending() else { return false };
        let WoundUp { pull, failure } = wound_up.unwrap_or_default();
        let report = report_of(&record);
        if let Some(pull) = pull {
            self.learn_pull(pull);
        }
        let progress = record.repository.get_or_insert_default();
        if let Some(known) = self.conversation.repository() {
            learn(progress, known);
        }
        progress.summary = report.as_ref().map(|report| report.summary.clone());
        if record.failure.is_none()
            && let Some(failure) = failure.or_else(|| blocked(report.as_ref()))
        {
            record.status = failure.status();
            if let Some(answer) = &mut record.answer {
                answer.status = record.status;
            }
            record.failure = Some(failure);
        }
        self.conversation.tell_end(record, by);
        true
    }
}

fn report_of(record: &TaskRecord) -> Option<WorkReport> {
    WorkReport::read(record.answer.as_ref()?.output.as_ref()?)
}

/// A worker that says what blocks it has not done its task.
fn blocked(report: Option<&WorkReport>) -> Option<Failure> {
    let blockers = report?.blockers.as_ref()?;
    let error = format!("the agent could not finish: {}", blockers.chars().take(2000).collect::<String>());
    Some(Failure::new(domain::task::ErrorType::ExitCode, error))
}

fn learn(progress: &mut RepositoryProgress, known: &SessionRepository) {
    if let Some(checkout) = &known.checkout {
        progress.repo = Some(checkout.name.clone());
        progress.branch = Some(checkout.branch.clone());
    }
    if let Some(pull) = &known.pull {
        progress.pull_url = Some(pull.html_url.clone());
    }
}

fn stage_event(progress: &RepositoryProgress) -> Event {
    Event::Stage {
        stage: progress.stage.unwrap_or(Stage::Orchestrator),
        repo: progress.repo.clone(),
        branch: progress.branch.clone(),
        pr_url: progress.pull_url.clone(),
    }
}

/// Waits for the next push of something new. False: there will be none.
async fn next_work(pushes: &mut watch::Receiver<Option<String>>, start: &str) -> bool {
    loop {
        if pushes.changed().await.is_err() {
            return false;
        }
        if pushes.borrow_and_update().as_deref().is_some_and(|commit| commit != start) {
            return true;
        }
    }
}
