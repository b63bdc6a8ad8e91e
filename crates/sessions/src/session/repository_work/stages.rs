//! The stages of a repository task, as its record and its events show them.

use domain::event::{Event, QueuedReason};
use domain::repository::{Checkout, Pull};
use domain::session::SessionRepository;
use domain::task::{RepositoryProgress, Stage, TaskRecord, TaskStatus};
use jiff::Timestamp;
use tracing::info;

use super::set_pull;
use crate::session::agent::Scope;
use crate::session::durable::DurableState;
use crate::session::sandbox::Step;
use crate::session::tasks::Tasks;

/// The agent in the clone works on the running task from now on.
pub(crate) fn enter_worker_stage(tasks: &mut Tasks, durable: &mut DurableState) {
    let (Some(known), Some(running)) = (durable.repository().cloned(), tasks.running_mut()) else { return };
    let progress = running.record.repository.get_or_insert_default();
    progress.stage = Some(Stage::Worker);
    progress.stage_began = Some(Timestamp::now());
    fill_in(progress, &known);
    publish_stage(&running.record, durable);
    durable.log_line(&running.record.id, "=== WORKER PHASE ===");
}

/// Writes a step of the preparation for the first task of the queue.
pub(crate) fn apply_step(step: Step, scope: &mut Scope<'_>) {
    let Scope { tasks, durable, .. } = scope;
    match step {
        Step::Begun => {
            if let Some(record) = begin_preparation(tasks, durable) {
                scope.context.count_begun(&record, &scope.trace(&record));
            }
        }
        Step::Log(lines) => {
            if let Some(waiting) = tasks.first() {
                for line in &lines {
                    durable.log_line(&waiting.record.id, line);
                }
            }
        }
        Step::Waits => {
            if let Some(waiting) = tasks.first() {
                let session_id = durable.id().clone();
                let event = Event::TaskQueued { session_id, position: 0, reason: Some(QueuedReason::Branch) };
                durable.publish(&event, Some(&waiting.record.id));
            }
        }
        Step::Chosen(checkout) => set_checkout(*checkout, CloneState::Missing, tasks, durable),
        Step::Cloned { checkout, left_out } => {
            set_checkout(*checkout, CloneState::Complete, tasks, durable);
            publish_left_out(left_out, tasks, durable);
        }
    }
}

/// The pull request of the running task is open.
pub(crate) fn on_pull_opened(pull: Pull, tasks: &mut Tasks, durable: &mut DurableState) {
    info!(session.id = %durable.id(), pull.url = pull.html_url, "the pull request is open");
    set_pull(pull, tasks, durable);
    if let Some(running) = tasks.running() {
        publish_stage(&running.record, durable);
    }
}

/// Writes the session's repository into a task's progress.
pub(super) fn fill_in(progress: &mut RepositoryProgress, known: &SessionRepository) {
    if let Some(checkout) = &known.checkout {
        progress.repo = Some(checkout.name.clone());
        progress.branch = Some(checkout.branch.clone());
    }
    if let Some(pull) = &known.pull {
        progress.pull_url = Some(pull.html_url.clone());
    }
}

/// Begins the preparation, which an earlier coordinator may have begun before. Returns the task's record if its first attempt
/// starts.
fn begin_preparation(tasks: &mut Tasks, durable: &mut DurableState) -> Option<TaskRecord> {
    let waiting = tasks.first_mut()?;
    let record = &mut waiting.record;
    let is_first = record.started.is_none();
    record.status = TaskStatus::Running;
    record.started.get_or_insert_with(Timestamp::now);
    let progress = record.repository.get_or_insert_default();
    progress.stage = Some(Stage::Orchestrator);
    progress.stage_began = Some(Timestamp::now());
    info!(session.id = %durable.id(), task.id = %record.id, "a repository is prepared");
    durable.update_task(record);
    if is_first {
        let start = Event::TaskStart { session_id: durable.id().clone() };
        durable.publish(&start, Some(&record.id));
    }
    durable.publish(&stage_event(record), Some(&record.id));
    durable.log_line(&record.id, "=== ORCHESTRATOR PHASE ===");
    is_first.then(|| record.clone())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CloneState {
    Missing,
    Complete,
}

fn set_checkout(checkout: Checkout, clone: CloneState, tasks: &mut Tasks, durable: &mut DurableState) {
    let Some((known, is_new)) = durable.set_checkout(checkout, clone == CloneState::Complete) else { return };
    let Some(waiting) = tasks.first_mut() else { return };
    fill_in(waiting.record.repository.get_or_insert_default(), &known);
    durable.update_task(&waiting.record);
    if is_new {
        durable.publish(&stage_event(&waiting.record), Some(&waiting.record.id));
    }
}

/// Publishes in the log and as an event which parts the clone lacks.
fn publish_left_out(left_out: Vec<String>, tasks: &Tasks, durable: &mut DurableState) {
    let Some(waiting) = tasks.first().filter(|_| !left_out.is_empty()) else { return };
    let record = &waiting.record;
    for sentence in &left_out {
        info!(session.id = %durable.id(), task.id = %record.id, sentence, "not in the clone");
        durable.log_line(&record.id, sentence);
    }
    let mut event = stage_event(record);
    if let Event::Stage { not_cloned, .. } = &mut event {
        *not_cloned = left_out;
    }
    durable.publish(&event, Some(&record.id));
}

/// Writes a task's record and publishes its stage.
fn publish_stage(record: &TaskRecord, durable: &mut DurableState) {
    durable.update_task(record);
    durable.publish(&stage_event(record), Some(&record.id));
}

fn stage_event(record: &TaskRecord) -> Event {
    let progress = record.repository.clone().unwrap_or_default();
    Event::Stage {
        stage: progress.stage.unwrap_or(Stage::Orchestrator),
        repo: progress.repo,
        branch: progress.branch,
        pr_url: progress.pull_url,
        not_cloned: Vec::new(),
    }
}
