//! The tasks of a session: the queue, the task that runs, and the task whose end is not published yet.

mod end;

use domain::event::Event;
use domain::task::{ErrorType, Failure, Stage, TaskId, TaskKind, TaskRecord, TaskStatus};
use domain::usage::Cost;
use gateway::budget::Budgets;
use jiff::Timestamp;
use store::UnfinishedTask;
use tokio::time::Instant;
use tracing::info;
use uuid::Uuid;

use super::context::SessionContext;
use super::durable::DurableState;
use super::queue::Queue;
use super::request::{AbortScope, SubmitError};
use super::running::Running;
pub(crate) use end::{End, Ending, task_end};

pub(crate) struct Tasks {
    queue: Queue<WaitingTask>,
    running: Option<Running>,
    /// A task that ended, and whose end is not published yet.
    ending: Option<Ending>,
    first_output: Option<FirstOutput>,
    /// The ledger of the tasks' charges.
    budgets: Budgets,
}

/// A task that waits for its turn. The texts of its request are in the store only, and are read when they are needed.
#[derive(Clone, Debug)]
pub(crate) struct WaitingTask {
    pub(crate) record: TaskRecord,
    /// The uuid from which those of its messages are derived.
    pub(crate) prompt: Uuid,
}

/// The first output of a task's agent.
#[derive(Debug)]
pub(crate) struct FirstOutput {
    pub(crate) kind: TaskKind,
    /// The time at which the task was submitted.
    pub(crate) submitted: Timestamp,
}

/// The reason why a task starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryReason {
    ContainerLost,
    /// The agent ended before it started on the task.
    AgentEnded,
    /// The agent never started on the task.
    AgentHung,
}

/// A running task that takes too long.
#[derive(Debug)]
pub(crate) enum Overdue {
    /// Its time is over. The agent is to be interrupted.
    TimedOut(Failure),
    /// Its time is over, and the agent ignored the interrupt.
    NotInterrupted(Failure),
    /// The agent is silent.
    Stalled,
}

impl WaitingTask {
    pub(crate) fn new(record: &TaskRecord, prompt: Uuid) -> Self {
        WaitingTask { record: record.without_texts(), prompt }
    }

    /// Its repository was being prepared: the task has started, and no agent works on it yet.
    pub(crate) fn is_in_preparation(&self) -> bool {
        is_in_preparation(&self.record)
    }
}

impl RetryReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            RetryReason::ContainerLost => "container_lost",
            RetryReason::AgentEnded => "agent_ended",
            RetryReason::AgentHung => "agent_hung",
        }
    }
}

impl Tasks {
    /// `bound` is the number of tasks that may wait.
    pub(crate) fn new(bound: usize, budgets: Budgets) -> Self {
        Tasks { queue: Queue::new(bound), running: None, ending: None, first_output: None, budgets }
    }

    /// Sorts the unended tasks of the previous coordinator. Returns the one whose agent was at work.
    pub(crate) fn restore(&mut self, unfinished: Vec<UnfinishedTask>, durable: &DurableState) -> Option<WaitingTask> {
        let mut begun = None;
        for UnfinishedTask { record, prompt_uuid, .. } in unfinished {
            let is_running = record.status == TaskStatus::Running;
            let task = WaitingTask::new(&record, prompt_uuid);
            if is_running && task.record.answer.is_some() {
                self.end_again(task.record, durable);
            } else if is_running && !task.is_in_preparation() {
                begun = Some(task);
            } else {
                self.queue.push(task);
            }
        }
        begun
    }

    pub(crate) fn check_room(&self) -> Result<(), SubmitError> {
        self.queue.check_room().map_err(|_| SubmitError::QueueFull(self.queue.len()))
    }

