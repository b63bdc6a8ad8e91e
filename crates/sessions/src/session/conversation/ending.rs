//! How a task ends: what is written down, what is told, and what is handed in between the two.

use domain::event::Event;
use domain::task::{Failure, TaskRecord, TaskStatus};
use gateway::Reading;
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

    /// Writes down that a task ended. `by`: who ended it, where a caller did.
    pub(crate) fn write_end(&mut self, mut record: TaskRecord, by: &'static str) {
        // It may quote the agent, its stderr, or the model API.
        if let Some(failure) = &mut record.failure
            && let Some(masked) = self.secrets.text(&failure.error)
        {
            failure.error = masked;
        }
        if self.has_work_to_hand_in(&record) {
            // So that another coordinator knows how it ended.
            self.journal.change(Change::UpdateTask(TaskRecord { status: TaskStatus::Running, ..record.clone() }));
            self.ending = Some(Ending { record, by });
        } else {
            self.tell_end(record, by);
        }
    }

    /// As [`Conversation::write_end`], whatever is still to be done.
    pub(crate) fn tell_end(&mut self, record: TaskRecord, by: &'static str) {
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

    pub(crate) fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    /// A task of which an earlier coordinator knew how it ended, and no more.
    pub(crate) fn end_again(&mut self, record: TaskRecord) {
        let status = record.failure.as_ref().map_or(TaskStatus::Completed, Failure::status);
        self.ending = Some(Ending { record: TaskRecord { status, ..record }, by: "request" });
    }

    /// The task that the session is busy with.
    pub(crate) fn current(&self) -> Option<&TaskRecord> {
        let running = self.running.as_ref().map(|running| &running.record);
        running.or_else(|| self.ending.as_ref().map(|ending| &ending.record))
    }
}
