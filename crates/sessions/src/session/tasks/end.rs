//! The end of a task. It is published at once, or after the task's model requests are charged and its work is handed in.

use std::time::Duration;

use domain::event::{EndedBy, Event};
use domain::task::{ErrorType, Failure, TaskId, TaskRecord, TaskStatus};
use gateway::{TaskEnd, UsageSnapshot};
use jiff::Timestamp;
use tracing::info;

use super::{RetryReason, Tasks, WaitingTask};
use crate::session::durable::DurableState;
use crate::session::request::AbortScope;
use crate::session::running::Running;
use crate::session::state::After;

/// A failure that the coordinator decides on, and the call that asked for it.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) failure: Failure,
    pub(crate) by: EndedBy,
}

/// A task's end that is not published yet.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) record: TaskRecord,
    pub(crate) by: EndedBy,
    /// The task may have left work to hand in. If not, only its charges are awaited.
    hands_in: bool,
    /// The worker waits for the charges.
    awaited: bool,
}

/// The end of a task as the gateway needs it. `failure`: the reason why the task did not complete.
pub(crate) fn task_end(failure: Option<&Failure>) -> TaskEnd {
    match failure.map(|failure| failure.error_type) {
        Some(ErrorType::Aborted | ErrorType::Deleted) => TaskEnd::Caller,
        Some(_) | None => TaskEnd::Own,
    }
}

impl End {
    pub(crate) fn new(failure: Failure, by: EndedBy) -> Self {
        End { failure, by }
    }

    /// The end of all tasks of a session that is reset or deleted.
    pub(crate) fn of_stop(after: After) -> Self {
        match after {
            After::Delete => End::new(Failure::new(ErrorType::Deleted, "the session was deleted"), EndedBy::Delete),
            After::Reset | After::Rest => {
                End::new(Failure::new(ErrorType::Aborted, "the session was reset"), EndedBy::Reset)
            }
        }
    }
}

impl Tasks {
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// The task that ended with work to hand in.
    pub(crate) fn handing_in(&self) -> Option<&Ending> {
        self.ending.as_ref().filter(|ending| ending.hands_in)
    }

    /// The task that ended, and whose model requests are not charged yet.
    pub(crate) fn unsettled(&self) -> Option<&TaskId> {
        self.ending.as_ref().filter(|ending| !ending.hands_in).map(|ending| &ending.record.id)
    }

    /// The unsettled task, once: the worker starts to wait for its charges.
    pub(crate) fn take_unsettled(&mut self) -> Option<TaskId> {
        let ending = self.ending.as_mut().filter(|ending| !ending.hands_in && !ending.awaited)?;
        ending.awaited = true;
        Some(ending.record.id.clone())
    }

    /// Publishes the end of the task whose model requests are charged now. Returns false if no task waits for its charges.
    pub(crate) fn publish_settled(&mut self, durable: &mut DurableState) -> bool {
        let Some(Ending { record, by, .. }) = self.ending.take_if(|ending| !ending.hands_in) else { return false };
        self.publish_end(record, by, durable);
        true
    }

    pub(crate) fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    /// Hands in the work of a task that the previous coordinator ended. Nothing more than its end is known.
    pub(super) fn end_again(&mut self, record: TaskRecord, durable: &DurableState) {
        let status = record.failure.as_ref().map_or(TaskStatus::Completed, Failure::status);
        let (by, hands_in) = (EndedBy::Request, has_work_to_hand_in(&record, durable));
        self.ending = Some(Ending { record: TaskRecord { status, ..record }, by, hands_in, awaited: false });
    }

    /// Ends the running task, if any. A failure that was forced before has priority.
    pub(crate) fn end_running(&mut self, end: End, used: UsageSnapshot, durable: &mut DurableState) {
        let Some(running) = self.running.take() else { return };
        let End { failure, by } = end;
        let failure = running.forced_failure().cloned().unwrap_or(failure);
        self.write_end(running.fail(used, failure), by, durable);
    }

    /// Ends the queued tasks in an abort's scope. Returns whether there were any.
    pub(crate) fn end_queued(&mut self, scope: &AbortScope, end: &End, durable: &mut DurableState) -> bool {
        let mut any = false;
        while let Some(waiting) = self.queue.remove(|waiting| scope.includes(&waiting.record.id)) {
            self.end_waiting(waiting, end.clone(), durable);
            any = true;
        }
        any
    }

