//! A task between its submission and its commit.

use sandbox::Warm;

use super::agent::{Agent, Scope};
use super::conversation::prompt_text;
use super::durable::Savepoint;
use super::request::{Accepted, Submission};
use super::sandbox::discard_warm;
use super::state::State;
use super::tasks::WaitingTask;

/// A submission whose changes are in the journal. Its commit decides between [`PendingTask::accept`] and
/// [`PendingTask::undo`].
pub(crate) struct PendingTask {
    before: Savepoint,
    accepted: Accepted,
    /// The warm sandbox that a new session begins with.
    warm: Option<Box<Warm>>,
    /// `None`: the idle agent gets the task in the commit that accepts it. One wait for the disk instead of two.
    waiting: Option<WaitingTask>,
}

impl PendingTask {
    pub(crate) fn new(
        submission: Submission,
        warm: Option<Box<Warm>>,
        before: Savepoint,
        state: State,
        agent: &mut Agent,
        scope: &mut Scope<'_>,
    ) -> Self {
        let position = scope.tasks.position();
        let starts = state == State::Idle && scope.tasks.queued() == 0 && !scope.context.draining.is_cancelled();
        let sandbox = warm.as_ref().map(|warm| warm.sandbox.record());
        // The texts of a task that waits are in the store only.
        let text = starts.then(|| prompt_text(&submission.request));
        let task = scope.durable.accept(submission, sandbox, position);
        let accepted = Accepted { task: task.record.id.clone(), position };
        let mut waiting = Some(task);
        if starts && let Some(task) = waiting.take() {
            agent.begin_task(task, text, scope);
        }
        PendingTask { before, accepted, warm, waiting }
    }

    /// Accepts the task after its commit.
    pub(crate) fn accept(self, agent: &mut Agent, scope: &mut Scope<'_>) -> Accepted {
        if let Some(warm) = self.warm {
            agent.reserve_warm(warm, scope.context);
        }
        if let Some(task) = self.waiting {
            scope.tasks.push(task);
        }
        self.accepted
    }

    /// Undoes the submission after a failed commit: the session is as it was before.
    pub(crate) fn undo(self, agent: &mut Agent, scope: &mut Scope<'_>) {
        scope.durable.undo(self.before);
        if self.waiting.is_none() {
            agent.undo_begin(scope);
        }
        if let Some(warm) = self.warm {
            discard_warm(warm, scope.context, scope.durable);
        }
    }
}
