//! How a task ends: what is written down, what is told, and what is handed in between the two.

use domain::event::Event;
use domain::task::{ErrorType, Failure, TaskId, TaskRecord, TaskStatus};
use gateway::{Reading, TaskEnd};
use store::Change;
use tracing::info;
use uuid::Uuid;

use super::super::running::Running;
use super::Conversation;

/// The end of a task, not told yet.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) record: TaskRecord,
    /// Who ended it, where a caller did.
    pub(crate) by: &'static str,
    /// The task has been at work where it may have left something. If not, nothing but its model requests is waited for.
    pub(crate) hands_in: bool,
    /// Somebody waits for its charges.
    awaited: bool,
}

/// What the gateway is told of the end of a task. `failure`: why the task did not complete.
pub(crate) fn task_end(failure: Option<&Failure>) -> TaskEnd {
    match failure.map(|failure| failure.error_type) {
        Some(ErrorType::Aborted | ErrorType::Deleted) => TaskEnd::Caller,
        Some(_) | None => TaskEnd::Own,
    }
}

impl Conversation {
    /// Ends the running task for a reason of ours. Does nothing where none runs.
    pub(crate) fn end_task(&mut self, failure: Failure, reading: Reading, by: &'static str) {
        let Some(running) = self.running.take() else { return };
        let mut said = Vec::new();
        self.dialogue.narrator.release_all(&mut said);
        for event in &said {
            self.journal.tell(event, Some(&running.record.id));
        }
        let failure = running.verdict().cloned().unwrap_or(failure);
        let record = running.fail(reading, failure);
        self.write_end(record, by);
    }

    /// Takes the running task back, to begin it anew in another sandbox. What was told of it is void.
    pub(crate) fn take_back(&mut self, reason: &'static str) -> Option<(TaskRecord, Uuid)> {
        let running = self.running.take_if(|running| running.may_retry())?;
        let retry = Event::Retry {
            attempt: running.record.attempt + 1,
            max_retries: running.record.request.retry.max(1),
            delay_ms: 0,
            status: None,
            reason: reason.to_owned(),
            discards_from: Some(running.since()),
        };
        self.journal.tell(&retry, Some(&running.record.id));
        let (record, root) = running.into_next_attempt(reason);
        self.journal.change(Change::UpdateTask(record.clone()));
        Some((record, root))
    }

    /// The agent is at work on the running task, or nobody can say that it is not: its message is never given again.
    pub(crate) fn presume_taken(&mut self) {
        if let Some(running) = &mut self.running {
            running.presume_heard();
        }
    }

    /// Takes the running task back if the agent never took its message in.
    pub(crate) fn take_back_untouched(&mut self, reason: &'static str) -> Option<(TaskRecord, Uuid)> {
        if self.running.as_ref().is_some_and(Running::is_untouched) { self.take_back(reason) } else { None }
    }

    /// Writes down that a task ended. `by`: who ended it, where a caller did. Its end is published at once, unless its model
    /// requests are not charged yet or its work is still to be handed in.
    pub(crate) fn write_end(&mut self, mut record: TaskRecord, by: &'static str) {
        // It may quote the agent, its stderr, or the model API.
        if let Some(failure) = &mut record.failure
            && let Some(masked) = self.secrets.text(&failure.error)
        {
            failure.error = masked;
        }
        let hands_in = self.has_work_to_hand_in(&record);
        let waits = hands_in || !self.budgets.is_settled(&record.id);
        // Only a task that never ran can find another one's end here.
        if waits && self.ending.is_none() {
            // So that another coordinator knows how it ended.
            self.journal.change(Change::UpdateTask(TaskRecord { status: TaskStatus::Running, ..record.clone() }));
            self.ending = Some(Ending { record, by, hands_in, awaited: false });
        } else {
            self.tell_end(record, by);
        }
    }

    /// As [`Conversation::write_end`], whatever is still to be done.
    pub(crate) fn tell_end(&mut self, mut record: TaskRecord, by: &'static str) {
        // What was charged meanwhile, and for earlier attempts.
        if let (Some(answer), Some((cost, usage))) = (&mut record.answer, self.budgets.charged(&record.id)) {
            answer.cost = cost.dollars();
            answer.usage = usage.unwrap_or(answer.usage);
        }
        info!(session.id = %self.id, task.id = %record.id, task.status = record.status.as_str(), "task ended");
        let event = match (&record.failure, &record.answer) {
            (Some(failure), _) if failure.status() == TaskStatus::Aborted => {
                Event::Abort { by, failure: failure.clone() }
            }
            (Some(failure), _) => Event::TaskFailed(failure.clone()),
            (None, Some(answer)) => Event::TaskComplete(Box::new(answer.clone())),
            // A task that completed has its answer.
            (None, None) => return,
        };
        self.journal.tell(&event, Some(&record.id));
        self.journal.end(record);
        self.touch();
    }

    /// The task has been at work where it may have left something.
    fn has_work_to_hand_in(&self, record: &TaskRecord) -> bool {
        let repository = self.record.as_ref().and_then(|session| session.repository.as_ref());
        let began = record.repository.as_ref().is_some_and(|progress| progress.stage.is_some());
        began && repository.is_some_and(|repository| repository.checkout.is_some())
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// The task that has ended, and of which only model requests are not charged yet.
    pub(crate) fn unsettled(&self) -> Option<&TaskRecord> {
        self.ending.as_ref().filter(|ending| !ending.hands_in).map(|ending| &ending.record)
    }

    /// The same, for whoever is going to wait for the charges: given once.
    pub(crate) fn take_unsettled(&mut self) -> Option<TaskId> {
        let ending = self.ending.as_mut().filter(|ending| !ending.hands_in && !ending.awaited)?;
        ending.awaited = true;
        Some(ending.record.id.clone())
    }

    pub(crate) fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    /// A task of which an earlier coordinator knew how it ended, and no more.
    pub(crate) fn end_again(&mut self, record: TaskRecord) {
        let status = record.failure.as_ref().map_or(TaskStatus::Completed, Failure::status);
        let hands_in = self.has_work_to_hand_in(&record);
        self.ending = Some(Ending { record: TaskRecord { status, ..record }, by: "request", hands_in, awaited: false });
    }

    /// The task that the session is busy with.
    pub(crate) fn current(&self) -> Option<&TaskRecord> {
        let running = self.running.as_ref().map(|running| &running.record);
        running.or_else(|| self.ending.as_ref().map(|ending| &ending.record))
    }
}