    /// Fails the first task of the queue, because its sandbox did not start. A task whose sandbox was lost on the way waits for
    /// another one, as often as a task that its agent never started on.
    pub(crate) fn fail_first(&mut self, failure: Failure, durable: &mut DurableState) {
        let Some(mut waiting) = self.queue.pop() else { return };
        let record = &mut waiting.record;
        if failure.error_type != ErrorType::ContainerLost || record.attempt > record.request.retry {
            self.end_waiting(waiting, End::new(failure, EndedBy::Request), durable);
            return;
        }
        record.attempt += 1;
        let retry = Event::Retry {
            attempt: record.attempt,
            max_retries: record.request.retry + 1,
            delay_ms: 0,
            status: None,
            reason: RetryReason::ContainerLost.as_str().to_owned(),
            discards_from: None,
        };
        durable.publish(&retry, Some(&record.id));
        durable.update_task(record);
        self.queue.push_front(waiting);
    }

    /// Ends the queued tasks that have waited for a sandbox for at least `patience`.
    pub(crate) fn end_impatient(&mut self, patience: Duration, failure: &Failure, durable: &mut DurableState) {
        let over = |waiting: &WaitingTask| {
            let waited: Result<Duration, _> = Timestamp::now().duration_since(waiting.record.created).try_into();
            waited.is_ok_and(|waited| waited >= patience)
        };
        while let Some(waiting) = self.queue.remove(over) {
            self.end_waiting(waiting, End::new(failure.clone(), EndedBy::Request), durable);
        }
    }

    /// Ends a task that never ran.
    fn end_waiting(&mut self, waiting: WaitingTask, end: End, durable: &mut DurableState) {
        let started = waiting.record.started;
        let running = Running::begin(waiting, durable.claude_session_id().is_some(), UsageSnapshot::default());
        let record = TaskRecord { started, ..running.fail(UsageSnapshot::default(), end.failure) };
        self.write_end(record, end.by, durable);
    }

    /// Writes a task's end. It is published at once, unless its model requests are not charged yet or its work is still to be
    /// handed in.
    pub(crate) fn write_end(&mut self, mut record: TaskRecord, by: EndedBy, durable: &mut DurableState) {
        // The message may quote the agent, its stderr, or the model API.
        if let Some(failure) = &mut record.failure
            && let Some(masked) = durable.secrets().text(&failure.error)
        {
            failure.error = masked;
        }
        let hands_in = has_work_to_hand_in(&record, durable);
        let waits = hands_in || !self.budgets.is_settled(&record.id);
        // Only for a task that never ran may another task's end already be pending.
        if waits && self.ending.is_none() {
            // The next coordinator needs the answer to continue.
            durable.update_task(&TaskRecord { status: TaskStatus::Running, ..record.clone() });
            self.ending = Some(Ending { record, by, hands_in, awaited: false });
        } else {
            self.publish_end(record, by, durable);
        }
    }

    /// Writes and publishes a task's end, with its final cost.
    pub(crate) fn publish_end(&self, mut record: TaskRecord, by: EndedBy, durable: &mut DurableState) {
        // These are the charges of earlier attempts, and those since the answer.
        if let (Some(answer), Some((cost, usage))) = (&mut record.answer, self.budgets.charged(&record.id)) {
            answer.cost = cost.dollars();
            answer.usage = usage.unwrap_or(answer.usage);
        }
        info!(session.id = %durable.id(), task.id = %record.id, task.status = record.status.as_str(), "task ended");
        let event = match (&record.failure, &record.answer) {
            (Some(failure), _) if failure.status() == TaskStatus::Aborted => {
                Event::Abort { by, failure: failure.clone() }
            }
            (Some(failure), _) => Event::TaskFailed(failure.clone()),
            (None, Some(answer)) => Event::TaskComplete(Box::new(answer.clone())),
            // A completed task has its answer.
            (None, None) => return,
        };
        durable.publish(&event, Some(&record.id));
        durable.end_task(record);
    }
}

/// Returns true if the task's agent may have left work in the clone.
fn has_work_to_hand_in(record: &TaskRecord, durable: &DurableState) -> bool {
    let began = record.repository.as_ref().is_some_and(|progress| progress.stage.is_some());
    began && durable.checkout().is_some()
}