    /// Returns true if a task is queued and may start.
    pub(crate) fn is_ready(&self, context: &SessionContext) -> bool {
        !self.queue.is_empty() && !context.draining.is_cancelled()
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The number of tasks ahead of one that is submitted now.
    pub(crate) fn position(&self) -> usize {
        self.queue.len() + usize::from(self.running.is_some())
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.current().is_some() || !self.queue.is_empty()
    }

    /// The running task, or the one whose end is not published yet.
    pub(crate) fn current(&self) -> Option<&TaskRecord> {
        let running = self.running.as_ref().map(|running| &running.record);
        running.or_else(|| self.ending.as_ref().map(|ending| &ending.record))
    }

    /// The running task, if it waits for people.
    pub(crate) fn waiting(&self) -> Option<&TaskRecord> {
        self.running.as_ref().filter(|running| running.is_waiting()).map(|running| &running.record)
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        self.running.as_mut()
    }

    /// Takes the running task once its agent has confirmed its message.
    pub(crate) fn take_accepted(&mut self) -> Option<Running> {
        self.running.take_if(|running| running.is_accepted())
    }

    /// Continues the task that [`Tasks::take_accepted`] took, or that another coordinator began.
    pub(crate) fn set_running(&mut self, running: Running) -> &mut Running {
        self.running.insert(running)
    }

    /// The start of the running task could not be committed.
    pub(crate) fn forget_running(&mut self) {
        self.running = None;
    }

    /// The next task.
    pub(crate) fn first(&self) -> Option<&WaitingTask> {
        self.queue.first()
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut WaitingTask> {
        self.queue.first_mut()
    }

    pub(crate) fn has(&self, task: &TaskId) -> bool {
        self.current().is_some_and(|record| record.id == *task) || self.queue.any(|waiting| waiting.record.id == *task)
    }

    pub(crate) fn push(&mut self, task: WaitingTask) {
        self.queue.push(task);
    }

    pub(crate) fn pop(&mut self) -> Option<WaitingTask> {
        self.queue.pop()
    }

    /// Starts a task. Its message is sent once the start is durable.
    pub(crate) fn begin(&mut self, mut running: Running, durable: &mut DurableState) {
        running.began_with(durable.next_seq());
        let record = &running.record;
        durable.update_task(record);
        if !is_in_preparation(record) {
            let start = Event::TaskStart { session_id: durable.id().clone() };
            durable.publish(&start, Some(&record.id));
        }
        info!(session.id = %durable.id(), task.id = %record.id, "task started");
        self.running = Some(running);
    }

    /// The agent has acted on the running task, or may have: its message is never sent again.
    pub(crate) fn assume_active(&mut self) {
        if let Some(running) = &mut self.running {
            running.assume_active();
        }
    }

    /// Corrects the cost of the running task by the ledger's balance.
    pub(crate) fn raise_cost_before(&mut self, cost: Cost) {
        if let Some(running) = &mut self.running {
            running.raise_cost_before(cost);
        }
    }

    /// The agent acted on the running task.
    pub(crate) fn on_events(&mut self, events: &[Event]) {
        let Some(running) = &mut self.running else { return };
        running.on_events(events);
        if events.iter().any(Event::is_of_the_model) && running.is_first_output() {
            let record = &running.record;
            self.first_output = Some(FirstOutput { kind: record.kind(), submitted: record.created });
        }
    }

    /// Returns the first output, once for each task.
    pub(crate) fn take_first_output(&mut self) -> Option<FirstOutput> {
        self.first_output.take()
    }

    /// Returns true once, when the message of the running task must be sent.
    pub(crate) fn take_pending_prompt(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::take_pending_prompt)
    }

    /// Returns the running task's overrun, if any. `stalls_at` is the time at which a silent agent counts as stalled.
    pub(crate) fn overdue(&self, now: Instant, stalls_at: Option<Instant>) -> Option<Overdue> {
        let running = self.running.as_ref()?;
        let is_over = running.deadline().is_some_and(|deadline| deadline <= now);
        if is_over && running.forced_failure().is_none() {
            let milliseconds = running.record.request.timeout_ms;
            let error = format!("the task did not end within {milliseconds} ms (timeoutMs)");
            Some(Overdue::TimedOut(Failure::new(ErrorType::Timeout, error)))
        } else if is_over {
            Some(Overdue::NotInterrupted(Failure::new(ErrorType::Timeout, "the task did not end in time")))
        } else {
            stalls_at.is_some_and(|at| at <= now).then_some(Overdue::Stalled)
        }
    }

    /// Queues the running task again after the loss of its sandbox. Returns false if it may not start again.
    pub(crate) fn restart_lost(&mut self, lost_by: ErrorType, durable: &mut DurableState) -> bool {
        if lost_by == ErrorType::ContainerLost {
            self.restart(RetryReason::ContainerLost, durable)
        } else {
            // An agent that ends after its last answer loses the next task's message.
            self.restart_not_started(RetryReason::AgentEnded, durable)
        }
    }

    /// Queues the running task again if its agent never started on it.
    pub(crate) fn restart_not_started(&mut self, reason: RetryReason, durable: &mut DurableState) -> bool {
        self.running.as_ref().is_some_and(Running::is_not_started) && self.restart(reason, durable)
    }

    /// Queues the running task again. The events since its start become void.
    fn restart(&mut self, reason: RetryReason, durable: &mut DurableState) -> bool {
        let Some(running) = self.running.take_if(|running| running.may_retry()) else { return false };
        let retry = Event::Retry {
            attempt: running.record.attempt + 1,
            max_retries: running.record.request.retry.max(1),
            delay_ms: 0,
            status: None,
            reason: reason.as_str().to_owned(),
            discards_from: Some(running.since()),
        };
        durable.publish(&retry, Some(&running.record.id));
        let waiting = running.into_next_attempt(reason);
        durable.update_task(&waiting.record);
        self.queue.push_front(waiting);
        true
    }

    /// Returns the running task if the scope contains it.
    pub(crate) fn running_in(&self, scope: &AbortScope) -> Option<TaskId> {
        let task = self.running.as_ref().map(|running| running.record.id.clone());
        task.filter(|task| scope.includes(task))
    }
}

fn is_in_preparation(record: &TaskRecord) -> bool {
    record.repository.as_ref().is_some_and(|progress| progress.stage == Some(Stage::Orchestrator))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{test_checkout, test_record, test_submission, test_tasks};
